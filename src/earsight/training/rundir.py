"""The folder of one training run: its recipe, its log, its checkpoints.

RUN/recipe.json              the settings it was started with
RUN/log.jsonl                one line per logged step
RUN/step_000500/state.pt     everything the loop needs to go on (tensors and plain values)
RUN/step_000500/progress.json
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from earsight.errors import InputError
from earsight.files import staged, write_json
from earsight.settings import to_plain


@dataclass(frozen=True, slots=True)
class RunDir:
    """A run's folder; `keep` checkpoints stay, older ones are removed."""

    path: Path
    keep: int = 2

    def note_recipe(self, recipe: object, *, resume: bool) -> None:
        """Write down a frozen dataclass of settings, or check it against the noted one.

        Raises InputError for a fresh start in a used folder, and when a run is resumed with
        another recipe.
        """
        plain = json.loads(json.dumps(to_plain(recipe)))
        noted = self.path / "recipe.json"
        if not noted.exists():
            write_json(noted, plain)
            return
        if not resume:
            raise InputError(f"{self.path} holds a run already: resume it or choose another folder")
        if (before := json.loads(noted.read_text())) != plain:
            changed = [name for name in plain if before.get(name) != plain[name]]
            raise InputError(
                f"{self.path} was started with other settings ({', '.join(changed)} differ): "
                "resume with the same recipe or choose another folder"
            )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line of named numbers."""
        line = {"step": step} | {name: float(f"{value:.6g}") for name, value in values.items()}
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def read_log(self) -> list[dict[str, int | float]]:
        """All logged lines; a last line cut short by a kill is left out."""
        path = self.path / "log.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def save_state(self, state: Mapping[str, Any]) -> Path:
        """Write a checkpoint, whole or not at all; `state["step"]` names it."""
        step = int(state["step"])
        final = self.path / f"step_{step:06d}"
        self.path.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".saving-", dir=self.path))
        try:
            torch.save(dict(state), temporary / "state.pt")
            write_json(temporary / "progress.json", {"step": step})
            temporary.chmod(0o755)
            if final.exists():
                shutil.rmtree(final)
            temporary.rename(final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        for old in self.checkpoints()[: -self.keep]:
            shutil.rmtree(old)
        return final

    def checkpoints(self) -> list[Path]:
        """Checkpoint folders, oldest first."""
        return sorted(path for path in self.path.glob("step_*") if (path / "state.pt").exists())

    def load_state(self) -> dict[str, Any]:
        """Newest state, on the CPU; no code in the file is run.

        Raises InputError where nothing was saved.
        """
        saved = self.checkpoints()
        if not saved:
            raise InputError(f"{self.path} holds no saved state: start the run without resuming")
        state = torch.load(saved[-1] / "state.pt", map_location="cpu", weights_only=True)
        return cast(dict[str, Any], state)

    def trim_log(self, step: int) -> None:
        """Drop the lines after `step`: a resumed run writes them again."""
        kept = [line for line in self.read_log() if line["step"] <= step]
        with staged(self.path / "log.jsonl", overwrite=True) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
