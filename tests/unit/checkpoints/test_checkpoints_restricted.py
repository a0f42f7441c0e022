"""Weight files of every published layout are read as data."""

import argparse
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from earsight.checkpoints.pickle_machine import Reference
from earsight.checkpoints.restricted import read_checkpoint, state_entries
from earsight.errors import WeightsError


def network() -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    made = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(6, 5, bias=False))
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return made


def adam_state() -> dict[str, Any]:
    """State of torch.optim.Adam, made by hand: importing optimisers costs seconds."""
    state = {
        index: {"step": 4, "exp_avg": parameter.detach() * 0, "exp_avg_sq": parameter.detach() ** 2}
        for index, parameter in enumerate(network().parameters())
    }
    group = {"lr": 4.5e-6, "betas": (0.5, 0.9), "amsgrad": False, "params": list(state)}
    return {"state": state, "param_groups": [group]}


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """Classes as Lightning 1.2 used them for keys, from modules made up for the test."""
    made: list[type] = []
    for package in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    for module_name, name in (
        ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
        ("pytorch_lightning.callbacks.early_stopping", "EarlyStopping"),
    ):
        module = types.ModuleType(module_name)
        made.append(type(name, (), {"__module__": module_name}))
        setattr(module, name, made[-1])
        monkeypatch.setitem(sys.modules, module_name, module)
    return made


def lightning_checkpoint(callbacks: list[type]) -> dict[str, Any]:
    return {
        "epoch": 39,
        "global_step": 300_000,
        "pytorch-lightning_version": "1.2.10",
        "callbacks": {
            callbacks[0]: {
                "monitor": "val/rec_loss",
                "best_model_score": torch.tensor(0.5),
                "best_model_path": "/home/someone/logs/epoch_39.ckpt",
                "current_score": None,
            },
            callbacks[1]: {"wait_count": 0, "best_score": torch.tensor(0.25)},
        },
        "optimizer_states": [adam_state()],
        "lr_schedulers": [],
        "state_dict": network().state_dict(),
        "hyper_parameters": argparse.Namespace(learning_rate=4.5e-6),
    }


def classifier_checkpoint() -> dict[str, Any]:
    """The layout of `vggishish16.pt`: the network lies under `model`."""
    return {
        "loss": 2.5,
        "metrics": {"accuracy_1": np.float64(0.347), "mAUC": np.float32(0.957)},
        "epoch": 4,
        "optimizer": adam_state(),
        "model": network().state_dict(),
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_lightning_checkpoints_are_read_with_inert_callbacks(
    tmp_path: Path, callbacks: list[type], zipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(lightning_checkpoint(callbacks), path, _use_new_zipfile_serialization=zipped)
    for name in [name for name in sys.modules if name.startswith("pytorch_lightning")]:
        monkeypatch.delitem(sys.modules, name)
    file = read_checkpoint(path)
    assert file.format == ("torch zip" if zipped else "torch before 1.6")
    keys = list(file.entries["callbacks"])
    assert keys[1] == Reference("pytorch_lightning.callbacks.early_stopping", "EarlyStopping")
    assert file.entries["callbacks"][keys[0]]["best_model_score"] == 0.5
    assert file.entries["hyper_parameters"].state == {"learning_rate": 4.5e-6}
    assert file.entries["global_step"] == 300_000
    assert "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint" in file.names
    assert not any(name.startswith("pytorch_lightning") for name in sys.modules)
    expected = network().state_dict()
    entries = state_entries(file)
    assert list(entries) == list(expected)
    for name, tensor in entries.items():
        assert torch.equal(tensor, expected[name]), name
        assert tensor.dtype == expected[name].dtype


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_classifier_checkpoints_hold_their_network_under_model(
    tmp_path: Path, zipped: bool, protocol: int
) -> None:
    path = tmp_path / "vggishish16.pt"
    torch.save(
        classifier_checkpoint(),
        path,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    file = read_checkpoint(path)
    assert file.entries["metrics"]["accuracy_1"] == 0.347
    assert torch.equal(state_entries(file)["2.weight"], network().state_dict()["2.weight"])


def test_flat_files_safetensors_and_plain_pickles_are_read(tmp_path: Path) -> None:
    state = {name: tensor.clone() for name, tensor in network().state_dict().items()}
    torch.save(state, tmp_path / "best_netG.pt")
    save_file(state, tmp_path / "weights.safetensors")
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    (tmp_path / "arrays.pkl").write_bytes(pickle.dumps(arrays))
    for name in ("best_netG.pt", "weights.safetensors", "arrays.pkl"):
        entries = state_entries(read_checkpoint(tmp_path / name))
        assert sorted(entries) == sorted(state)
        assert all(torch.equal(entries[key], state[key]) for key in state)


@pytest.mark.parametrize("zipped", [True, False])
def test_every_kind_of_tensor_comes_back(tmp_path: Path, zipped: bool) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    entries = {
        "transposed": base.t(),
        "part": base[1:3, ::2],
        "half": base.half(),
        "brain": base.bfloat16(),
        "double": base.double(),
        "long": base.long(),
        "bool": base > 5,
        "bytes": base.byte(),
        "complex": torch.complex(base, -base),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 3),
        "parameter": nn.Parameter(base.clone()),
    }
    path = tmp_path / "tensors.pt"
    torch.save(entries, path, _use_new_zipfile_serialization=zipped)
    read = state_entries(read_checkpoint(path))
    for name, tensor in entries.items():
        assert torch.equal(read[name], tensor.detach()), name
        assert read[name].dtype == tensor.dtype


def test_reading_loads_no_numbers_and_writing_never_reaches_the_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"weight": torch.ones(1000)}, path)
    before = path.read_bytes()
    first, second = (state_entries(read_checkpoint(path))["weight"] for _ in range(2))
    first.fill_(7)
    assert second.eq(1).all()
    assert path.read_bytes() == before


def test_state_entries_says_what_it_found(tmp_path: Path) -> None:
    path = tmp_path / "optG.pt"
    torch.save(adam_state(), path)
    with pytest.raises(WeightsError, match=r"under 'state_dict'.*state \(dict\), param_groups"):
        state_entries(read_checkpoint(path))
    torch.save({"state_dict": {"a": torch.ones(1), "steps": 3}}, path)
    with pytest.raises(WeightsError, match=r"only tensors under 'state_dict'.*steps"):
        state_entries(read_checkpoint(path))
