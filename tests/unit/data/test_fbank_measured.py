"""Log filterbanks of a corpus: measured as trainings measure them, compared with expected ones."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.data.corpus import ClipRecord, Split
from earsight.data.fbank_clips import MEASURED, WaveClips, statistics_for
from earsight.data.fbank_measured import (
    MeasuredFbank,
    measure_fbank,
    measured_fbank,
    spread_over,
    statistics_drift,
)
from earsight.data.folds import FoldedCorpus
from earsight.errors import InputError
from earsight.frontends.fbank_statistics import (
    AUDIOSET,
    ESC50,
    FLEXIAST_VGGSOUND,
    SPEECH_COMMANDS_V2,
    FbankStatistics,
)


class Noises:
    """Two folds of noises of two lengths and levels."""

    name, class_names = "noises", ("a",)

    def records(self, split: Split) -> Sequence[ClipRecord]:
        return [
            ClipRecord(
                id=f"{number}",
                split="train",
                class_index=0,
                class_name="a",
                seconds=1.0,
                source=Path("x"),
                notes={"fold": number % 2},
            )
            for number in range(4 if split == "train" else 0)
        ]

    def wave(self, record: ClipRecord) -> Float[Tensor, " s"]:
        number = int(record.id)
        rng = torch.Generator().manual_seed(number)
        return 0.1 * (1 + number) * torch.randn(8000 + 8000 * (number % 2), generator=rng)

    def mel(self, record: ClipRecord) -> Tensor:
        raise AssertionError

    def features(self, record: ClipRecord, kind: str) -> Tensor:
        raise AssertionError


def test_measured_as_trainings_do_with_any_padding() -> None:
    corpus = Noises()
    clips = WaveClips(corpus, corpus.records("train"), memory_gb=0.1)
    found = measured_fbank(FoldedCorpus(corpus, 0))
    assert found.num_clips == 4
    num_frames = found.frames[-1] + 40
    wanted = statistics_for(MEASURED, clips, num_frames=num_frames, fill="padding")
    padded = found.as_input(num_frames, "padding")
    # the front end's last frame differs by where a sound ends
    assert padded.mean == pytest.approx(wanted.mean, abs=0.03)
    assert padded.spread == pytest.approx(wanted.spread, abs=0.03)
    assert found.as_input(num_frames, "repeat").mean == found.mean
    with pytest.raises(InputError, match="as long as a frame"):
        measure_fbank([torch.zeros(300)])


def test_lengths_are_spread_over_clips() -> None:
    assert spread_over(list(range(101)), 11, with_last=True) == list(range(0, 101, 10))
    assert spread_over([1, 2], 11, with_last=True) == [1, 2]
    assert spread_over(list(range(10)), 5) == [0, 2, 4, 6, 8]


def of(statistics: FbankStatistics) -> MeasuredFbank:
    return MeasuredFbank(
        mean=statistics.mean, spread=statistics.spread, num_clips=9, frames=(1024,)
    )


@pytest.mark.parametrize(
    ("own", "warns"),
    [(AUDIOSET, False), (FLEXIAST_VGGSOUND, False), (ESC50, True), (SPEECH_COMMANDS_V2, True)],
)
def test_warns_where_papers_correct(own: FbankStatistics, warns: bool) -> None:
    assert (statistics_drift(of(own), AUDIOSET) is not None) == warns


def test_the_warning_says_what_was_found_and_what_to_do() -> None:
    told = statistics_drift(of(ESC50), AUDIOSET)
    assert told is not None
    assert told.startswith("log filterbanks have mean -6.63 and spread 5.36 (9 clips), expected")
    assert "are -4.27 and 4.57: 0.52 spreads too low, 1.17 times as wide; take" in told
    flat = MeasuredFbank(mean=-4.3, spread=3.0, num_clips=9, frames=(1024,))
    assert "0.66 times as wide" in (statistics_drift(flat, AUDIOSET) or "")
