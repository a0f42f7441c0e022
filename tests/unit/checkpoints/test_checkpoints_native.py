"""Our own model folders and bundles of them."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from earsight.checkpoints.native import (
    BundlePart,
    read_bundle,
    read_folder,
    save_bundle,
    save_folder,
)
from earsight.errors import InputError, WeightsError


@dataclass(frozen=True)
class Sizes:
    width: int = 4
    ratios: tuple[int, ...] = (8, 2)


def state() -> dict[str, Tensor]:
    base = torch.arange(24.0).reshape(4, 6) / 7
    return {
        "weight": base,
        "transposed": base.t(),
        "part": base[1:3],
        "tied": base,
        "count": torch.tensor(3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


def test_a_folder_comes_back_as_it_was(folder: Path) -> None:
    save_folder(folder, "melgan", Sizes(), state(), extra={"frontend": "mel"}, card="# Card\n")
    read = read_folder(folder)
    assert (read.family, read.config) == ("melgan", {"width": 4, "ratios": [8, 2]})
    assert read.extra == {"frontend": "mel"}
    assert sorted(read.tensors) == sorted(state())
    assert all(torch.equal(read.tensors[name], value) for name, value in state().items())
    assert sorted(path.name for path in folder.iterdir()) == [
        "card.md",
        "config.json",
        "weights.safetensors",
    ]
    assert (folder / "card.md").read_text() == "# Card\n"
    assert json.loads((folder / "config.json").read_text())["weights_sha256"] == read.sha256


def test_half_storage_is_read_back_as_float32(folder: Path, tmp_path: Path) -> None:
    save_folder(folder, "melgan", Sizes(), state(), half=True)
    save_folder(tmp_path / "full", "melgan", Sizes(), state())
    read = read_folder(folder).tensors
    assert read["weight"].dtype == torch.float32
    assert read["count"].dtype == torch.int64
    assert torch.allclose(read["weight"], state()["weight"], atol=0.0, rtol=2**-11)
    sizes = [(path / "weights.safetensors").stat().st_size for path in (folder, tmp_path / "full")]
    assert sizes[0] < sizes[1]
    with pytest.raises(WeightsError, match="weight has numbers beyond float16's range"):
        save_folder(tmp_path / "big", "x", Sizes(), {"weight": torch.tensor([1e6])}, half=True)
    assert not (tmp_path / "big").exists()


def test_changed_weights_are_refused(folder: Path) -> None:
    save_folder(folder, "melgan", Sizes(), state())
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"expected sha256 .*, found .*changed or damaged"):
        read_folder(folder)
    path.unlink()
    with pytest.raises(WeightsError, match=r"expected weights\.safetensors beside config\.json"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected readable JSON"),
        ("[1]", "expected named values, found a list"),
        ("{}", "expected 'family' and 'config'"),
        ('{"family": "x", "config": {}, "layout": 99}', "layout 99, this version reads 1"),
        ("[" * 100_000, "expected readable JSON"),
    ],
)
def test_other_configs_are_named_errors(folder: Path, content: str, message: str) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(content)
    with pytest.raises(WeightsError, match=message):
        read_folder(folder)


def test_damaged_tensors_without_a_recorded_hash_are_named(folder: Path) -> None:
    folder.mkdir()
    (folder / "config.json").write_text('{"family": "x", "config": {}}')
    (folder / "weights.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(WeightsError, match="damaged safetensors file"):
        read_folder(folder)


def test_other_folders_are_input_errors(folder: Path) -> None:
    with pytest.raises(InputError, match="found no folder"):
        read_folder(folder)
    folder.mkdir()
    with pytest.raises(InputError, match="found a folder without them"):
        read_bundle(folder)


def test_bundles_hold_a_folder_per_part(folder: Path) -> None:
    parts = {
        "codebook": BundlePart(family="mel_vqgan", config=Sizes(), state=state()),
        "transformer": BundlePart(
            family="token_gpt", config={"width": 2}, state={"a": torch.ones(1)}, extra={"b": 1}
        ),
    }
    save_bundle(folder, "specvqgan", parts, extra={"visual": "resnet50"})
    bundle = read_bundle(folder)
    assert bundle.family == "specvqgan"
    assert bundle.extra == {"visual": "resnet50"}
    assert list(bundle.parts) == ["codebook", "transformer"]
    assert bundle.parts["transformer"].extra == {"b": 1}
    assert read_folder(folder / "codebook").config == {"width": 4, "ratios": [8, 2]}
    with pytest.raises(InputError, match=r"several networks \(codebook, transformer\)"):
        read_folder(folder)
    lone = read_bundle(folder / "codebook")
    assert list(lone.parts) == ["mel_vqgan"]


@pytest.mark.parametrize("place", ["../other", "/etc", "..", "", "a/b", 3])
def test_parts_lie_inside_the_bundle(folder: Path, place: object) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"family": "x", "parts": {"codebook": place}}))
    with pytest.raises(WeightsError, match="folders inside this one"):
        read_bundle(folder)


def test_folders_appear_whole_and_replace_only_their_kind(folder: Path) -> None:
    save_folder(folder, "melgan", Sizes(), state())
    with pytest.raises(InputError, match="exists already"):
        save_folder(folder, "melgan", Sizes(), state())
    with pytest.raises(WeightsError):
        save_folder(folder, "melgan", 3, state(), overwrite=True)
    assert read_folder(folder).family == "melgan"
    save_folder(folder, "other", Sizes(), {"a": torch.ones(1)}, overwrite=True)
    assert read_folder(folder).family == "other"
    (folder.parent / "photos").mkdir()
    with pytest.raises(InputError, match="without them"):
        save_folder(folder.parent / "photos", "x", Sizes(), state(), overwrite=True)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["model", "photos"]
