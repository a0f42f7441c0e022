"""Finds model folders and builds networks from them, strictly."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.fetch import cache_dir
from earsight.checkpoints.native import Bundle, NativeFolder, read_bundle
from earsight.errors import InputError, WeightsError
from earsight.extras import require
from earsight.settings import from_plain

Module = TypeVar("Module", bound=nn.Module)
BUNDLED = "bundled"
BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"
"""What "bundled" means to those who make or code sound."""
LISTENING_FOLDER = Path(__file__).parents[1] / "bundled_listening"
"""What "bundled" means to those who hear sound."""
CONVERTED = "converted"
"""Folder inside the cache for official weights after conversion, one folder per name."""
HUB_FILES = ("*.safetensors", "config.json", "card.md", "*/*.safetensors", "*/config.json")


def open_bundle(source: str | Path, *, bundled: Path = BUNDLED_FOLDER) -> Bundle:
    """Find and read the model folder that `source` means.

    A folder's path, "bundled" (the folder `bundled`), the name of converted official weights, or
    a hub repository `owner/name@revision`. Raises InputError when it is none of these.
    """
    text = str(source)
    if text == BUNDLED:
        if not bundled.is_dir():
            raise InputError(
                f"no weights for this come with the package ({bundled.name} is not there): name "
                "a model folder, or official weights that are installed"
            )
        return read_bundle(bundled)
    folder = Path(source)
    if folder.is_dir():
        return read_bundle(folder)
    converted = cache_dir() / CONVERTED / text
    if "/" not in text and converted.is_dir():
        return read_bundle(converted)
    if text.count("/") == 1 and not text.startswith((".", "/", "~")):
        return read_bundle(_hub_folder(text))
    raise InputError(
        f"no model '{text}': expected '{BUNDLED}', a model folder, a hub repository "
        "owner/name@revision, or official weights that are installed ('earsight weights list' "
        f"shows names; 'earsight weights convert {text}' installs one)"
    )


def open_listening(source: str | Path) -> Bundle:
    """As `open_bundle`, where "bundled" means the networks that hear."""
    return open_bundle(source, bundled=LISTENING_FOLDER)


def short_name(source: str | Path) -> str:
    """What a model is called in results; RUN/model, as trainings write it, keeps its run's name."""
    path = Path(source)
    return f"{path.parent.name}/{path.name}" if path.name == "model" else path.name


def _hub_folder(text: str) -> Path:
    repository, _, revision = text.partition("@")
    hub = require("huggingface_hub", extra="hub", purpose=f"opening {text} from the hub")
    try:
        found = hub.snapshot_download(
            repository, revision=revision or None, allow_patterns=list(HUB_FILES)
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot open '{text}' from the hub ({error}): check name, revision and connection, "
            "or give the path of a folder"
        ) from error
    return Path(found)


def build_network(
    kind: Callable[[Any], Module],
    config: type[Any],
    folder: NativeFolder,
    family: str,
    device: torch.device,
) -> Module:
    """A network with the folder's sizes and, strictly, its weights."""
    if folder.family != family:
        raise WeightsError(f"{folder.path}: expected a {family} network, found {folder.family}")
    sizes = from_plain(config, folder.config)
    network = on_meta(lambda: kind(sizes))
    wanted = {name: value.shape for name, value in network.state_dict().items()}
    found: Mapping[str, Tensor] = folder.tensors
    problems = [f"{name} missing" for name in wanted if name not in found]
    problems += [f"{name} not expected" for name in found if name not in wanted]
    problems += [
        f"{name} file {tuple(found[name].shape)} model {tuple(shape)}"
        for name, shape in wanted.items()
        if name in found and found[name].shape != shape
    ]
    if problems:
        raise WeightsError(
            f"{folder.path}: {len(problems)} of {len(wanted)} entries do not fit: "
            + "; ".join(problems[:20])
        )
    network.load_state_dict(dict(found), strict=True, assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network.to(device).eval()
