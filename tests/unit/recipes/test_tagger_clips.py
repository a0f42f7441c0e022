"""Clips of taggers: mixtures carry both classes, stripes are 0 before normalising, soft targets."""

import math
from dataclasses import replace

import pytest
import torch
from made_corpus import MadeCorpus

from earsight.data.fbank_clips import WaveCut, fbanks, samples_of, spread_parts
from earsight.data.joined import JoinedCorpus
from earsight.errors import InputError
from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.frontends.htsat_augment import Stripes
from earsight.frontends.kaldi_fbank import normalise
from earsight.recipes.tagger_clips import (
    ClipChanges,
    TaggedClips,
    TagLoss,
    draw_tagged,
    tag_loss,
)
from earsight.recipes.tagger_report import (
    all_scores,
    joined_windows,
    probabilities_of,
    valid_readings,
)
from earsight.training.distributed import ALONE

STATISTICS = FbankStatistics(mean=1.0, spread=2.0, num_frames=64)
BARE = ClipChanges(
    cut=WaveCut(start="first", gain="none"), mixup=0.0, stripes=Stripes(num_time=0, num_bands=0)
)


def made() -> TaggedClips:
    corpus = JoinedCorpus([MadeCorpus("made", ("low", "high"))])
    return TaggedClips(corpus, "train", memory_gb=0.1)


def draw(changes: ClipChanges, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rngs = [torch.Generator().manual_seed(seed + n) for n in range(2)]
    device = torch.device("cpu")
    found = draw_tagged(made(), [0, 1], changes, STATISTICS, generators=rngs, device=device)
    return found.inputs, found.targets


def test_without_changes_a_clip_is_as_it_is_judged() -> None:
    fbank, targets = draw(BARE)
    plain = spread_parts(made().waves, [0, 1], STATISTICS, num_parts=1, fill=BARE.cut.fill)
    torch.testing.assert_close(fbank, plain)
    assert targets.tolist() == [[1, 0], [0, 1]]


def test_windows_of_a_clip_go_from_its_beginning_to_its_end() -> None:
    clips = made()
    wave = clips.waves.wave(0)
    found = spread_parts(clips.waves, [0, 1], STATISTICS, num_parts=3, fill="padding")
    assert found.shape == (6, 64, 128)
    wanted = samples_of(64)
    last = normalise(fbanks([wave[-wanted:]], num_frames=64), STATISTICS)
    torch.testing.assert_close(found[2:3], last)
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("kind", ["softmax", "binary"])
def test_windows_are_joined_by_the_mean_of_their_probabilities(kind: TagLoss) -> None:
    logits = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    found = probabilities_of(joined_windows(logits, kind=kind), kind=kind)
    each = logits.sigmoid() if kind == "binary" else logits.softmax(dim=2)
    torch.testing.assert_close(found, each.mean(dim=1))


def test_a_mixture_has_the_shares_of_both_classes() -> None:
    targets = torch.cat([draw(replace(BARE, mixup=1.0), seed=n)[1] for n in range(0, 20, 2)])
    torch.testing.assert_close(targets.sum(1), torch.ones(20))
    mixed = targets[(targets > 0).all(1)]
    assert len(mixed) >= 3
    assert 0.15 < float(mixed.min()) < 0.5
    assert not torch.equal(draw(replace(BARE, mixup=1.0))[0], draw(BARE)[0])


def test_hidden_stripes_are_zero_before_they_are_normalised() -> None:
    stripes = Stripes(num_time=1, time_width=32, num_bands=1, band_width=32)
    striped, plain = draw(replace(BARE, stripes=stripes))[0], draw(BARE)[0]
    changed = striped != plain
    assert changed.any()
    assert bool((striped[changed] == -0.25).all())
    rows, bands = changed[0].all(1).sum(), changed[0].all(0).sum()
    assert 0 < rows + bands < 64


def test_noise_fills_what_was_quiet_20_db_below_the_clip() -> None:
    noisy, plain = draw(replace(BARE, noise_db=20.0))[0][0], draw(BARE)[0][0]
    loud, quiet = slice(0, 48), slice(52, 62)
    assert float((noisy - plain)[loud].abs().mean()) < 0.05
    found = float(noisy[loud].mean() - noisy[quiet].mean()) * 2 * STATISTICS.spread
    assert found == pytest.approx(math.log(100 / 0.77), abs=0.25), "a clip of which 77 % sound"


def test_losses_have_their_closed_forms() -> None:
    logits, targets = torch.zeros(1, 4), torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    for smoothing in (0.0, 0.1):
        each = tag_loss(logits, targets, kind="binary", smoothing=smoothing)
        joint = tag_loss(logits, targets, kind="softmax", smoothing=smoothing)
        assert (float(each), float(joint)) == pytest.approx((math.log(2), math.log(4)))
    both = torch.full((1, 2), 50.0)
    found = tag_loss(both, torch.ones(1, 2), kind="binary", smoothing=0.1)
    assert float(found) == pytest.approx(2.5)
    sure = torch.tensor([[50.0, -50.0]])
    one = torch.tensor([[1.0, 0.0]])
    assert float(tag_loss(sure, one, kind="binary", smoothing=0.1)) == pytest.approx(2.5)
    assert float(tag_loss(sure, one, kind="softmax", smoothing=0.1)) == pytest.approx(5.0)


def test_scores_come_back_in_the_order_of_the_clips() -> None:
    clips = made()
    asked: list[list[int]] = []

    def judge(part: TaggedClips, places: list[int]) -> torch.Tensor:
        asked.append(places)
        return part.targets[places] * 2.0

    scores = all_scores(judge, clips, batch=3, world=ALONE)
    assert torch.equal(scores, clips.targets * 2)
    assert asked == [[0, 1, 2], [3]]
    found = valid_readings(scores, clips, kind="softmax")
    assert found["valid_accuracy"] == found["valid_mean_average_precision"] == 1.0
    moved = scores + torch.arange(4.0)[:, None] * 5
    ranked = [
        valid_readings(moved, clips, kind="softmax"),
        valid_readings(moved, clips, kind="binary"),
    ]
    assert ranked[0]["valid_mean_average_precision"] == 1.0, "a softmax knows no common offset"
    assert ranked[1]["valid_mean_average_precision"] < 1.0


def test_clips_without_a_class_are_refused() -> None:
    with pytest.raises(InputError, match="4 train clips and none with a class"):
        TaggedClips(JoinedCorpus([MadeCorpus("made", ())]), "train", memory_gb=0.1)
