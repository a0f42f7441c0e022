"""Golden cases on disk: found, read, and their inputs rebuilt.

A case is NAME.json (what was run, with which sizes, seed, inputs and tolerance) with NAME.npz
(the arrays that came out); NAME.keys.json alone is the entry list of a published file. The name is
the kind of the case, with an optional variant behind an underscore that means nothing here.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earsight.errors import InputError
from earsight.parity import fill

KEYS_SUFFIX = ".keys"
NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseFile:
    """One case that was found: its system (a folder's name), its name and its JSON."""

    system: str
    name: str
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One case in memory: the description, and the stored arrays by output name."""

    system: str
    name: str
    spec: dict[str, Any]
    stored: dict[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])
    data_root: Path | None = None

    @property
    def config(self) -> dict[str, Any]:
        """Sizes the published network was built with, under their official names."""
        return self.spec.get("config", {})

    @property
    def seed(self) -> int:
        """Seed of weights and inputs."""
        return int(self.spec["seed"])

    @property
    def keys(self) -> dict[str, Any]:
        """Entry names and shapes of the published state dict."""
        return self.spec["keys"]

    def entries(self, *, keep: fill.Keep | None = None) -> dict[str, Tensor]:
        """Published state dict of the case, filled."""
        return fill.entries(self.spec, self.keys, keep=keep)

    def has_input(self, name: str) -> bool:
        """Whether the case describes an input of that name."""
        return name in fill.table(self.spec.get("inputs"))

    def input(self, name: str) -> Tensor:
        """The input `name`, drawn and changed as the case's notes say."""
        inputs = fill.table(self.spec.get("inputs"))
        recipe = fill.table(inputs.get(name))
        if not recipe:
            raise InputError(f"input {name!r} is not a drawn array here: {inputs.get(name)!r}")
        return torch.as_tensor(drawn(self.seed, name, recipe))

    def note(self, output: str) -> str:
        """What the case says about an output; names such as d{scale}_{layer} stand for many."""
        outputs = fill.table(self.spec.get("outputs"))
        if output in outputs:
            return str(outputs[output])
        fits = [text for name, text in outputs.items() if any(_matches(output, name))]
        return str(fits[0]) if fits else ""


def drawn(seed: int, name: str, recipe: Mapping[str, Any]) -> NDArray[Any]:
    """An input array from its recipe: drawn, scaled, shifted, then made absolute or clipped.

    Raises InputError for a recipe, or for a step under `then`, that is not one of these.
    """
    if "tokens" in recipe:
        return fill.tokens(seed, name, recipe["tokens"], high=int(recipe["high"]))
    if "normal" not in recipe:
        raise InputError(f"input {name!r} is neither 'normal' nor 'tokens': {dict(recipe)}")
    values: NDArray[Any] = fill.normal(seed, name, recipe["normal"])
    values = values * np.float32(recipe.get("scale", 1)) + np.float32(recipe.get("shift", 0))
    notes = " ".join(str(recipe[key]) for key in ("note", "then") if key in recipe)
    clip = re.search(rf"\bclip to \[({NUMBER}), ?({NUMBER})\]", notes)
    absolute = re.search(r"\babsolute value\b", notes)
    if "then" in recipe and not clip and not absolute:
        raise InputError(f"input {name!r}: no rule for the step {recipe['then']!r}")
    if absolute:
        values = np.abs(values)
    if clip:
        values = values.clip(float(clip[1]), float(clip[2]))
    return values.astype(np.float32)


def find_cases(folder: Path, *, known: Iterable[str], system: str | None = None) -> list[CaseFile]:
    """Every case under `folder`, sorted; a case's system is its nearest folder named in `known`.

    A case outside any such folder takes the name of the folder it lies in, or `system` where
    the cases lie in `folder` itself. `system` keeps that one alone. Arrays without a description
    are listed as well, so that nothing is passed over.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of golden cases: expected JSON and npz files")
    known = set(known)
    found: list[CaseFile] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix not in {".json", ".npz"} or not path.is_file():
            continue
        if path.suffix == ".npz" and path.with_suffix(".json").is_file():
            continue
        owner = _owner(path, folder, known, system)
        if system is None or owner == system:
            found.append(CaseFile(system=owner, name=path.stem, path=path))
    return found


def read_case(file: CaseFile, *, data_root: Path | None = None) -> Case:
    """Read a case's description and arrays; InputError where one of them cannot be used."""
    if file.path.suffix == ".npz":
        raise InputError(f"{file.path.name} has no {file.name}.json beside it that describes it")
    try:
        spec = json.loads(file.path.read_text())
    except ValueError as error:
        raise InputError(f"{file.path} is not readable JSON: {error}") from error
    if not isinstance(spec, dict):
        raise InputError(f"{file.path} holds a {type(spec).__name__}, expected an object")
    arrays = file.path.with_suffix(".npz")
    stored: dict[str, NDArray[Any]] = {}
    if arrays.is_file():
        try:
            with np.load(arrays, allow_pickle=False) as archive:
                stored = {str(name): archive[name] for name in archive.files}
        except (ValueError, OSError, EOFError, KeyError) as error:
            raise InputError(f"{arrays} is not a readable array file: {error}") from error
    return Case(
        system=file.system,
        name=file.name,
        spec=fill.table(spec),
        stored=stored,
        data_root=data_root,
    )


def kind_of(name: str, kinds: Iterable[str]) -> str | None:
    """The longest kind that `name` is, or begins with before an underscore; None if there is none.

    Entry lists (`NAME.keys`) and cases of one name are different kinds.
    """
    stem, is_keys = name.removesuffix(KEYS_SUFFIX), name.endswith(KEYS_SUFFIX)
    fits = [
        kind
        for kind in kinds
        if kind.endswith(KEYS_SUFFIX) == is_keys
        and f"{stem}_".startswith(f"{kind.removesuffix(KEYS_SUFFIX)}_")
    ]
    return max(fits, key=len, default=None)


def _owner(path: Path, folder: Path, known: set[str], system: str | None) -> str:
    parents = [folder.resolve().name, *path.parent.relative_to(folder).parts]
    named = [name for name in parents if name in known]
    if named:
        return named[-1]
    return system if len(parents) == 1 and system else parents[-1]


def _matches(output: str, name: str) -> Iterable[bool]:
    """Whether an output is meant by a name with placeholders: <kind>_x, d{i}, slice1..5, a/b."""
    pattern = re.sub(r"<[^>]*>|\{[^}]*\}|\d+\.\.\d+", "*", name)
    yield fnmatchcase(output, pattern)
    yield fnmatchcase(output, re.sub(r"(?<![A-Za-z])[Ni](?![A-Za-z])", "*", pattern))
    head, slash, last = pattern.rpartition("/")
    if slash:
        stem = head.rpartition("_")[0]
        yield output in {head, f"{stem}_{last}", last}
