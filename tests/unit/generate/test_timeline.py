"""A timeline is drawn with as many stretches as can be seen, and hides none of its time."""

from pathlib import Path

import pytest
import torch

from earsight.frontends.kaldi_fbank import log_fbank
from earsight.generate.fbank_picture import band_of
from earsight.generate.tagger import Tag
from earsight.generate.timeline import NUM_COLUMNS, Timeline, _columns, _drawable
from earsight.media.audio import Waveform
from earsight.media.wave_write import write_audio


def test_long_timelines_are_means_of_several_stretches() -> None:
    count = 3 * NUM_COLUMNS + 1
    values = torch.arange(float(count))[:, None]
    edges = torch.arange(count + 1).double()
    line = Timeline(tags=[Tag(index=0, name=None, probability=0.5)], edges=edges,
                    probabilities=values)  # fmt: skip
    drawn = _drawable(line)
    assert len(drawn.probabilities) == len(drawn.edges) - 1 <= NUM_COLUMNS
    assert (drawn.edges[0], drawn.edges[-1]) == (0, count)
    assert float(drawn.probabilities[0]) == float(values[: int(drawn.edges[1])].mean())
    short = Timeline(tags=line.tags, edges=edges[:3], probabilities=values[:2])
    assert torch.equal(_drawable(short).probabilities, short.probabilities)


def test_no_frame_is_lost_between_two_pieces_of_a_file(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(2)
    wave = 0.1 * torch.randn(1, 16000 * 12, generator=rng)  # files are read in pieces of 10 s
    write_audio(tmp_path / "a.wav", Waveform(wave, 16000), provenance=None, subtype="FLOAT")
    columns = _columns(tmp_path / "a.wav", seconds=12.0)
    assert len(columns) == 600
    assert bool(columns.isfinite().all())
    around = log_fbank(wave)[0, 998:1002].mean(dim=0)  # frames in the middle of columns 499, 500
    assert float((columns[499:501].mean(dim=0) - around).abs().mean()) < 0.5


def test_a_tone_lies_at_its_mark() -> None:
    tone = torch.sin(2 * torch.pi * 2000 * torch.arange(16000) / 16000)[None]
    loudest = float(log_fbank(tone)[0].mean(dim=0).argmax())
    assert band_of(2000.0) == pytest.approx(loudest + 0.5, abs=0.6)
