"""Coarse phases of a recipe, and where a training of phases stands."""

import json

import pytest

from earsight.errors import ConfigError, InputError
from earsight.training.curriculum import Curriculum
from earsight.training.phase_clock import PhaseClock


def run_epoch(clock: PhaseClock, score: float | None = None) -> bool:
    for _ in range(clock.steps_per_epoch):
        with clock.timed():
            clock.advance()
    return clock.close_epoch(score)


def test_a_curriculum_without_factors_is_full_resolution_alone() -> None:
    (only,) = Curriculum().phases(fine_epochs=7)
    assert (only.compression.factor, only.max_epochs, only.plateau) == (1, 7, None)


@pytest.mark.parametrize(
    ("factors", "epochs", "message"),
    [
        ((4,), (), "as many epochs as factors"),
        ((1,), (3,), "2 or more"),
        ((2, 4), (3, 3), "from coarse to fine"),
        ((4,), (0,), "at least one epoch"),
    ],
)
def test_phases_that_are_none_are_refused(
    factors: tuple[int, ...], epochs: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Curriculum(factors=factors, epochs=epochs)


def test_phases_follow_each_other_and_count_their_own_steps() -> None:
    phases = Curriculum(factors=(4, 2), epochs=(2, 1)).phases(fine_epochs=2)
    clock = PhaseClock(phases, steps_per_epoch=3)
    assert clock.num_steps == 15
    begun = [run_epoch(clock) for _ in range(5)]
    assert begun == [False, True, True, False, True]
    assert clock.finished
    assert [(e.phase, e.factor, e.epoch, e.step) for e in clock.epochs] == [
        (0, 4, 1, 3),
        (0, 4, 2, 6),
        (1, 2, 1, 9),
        (2, 1, 1, 12),
        (2, 1, 2, 15),
    ]
    with pytest.raises(InputError, match="no step left"):
        clock.advance()


def test_a_phase_ends_where_its_curve_is_flat_and_needs_its_scores() -> None:
    curriculum = Curriculum(factors=(4,), epochs=(9,), plateau_patience=2, plateau_gain=0.1)
    clock = PhaseClock(curriculum.phases(fine_epochs=1), steps_per_epoch=1)
    assert [run_epoch(clock, score) for score in (0.2, 0.5, 0.55, 0.58)] == [
        False,
        False,
        False,
        True,
    ]
    assert clock.in_last_phase
    other = PhaseClock(curriculum.phases(fine_epochs=1), steps_per_epoch=1)
    other.advance()
    with pytest.raises(InputError, match="judge every epoch"):
        other.close_epoch(None)


def test_a_restored_clock_goes_on_where_it_was() -> None:
    phases = Curriculum(factors=(2,), epochs=(2,)).phases(fine_epochs=2)
    clock, other = (PhaseClock(phases, steps_per_epoch=2) for _ in range(2))
    run_epoch(clock, 0.5)
    clock.advance()
    other.restore(json.loads(json.dumps(clock.state())))
    for each in (clock, other):
        each.advance()
        each.close_epoch(0.25)
    assert other.state() == clock.state()
    assert (other.step, other.step_in_phase, other.in_last_phase) == (4, 0, True)


def test_time_outside_of_steps_does_not_count() -> None:
    phases = Curriculum().phases(fine_epochs=1)
    clock = PhaseClock(phases, steps_per_epoch=1)
    with clock.timed():
        sum(range(200_000))
    clock.advance()
    sum(range(3_000_000))
    clock.close_epoch()
    (epoch,) = clock.epochs
    assert 0 < epoch.cpu_seconds < 0.05
