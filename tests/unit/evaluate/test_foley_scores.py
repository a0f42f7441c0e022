"""Scores against known truth: worked by hand, with a judge that says what it is told."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.data.corpus import ClipRecord
from earsight.data.foley_room.clip import ClipTruth, SoundEvent
from earsight.errors import InputError
from earsight.evaluate.foley_scores import (
    TrueClip,
    foley_scores,
    mean_score,
    measure_sound,
    shuffled,
    silence,
)
from earsight.generate.sound_class import Heard

RATE_HZ = 22050
FPS = 20.0
EVENTS = (0.3, 0.8, 1.3, 1.7)


class Parrot:
    """Hears "rain" in loud sounds and "drop" in others."""

    class_names: tuple[str, ...] = ("drop", "rain")

    def judge(self, mels: Sequence[Float[Tensor, "m _"]]) -> Heard:
        loud = torch.stack([mel.mean() for mel in mels])
        shares = torch.stack([1 - loud, loud], dim=1)
        return Heard(shares, shares)


def knocks(times: tuple[float, ...]) -> Tensor:
    wave = 1e-4 * torch.randn(2 * RATE_HZ, generator=torch.Generator().manual_seed(1))
    time = torch.arange(RATE_HZ // 4) / RATE_HZ
    event = 0.5 * torch.exp(-time / 0.04) * torch.sin(2 * torch.pi * 900 * time)
    for start in (round(t * RATE_HZ) for t in times):
        wave[start : start + len(event)] += event[: len(wave) - start]
    return wave


def truth(events: tuple[float, ...] = EVENTS) -> ClipTruth:
    frames = np.arange(40) / FPS
    loudness = np.zeros(40)
    for t in events:
        loudness += np.exp(-np.maximum(frames - t, 0) / 0.04) * (frames + 0.05 > t)
    return ClipTruth(
        classes=("drop",),
        fps=FPS,
        events=tuple(SoundEvent(time_seconds=t, sound_class="drop") for t in events),
        # the source leaves the picture at 1 s
        visibility=tuple(float(t < 1.0) for t in frames),
        loudness=tuple(loudness.tolist()),
    )


def record(name: str) -> ClipRecord:
    return ClipRecord(
        id=name, split="test", class_index=0, class_name="drop", seconds=2.0, source=Path(name)
    )


def test_the_true_sound_scores_full_marks() -> None:
    found = measure_sound(knocks(EVENTS), truth(), Parrot())
    assert found["onset_f"] == 1
    assert found["offscreen_recall"] == 1
    assert found["loudness_correlation"] > 0.9
    assert found["class_accuracy"] == 1


def test_what_is_unseen_is_counted_apart() -> None:
    found = measure_sound(knocks(EVENTS[:3]), truth())
    # three of four events heard: F = 2 * 3 / (4 + 3); of the two unseen ones one
    assert found["onset_f"] == pytest.approx(6 / 7)
    assert found["offscreen_recall"] == 0.5
    assert "class_accuracy" not in found
    late = measure_sound(knocks(tuple(t + 0.08 for t in EVENTS)), truth())
    assert late["onset_f"] == 0


def test_steady_classes_have_no_onsets_to_find() -> None:
    steady = truth(())
    assert measure_sound(knocks(()), steady, Parrot()) == {"class_accuracy": 1.0}


def test_only_classes_of_the_world_are_asked_for() -> None:
    wave = 0.5 * torch.randn(2 * RATE_HZ, generator=torch.Generator().manual_seed(2))
    assert measure_sound(wave, truth(), Parrot())["class_accuracy"] == 0
    of_world = measure_sound(wave, truth(), Parrot(), class_names=("drop", "drum"))
    assert of_world["class_accuracy"] == 1


def test_onsets_are_not_counted_where_rain_falls_too() -> None:
    both = replace(truth(), classes=("drop", "rain"))
    found = measure_sound(knocks(EVENTS), both)
    assert "onset_f" not in found
    assert found["offscreen_recall"] == 1


def test_means_errors_and_missing_sounds() -> None:
    clips = [TrueClip(record(name), truth()) for name in ("a", "b", "c")]

    def some(own: ClipRecord) -> list[Tensor]:
        if own.id == "c":
            raise InputError("no sample was made")
        return [knocks(EVENTS), knocks(EVENTS[:3])] if own.id == "a" else [knocks(EVENTS)]

    result = foley_scores(clips, {"model": some, "silence": silence}, judge=None, class_names=())
    scores = result.scores()
    model = scores["onset_f.model"]
    first = (1 + 6 / 7) / 2
    assert model.value == pytest.approx((first + 1) / 2)
    assert model.spread == pytest.approx((1 - first) / 2)
    assert model.num_items == 2
    assert scores["onset_f.silence"].value == 0
    assert scores["class_accuracy.model"].value is None
    assert [left.name for left in result.skipped] == ["model: c"]
    assert result.by_class()["drop"]["model"]["onset_f"].value == model.value


def test_one_value_has_no_error() -> None:
    assert mean_score([0.5], "").spread is None
    assert mean_score([], "").value is None


def test_shuffling_gives_every_clip_another_one() -> None:
    records = [record(str(number)) for number in range(7)]
    asked: list[str] = []

    def sounds(own: ClipRecord) -> list[Tensor]:
        asked.append(own.id)
        return []

    moved = shuffled(sounds, records, seed=3)
    for own in records:
        moved(own)
    assert sorted(asked) == [own.id for own in records]
    assert all(a != own.id for a, own in zip(asked, records, strict=True))
