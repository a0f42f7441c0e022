"""SSAST: masks, what is hidden, fine-tuning, published files."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.convert import convert
from earsight.checkpoints.keymap import untranslate
from earsight.errors import ConfigError, InputError, WeightsError
from earsight.models.catalogue import find
from earsight.models.ssast.config import (
    SsastConfig,
    base,
    of_frames,
    small,
    tagger,
    tiny,
)
from earsight.models.ssast.masking import (
    cover,
    mask_numbers,
    mask_numbers_each,
    reference_cluster,
    reference_frames,
)
from earsight.models.ssast.model import Ssast
from earsight.models.ssast.published import (
    KEYS,
    TAGGER_KEYS,
    config_from_entries,
    tagger_config_from_entries,
)
from earsight.models.ssast.start import fine_tuning, fitted

SMALL = SsastConfig(num_frames=128, width=64, hidden=96, num_layers=2, num_heads=1)


def network(config: SsastConfig = SMALL) -> Ssast:
    torch.manual_seed(0)
    return Ssast(config).eval()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize(("num_patches", "columns", "num_masked"), [(512, 64, 400), (128, 16, 40)])
def test_batched_clusters_are_those_of_the_reference(
    num_patches: int, columns: int, num_masked: int
) -> None:
    sides: list[int] = []
    starts: list[list[int]] = []
    for seed in range(20):
        python = Random(seed)
        sides.append(3 + python.randrange(3))
        starts.append([python.randrange(num_patches) for _ in range(800)])
    found, enough = cover(
        torch.tensor(sides), torch.tensor(starts), num_patches, columns, num_masked
    )
    assert bool(enough.all())
    for seed, numbers in enumerate(found.tolist()):
        assert numbers == reference_cluster(
            Random(seed), num_patches=num_patches, columns=columns, num_masked=num_masked
        )
    _, enough = cover(torch.tensor([3]), torch.tensor([[0]]), num_patches, columns, num_masked)
    assert not bool(enough.any())


def test_low_rows_are_hidden_less_as_published() -> None:
    numbers = mask_numbers(base(), num_clips=300, num_masked=400, generator=generator())
    assert numbers.shape == (300, 400)
    hidden = torch.zeros(300, 512).scatter(1, numbers, 1.0)
    assert bool((hidden.sum(dim=1) == 400).all())
    assert float(hidden[:, 0].sum()) == 0
    published = torch.tensor([0.42, 0.67, 0.81, 0.87, 0.89, 0.89, 0.89, 0.82])
    rows = hidden.mean(dim=0).reshape(8, 64).mean(dim=1)
    torch.testing.assert_close(rows, published, atol=0.02, rtol=0)


def test_frames_are_hidden_one_by_one() -> None:
    config = of_frames(base())
    assert (config.grid, config.clustered, base().clustered) == ((1, 512), False, True)
    numbers = mask_numbers(config, num_clips=300, num_masked=400, generator=generator())
    hidden = torch.zeros(300, 512).scatter(1, numbers, 1.0)
    assert bool((hidden.sum(dim=1) == 400).all())
    assert float(hidden.mean(dim=0).min()) > 0.6
    again = mask_numbers(config, num_clips=300, num_masked=400, generator=generator())
    torch.testing.assert_close(again, numbers, atol=0, rtol=0)


@pytest.mark.parametrize("patch", [(16, 16), (128, 2)])
def test_a_clips_own_generator_hides_the_same_patches_in_any_batch(patch: tuple[int, int]) -> None:
    config = SsastConfig(num_frames=256, patch=patch, width=16, num_heads=2)

    def draw(*seeds: int, num_masked: int = 100) -> list[torch.Tensor]:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        twice = [
            mask_numbers_each(config, num_masked=num_masked, generators=generators)
            for _ in range(2)
        ]
        return [torch.stack([first, second]) for first, second in zip(*twice, strict=True)]

    together = draw(1, 2, 3)
    for seed, found in enumerate(together, 1):
        assert torch.equal(found, draw(seed)[0])
        assert not torch.equal(found[0], found[1])
    assert not torch.equal(together[0], together[1])
    assert draw(1, num_masked=126)[0].shape == (2, 126)


def test_more_masked_patches_than_there_can_be_are_refused() -> None:
    for config, most in ((SMALL, 62), (of_frames(SMALL), 64)):
        mask_numbers(config, num_clips=2, num_masked=most, generator=generator())
        with pytest.raises(ConfigError, match=rf"\({most + 1}\) must lie in 1..{most}"):
            mask_numbers(config, num_clips=2, num_masked=most + 1, generator=generator())
    with pytest.raises(ConfigError, match=r"\(63\) must lie in 1..62"):
        reference_cluster(Random(0), num_patches=64, columns=8, num_masked=63)
    with pytest.raises(ConfigError, match=r"\(65\) must lie in 1..64"):
        reference_frames(Random(0), num_patches=64, num_masked=65)


# ---------------------------------------------------------------- network


@torch.no_grad()
def test_heads_do_not_see_what_is_hidden_and_tasks_not_each_other() -> None:
    own, mel = network(), torch.randn(2, 128, 128)
    first, second = torch.tensor([[9, 3], [5, 60]]), torch.tensor([[1, 2, 3], [4, 5, 6]])
    before = own(mel, matched=first, rebuilt=second)
    assert (before.matched.shape, before.rebuilt.shape) == ((2, 2, 256), (2, 3, 256))
    changed = mel.clone()
    changed[0, 16:32, 16:32] += 1.0  # patch 9 of the first clip: row 1, column 1
    after = own(changed, matched=first, rebuilt=second)
    torch.testing.assert_close(after.matched, before.matched, atol=1e-6, rtol=0)
    moved = (after.match_target - before.match_target)[0]
    torch.testing.assert_close(moved[0], torch.ones(256), atol=1e-5, rtol=0)
    assert float(moved[1].abs().max()) == 0
    assert float((after.rebuilt - before.rebuilt)[0].abs().max()) > 1e-6
    alone = own(mel, matched=first, rebuilt=first)
    torch.testing.assert_close(alone.matched, before.matched, atol=1e-6, rtol=0)
    with pytest.raises(InputError, match="64 frames of 128 bands"):
        own(mel[:, :64], matched=first, rebuilt=second)


def test_values_of_a_patch_run_over_time_first() -> None:
    mel = torch.arange(128.0 * 128).reshape(1, 128, 128)  # frame, band
    values = network().patch_values(mel)[0, 8 + 2]  # row 1, column 2
    expected = torch.stack([mel[0, 32 + dt, 16 + df] for df in range(16) for dt in range(16)])
    torch.testing.assert_close(values, expected, atol=0, rtol=0)


# ---------------------------------------------------------------- fine-tuning


def test_the_tagger_has_the_encoder_and_pools_as_told() -> None:
    own, mel = network(), torch.randn(2, 128, 128)
    tokens = own.encoder(mel)
    for pooling, expected in (
        ("patches", tokens[:, 2:].mean(1)),
        ("class_tokens", tokens[:, :2].mean(1)),
    ):
        made = fine_tuning(own, tagger(SMALL, num_classes=3, pooling=pooling)).eval()
        tags = made(mel)
        torch.testing.assert_close(tags.features, expected, atol=1e-6, rtol=0)
        assert tags.logits.shape == (2, 3)
    denser = fine_tuning(own, tagger(SMALL, num_classes=3, num_frames=64, strides=(10, 10)))
    assert denser.encoder.positions.shape == (1, 2 + 12 * 5, 64)
    with pytest.raises(ConfigError, match=r"patch \(16, 16\).* tagger has patch \(128, 2\)"):
        fine_tuning(own, tagger(of_frames(SMALL), num_classes=3))


def test_stretching_passes_through_eight_rows() -> None:
    for rows, exact in ((8, True), (1, True), (4, False)):
        positions = torch.randn(1, 2, rows, 6, generator=generator())
        kept = fitted(positions, (rows, 6))
        assert bool(torch.allclose(kept, positions, atol=1e-6)) == exact
        torch.testing.assert_close(
            fitted(positions, (rows, 3)), positions[..., 2:5], atol=1e-6, rtol=0
        )


# ---------------------------------------------------------------- published files


def official(own: Ssast) -> dict[str, torch.Tensor]:
    """Entries as the authors publish them."""
    config, width = own.config, own.config.width
    extra = {
        "p_input_fdim": torch.tensor(config.num_mels),
        "p_input_tdim": torch.tensor(config.num_frames),
        "v.head.weight": torch.zeros(7, width),
        "v.head_dist.bias": torch.zeros(7),
    }
    entries = {**untranslate(own.state_dict(), KEYS), **extra}
    return {f"module.{name}": tensor for name, tensor in entries.items()}


def test_a_published_file_becomes_a_folder(tmp_path: Path) -> None:
    own = network(replace(SMALL, num_frames=135))  # the last frames fill no patch
    torch.save(official(own), tmp_path / "ssast.pth")
    done = convert(tmp_path / "ssast.pth", find("ssast-tiny-patch-400"), tmp_path / "out")
    (part,) = done.parts
    assert part.config == own.config
    assert len(part.account.dropped) == 4
    assert all(torch.equal(part.state[name], value) for name, value in own.state_dict().items())
    told = {**official(own), "module.p_input_tdim": torch.tensor(900)}
    torch.save(told, tmp_path / "ssast.pth")
    with pytest.raises(WeightsError, match=r"says 900 frames, .* holds 8 x 8 patches"):
        convert(tmp_path / "ssast.pth", find("ssast-tiny-patch-400"), tmp_path / "other")


def test_sizes_are_read_off_shapes() -> None:
    for config in (base(), small(), tiny(), of_frames(base()), of_frames(tiny())):
        own = on_meta(lambda config=config: Ssast(config))
        entries = untranslate(own.state_dict(), KEYS)
        assert config_from_entries(entries) == config
    with pytest.raises(WeightsError, match=r"cpredlayer\.0\.weight is missing"):
        config_from_entries({k: v for k, v in entries.items() if "cpred" not in k})
    wanted = tagger(SMALL, num_classes=3, num_frames=64, strides=(10, 10))
    made = fine_tuning(network(), wanted)
    entries = untranslate(made.state_dict(), TAGGER_KEYS)
    found = tagger_config_from_entries(entries, num_frames=64, strides=(10, 10))
    assert found == wanted
    with pytest.raises(WeightsError, match=r"give 12 x 6 patches, .* holds 60"):
        tagger_config_from_entries(entries, num_frames=70, strides=(10, 10))
