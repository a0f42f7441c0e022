"""Phases of coarse-to-fine training: sizes, ends, weights; rates in steps."""

import pytest
import torch

from earsight.errors import ConfigError, InputError, WeightsError
from earsight.training.coarse_cost import TransformerSizes, clip_macs, cost_ratio, saved_share
from earsight.training.coarse_to_fine import (
    Compression,
    PatchPlan,
    Phase,
    PlateauRule,
    Progress,
    after_epoch,
    carried_over,
    check_phases,
    compressed_input,
    three_phases,
    two_phases,
)
from earsight.training.schedules import htsat_factor, htsat_paper_factor, stairs

SQUARE = (16, 16)


def follow(phases: tuple[Phase, ...], values: list[float]) -> list[int]:
    """The phase that each epoch belongs to."""
    progress, seen = Progress(), []
    for value in values:
        if progress.finished(phases):
            break
        seen.append(progress.phase)
        progress = after_epoch(progress, phases, value)
    return seen


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8])
def test_every_method_sees_as_many_columns(factor: int) -> None:
    for method in ("frame_shift", "average_pool", "max_pool", "patch_bilinear", "patch_inverse"):
        compression = Compression(method=method, factor=factor)
        grid = compression.grid((128, 1024), patch=SQUARE, strides=SQUARE)
        assert grid == (8, 64 // factor)
        x = torch.zeros(1, compression.spectrogram_frames(1024), 128)
        assert compressed_input(x, compression).shape[1] == compression.network_frames(1024)
        assert compression.patch(SQUARE)[1] * grid[1] <= compression.network_frames(1024)


def test_only_fewer_frames_shrink_the_time_mask() -> None:
    shifted = Compression(method="frame_shift", factor=4)
    assert (shifted.mask_frames(192), shifted.mask_frames(192, scaled=False)) == (48, 192)
    assert Compression(method="max_pool", factor=4).mask_frames(192) == 192
    assert (shifted.hop_factor, shifted.patch(SQUARE)) == (4, SQUARE)
    wide = Compression(method="patch_inverse", factor=4)
    assert (wide.hop_factor, wide.patch(SQUARE), wide.kernel_rule) == (1, (16, 64), "inverse")
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        Compression(method="max_pool", factor=0)


def test_phases_end_with_their_epochs() -> None:
    plan = three_phases("average_pool", coarse_epochs=(2, 1), fine_epochs=2)
    assert [phase.compression.factor for phase in plan] == [4, 2, 1]
    assert follow(plan, [0.5] * 9) == [0, 0, 1, 2, 2]
    check_phases(plan)
    with pytest.raises(ConfigError, match=r"factors \[1, 2, 4\]"):
        check_phases(plan[::-1])
    done = Progress(phase=3)
    with pytest.raises(InputError, match="all 3 phases are over"):
        after_epoch(done, plan, 0.5)
    with pytest.raises(InputError, match="not a number"):
        after_epoch(Progress(), plan, float("nan"))


def test_a_flat_curve_ends_a_phase_early() -> None:
    rule = PlateauRule(patience=2, min_gain=0.01)
    plan = two_phases("frame_shift", 4, coarse_epochs=20, fine_epochs=3, plateau=rule)
    # grows, then twice by less than asked for
    assert follow(plan, [0.1, 0.2, 0.205, 0.207, 0.5]) == [0, 0, 0, 0, 1]
    # small gains add up to one that counts
    assert follow(plan, [0.1, 0.107, 0.114, 0.121, 0.128, 0.135]) == [0] * 6
    losses = PlateauRule(patience=1, higher_is_better=False)
    falling = two_phases("frame_shift", 4, coarse_epochs=20, fine_epochs=3, plateau=losses)
    assert follow(falling, [3.0, 2.0, 2.0, 1.0]) == [0, 0, 0, 1]
    with pytest.raises(ConfigError, match="patience of 1"):
        PlateauRule(patience=0)


def test_a_new_phase_counts_its_gains_anew() -> None:
    rule = PlateauRule(patience=1)
    plan = three_phases("max_pool", coarse_epochs=(9, 9), fine_epochs=1, plateau=rule)
    # the second phase begins below the first one's best and still goes on while it grows
    assert follow(plan, [0.5, 0.4, 0.1, 0.2, 0.1, 0.0]) == [0, 0, 1, 1, 1, 2]


def test_weights_go_over_and_only_what_depends_on_the_size_changes() -> None:
    rng = torch.Generator().manual_seed(0)
    entries = {
        "patches.weight": torch.randn(3, 1, 4, 16, generator=rng),
        "patches.bias": torch.randn(3, generator=rng),
        "positions": torch.randn(1, 2 + 2 * 4, 3, generator=rng),
        "head": torch.randn(5, generator=rng),
    }
    wide = Compression(method="patch_inverse", factor=4)
    before, after = PatchPlan(patch=(4, 16), grid=(2, 4)), PatchPlan(patch=(4, 4), grid=(2, 16))
    moved = carried_over(
        entries,
        kernel="patches.weight",
        positions="positions",
        before=before,
        after=after,
        kernel_rule=wide.kernel_rule,
    )
    assert moved["patches.weight"].shape == (3, 1, 4, 4)
    assert moved["positions"].shape == (1, 34, 3)
    torch.testing.assert_close(moved["positions"][:, :2], entries["positions"][:, :2])
    assert moved["patches.bias"] is entries["patches.bias"]
    assert moved["head"] is entries["head"]
    named = {"kernel": "patches.weight", "positions": "positions", "kernel_rule": "bilinear"}
    same = carried_over(entries, before=before, after=before, **named)
    assert all(same[name] is value for name, value in entries.items())
    coarser = PatchPlan(patch=(4, 16), grid=(2, 2))
    smooth, plain = (
        carried_over(entries, before=before, after=coarser, antialias_positions=on, **named)
        for on in (True, False)
    )
    assert not torch.allclose(smooth["positions"], plain["positions"], atol=1e-3)
    shrunk = carried_over(entries, before=before, after=coarser, **named)["positions"]
    torch.testing.assert_close(shrunk, smooth["positions"], atol=0, rtol=0)
    with pytest.raises(WeightsError, match=r"patches \(4, 16\), expected \(4, 4\)"):
        carried_over(entries, before=after, after=before, **named)
    with pytest.raises(WeightsError, match="expected positions among 1"):
        carried_over(
            {"patches.weight": entries["patches.weight"]}, before=before, after=after, **named
        )


def test_the_cost_counts_longer_patches_in_full() -> None:
    tiny = TransformerSizes(
        width=2, num_layers=1, num_heads=1, num_patches=4, patch_values=3, num_class_tokens=1
    )
    # 3 tokens: 12 * 4 * 3 in matrices, (2 * 2 + 1) * 9 in attention
    pooled = Compression(method="max_pool", factor=2)
    assert clip_macs(pooled, tiny) == 3 * 2 * 2 + 144 + 45
    assert clip_macs(Compression(method="patch_inverse", factor=2), tiny) == 3 * 2 * 4 + 144 + 45
    assert cost_ratio(Compression(method="max_pool", factor=1), tiny) == 1
    assert saved_share([(5.0, 0.25), (3.0, 1.0)], baseline=10.0) == pytest.approx(0.575, abs=1e-12)
    with pytest.raises(ConfigError, match="do not divide by a factor of 3"):
        clip_macs(Compression(method="max_pool", factor=3), tiny)
    with pytest.raises(InputError, match="baseline"):
        saved_share([], baseline=0.0)


def test_stairs_hold_until_their_end() -> None:
    assert [stairs(n, ((1, 0.5), (3, 0.2)), after=0.1) for n in range(4)] == [0.5, 0.2, 0.2, 0.1]
    assert [htsat_factor(n) for n in (0, 10, 11, 30, 31)] == [0.02, 0.1, 0.05, 0.02, 0.03]
    assert [htsat_paper_factor(n) for n in (0, 1, 2, 11, 21)] == [0.05, 0.1, 0.2, 0.1, 0.05]
    with pytest.raises(ConfigError, match="must rise"):
        stairs(0, ((3, 0.5), (1, 0.2)), after=0.1)
