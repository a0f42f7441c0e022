"""The folder of one training run: its recipe, its log, its checkpoints.

RUN/recipe.json              the settings it was started with
RUN/log.jsonl                one line per logged step
RUN/board/                   TensorBoard events, where they are wanted
RUN/step_000500/state.pt     everything the loop needs to go on (tensors and plain values)
RUN/step_000500/progress.json
RUN/best_000400/             the state of the best check so far, and its score
RUN/weights_000400/          a network's weights alone, where the mean over several is wanted

Of many processes only the first one writes. A file that cannot be written, on a full disk for
one, ends the run as TrainingError, with every earlier checkpoint intact.
Axes: m mel bands, t frames, s samples.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.errors import InputError, TrainingError, TrainingStopped
from earsight.files import staged, write_json
from earsight.settings import to_plain
from earsight.training.board import Board, board
from earsight.training.distributed import ALONE, World
from earsight.training.interrupt import StopRequest

STATE, PROGRESS = "state.pt", "progress.json"
SAVING = ".saving-"


@dataclass(frozen=True, slots=True)
class RunDir:
    """A run's folder; `keep` checkpoints stay, older ones are removed.

    With `tensorboard` the log goes there as well, and pictures and sounds with it; without it
    they are not kept. `stop` is the wish to end early that `save_due` obeys.
    """

    path: Path
    keep: int = 2
    tensorboard: bool = False
    world: World = ALONE
    stop: StopRequest = field(default_factory=StopRequest, compare=False)

    def seen_by(self, world: World) -> "RunDir":
        """The same folder, as one process of `world` sees it."""
        return replace(self, world=world)

    def note_recipe(self, recipe: object, *, resume: bool) -> None:
        """Write down a frozen dataclass of settings, or check it against the noted one.

        Raises InputError for a fresh start in a used folder, and when a run is resumed with
        another recipe.
        """
        if not self.world.is_first:
            return
        plain = json.loads(json.dumps(to_plain(recipe)))
        noted = self.path / "recipe.json"
        if not noted.exists():
            with self._writing(noted):
                write_json(noted, plain)
            return
        if not resume:
            raise InputError(f"{self.path} holds a run already: resume it or choose another folder")
        for torn in self.path.glob(f"{SAVING}*"):  # left by a run that was killed
            shutil.rmtree(torn)
        if (before := json.loads(noted.read_text())) != plain:
            changed = [name for name in plain if before.get(name) != plain[name]]
            raise InputError(
                f"{self.path} was started with other settings ({', '.join(changed)} differ): "
                "resume with the same recipe or choose another folder"
            )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line of named numbers."""
        if not self.world.is_first:
            return
        line = {"step": step} | {name: float(f"{value:.6g}") for name, value in values.items()}
        path = self.path / "log.jsonl"
        with self._writing(path):
            self.path.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            if self._board is not None:
                self._board.numbers(step, values)

    def log_picture(self, step: int, name: str, mel: Float[Tensor, "m t"]) -> None:
        """Keep a spectrogram in [0, 1] as a picture."""
        if self._board is not None:
            with self._writing(self.path / "board"):
                self._board.picture(step, name, mel)

    def log_sound(self, step: int, name: str, wave: Float[Tensor, " s"], *, rate_hz: int) -> None:
        """Keep a mono sound in [-1, 1]."""
        if self._board is not None:
            with self._writing(self.path / "board"):
                self._board.sound(step, name, wave, rate_hz=rate_hz)

    def log_codes(self, step: int, name: str, codes: Int[Tensor, "*n"]) -> None:
        """Keep a histogram of codes."""
        if self._board is not None:
            with self._writing(self.path / "board"):
                self._board.histogram(step, name, codes)

    def read_log(self) -> list[dict[str, int | float]]:
        """All logged lines; a last line cut short by a kill is left out."""
        path = self.path / "log.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def trim_log(self, step: int) -> None:
        """Drop the lines after `step`: a resumed run writes them again."""
        if not self.world.is_first:
            return
        kept = [line for line in self.read_log() if line["step"] <= step]
        with self._writing(self.path / "log.jsonl"):  # noqa: SIM117 the second one cleans up
            with staged(self.path / "log.jsonl", overwrite=True) as temporary:
                temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def save_due(self, step: int, *, every: int, last: int) -> bool:
        """Whether to save after `step` finished ones: on a multiple, at the end, before a stop.

        Every process must ask at every step, so that all of them stop at the same one.
        """
        return step % every == 0 or step == last or self.world.any(self.stop.is_set)

    def save_state(self, state: Mapping[str, Any]) -> Path:
        """Write a checkpoint, whole or not at all; `state["step"]` names it.

        Raises TrainingStopped once it is written when a stop was asked for in any process.
        """
        step = int(state["step"])
        final = self.path / f"step_{step:06d}"
        if self.world.is_first:
            self._write_state(final, state, {"step": step})
            for old in self.checkpoints()[: -self.keep]:
                shutil.rmtree(old)
        if self.world.any(self.stop.is_set):
            raise TrainingStopped(
                f"stopped by {self.stop.signal_name or 'another process'} after step {step}, saved "
                f"in {final}: go on with --resume"
            )
        return final

    def keep_best(self, state: Mapping[str, Any], value: float, *, name: str = "score") -> None:
        """Write the state of the best check so far, with its score; drop the one before.

        Whether it is the best one the caller knows (`watch.EarlyStopping.update`).
        """
        if self.world.is_first:
            step = int(state["step"])
            self._write_state(
                self.path / f"best_{step:06d}", state, {"step": step, name: float(value)}
            )
            for old in self._folders("best_")[:-1]:
                shutil.rmtree(old)

    def load_best(self) -> dict[str, Any]:
        """State of the best check, on the CPU. Raises InputError where there was none."""
        saved = self._folders("best_")
        if not saved:
            raise InputError(f"{self.path} holds no best state: it is written by the first check")
        return _read_state(saved[-1])

    def keep_weights(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Write the weights after `step`, whole or not at all."""
        if self.world.is_first:
            self._write_state(self.path / f"weights_{step:06d}", weights, {"step": step})

    def load_weights(self, step: int) -> dict[str, Tensor]:
        """Weights after `step`, on the CPU. Raises InputError where they were not kept."""
        folder = self.path / f"weights_{step:06d}"
        if not (folder / STATE).exists():
            raise InputError(f"{folder} is missing: train again from an earlier checkpoint")
        return _read_state(folder)

    def drop_weights(self, *, but: Collection[int]) -> None:
        """Remove all weights but those after some steps."""
        if self.world.is_first:
            for folder in self._folders("weights_"):
                if int(folder.name.removeprefix("weights_")) not in but:
                    shutil.rmtree(folder)

    def checkpoints(self) -> list[Path]:
        """Checkpoint folders, oldest first."""
        return self._folders("step_")

    @property
    def newest(self) -> Path | None:
        """Newest checkpoint folder, None before the first."""
        saved = self.checkpoints()
        return saved[-1] if saved else None

    def load_state(self) -> dict[str, Any]:
        """Newest state, on the CPU; no code in the file is run.

        Raises InputError where nothing was saved.
        """
        if self.newest is None:
            raise InputError(f"{self.path} holds no saved state: start the run without resuming")
        return _read_state(self.newest)

    def _folders(self, prefix: str) -> list[Path]:
        found = (path for path in self.path.glob(f"{prefix}*") if (path / STATE).exists())
        return sorted(found, key=lambda path: int(path.name.removeprefix(prefix)))

    @property
    def _board(self) -> Board | None:
        return board(self.path / "board") if self.tensorboard and self.world.is_first else None

    @contextmanager
    def _writing(self, path: Path) -> Generator[None]:
        """Say what a failed write means for the run."""
        try:
            yield
        except OSError as error:
            raise TrainingError(self._about_write(path, error)) from error

    def _about_write(self, path: Path, error: BaseException) -> str:
        newest = self.newest
        kept = f"the last checkpoint, {newest}, is intact" if newest else "nothing was saved before"
        return f"cannot write {path} ({error}): {kept}; make room, then go on with --resume"

    def _write_state(self, final: Path, state: Mapping[str, Any], progress: object) -> None:
        with self._writing(final):
            self.path.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=SAVING, dir=self.path))
            try:
                _write_tensors(temporary / STATE, state)
                write_json(temporary / PROGRESS, progress)
                temporary.chmod(0o755)
                if final.exists():  # the same step again, after a run was resumed
                    (temporary / STATE).replace(final / STATE)
                else:
                    temporary.rename(final)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)


def _write_tensors(path: Path, state: Mapping[str, Any]) -> None:
    """`torch.save`, whose writer hides a full disk behind an error of its own; onto the disk."""
    with path.open("wb") as file:
        try:
            torch.save(dict(state), file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise
        file.flush()
        os.fsync(file.fileno())


def _read_state(folder: Path) -> dict[str, Any]:
    state = torch.load(folder / STATE, map_location="cpu", weights_only=True)
    return cast(dict[str, Any], state)
