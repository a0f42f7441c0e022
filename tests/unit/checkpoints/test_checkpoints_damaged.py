"""Damaged and swollen weight files end in a named error."""

import contextlib
import io
import pickle
import struct
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from earsight.checkpoints import pickle_machine
from earsight.checkpoints.restricted import read_checkpoint, state_entries
from earsight.checkpoints.restricted_pickle import read_array_pickle
from earsight.errors import InputError, UnsafeFileError, WeightsError


def rewrite(path: Path, replace: dict[str, bytes], *, deflate: bool = False) -> None:
    """Change records of a PyTorch zip file, keeping its layout."""
    with zipfile.ZipFile(path) as old:
        records = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if deflate else 0) as new:
        for name, content in records.items():
            new.writestr(name, replace.get(name.partition("/")[2], content))


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pt"
    torch.save({"weight": torch.arange(64.0), "other": torch.ones(3)}, path)
    return path


def test_records_without_alignment_are_read(zipped: Path) -> None:
    rewrite(zipped, {})
    assert torch.equal(state_entries(read_checkpoint(zipped))["weight"], torch.arange(64.0))


def test_a_record_that_is_too_short_is_named(zipped: Path) -> None:
    rewrite(zipped, {"data/0": b"\0" * 100})
    with pytest.raises(WeightsError, match=r"storage '0' should hold 64 numbers.*100 bytes"):
        read_checkpoint(zipped)


def test_compressed_records_are_refused(zipped: Path) -> None:
    rewrite(zipped, {"data/0": b"\0" * 2**24}, deflate=True)
    with pytest.raises(WeightsError, match="is compressed or encrypted"):
        read_checkpoint(zipped)


