"""Puts networks that were trained one by one together into one model folder."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from earsight.checkpoints.narrow import is_dict
from earsight.checkpoints.native import (
    CARD,
    CONFIG,
    LAYOUT,
    NativeFolder,
    read_folder,
    save_folder,
    staged_folder,
)
from earsight.errors import ConfigError, WeightsError
from earsight.files import file_digest, write_json
from earsight.generate.decode import GRIFFIN_LIM
from earsight.generate.listeners import FAMILIES as HEARING
from earsight.generate.listeners import WITHOUT_CLASSES
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
LISTENERS: Mapping[str, tuple[str, ...]] = {
    "tagger": tuple(family for family in HEARING if family not in WITHOUT_CLASSES),
    "masked": ("audiomae",),
}
"""The same of a folder that hears: what tags, and what restores hidden parts."""


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
    _refuse_unknown(parts, FAMILIES)
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
        _describe(temporary, "video_to_sound", found, extra, card or f"# {folder.name}\n")


def join_listeners(
    folder: Path,
    parts: Mapping[str, Path],
    *,
    card: str = "",
    half: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a folder that `load_tagger` and `load_repairer` open, made of parts' folders.

    Parts are named as in LISTENERS. Each keeps its own card; without `card` the whole one's tells
    sizes, classes and scores. `half` stores float16. Raises as `join_models` does.
    """
    _refuse_unknown(parts, LISTENERS)
    found = {name: read_folder(path) for name, path in parts.items()}
    if problems := _wrong_families(found, LISTENERS):
        raise WeightsError(f"the parts do not fit each other: {'; '.join(problems)}")
    with staged_folder(folder, overwrite=overwrite) as temporary:
        for name, part in found.items():
            own = part.path / CARD
            save_folder(
                temporary / name,
                part.family,
                part.config,
                part.tensors,
                extra=part.extra,
                card=own.read_text(encoding="utf-8") if own.is_file() else "",
                half=half,
            )
        _describe(temporary, "listening", found, {}, card or listeners_card(found, half=half))


def listeners_card(parts: Mapping[str, NativeFolder], *, half: bool) -> str:
    """What the networks of a folder are, out of what their own folders tell."""
    lines = [
        "# Networks that hear",
        "",
        "| folder | family | parameters | frames | classes | numbers it was stored with |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, part in parts.items():
        encoder = part.config.get("encoder")
        frames = (encoder if is_dict(encoder) else part.config).get("num_frames", "-")
        count = sum(tensor.numel() for tensor in part.tensors.values()) / 1e6
        scores = part.extra.get("scores", {"held_out_loss": part.extra.get("held_out_loss")})
        told = ", ".join(
            f"{key} {value:.4g}"
            for key, value in (scores.items() if is_dict(scores) else ())
            if isinstance(value, int | float)
        )
        row = [f"`{name}`", part.family, f"{count:.2f} M", frames]
        row += [part.config.get("num_classes", "-"), told or "-"]
        lines.append(f"| {' | '.join(map(str, row))} |")
    named = parts["tagger"].extra.get("class_names") if "tagger" in parts else None
    if isinstance(named, list):
        names = ", ".join(str(name) for name in cast(list[object], named))
        lines += ["", f"Classes: {names}."]
    stored = "float16, computed with in float32" if half else "as trained"
    return "\n".join([*lines, "", f"Weights are stored {stored}.", ""])


def _describe(
    folder: Path,
    family: str,
    parts: Mapping[str, NativeFolder],
    extra: Mapping[str, object],
    card: str,
) -> None:
    """Write what makes several folders one model, and the hashes of all files."""
    described = {
        "layout": LAYOUT,
        "family": family,
        "parts": {name: name for name in parts},
        "extra": extra,
        "card": CARD,
    }
    write_json(folder / CONFIG, described)
    (folder / CARD).write_text(card, encoding="utf-8")
    (folder / "SHA256SUMS").write_text(_sums(folder))


def _refuse_unknown(parts: Mapping[str, Path], known: Mapping[str, tuple[str, ...]]) -> None:
    if unknown := sorted(set(parts) - set(known)):
        raise ConfigError(
            f"unknown parts {', '.join(unknown)}: a model is made of {', '.join(known)}"
        )


def _wrong_families(
    parts: Mapping[str, NativeFolder], allowed: Mapping[str, tuple[str, ...]]
) -> list[str]:
    return [
        f"{name} is a {part.family} network, expected {' or '.join(allowed[name])}"
        for name, part in parts.items()
        if part.family not in allowed[name]
    ]


def _refuse_misfits(parts: Mapping[str, NativeFolder]) -> None:
    problems = _wrong_families(parts, FAMILIES)
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
