"""Our own model folders: `weights.safetensors`, `config.json`, `card.md`; bundles of several.

A bundle is a folder with one model folder per part (`codebook/`, `transformer/`, ...) and a
`config.json` that names them.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file  # pyright: ignore[reportUnknownVariableType] # partly typed
from torch import Tensor

from earsight.checkpoints.narrow import is_dict
from earsight.errors import InputError, WeightsError
from earsight.files import file_digest, write_json
from earsight.settings import to_plain

WEIGHTS, CONFIG, CARD = "weights.safetensors", "config.json", "card.md"
LAYOUT = 1  # number of this folder layout, raised when an older reader could not read a newer one


@dataclass(frozen=True, kw_only=True)
class NativeFolder:
    """One network as stored: its family, sizes and tensors (float32), and what goes with them."""

    path: Path
    family: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    extra: dict[str, Any]
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Several networks that work together; a lone network is a bundle of one, named by family."""

    path: Path
    family: str
    parts: dict[str, NativeFolder]
    extra: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class BundlePart:
    """What is stored for one network of a bundle; `config` is a dataclass or plain values."""

    family: str
    config: object
    state: Mapping[str, Tensor]
    extra: Mapping[str, object] | None = None


def save_folder(
    folder: Path,
    family: str,
    config: object,
    state: Mapping[str, Tensor],
    *,
    extra: Mapping[str, object] | None = None,
    card: str = "",
    half: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a model folder, whole or not at all.

    `config` is a dataclass or plain values. `half` stores float32 tensors as float16; they are
    read back as float32. Raises InputError for an existing folder, WeightsError for numbers that
    float16 cannot hold.
    """
    with staged_folder(folder, overwrite=overwrite) as temporary:
        _write(temporary, family, config, state, extra=extra or {}, card=card, half=half)


def save_bundle(
    folder: Path,
    family: str,
    parts: Mapping[str, BundlePart],
    *,
    extra: Mapping[str, object] | None = None,
    card: str = "",
    half: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a folder with one model folder per part, whole or not at all."""
    with staged_folder(folder, overwrite=overwrite) as temporary:
        for name, part in parts.items():
            _write(
                temporary / name,
                part.family,
                part.config,
                part.state,
                extra=part.extra or {},
                card="",
                half=half,
            )
        described = {
            "layout": LAYOUT,
            "family": family,
            "parts": {name: name for name in parts},
            "extra": to_plain(extra or {}),
            "card": CARD,
        }
        write_json(temporary / CONFIG, described)
        (temporary / CARD).write_text(card or f"# {folder.name}\n")


def read_folder(folder: Path) -> NativeFolder:
    """Read a model folder and check its weights against the recorded hash.

    Raises InputError for a folder that is none of ours, WeightsError for weights that are damaged
    or not those the folder was written with.
    """
    described = _config(folder)
    if "parts" in described:
        parts = ", ".join(map(str, described["parts"]))
        raise InputError(f"{folder}: holds several networks ({parts}): open one of these folders")
    family, config = described.get("family"), described.get("config")
    if not isinstance(family, str) or not is_dict(config):
        raise WeightsError(f"{folder / CONFIG}: expected 'family' and 'config', found others")
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise WeightsError(f"{folder}: expected {WEIGHTS} beside {CONFIG}: convert or fetch again")
    found, recorded = file_digest(weights), described.get("weights_sha256")
    if recorded is not None and recorded != found:
        raise WeightsError(
            f"{weights}: expected sha256 {recorded}, found {found}: the file was changed or "
            "damaged; convert or fetch it again"
        )
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise WeightsError(f"{weights}: damaged safetensors file ({error})") from error
    extra = described.get("extra")
    return NativeFolder(
        path=folder,
        family=family,
        config=config,
        tensors={name: _full(tensor) for name, tensor in tensors.items()},
        extra=extra if is_dict(extra) else {},
        sha256=found,
    )


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle, or a lone model folder as a bundle of one.

    Raises InputError and WeightsError as `read_folder` does.
    """
    described = _config(folder)
    listed = described.get("parts")
    if listed is None:
        lone = read_folder(folder)
        return Bundle(path=folder, family=lone.family, parts={lone.family: lone}, extra=lone.extra)
    if not is_dict(listed) or not all(_is_plain_name(place) for place in listed.values()):
        raise WeightsError(f"{folder / CONFIG}: expected 'parts' to name folders inside this one")
    extra = described.get("extra")
    return Bundle(
        path=folder,
        family=str(described.get("family")),
        parts={str(name): read_folder(folder / str(place)) for name, place in listed.items()},
        extra=extra if is_dict(extra) else {},
    )


@contextmanager
def staged_folder(folder: Path, *, overwrite: bool = False) -> Generator[Path]:
    """Yield a temporary folder beside `folder`; rename it to `folder` when the block ends well.

    An existing folder is replaced only with `overwrite`, and only if it is one of ours.
    """
    if folder.exists():
        if not overwrite:
            raise InputError(
                f"{folder} exists already: choose another name or allow overwriting (--overwrite)"
            )
        _config(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name[:40]}-", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if folder.exists():
            old = temporary.with_name(f"{temporary.name}.old")
            folder.rename(old)
            os.replace(temporary, folder)
            shutil.rmtree(old)
        else:
            os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(
    folder: Path,
    family: str,
    config: object,
    state: Mapping[str, Tensor],
    *,
    extra: Mapping[str, object],
    card: str,
    half: bool,
) -> None:
    folder.mkdir(exist_ok=True)
    tensors: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in state.items():
        dense = _stored(name, tensor, half=half)
        # one tensor under two names is stored twice: files keep no such ties
        tensors[name] = dense.clone() if dense.data_ptr() in places else dense
        places.add(dense.data_ptr())
    save_file(tensors, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)
    plain = to_plain(config)
    if not is_dict(plain):
        raise WeightsError(f"the sizes of {family} must be a dataclass or named values")
    described = {
        "layout": LAYOUT,
        "family": family,
        "config": plain,
        "weights_sha256": file_digest(folder / WEIGHTS),
        "stored_as": "float16" if half else "as trained",
        "extra": to_plain(extra),
        "card": CARD,
    }
    if is_dataclass(config):
        described["config_class"] = type(config).__name__
    write_json(folder / CONFIG, described)
    (folder / CARD).write_text(card or f"# {family}\n")


def _stored(name: str, tensor: Tensor, *, half: bool) -> Tensor:
    """A dense tensor alone in its memory, as safetensors wants it; copied only where it is not."""
    plain = tensor.detach().cpu()
    if half and plain.dtype == torch.float32:
        rounded = plain.to(torch.float16)
        if not bool(torch.equal(rounded.isfinite(), plain.isfinite())):
            raise WeightsError(f"{name} has numbers beyond float16's range: store it in full")
        return rounded.contiguous()
    alone = plain.is_contiguous() and plain.untyped_storage().nbytes() == plain.nbytes
    return plain if alone else plain.clone(memory_format=torch.contiguous_format)


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.float16 else tensor


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        described: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: expected a model folder with {CONFIG} and {WEIGHTS}, found "
            f"{'a folder without them' if folder.is_dir() else 'no folder'}"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: expected readable JSON, got {error}") from error
    if not is_dict(described):
        raise WeightsError(f"{path}: expected named values, found a {type(described).__name__}")
    layout = described.get("layout", LAYOUT)
    if not isinstance(layout, int) or layout > LAYOUT:
        raise WeightsError(f"{path}: is of layout {layout}, this version reads {LAYOUT}: update")
    return described


def _is_plain_name(place: object) -> bool:
    return isinstance(place, str) and place not in ("", ".", "..") and not set(place) & set("/\\\0")
