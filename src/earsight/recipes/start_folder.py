"""The model folder that a training begins with, and what its input has to be normalised by."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from earsight.checkpoints.narrow import is_dict
from earsight.checkpoints.native import NativeFolder
from earsight.data.fbank_clips import Fill, WaveClips, check_statistics_name, statistics_for
from earsight.errors import ConfigError, InputError
from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.frontends.kaldi_fbank import PUBLISHED, FbankSettings
from earsight.generate.bundles import open_bundle
from earsight.settings import from_plain, to_plain
from earsight.training.warm_start import warm_start

OF_START = "start"


def check_start(start: str, statistics: str) -> None:
    """Raise ConfigError for unknown statistics, and for those of a start where there is none."""
    if statistics != OF_START:
        check_statistics_name(statistics)
    elif not start:
        raise ConfigError("statistics 'start' need a start: name one, or 'measured'")


def open_start(source: str, families: Sequence[str], *, system: str) -> NativeFolder | None:
    """The folder of the network to start from; None for none.

    Raises InputError where none of its networks is of `families`, which together are `system`.
    """
    if not source:
        return None
    bundle = open_bundle(source)
    for part in bundle.parts.values():
        if part.family in families:
            return part
    raise InputError(
        f"start: {source} holds {', '.join(p.family for p in bundle.parts.values())} and no "
        f"{system}: name the model folder of a pre-training"
    )


def input_statistics(
    name: str,
    start: NativeFolder | None,
    clips: WaveClips,
    *,
    num_frames: int,
    fill: Fill,
    settings: FbankSettings = PUBLISHED,
) -> FbankStatistics:
    """What normalises the input: `statistics_for` a name, with "start" what the start tells.

    Raises InputError where the start tells none.
    """
    if name != OF_START or start is None:
        return statistics_for(name, clips, num_frames=num_frames, fill=fill, settings=settings)
    told = start.extra.get("statistics")
    if isinstance(told, str):
        return statistics_for(told, clips, num_frames=num_frames, fill=fill, settings=settings)
    if not is_dict(told):
        raise InputError(f"{start.path} tells no statistics: name published ones, or 'measured'")
    return replace(from_plain(FbankStatistics, told), num_frames=num_frames)


def load_whole(network: nn.Module, config: object, start: NativeFolder) -> None:
    """Give a new network of sizes `config` all weights of a start, in place.

    Raises InputError that names every size in which they differ.
    """
    theirs = from_plain(type(config), start.config)
    differing = _differences(to_plain(theirs), to_plain(config))
    if differing:
        raise InputError(
            f"start: {start.path} has other sizes than this recipe ({'; '.join(differing)}): "
            "choose the setting it was trained by, or change the sizes (--set model...=...)"
        )
    warm_start(network, start.tensors)


def _differences(theirs: Mapping[str, Any], own: Mapping[str, Any], where: str = "") -> list[str]:
    found: list[str] = []
    for name, value in own.items():
        other, place = theirs[name], f"{where}{name}"
        if is_dict(value):
            found += _differences(other, value, f"{place}.")
        elif value != other:
            found.append(f"{place} {other}, expected {value}")
    return found
