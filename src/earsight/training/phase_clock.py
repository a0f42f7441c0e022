"""Where a training of phases stands: step, phase, epoch, and the time that each epoch took."""

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from earsight.errors import ConfigError, InputError
from earsight.training.coarse_to_fine import (
    Compression,
    Phase,
    Progress,
    after_epoch,
    check_phases,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochTime:
    """An epoch that is over: wall and CPU seconds of its training steps alone, and its score.

    `phase` and `epoch` count from 0 and from 1. CPU seconds are those of this process, all threads
    together. `score` is None for an epoch that was not judged.
    """

    phase: int
    factor: int
    epoch: int
    step: int
    seconds: float
    cpu_seconds: float
    score: float | None


class PhaseClock:
    """Counts steps of a training of phases; every phase counts its own from 0.

    `step` is the number of finished steps of all phases together.
    """

    def __init__(self, phases: Sequence[Phase], *, steps_per_epoch: int) -> None:
        check_phases(phases)
        if steps_per_epoch < 1:
            raise ConfigError(f"an epoch has at least one step, got {steps_per_epoch}")
        self.phases, self.steps_per_epoch = tuple(phases), steps_per_epoch
        self.progress = Progress()
        self.step, self.step_in_phase = 0, 0
        self.epochs: list[EpochTime] = []
        self._seconds, self._cpu_seconds = 0.0, 0.0

    @property
    def finished(self) -> bool:
        """Whether all phases are over."""
        return self.progress.finished(self.phases)

    @property
    def in_last_phase(self) -> bool:
        """Whether the running phase is the one at full resolution."""
        return self.progress.phase == len(self.phases) - 1

    @property
    def phase(self) -> Phase:
        """The running phase; the last one when all are over."""
        return self.phases[min(self.progress.phase, len(self.phases) - 1)]

    @property
    def compression(self) -> Compression:
        """Resolution of the running phase."""
        return self.phase.compression

    @property
    def epoch_in_phase(self) -> float:
        """Epochs of the running phase that are done, with the part of the running one."""
        return self.step_in_phase / self.steps_per_epoch

    @property
    def num_steps(self) -> int:
        """Steps of all phases, where none ends early."""
        return self.steps_per_epoch * sum(phase.max_epochs for phase in self.phases)

    @property
    def epoch_is_over(self) -> bool:
        """Whether the step just counted was the last one of an epoch."""
        return self.step_in_phase > 0 and self.step_in_phase % self.steps_per_epoch == 0

    @property
    def phase_may_end(self) -> bool:
        """Whether the epoch that is over is the last one its phase can have."""
        return self.step_in_phase == self.phase.max_epochs * self.steps_per_epoch

    @contextmanager
    def timed(self) -> Generator[None]:
        """Add the time spent inside to the running epoch."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self._seconds += time.perf_counter() - wall
            self._cpu_seconds += time.process_time() - cpu

    def advance(self) -> None:
        """Count a finished step. Raises InputError when all phases are over."""
        if self.finished:
            raise InputError("all phases are over: there is no step left to count")
        self.step += 1
        self.step_in_phase += 1

    def close_epoch(self, score: float | None = None) -> bool:
        """End the running epoch; True when the next phase begins, or nothing is left.

        Raises InputError for an epoch that is not over, or without the score that a phase needs
        which ends where its curve flattens.
        """
        if not self.epoch_is_over:
            raise InputError(f"step {self.step} does not end an epoch")
        if score is None and self.phase.plateau is not None:
            raise InputError("this phase ends where its curve flattens: judge every epoch")
        before = self.progress
        self.epochs.append(
            EpochTime(
                phase=before.phase,
                factor=self.compression.factor,
                epoch=before.epoch + 1,
                step=self.step,
                seconds=round(self._seconds, 3),
                cpu_seconds=round(self._cpu_seconds, 3),
                score=score,
            )
        )
        self._seconds, self._cpu_seconds = 0.0, 0.0
        self.progress = after_epoch(before, self.phases, 0.0 if score is None else score)
        if self.progress.phase == before.phase:
            return False
        self.step_in_phase = 0
        return True

    def state(self) -> dict[str, Any]:
        """Plain values to go on from."""
        return {
            "step": self.step,
            "step_in_phase": self.step_in_phase,
            "progress": asdict(self.progress),
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "seconds": [self._seconds, self._cpu_seconds],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved state."""
        self.step, self.step_in_phase = state["step"], state["step_in_phase"]
        self.progress = Progress(**state["progress"])
        self.epochs = [EpochTime(**epoch) for epoch in state["epochs"]]
        self._seconds, self._cpu_seconds = state["seconds"]
