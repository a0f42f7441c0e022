"""Puts networks that were trained one by one together into one model folder."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from earsight.checkpoints.native import (
    CARD,
    CONFIG,
    LAYOUT,
    NativeFolder,
    read_folder,
    staged_folder,
)
from earsight.errors import ConfigError, WeightsError
from earsight.files import file_digest, write_json
from earsight.generate.decode import GRIFFIN_LIM
from earsight.generate.logits import SamplingConfig
from earsight.settings import to_plain

CLASSIFIERS = ("melception", "vggishish")
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "codebook": ("mel_vqgan",),
    "transformer": ("token_gpt",),
    "vocoder": ("melgan",),
    "sight": ("sight",),
    "judge": CLASSIFIERS,
    "ranker": CLASSIFIERS,
}
"""Parts of a model folder, and the families of network that each may be.

The ranker helps to choose among candidates; what a model is worth, another network has to judge.
"""
NEEDED = ("codebook",)


def join_models(
    folder: Path,
    parts: Mapping[str, Path],
    *,
    sampling: SamplingConfig | None = None,
    prefer_griffin_lim: bool = False,
    card: str = "",
    overwrite: bool = False,
) -> None:
    """Write a folder that `earsight.load` opens, with a copy of every part's folder inside.

    Parts are named as in FAMILIES. Class names and the kind of picture input are those of the
    transformer. With `prefer_griffin_lim` its own vocoder is used on request only. `SHA256SUMS`
    lists every file. Raises ConfigError for unknown or missing parts, WeightsError for networks
    that do not fit each other.
    """
    if unknown := sorted(set(parts) - set(FAMILIES)):
        raise ConfigError(
            f"unknown parts {', '.join(unknown)}: a model is made of {', '.join(FAMILIES)}"
        )
    if missing := [name for name in NEEDED if name not in parts]:
        raise ConfigError(f"a model needs a {' and a '.join(missing)}: name its folder")
    found = {name: read_folder(path) for name, path in parts.items()}
    _refuse_misfits(found)
    extra = dict(found["transformer"].extra) if "transformer" in found else {}
    extra["sampling"] = to_plain(sampling or SamplingConfig())
    if prefer_griffin_lim:
        extra["vocoder"] = GRIFFIN_LIM
    with staged_folder(folder, overwrite=overwrite) as temporary:
        for name, part in found.items():
            shutil.copytree(part.path, temporary / name)
        described = {
            "layout": LAYOUT,
            "family": "video_to_sound",
            "parts": {name: name for name in found},
            "extra": extra,
            "card": CARD,
        }
        write_json(temporary / CONFIG, described)
        (temporary / CARD).write_text(card or f"# {folder.name}\n")
        (temporary / "SHA256SUMS").write_text(_sums(temporary))


def _refuse_misfits(parts: Mapping[str, NativeFolder]) -> None:
    problems = [
        f"{name} is a {part.family} network, expected {' or '.join(FAMILIES[name])}"
        for name, part in parts.items()
        if part.family not in FAMILIES[name]
    ]
    codebook = parts["codebook"].config
    if "transformer" in parts:
        spoken, known = parts["transformer"].config.get("num_codes"), codebook.get("num_codes")
        if spoken != known:
            problems.append(f"the transformer speaks {spoken} codes, the codebook {known}")
    if "vocoder" in parts:
        taken, made = parts["vocoder"].config.get("num_mels"), codebook.get("num_mels")
        if taken != made:
            problems.append(f"the vocoder takes {taken} mel bands, the codebook makes {made}")
    if problems:
        raise WeightsError(f"the parts do not fit each other: {'; '.join(problems)}")


def _sums(folder: Path) -> str:
    listed = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(
        f"{file_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in listed
    )
