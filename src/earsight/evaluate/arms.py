"""Ways of doing the same work, each measured in a process of its own, turn by turn.

A process of its own makes the peak memory that of one arm; turns make slow minutes of a busy
machine hit all arms alike.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from types import TracebackType

import torch

from earsight.errors import EarsightError
from earsight.evaluate.speed import peak_memory_mib, synchronise

Work = Callable[[], object]
Prepare = Callable[[], Work]
"""Builds an arm's work inside its process; must be picklable, such as a `functools.partial`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Seconds of each turn, and the most memory the arm's process ever held.

    `loaded_mib` is what it held before its first turn: libraries, weights and inputs.
    `peak_device_mib` is what tensors held on a CUDA device, None without one.
    """

    seconds: tuple[float, ...]
    loaded_mib: int
    peak_memory_mib: int
    peak_device_mib: int | None

    @property
    def middle(self) -> float:
        """Median of the turns' seconds."""
        return median(self.seconds)


def in_turns(
    arms: Mapping[str, Prepare], *, repeats: int, warm_ups: int = 1, num_threads: int | None = None
) -> dict[str, Measured]:
    """Measure every arm `repeats` times, one after the other, after turns that do not count.

    All arms stay in memory meanwhile. Raises EarsightError when an arm's process dies, and what an
    arm raised.
    """
    with ExitStack() as opened:
        running = {
            name: opened.enter_context(_Arm(name, prepare, num_threads))
            for name, prepare in arms.items()
        }
        for arm in running.values():
            arm.load()
        for turn in range(warm_ups + repeats):
            for arm in running.values():
                arm.turn(counts=turn >= warm_ups)
        return {name: arm.result() for name, arm in running.items()}


class _Arm:
    """One process, spoken to from outside."""

    def __init__(self, name: str, prepare: Prepare, num_threads: int | None) -> None:
        context = get_context("spawn")
        self.name = name
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(prepare, num_threads, theirs), daemon=True
        )
        self.seconds: list[float] = []
        self.loaded_mib = 0
        self.process.start()
        theirs.close()  # so that the end of the process is heard

    def __enter__(self) -> "_Arm":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.connection.close()
        self.process.join(timeout=10)
        if self.process.is_alive():
            self.process.kill()

    def load(self) -> None:
        self.loaded_mib = int(self._ask("load"))

    def turn(self, *, counts: bool) -> None:
        seconds = self._ask("turn")
        if counts:
            self.seconds.append(seconds)

    def result(self) -> Measured:
        device = self._ask("device memory")
        return Measured(
            seconds=tuple(self.seconds),
            loaded_mib=self.loaded_mib,
            peak_memory_mib=int(self._ask("memory")),
            peak_device_mib=None if device < 0 else int(device),
        )

    def _ask(self, what: str) -> float:
        try:
            self.connection.send(what)
            answer = self.connection.recv()
        except (EOFError, ConnectionError) as error:
            self.process.join(timeout=10)
            raise EarsightError(
                f"the process of '{self.name}' ended with exit code {self.process.exitcode} "
                "before it was measured: with -9, give it less work or more memory"
            ) from error
        if isinstance(answer, BaseException):
            raise answer
        return float(answer)


def _serve(prepare: Prepare, num_threads: int | None, connection: Connection) -> None:
    """The arm's process: answers until nobody asks any more."""
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    work: Work | None = None
    while True:
        try:
            what = connection.recv()
        except EOFError:
            return
        try:
            if work is None:
                work = prepare()
            connection.send(_answer(what, work))
        except Exception as error:
            connection.send(error)
            return


def _answer(what: str, work: Work) -> float:
    match what:
        case "turn":
            synchronise()
            start = time.perf_counter()
            work()
            synchronise()
            return time.perf_counter() - start
        case "device memory":
            if not torch.cuda.is_initialized():
                return -1.0
            return torch.cuda.max_memory_allocated() / 2**20
        case _:
            return float(peak_memory_mib())
