"""Windows, codes and mixture of the code transformer's training."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from made_corpus import MadeCorpus

from earsight.data.code_windows import picture_rows, without_learned_values
from earsight.data.collages import CollageConfig
from earsight.data.motion_pairs import TrackNoise
from earsight.errors import ConfigError, InputError
from earsight.frontends.visual_features import condition_rows
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import TokenGPT
from earsight.recipes.code_batches import (
    Mixture,
    VisitDraws,
    batch_loss,
    collate,
    corrupted,
    draw_batch,
    part_losses,
    withheld,
)
from earsight.recipes.coded_visits import ClipSource, Coder, CollageSource, Visit, Window, items_of
from earsight.training.batches import item_generator
from earsight.training.distributed import ALONE, World

CONFIG = TokenGPTConfig(
    num_codes=16, num_positions=6 + 1 + 30, grid_columns=6, width=16, num_layers=1, num_heads=2,
    condition="features+class", feature_width=8, num_classes=3, class_dropout_index=2,
)  # fmt: skip
WINDOW = Window(num_columns=6, num_features=6, feature_width=8, visual="motion")


@pytest.fixture(scope="module")
def coder() -> Coder:
    config = MelVQGANConfig(
        num_frames=96, channels=4, channel_multipliers=(1, 1, 1, 1, 1), norm_groups=2,
        blocks_per_level=1, latent_channels=4, code_dim=4, num_codes=16, attention_resolutions=(),
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Coder(MelVQGAN(config), "0" * 64)


def clips(coder: Coder, *, frames: int = 130, per_clip: int | None = None) -> ClipSource:
    corpus = MadeCorpus("made", ("a", "b"), num_frames=frames)
    items = items_of([corpus], "train", {"a": 0, "b": 1}.get)
    return ClipSource(
        items, coder, WINDOW, crop="random", crops_per_clip=per_clip, seed=0, learned=True
    )


class Named:
    """A source that tells by its codes which item was visited."""

    def __init__(self, role: str, num_items: int) -> None:
        self.role, self.num_items = role, num_items

    def visit(self, index: int, generator: torch.Generator) -> Visit:
        codes = torch.full((30,), index)
        return Visit(codes, codes >= 0, torch.ones(6, 8), 0 if self.role == "pictures" else 1)


def test_a_window_has_the_picture_of_its_own_time(coder: Coder) -> None:
    source = clips(coder)
    starts = set[float]()
    for seed in range(6):
        visit = source.visit(0, torch.Generator().manual_seed(seed))
        assert visit.features is not None
        first = float(visit.features[0, 0])
        starts.add(first)
        # rows count up by 0.01 a picture frame, a column holds four of them
        assert float(visit.features[5, 0]) == pytest.approx(first + 0.20, abs=0.011)
        assert bool(visit.counted.all())
    assert len(starts) > 2


@torch.no_grad()
def test_codes_beyond_a_clips_end_do_not_count(coder: Coder) -> None:
    visit = clips(coder, frames=60).visit(0, torch.Generator().manual_seed(0))
    assert visit.codes.shape == (30,)
    assert visit.counted.tolist() == [True] * 15 + [False] * 15  # 60 frames hold 3 columns
    model = TokenGPT(CONFIG).eval()
    batch = collate([visit], CONFIG)
    loss = batch_loss(model, batch)
    visit.codes[15:] = 3
    assert float(batch_loss(model, collate([visit], CONFIG))) == float(loss)


def test_kept_crops_are_coded_once_and_always_the_same(coder: Coder) -> None:
    first, second = clips(coder, per_clip=2), clips(coder, per_clip=2)
    seen = {
        tuple(first.visit(1, torch.Generator().manual_seed(seed)).codes.tolist())
        for seed in range(12)
    }
    assert len(seen) == 2
    # another order of visits codes the same crops
    again = {
        tuple(second.visit(1, torch.Generator().manual_seed(seed)).codes.tolist())
        for seed in reversed(range(12))
    }
    assert again == seen


def test_frame_features_are_the_published_selection() -> None:
    features = torch.rand(215, 3, generator=torch.Generator().manual_seed(0))
    for number in (1, 5, 212):
        found = picture_rows(features, "resnet50", start=6, num_columns=53, num_features=number)
        torch.testing.assert_close(found, condition_rows(features, number), atol=0, rtol=0)


def test_learned_values_are_withheld_and_motion_stays() -> None:
    rows = torch.rand(6, 20, generator=torch.Generator().manual_seed(0))
    kept = without_learned_values(rows)
    assert torch.equal(kept[:, :8], rows[:, :8])
    assert not kept[:, 8:].any()


def test_collages_show_made_motion_and_nothing_learned(coder: Coder) -> None:
    corpus = MadeCorpus("sounds", ("a", "b"), kind=None)
    items = items_of([corpus], "train", {"a": 0, "b": 1}.get)
    window = replace(WINDOW, feature_width=20)
    config = CollageConfig(events=1.0, bounces=0.0, swells=0.0, clips=0.0, silence=0.0)
    source = CollageSource(
        items, coder, window, config=config, noise=TrackNoise(), num_windows=4, seed=0
    )
    one, two = (source.visit(0, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert torch.equal(one.codes, two.codes)
    assert one.features is not None
    assert two.features is not None
    assert not torch.equal(one.features, two.features)
    assert one.features[:, :8].any()
    assert not one.features[:, 8:].any()
    assert [source.visit(i, torch.Generator()).class_row for i in range(4)] == [0, 1, 0, 1]
    with pytest.raises(InputError, match="made motion track"):
        CollageSource(
            items, coder, replace(WINDOW, feature_width=4), config=config, noise=TrackNoise(),
            num_windows=4, seed=0,
        ).visit(0, torch.Generator())  # fmt: skip


def drawn(sources: Sequence[Named], draws: VisitDraws, step: int = 0, world: World = ALONE):
    return draw_batch(sources, draws, CONFIG, seed=0, step=step, batch=8, world=world)


def test_shares_of_the_mixture_and_of_withheld_classes() -> None:
    sources = [Named("pictures", 50), Named("sounds", 50), Named("sound_bank", 50)]
    draws = VisitDraws(
        mixture=Mixture(pictures=0.5, sounds=0.5, sound_bank=0.0),
        class_dropout=0.5, picture_dropout=0.25,
    )  # fmt: skip
    batches = [drawn(sources, draws, step) for step in range(100)]
    classes = torch.cat([batch.classes for batch in batches if batch.classes is not None])
    number = [int((classes == row).sum()) for row in range(3)]
    assert abs(number[1] - 400) < 60  # sounds, whose class stays
    assert abs(number[0] - 200) < 45
    assert abs(number[2] - 200) < 45
    unseen = sum(int((b.features == 0).all(2).all(1).sum()) for b in batches)  # type: ignore[union-attr]
    assert abs(unseen - 100) < 35


def test_every_clip_is_visited_once_per_epoch() -> None:
    source = Named("pictures", 16)
    visited = [int(code) for s in range(2) for code in drawn([source], VisitDraws(), s).codes[:, 0]]
    assert sorted(visited) == list(range(16))


def test_processes_share_the_batch_of_one() -> None:
    source, draws = Named("pictures", 16), VisitDraws(class_dropout=0.5, keep_codes=0.5)
    whole = drawn([source], draws)
    parts = [drawn([source], draws, world=World(rank, 2, ALONE.device)) for rank in range(2)]
    for name in ("codes", "inputs", "classes"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, getattr(whole, name))


def test_a_sound_bank_keeps_class_and_picture() -> None:
    draws = VisitDraws(class_dropout=1.0, picture_dropout=1.0, sound_class_dropout=1.0)
    visit = Named("sound_bank", 1).visit(0, torch.Generator())
    assert withheld(visit, "sound_bank", draws, torch.Generator()) == visit
    assert withheld(visit, "sounds", draws, torch.Generator()).class_row is None


def test_kept_codes_stay_in_their_share() -> None:
    codes = torch.arange(4000) % 7
    found = corrupted(codes, 0.8, 1000, torch.Generator().manual_seed(0))
    assert 0.77 < float((found == codes).float().mean()) < 0.83
    assert corrupted(codes, 1.0, 7, torch.Generator()) is codes


@torch.no_grad()
def test_parts_of_a_batch_weigh_every_code_the_same(coder: Coder) -> None:
    model = TokenGPT(CONFIG).eval()
    long, short = clips(coder), clips(coder, frames=60)
    rng = item_generator(0, 0, 0)
    batch = collate([s.visit(i, rng) for s in (long, short) for i in (0, 1)], CONFIG)
    parts = part_losses(
        model, batch, num_parts=2, label_smoothing=0.0, precision="fp32", world=ALONE
    )
    mean = float(torch.stack(list(parts)).mean())
    assert mean == pytest.approx(float(batch_loss(model, batch)), abs=1e-6)


def test_refusals(coder: Coder) -> None:
    with pytest.raises(InputError, match="of which the mixture wants nothing"):
        drawn([Named("sounds", 4)], VisitDraws())
    with pytest.raises(ConfigError, match=r"must be in 0\.\.1"):
        VisitDraws(class_dropout=1.5)
    unlabelled = Visit(torch.zeros(30).long(), torch.ones(30).bool(), torch.zeros(6, 8), None)
    with pytest.raises(InputError, match="no row for 'no class'"):
        collate([unlabelled], replace(CONFIG, class_dropout_index=None))
    wide = MadeCorpus("wide", ("a",), width=3)
    source = ClipSource(
        items_of([wide], "train", {"a": 0}.get), coder, WINDOW, crop="centre", crops_per_clip=None,
        seed=0,
    )  # fmt: skip
    with pytest.raises(InputError, match=r"set model\.feature_width=12"):
        source.visit(0, torch.Generator())
