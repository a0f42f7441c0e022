"""VGGish: published files of small size become folders that run, order of the flattened axes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from earsight.checkpoints.convert import convert
from earsight.checkpoints.keymap import untranslate
from earsight.checkpoints.native import read_folder
from earsight.errors import ConfigError, InputError, WeightsError
from earsight.generate.bundles import build_network
from earsight.models.catalogue import find
from earsight.models.vggish.config import VGGishConfig, VGGishPcaConfig
from earsight.models.vggish.model import VGGish, VGGishPca
from earsight.models.vggish.published import config_from_entries, vggish_keys

SMALL = VGGishConfig(levels=((2,), (3, 4)), num_frames=8, hidden=6, width=5)
CPU = torch.device("cpu")


def test_a_published_file_becomes_a_folder_that_runs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, source = VGGish(SMALL), tmp_path / "vggish.pth"
    torch.save(untranslate(network.state_dict(), vggish_keys(SMALL)), source)
    done = convert(source, find("vggish"), tmp_path / "out")
    assert done.parts[0].config == SMALL
    again = build_network(VGGish, VGGishConfig, read_folder(tmp_path / "out"), "vggish", CPU)
    examples = torch.randn(3, 8, 64)
    torch.testing.assert_close(again(examples), network(examples), atol=0, rtol=0)


def test_published_numbers_count_rectifiers_and_poolings() -> None:
    with torch.device("meta"):
        entries = untranslate(VGGish(VGGishConfig()).state_dict(), vggish_keys(VGGishConfig()))
    numbers = sorted({int(name.split(".")[1]) for name in entries if name.startswith("features")})
    assert numbers == [0, 3, 6, 8, 11, 13]
    assert entries["embeddings.0.weight"].shape == (4096, 12288)
    assert config_from_entries(entries) == VGGishConfig()


def test_values_are_flattened_with_channels_last() -> None:
    network = VGGish(SMALL)
    seen: list[torch.Tensor] = []
    network.hidden_in.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    examples = torch.randn(1, 8, 64)
    out = network(examples)
    x = examples[:, None]
    for convs in (network.convs[:1], network.convs[1:]):
        for conv in convs:
            x = functional.relu(conv(x))
        x = functional.max_pool2d(x, 2)
    torch.testing.assert_close(seen[0][0].reshape(2, 16, 4)[1, 3], x[0, :, 1, 3], atol=0, rtol=0)
    assert (out < 0).any(), "the last rectifier is left to the tool"


def test_rotation_clips_and_rounds(tmp_path: Path) -> None:
    source = tmp_path / "pca.pth"
    swap = np.array([[0.0, 1.0], [1.0, 0.0]])
    torch.save({"pca_eigen_vectors": swap, "pca_means": np.array([[1.0], [0.0]])}, source)
    convert(source, find("vggish-pca"), tmp_path / "out")
    folder = read_folder(tmp_path / "out")
    network = build_network(VGGishPca, VGGishPcaConfig, folder, "vggish_pca", CPU)
    rows = network(torch.tensor([[1.0, -9.0], [2.0, 9.0]]))
    assert rows.tolist() == [[0.0, 128.0], [255.0, 191.0]]


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"8 frames and 64 bands, got \(9, 64\)"):
        VGGish(SMALL)(torch.zeros(1, 9, 64))
    with pytest.raises(WeightsError, match=r"embeddings\.0\.weight, embeddings\.4\.weight"):
        config_from_entries({"features.0.weight": torch.zeros(1)})
    with pytest.raises(ConfigError, match="vanish in 2 poolings"):
        VGGishConfig(levels=((2,), (2,)), num_frames=3)
