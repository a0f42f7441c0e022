"""Worker processes: results, errors, and a job that kills its process."""

import os
from collections.abc import Callable

import pytest

from earsight.errors import ConfigError, InputError
from earsight.prepare.pool import LocalPool


def work(job: int) -> str:
    if job == 3:
        os._exit(9)
    if job == 100:
        raise InputError("a wrong job")
    return str(job)


def setup() -> Callable[[int], str]:
    return work


def died(job: int) -> str:
    return f"{job} died"


def test_a_job_that_kills_its_process_is_named_and_the_others_go_on() -> None:
    pool = LocalPool[int, str](setup, workers=2)
    found = sorted(pool.run(range(8), died))
    assert found == sorted(["0", "1", "2", "3 died", "4", "5", "6", "7"])


def test_errors_of_a_job_are_passed_on() -> None:
    with pytest.raises(InputError, match="a wrong job"):
        list(LocalPool[int, str](setup, workers=1).run([100], died))
    with pytest.raises(ConfigError, match="at least 1"):
        LocalPool[int, str](setup, workers=0)
