"""The vocoder's training from end to end on generated sounds."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from earsight.checkpoints.native import read_folder
from earsight.data.wave_segments import SegmentDraw, draw_segments
from earsight.errors import ConfigError, InputError
from earsight.frontends.specvqgan_mel import log_mel
from earsight.models.melgan.config import MelGANConfig
from earsight.models.melgan.model import MelGANGenerator
from earsight.recipes.bundled_vocoder import (
    export,
    griffin_lim_error,
    mel_error,
    tiny,
    train,
)
from earsight.settings import from_plain
from earsight.training.rundir import RunDir


def sounds(count: int, seconds: float = 0.5) -> torch.Tensor:
    rng = torch.Generator().manual_seed(7)
    return 0.1 * torch.randn(count, int(22050 * seconds), generator=rng)


def test_segments_carry_the_spectrogram_of_the_whole_clip() -> None:
    waves = sounds(1)
    draw = SegmentDraw(num_frames=12, gain_share=0.0)
    found = draw_segments(waves, draw, count=3, rng=torch.Generator().manual_seed(0))
    for wave, mel in zip(found.wave, found.mel, strict=True):
        starts = (waves[0].unfold(0, 12 * 256, 1) - wave).abs().amax(1)
        mirrored = (waves[0].unfold(0, 12 * 256, 1) + wave).abs().amax(1)
        start = int(torch.minimum(starts, mirrored).argmin())
        assert min(float(starts[start]), float(mirrored[start])) == 0
        # frame k of the segment is centred on its sample 256 k
        padded = waves[0][start - 1024 : start + 12 * 256 + 1024]
        whole = log_mel(padded[None], num_frames=None)[0, :, 4:16]
        torch.testing.assert_close(mel, whole, atol=1e-5, rtol=0)


def test_levels_are_drawn_in_the_range() -> None:
    draw = SegmentDraw(num_frames=80, gain_share=1.0, peak_db=(-20.0, -20.0))
    waves = sounds(1, seconds=1.03)
    found = draw_segments(waves, draw, count=1, rng=torch.Generator().manual_seed(0))
    assert 0.05 < float(found.wave.abs().max()) <= 0.1 + 1e-6


def test_two_halves_equal_the_whole_bit_for_bit(tmp_path: Path) -> None:
    waves, held_out = sounds(3), sounds(1)
    recipe = tiny()
    whole = train(recipe, RunDir(tmp_path / "whole"), waves=waves, held_out=held_out)

    run = RunDir(tmp_path / "halves")
    train(recipe, run, waves=waves, held_out=held_out)
    for path in run.checkpoints():
        if path.name != "step_000002":
            (path / "state.pt").unlink()
    log = run.read_log()
    resumed = train(recipe, run, waves=waves, held_out=held_out, resume=True)
    assert resumed.step == whole.step == 4
    for mine, other in zip(
        resumed.average.model.parameters(), whole.average.model.parameters(), strict=True
    ):
        assert torch.equal(mine, other)
    for mine, other in zip(
        resumed.discriminator.parameters(), whole.discriminator.parameters(), strict=True
    ):
        assert torch.equal(mine, other)
    assert run.read_log() == log
    assert "judge" in log[-2]
    assert "held_out_mel" in log[-1]


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    recipe = replace(tiny(), num_steps=30, discriminator_start=30, check_every=30, save_every=30)
    run = RunDir(tmp_path)
    train(recipe, run, waves=sounds(3), held_out=sounds(1))
    losses = [line["total"] for line in run.read_log() if "total" in line]
    assert losses[-1] < 0.7 * losses[0]


def test_scores_are_errors_of_the_rebuilt_spectrogram() -> None:
    held_out = sounds(2)
    random = mel_error(untrained(), held_out)
    assert 0 < griffin_lim_error(held_out, seeds=(1, 2)) < 0.08 < random


def untrained() -> MelGANGenerator:
    return MelGANGenerator(tiny().model)


def test_an_exported_vocoder_reads_back(tmp_path: Path) -> None:
    model = untrained()
    export(model, tmp_path / "vocoder", card="# Vocoder\n")
    stored = read_folder(tmp_path / "vocoder")
    assert (stored.family, from_plain(MelGANConfig, stored.config)) == ("melgan", model.config)
    again = untrained()
    again.load_state_dict(stored.tensors)
    mel = torch.rand(1, 80, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(again(mel), model(mel), atol=2e-3, rtol=0)


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="give 128 samples per frame, the spectrogram has 256"):
        replace(tiny(), model=MelGANConfig(ratios=(8, 8, 2)))
    with pytest.raises(InputError, match="at least one clip of 5120 samples"):
        draw_segments(sounds(2, 0.1), SegmentDraw(num_frames=12), count=1, rng=torch.Generator())
