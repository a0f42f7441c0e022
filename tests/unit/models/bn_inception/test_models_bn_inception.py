"""The frame and flow network: published names, conversions, poolings, streams."""

from dataclasses import replace

import pytest
import torch

from earsight.checkpoints.keymap import load_strict, untranslate
from earsight.errors import ConfigError, InputError, WeightsError
from earsight.frontends import bn_inception_frames
from earsight.models.bn_inception.config import BlockConfig, BNInceptionConfig, published_blocks
from earsight.models.bn_inception.frames import colour_features, frame_features
from earsight.models.bn_inception.model import BNInception, InceptionBlock
from earsight.models.bn_inception.published import (
    bn_inception_keys,
    config_from_entries,
    flat_norm,
    flow_kernel,
    published_modules,
)

# a few blocks of every kind
TINY = BNInceptionConfig(
    stem=(2, 2, 3),
    blocks=tuple(
        replace(
            block,
            pointwise=block.pointwise and 2,
            short=(2, 3),
            long=(2, 2, 3),
            projection=block.projection and 2,
        )
        for block in published_blocks()
        if block.name in ("3a", "3c", "5b")
    ),
)


def random_entries(config: BNInceptionConfig, *, seed: int = 0) -> dict[str, torch.Tensor]:
    """A colour file as first published: norms as (1, channels), a classifier, no counts."""
    generator = torch.Generator().manual_seed(seed)
    colour = BNInception(replace(config, modality="rgb"))
    entries = untranslate(colour.state_dict(), bn_inception_keys(colour.config))
    drawn = {name: torch.rand(t.shape, generator=generator) for name, t in entries.items()}
    flat = {name: t[None] if "_bn." in name else t for name, t in drawn.items()}
    return {**flat, "fc.weight": torch.zeros(5, 2), "fc.bias": torch.zeros(5)}


def test_first_published_layout_loads_for_colour_and_flow() -> None:
    entries = random_entries(TINY)
    colour, flow = (BNInception(replace(TINY, modality=kind)) for kind in ("rgb", "flow"))
    for network in (colour, flow):
        account = load_strict(network, entries, bn_inception_keys(network.config))
        assert {row.published for row in account.dropped} == {"fc.weight", "fc.bias"}
    assert torch.equal(flow.conv1.conv.bias, colour.conv1.conv.bias)
    mean = entries["conv1_7x7_s2.weight"].mean(1)
    torch.testing.assert_close(flow.conv1.conv.weight[:, 0], mean)
    torch.testing.assert_close(flow.conv1.conv.weight[:, 1], mean)
    norm = colour.blocks["5b"].long[1].norm
    name = "inception_5b_double_3x3_1_bn.running_var"
    assert torch.equal(norm.running_var, entries[name][0])
    again = untranslate(flow.state_dict(), bn_inception_keys(flow.config))
    assert again["conv1_7x7_s2.weight"].shape == (2, 2, 7, 7)
    load_strict(flow, again, bn_inception_keys(flow.config))


def test_later_layouts_load() -> None:
    entries = random_entries(TINY)
    for name in [name for name in entries if name.endswith("_bn.running_var")]:
        entries[name.replace("running_var", "num_batches_tracked")] = torch.tensor(3)
    entries["last_linear.weight"] = entries.pop("fc.weight")
    account = load_strict(BNInception(TINY), entries, bn_inception_keys(TINY))
    assert len(account.dropped) == 2 + 22
    entries["inception_3a_1x1_extra.weight"] = torch.zeros(1)
    with pytest.raises(WeightsError, match="inception_3a_1x1_extra"):
        load_strict(BNInception(TINY), entries, bn_inception_keys(TINY))


def test_named_conversions() -> None:
    assert flat_norm(torch.zeros(1, 4)).shape == flat_norm(torch.zeros(4)).shape == (4,)
    kernel = torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1, 1)
    assert flow_kernel(kernel).flatten().tolist() == [3, 3]
    assert torch.equal(flow_kernel(flow_kernel(kernel)), flow_kernel(kernel))


def test_published_sizes() -> None:
    config = BNInceptionConfig()
    assert config.feature_width == 1024
    widths, width = [], 192
    for block in config.blocks:
        width = block.width(width)
        widths.append(width)
    assert widths == [256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024]
    with torch.device("meta"):
        network = BNInception(config)
        shapes: dict[str, tuple[int, ...]] = {}
        names = published_modules(config)
        for tap in ("pool1_3x3_s2", "pool2_3x3_s2", "inception_3c_pool", "inception_5b_pool"):
            network.get_submodule(names[tap]).register_forward_hook(
                lambda _module, _inputs, made, tap=tap: shapes.update({tap: tuple(made.shape[1:])})
            )
        assert network(torch.zeros(2, 3, 224, 224)).shape == (2, 1024)
    assert shapes == {
        "pool1_3x3_s2": (64, 56, 56),
        "pool2_3x3_s2": (192, 28, 28),
        "inception_3c_pool": (320, 14, 14),
        "inception_5b_pool": (1024, 7, 7),
    }


def test_average_pooling_counts_the_padding() -> None:
    block = InceptionBlock(published_blocks()[0], channels_in=2)
    pooled = block.pool(torch.ones(1, 2, 5, 5))
    assert pooled[0, 0, 0, 0] == pytest.approx(4 / 9)
    assert pooled[0, 0, 2, 2] == pytest.approx(1)


def test_branches_are_joined_in_the_published_order() -> None:
    config = BlockConfig(
        name="x", pointwise=1, short=(1, 1), long=(1, 1, 1), pool="max", projection=1
    )
    block = InceptionBlock(config, channels_in=1)
    state = {name: torch.zeros_like(value) for name, value in block.state_dict().items()}
    lasts = ("pointwise.0", "short.1", "long.2", "projection.0")
    for level, last in enumerate(lasts, start=1):
        state[f"{last}.norm.bias"] = torch.tensor([float(level)])
    block.load_state_dict(state)
    assert block(torch.zeros(1, 1, 4, 4))[0, :, 0, 0].tolist() == [1, 2, 3, 4]


def test_streams_give_a_row_for_every_frame_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bn_inception_frames, "STORED_WIDTH", 34)  # flow at full size takes seconds
    monkeypatch.setattr(bn_inception_frames, "STORED_HEIGHT", 26)
    colour, flow = (BNInception(replace(TINY, modality=kind)) for kind in ("rgb", "flow"))
    for network in (colour, flow):
        load_strict(network, random_entries(TINY), bn_inception_keys(network.config))
    frames = torch.randint(
        0, 256, (4, 24, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2)
    )
    rows = torch.stack(list(frame_features(colour, flow, iter(frames), batch_size=2)))
    assert rows.shape == (3, 2 * TINY.feature_width)
    alone = torch.stack(list(colour_features(colour, iter(frames))))
    torch.testing.assert_close(rows[:, : TINY.feature_width], alone, atol=1e-4, rtol=1e-5)
    with pytest.raises(InputError, match="networks for flow and rgb"):
        next(frame_features(flow, colour, iter(frames)))


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="both or not at all"):
        replace(published_blocks()[0], projection=None)
    with pytest.raises(ConfigError, match="at least one block"):
        BNInceptionConfig(blocks=())
    with pytest.raises(WeightsError, match="inception_5b_pool_proj"):
        config_from_entries({"conv1_7x7_s2.weight": torch.zeros(1)})
