"""The frame network: published names, sizes, stride placement, and the same rows in any batch."""

import pytest
import torch

from earsight.checkpoints.keymap import load_strict, untranslate
from earsight.errors import ConfigError, WeightsError
from earsight.models.resnet50.config import ResNet50Config
from earsight.models.resnet50.frames import frame_features
from earsight.models.resnet50.model import ResNet50Features
from earsight.models.resnet50.published import config_from_entries, keys_from_entries

SMALL = ResNet50Config(blocks_per_stage=(1, 2), channels=4)


def published_shapes() -> dict[str, torch.Size]:
    """Names and shapes of torchvision's file, written down by its rule."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7)}

    def norm(name: str, channels: int) -> None:
        shapes[f"{name}.num_batches_tracked"] = ()
        for entry in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{entry}"] = (channels,)

    norm("bn1", 64)
    width = 64
    for stage, count in enumerate((3, 4, 6, 3)):
        inner = 64 * 2**stage
        for block in range(count):
            name = f"layer{stage + 1}.{block}"
            sizes = ((inner, width, 1), (inner, inner, 3), (4 * inner, inner, 1))
            for number, (out, into, size) in enumerate(sizes, start=1):
                shapes[f"{name}.conv{number}.weight"] = (out, into, size, size)
                norm(f"{name}.bn{number}", out)
            if not block:
                shapes[f"{name}.downsample.0.weight"] = (4 * inner, width, 1, 1)
                norm(f"{name}.downsample.1", 4 * inner)
            width = 4 * inner
    shapes["fc.weight"], shapes["fc.bias"] = (1000, 2048), (1000,)
    return {name: torch.Size(shape) for name, shape in shapes.items()}


def test_published_names_load_strictly() -> None:
    entries = {
        name: torch.empty(shape, device="meta") for name, shape in published_shapes().items()
    }
    assert len(entries) == 320
    config = config_from_entries(entries)
    assert config == ResNet50Config()
    assert config.feature_width == 2048
    with torch.device("meta"):
        network = ResNet50Features(config)
    account = load_strict(network, entries, keys_from_entries(entries))
    assert {row.published for row in account.dropped} == {
        name for name in entries if name.startswith("fc.") or name.endswith("tracked")
    }
    restored = untranslate(network.state_dict(), keys_from_entries(entries))
    assert set(restored) == {row.published for row in account.used}
    # old files have no counts of training batches
    older = {name: tensor for name, tensor in entries.items() if not name.endswith("tracked")}
    assert len(older) == 267
    load_strict(network, older, keys_from_entries(older))


def test_stride_sits_in_the_middle_convolution() -> None:
    network = ResNet50Features(SMALL)
    first = network.stages[1][0]
    assert (first.conv1.stride, first.conv2.stride, first.conv3.stride) == ((1, 1), (2, 2), (1, 1))
    assert network.stages[0][0].conv2.stride == (1, 1)


def test_norms_use_stored_statistics_in_every_mode() -> None:
    network = ResNet50Features(SMALL)
    frames = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    training = network.train()(frames)
    torch.testing.assert_close(network.eval()(frames), training, atol=0, rtol=0)
    network.norm_in.running_mean += 10  # nothing is left after the rectifier
    assert (network(frames) - training).abs().max() > 1e-3


def test_stream_gives_one_row_per_frame() -> None:
    network = ResNet50Features(SMALL).eval()
    frames = torch.randint(
        0, 256, (5, 60, 90, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    rows = torch.stack(list(frame_features(network, iter(frames), batch_size=2)))
    assert rows.shape == (5, 32)
    assert rows.min() >= 0
    alone = next(frame_features(network, [frames[3]]))
    torch.testing.assert_close(rows[3], alone, atol=1e-6, rtol=0)


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="every stage"):
        ResNet50Config(blocks_per_stage=())
    with pytest.raises(WeightsError, match=r"layer1\.0\.conv3\.weight"):
        config_from_entries(
            {"conv1.weight": torch.zeros(1), "layer1.0.conv1.weight": torch.zeros(1)}
        )