def test_torchscript_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    with pytest.raises(UnsafeFileError, match="TorchScript archive, which carries program code"):
        read_checkpoint(tmp_path / "script.pt")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("storage", "module!", "something else than the numbers of a tensor"),
        ("FloatStorage", "QInt8Storage", "asks for torch.QInt8Storage"),
        ("_rebuild_tensor_v2", "_rebuild_qtensor", "asks for torch._utils._rebuild_qtensor"),
    ],
)
def test_storages_are_only_plain_numbers(zipped: Path, old: str, new: str, message: str) -> None:
    with zipfile.ZipFile(zipped) as archive:
        content = archive.read("weights/data.pkl")
    for mark in (b"X" + struct.pack("<I", len(old)), b"_utils\n", b"ctorch\n"):
        ending = b"" if mark[:1] == b"X" else b"\n"
        end = new.encode() if ending else struct.pack("<I", len(new)) + new.encode()
        changed = mark if ending else b"X"
        content = content.replace(mark + old.encode() + ending, changed + end + ending)
    rewrite(zipped, {"data.pkl": content})
    with pytest.raises(UnsafeFileError, match=message):
        read_checkpoint(zipped)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((65,), (1,), 0),
        ((64,), (1,), 1),
        ((2, 2), (63, 2), 0),
        ((10**6, 10**6), (0, 0), 0),
        ((2**40,), (2**40,), 0),
        ((-1,), (1,), 0),
        ((4,), (-1,), 3),
        ((4,), (1,), -1),
        ((4, 4), (1,), 0),
    ],
)
def test_tensors_stay_inside_their_storage(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    class Storage:
        """Pickled by `Writer` as a torch storage of 64 numbers."""

    class Tensor:
        def __reduce__(self) -> tuple[Any, ...]:
            arguments = (Storage(), offset, shape, strides, False, OrderedDict())
            return torch._utils._rebuild_tensor_v2, arguments

    class Writer(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if isinstance(obj, Storage):
                return ("storage", torch.FloatStorage, "0", "cpu", 64)
            return None

    content = io.BytesIO()
    Writer(content, protocol=2).dump({"weight": Tensor()})
    path = tmp_path / "x.pt"
    torch.save({"weight": torch.zeros(64)}, path)
    rewrite(path, {"data.pkl": content.getvalue()})
    with pytest.raises(WeightsError, match=r"reaches beyond its 64|impossible shape"):
        read_checkpoint(path)


def test_legacy_files_cannot_announce_more_than_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"w": torch.zeros(1000)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    count = b"M\xe8\x03"
    assert content.count(count) >= 2
    path.write_bytes(content.replace(count, b"\x8a\x06\0\0\0\0\0\x10"))
    with pytest.raises(WeightsError, match="should hold 17592186044416 numbers"):
        read_checkpoint(path)


@pytest.mark.parametrize("layout", ["zip", "before 1.6", "pickle", "safetensors"])
def test_cut_files_are_named_errors(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "whole"
    state = {"weight": torch.arange(200.0), "bias": torch.ones(3)}
    if layout == "pickle":
        path.write_bytes(pickle.dumps({name: value.numpy() for name, value in state.items()}))
    elif layout == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=layout == "zip")
    content = path.read_bytes()
    state_entries(read_checkpoint(path))
    cut = tmp_path / "cut"
    for length in {*range(0, len(content), 37), len(content) - 1}:
        cut.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=str(cut)):
            state_entries(read_checkpoint(cut))


@given(seed=st.integers(0, 2**32))
def test_flipped_bytes_never_escape(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    draw = np.random.default_rng(seed)
    zipped = bool(seed % 2)
    buffer = io.BytesIO()
    torch.save(
        {"model": {"a.weight": torch.ones(7), "b": torch.zeros(2)}, "loss": np.float64(1.5)},
        buffer,
        _use_new_zipfile_serialization=zipped,
    )
    content = bytearray(buffer.getvalue())
    where = draw.integers(0, len(content), size=int(draw.integers(1, 6)))
    for place in where:
        content[place] = draw.integers(0, 256)
    path = folder / "flipped.pt"
    path.write_bytes(content)
    with contextlib.suppress(WeightsError):
        state_entries(read_checkpoint(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"hello, I am a text file\n", "expected a readable pickle"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x1f\x8b\x08\0" + b"\0" * 30, "gzip archive.*weights convert"),
        (b"PK\x03\x04" + b"\0" * 50, "table of contents"),
        (b"\0" * 4096, "expected a readable pickle"),
        (pickle.dumps([1, 2]), r"expected named entries .*found a list"),
        (pickle.dumps(0x1950A86A20F9469CFC6C), "expected a readable pickle"),
    ],
)
def test_other_files_are_named_errors(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        read_checkpoint(path)


def test_missing_files_and_folders_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a readable weight file"):
        read_checkpoint(tmp_path / "none.pt")
    with pytest.raises(InputError, match="found a folder"):
        read_checkpoint(tmp_path)
    with pytest.raises(InputError, match="expected a readable feature file"):
        read_array_pickle(tmp_path / "none.pkl")


def doubled_tuples(depth: int) -> bytes:
    return b"\x80\x02)" + b"q\x00h\x00\x86" * depth


BOMBS = {
    "hash of nested tuples": doubled_tuples(64) + b"}q\x01h\x000h\x01" + b"(h\x00K\x01u.",
    "tuple as a key": b"\x80\x02}" + doubled_tuples(64)[2:] + b"K\x01s.",
    "set of nested tuples": b"\x80\x04\x8f(" + doubled_tuples(64)[2:] + b"\x90.",
    "huge bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x",
    "huge bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x",
    "huge text": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x",
    "huge memo index": b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b".",
    "copies of a list": (
        b"\x80\x02](" + b"K\x01" * 500 + b"eq\x00" + b"c__builtin__\nset\nh\x00\x85R" * 200 + b"."
    ),
    "copies of a text": (
        b"\x80\x02X" + struct.pack("<I", 2**20) + b"x" * 2**20 + b"q\x00"
        b"X\x06\0\0\0latin1q\x01" + b"c_codecs\nencode\nh\x00h\x01\x86R" * 100 + b"."
    ),
    "many steps": b"\x80\x02" + b"N0" * 4_000 + b".",
    "deep lists": b"\x80\x02" + b"]" * 4_000 + b"a" * 3_999 + b".",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_end_in_a_named_error(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickle_machine, "MAX_STEPS", 7_000)
    path = tmp_path / "bomb.pkl"
    path.write_bytes(BOMBS[kind])
    bounds = {"copies of a list": "7000 steps", "many steps": "7000 steps"}
    message = {**bounds, "copies of a text": "copies its contents"}.get(kind, "")
    with pytest.raises(WeightsError, match=rf"bomb\.pkl: .*{message}"):
        read_checkpoint(path)


def test_the_steps_of_a_real_file_stay_far_below_the_bound(tmp_path: Path) -> None:
    """A checkpoint with as many entries and optimiser states as the published ones is read."""
    entries = {f"transformer.blocks.{i}.weight": torch.zeros(2) for i in range(100)}
    states = {
        i: {"step": i, "exp_avg": torch.zeros(2), "exp_avg_sq": torch.zeros(2)} for i in range(100)
    }
    torch.save({"state_dict": entries, "optimizer_states": [{"state": states}]}, tmp_path / "x.pt")
    assert len(state_entries(read_checkpoint(tmp_path / "x.pt"))) == 100
