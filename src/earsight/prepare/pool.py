"""Jobs in worker processes: a job that kills its process is named, and the others go on.

Results do not depend on the number of processes: each job runs alone, on one thread.
"""

import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import Any, Generic, TypeVar

from earsight.errors import ConfigError

Job = TypeVar("Job")
Result = TypeVar("Result")
_AHEAD = 2  # jobs handed out per process, so that none waits and memory stays bounded


class LocalPool(Generic[Job, Result]):
    """Runs `setup()` once per process, then its result on job after job.

    `setup` and jobs travel to other processes, so they must be picklable. With one worker all
    happens in this process. Raises ConfigError for fewer than one worker.
    """

    def __init__(self, setup: Callable[[], Callable[[Job], Result]], *, workers: int) -> None:
        if workers < 1:
            raise ConfigError(f"{workers} workers: at least 1 is needed")
        self._setup = setup
        self._workers = workers

    def run(self, jobs: Iterable[Job], died: Callable[[Job], Result]) -> Iterator[Result]:
        """Results as they come. `died` makes the result of a job that ended its process."""
        if self._workers == 1:
            with _one_thread():
                work = self._setup()
                for job in jobs:
                    yield work(job)
            return
        remaining = iter(jobs)
        retry: list[Job] = []
        while True:
            yield from self._run_until_broken(remaining, retry)
            if not retry:
                return
            # one of these killed its process: each alone, so that the culprit is known
            yield from self._one_by_one(retry, died)
            retry = []

    def _run_until_broken(self, jobs: Iterator[Job], broken: list[Job]) -> Iterator[Result]:
        pool = self._pool(self._workers)
        waiting: dict[Future[Result], Job] = {}
        try:
            while True:
                room = self._workers * _AHEAD - len(waiting)
                for job in islice(jobs, room):
                    try:
                        waiting[pool.submit(_work, job)] = job
                    except BrokenProcessPool:
                        broken.append(job)
                        break
                if not waiting or broken:
                    break
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    job = waiting.pop(future)
                    try:
                        yield future.result()
                    except BrokenProcessPool:
                        broken.append(job)
            for future, job in waiting.items():
                if future.done() and future.exception() is None:
                    yield future.result()
                else:
                    broken.append(job)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _one_by_one(self, jobs: Iterable[Job], died: Callable[[Job], Result]) -> Iterator[Result]:
        pool: ProcessPoolExecutor | None = None
        try:
            for job in jobs:
                pool = pool or self._pool(1)
                try:
                    yield pool.submit(_work, job).result()
                except BrokenProcessPool:
                    pool.shutdown(wait=True)
                    pool = None
                    yield died(job)
        finally:
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)

    def _pool(self, workers: int) -> ProcessPoolExecutor:
        # spawned, not forked: a fork of a process with threads can hang
        return ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(self._setup,)
        )


_worker: list[Callable[[Any], Any]] = []
"""What `setup` returned, in a worker process; empty in all others."""


def _begin(setup: Callable[[], Callable[[Any], Any]]) -> None:
    # Ctrl-C goes to every process; the first one ends the others when their clip is finished
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.append(setup())
    if torch := sys.modules.get("torch"):  # loading it for jobs without it takes seconds
        torch.set_num_threads(1)


def _work(job: Any) -> Any:
    return _worker[0](job)


@contextmanager
def _one_thread() -> Generator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
