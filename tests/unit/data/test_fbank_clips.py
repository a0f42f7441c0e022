"""Clips as filterbanks: what is cut, how loud, what stands behind a short clip."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from earsight.data.corpus import ClipRecord, Split
from earsight.data.fbank_clips import (
    WaveClips,
    WaveCut,
    beta_draw,
    cut_wave,
    fbanks,
    samples_of,
    statistics_for,
)
from earsight.errors import InputError
from earsight.frontends.fbank_statistics import AUDIOSET

PLAIN = WaveCut(gain="none")


class Noise:
    """Four training clips of noise."""

    name, class_names = "noise", ()

    def __init__(self, num_samples: int) -> None:
        self._num_samples = num_samples

    def records(self, split: Split) -> Sequence[ClipRecord]:
        return [
            ClipRecord(
                id=f"{split}{number}",
                split=split,
                class_index=None,
                class_name=None,
                seconds=1.0,
                source=Path("nowhere"),
            )
            for number in range(4 if split == "train" else 0)
        ]

    def wave(self, record: ClipRecord) -> torch.Tensor:
        return 0.2 * torch.randn(self._num_samples, generator=rng(int(record.id[-1])))

    def mel(self, record: ClipRecord) -> torch.Tensor:
        raise AssertionError

    def features(self, record: ClipRecord, kind: str) -> torch.Tensor:
        raise AssertionError


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_cyclic_cut_goes_on_at_the_beginning() -> None:
    clip = torch.arange(1000).float()
    cut = cut_wave(clip, PLAIN, num_samples=900, rng=rng(3))
    first = int(cut[0])
    assert first > 100, "otherwise this seed shows nothing"
    assert torch.equal(cut, (torch.arange(900) + first).remainder(1000).float())
    inside = [
        cut_wave(clip, replace(PLAIN, start="random"), num_samples=900, rng=rng(n))
        for n in range(20)
    ]
    assert all(torch.equal(part - part[0], torch.arange(900).float()) for part in inside)
    assert len({float(part[0]) for part in inside}) > 10
    assert float(cut_wave(clip, PLAIN, num_samples=900)[0]) == 0, "nothing is drawn without rng"


def test_short_clips_end_in_rows_of_zero_or_begin_again() -> None:
    clip = 0.1 * torch.randn(samples_of(10), generator=rng())
    short = cut_wave(clip, PLAIN, num_samples=samples_of(16))
    padded = fbanks([short, clip[:900]], num_frames=16)
    assert not padded[0, 10:].any()
    assert padded[0, :10].abs().amin(1).all()
    assert not padded[1, 4:].any()
    again = cut_wave(clip, replace(PLAIN, fill="repeat"), num_samples=samples_of(16))
    assert torch.equal(again[: clip.numel()], clip)
    assert torch.equal(again[clip.numel() :], clip[: samples_of(16) - clip.numel()])


def test_levels_lie_where_paper_and_code_have_them() -> None:
    one = torch.ones(500)
    paper = [float(cut_wave(one, WaveCut(), num_samples=1, rng=rng(n))) for n in range(300)]
    code = [
        float(cut_wave(one, WaveCut(gain="beta"), num_samples=1, rng=rng(n))) for n in range(300)
    ]
    assert 0.501 < min(paper) < 0.53
    assert 1.9 < max(paper) < 1.996
    assert torch.tensor(code).std() == pytest.approx(0.109, abs=0.015)
    assert beta_draw(10.0, 10.0, rng(1)) == beta_draw(10.0, 10.0, rng(1))


def test_measured_statistics_make_mean_0_and_spread_one_half() -> None:
    corpus = Noise(30000)
    clips = WaveClips(corpus, corpus.records("train"), memory_gb=0.1)
    found = statistics_for("measured", clips, num_frames=100, fill="repeat")
    waves = [
        cut_wave(clips.wave(i), replace(PLAIN, fill="repeat"), num_samples=samples_of(100))
        for i in range(len(clips))
    ]
    values = fbanks(waves, num_frames=100)
    assert found.mean == pytest.approx(float(values.mean()), abs=1e-3)
    assert found.spread == pytest.approx(float(values.std()), rel=1e-3)
    named = statistics_for("audioset", clips, num_frames=64, fill="repeat")
    assert named == replace(AUDIOSET, num_frames=64)


def test_a_clip_without_a_frame_is_named() -> None:
    corpus = Noise(256)
    with pytest.raises(InputError, match="train0 of noise has 186 samples at 16000 Hz"):
        WaveClips(corpus, corpus.records("train"), memory_gb=0.1).wave(0)
    with pytest.raises(InputError, match="noise has no clips"):
        WaveClips(corpus, corpus.records("test"), memory_gb=0.1)
