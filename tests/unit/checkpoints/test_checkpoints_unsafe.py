"""Weight files that ask for code to be run are refused by name."""

import argparse
import io
import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from earsight.checkpoints.pickle_machine import Inert, PickleMachine
from earsight.checkpoints.restricted import read_checkpoint
from earsight.errors import UnsafeFileError

EXECUTED: list[str] = []


def trace(word: str) -> None:
    """Would be called by a reader that runs what a file asks for."""
    EXECUTED.append(word)


@pytest.fixture(autouse=True)
def _nothing_runs() -> Iterator[None]:
    EXECUTED.clear()
    yield
    assert EXECUTED == []


class Calls:
    """Pickles as a call of `function(*arguments)`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def opcodes(*pieces: bytes) -> bytes:
    return b"\x80\x04" + b"".join(pieces) + b"."


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


NAMED = {
    "os.system": (Calls(os.system, "true"), r"posix\.system|nt\.system"),
    "eval": (Calls(eval, "trace('eval')"), r"builtins\.eval|__builtin__\.eval"),
    "exec": (Calls(exec, "import sys"), r"builtins\.exec|__builtin__\.exec"),
    "own function": (Calls(trace, "call"), r"test_checkpoints_unsafe\.trace"),
    "getattr": (Calls(getattr, "", "join"), r"getattr"),
    "nested": ({"a": [({"b": Calls(trace, "deep")},)]}, "trace"),
    "inside an inert class": (argparse.Namespace(a=Calls(trace, "in")), "trace"),
    "nested torch.load": (
        Calls(torch.storage._load_from_bytes, b"\x80\x02N."),
        r"torch\.storage\._load_from_bytes",
    ),
    "torch submodule": (Calls(torch.serialization.load, "x"), r"torch\.serialization\.load"),
    "torch hub": (Calls(torch.hub.load, "a", "b"), r"torch\.hub\.load"),
    "numpy load": (Calls(np.load, "x"), r"numpy.*\.load"),
    "whole module": (nn.Linear(1, 1), r"torch\.nn\.modules\.linear\.Linear"),
}


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize("layout", ["zip", "before 1.6", "pickle 0", "pickle 2", "pickle 4"])
def test_calls_are_refused_by_name(tmp_path: Path, kind: str, layout: str) -> None:
    value, name = NAMED[kind]
    path = tmp_path / "bad.ckpt"
    if layout.startswith("pickle"):
        if kind == "whole module":
            name = ""  # tensors in a plain pickle load bytes by torch's own loader
        path.write_bytes(pickle.dumps({"state_dict": value}, int(layout[-1])))
    else:
        zipped = layout == "zip"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.save({"state_dict": value}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeFileError, match=rf"asks for .*{name}") as caught:
        read_checkpoint(path)
    assert "nothing of the file was run" in str(caught.value)
    assert str(path) in str(caught.value)


CRAFTED = {
    "stacked name": opcodes(text("os"), text("system"), b"\x93", text("true"), b"\x85R"),
    "dotted name": opcodes(text("torch.serialization"), text("os.system"), b"\x93"),
    "dotted inside a known package": opcodes(
        text("omegaconf"), text("sys.modules"), b"\x93", b")R"
    ),
    "known prefix, other package": opcodes(text("omegaconfig"), text("DictConfig"), b"\x93"),
    "submodule of torch": opcodes(text("torch"), text("serialization.load"), b"\x93"),
    "instance opcode": b"(S'true'\nios\nsystem\n.",
    "object opcode": b"(cos\nsystem\nS'true'\no.",
    "plain protocol 0": b"cos\nsystem\n(S'true'\ntR.",
    "calling a value": opcodes(text("x"), b")R"),
    "state of a class": opcodes(text("argparse"), text("Namespace"), b"\x93", b"}b"),
    "state of a text": opcodes(text("x"), b"}b"),
    "calling a dtype": opcodes(text("torch"), text("float32"), b"\x93", b")R"),
    "calling a storage": opcodes(text("torch"), text("FloatStorage"), b"\x93", b"K\x04\x85R"),
    "extension code": opcodes(b"\x82\x01"),
    "outside buffer": opcodes(b"\x97"),
    "array of another class": opcodes(
        text("numpy.core.multiarray"),
        text("_reconstruct"),
        b"\x93",
        text("argparse") + text("Namespace") + b"\x93",
        b"K\x00\x85C\x01b\x87R",
    ),
}


@pytest.mark.parametrize("kind", CRAFTED)
def test_crafted_pickles_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(CRAFTED[kind])
    with pytest.raises(UnsafeFileError, match=r"bad\.pkl.*nothing (of .*)?was run"):
        read_checkpoint(path)


def test_known_classes_stay_inert_whatever_is_done_to_them() -> None:
    path = "omegaconf.dictconfig", "DictConfig"
    content = opcodes(
        text(path[0]),
        text(path[1]),
        b"\x93",
        b")\x81",  # made without its constructor
        b"}(" + text("__class__") + text("x") + b"ub",  # state
        text("key") + b"K\x01s",  # item
        b"K\x02a",  # element
    )
    machine = PickleMachine(
        io.BytesIO(content),
        __import__("earsight.checkpoints.torch_tensors", fromlist=["x"]).TORCH_VOCABULARY,
        where="x",
        size_bytes=len(content),
    )
    value = machine.run()
    assert type(value) is Inert
    assert value.state == {"__class__": "x"}
    assert (value.items, value.elements) == ({"key": 1}, [2])
