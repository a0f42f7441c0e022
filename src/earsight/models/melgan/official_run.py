"""The four files of an official MelGAN training, so that it can be gone on with.

netG.pt and netD.pt are flat lists of entries; optG.pt and optD.pt are states of Adam, whose
numbers count the parameters in the order of these entries, which is not the order of ours.
Sources: official repositories descriptinc/melgan-neurips and v-iashin/SpecVQGAN (training script).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from earsight.checkpoints.keymap import KeyMap, translate
from earsight.checkpoints.narrow import is_dict
from earsight.checkpoints.restricted import read_checkpoint, state_entries
from earsight.errors import InputError, WeightsError
from earsight.models.melgan.config import DiscriminatorConfig, MelGANConfig
from earsight.models.melgan.published import (
    config_from_entries,
    discriminator_config_from_entries,
    discriminator_keys,
    generator_keys,
)

FILES = ("netG.pt", "netD.pt", "optG.pt", "optD.pt")


@dataclass(frozen=True, slots=True)
class Moments:
    """Adam's memory of one parameter."""

    step: float
    mean: Tensor
    square: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedNetwork:
    """One network's entries under our names, and its optimiser's memory by parameter."""

    entries: dict[str, Tensor]
    moments: dict[str, Moments]


@dataclass(frozen=True, kw_only=True, slots=True)
class OfficialRun:
    """Both networks of an official training."""

    config: MelGANConfig
    discriminator_config: DiscriminatorConfig
    generator: TrainedNetwork
    discriminator: TrainedNetwork


def is_official_run(folder: Path) -> bool:
    """Whether a folder holds the four files."""
    return all((folder / name).is_file() for name in FILES)


def read_official_run(folder: Path) -> OfficialRun:
    """Read netG.pt, netD.pt, optG.pt and optD.pt.

    Raises InputError for files that are not there, WeightsError for those that do not fit.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder}: expected {', '.join(FILES)}, {', '.join(missing)} missing")
    generator, judge = (state_entries(read_checkpoint(folder / name)) for name in FILES[:2])
    config = config_from_entries(generator)
    judge_config = discriminator_config_from_entries(judge)
    return OfficialRun(
        config=config,
        discriminator_config=judge_config,
        generator=_network(generator, generator_keys(config), folder / FILES[2]),
        discriminator=_network(judge, discriminator_keys(judge_config), folder / FILES[3]),
    )


def take_moments(optimizer: Optimizer, network: nn.Module, moments: Mapping[str, Moments]) -> None:
    """Give an Adam over all parameters of `network`, in their order, a memory; rates stay.

    Raises WeightsError for parameters without one, and for another shape.
    """
    named = dict(network.named_parameters())
    problems = [f"{name}: no memory" for name in named if name not in moments]
    problems += [
        f"{name}: memory {tuple(found.mean.shape)}, network {tuple(named[name].shape)}"
        for name, found in moments.items()
        if name in named and found.mean.shape != named[name].shape
    ]
    if problems:
        raise WeightsError(
            f"the optimiser does not fit the network, {len(problems)} of {len(named)} parameters: "
            + "; ".join(problems[:20])
        )
    state = {
        number: {
            "step": torch.tensor(moments[name].step),
            "exp_avg": moments[name].mean.clone(),
            "exp_avg_sq": moments[name].square.clone(),
        }
        for number, name in enumerate(named)
    }
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _network(entries: Mapping[str, Tensor], keys: KeyMap, optimizer: Path) -> TrainedNetwork:
    own = translate(entries, keys)
    # rows keep the file's order: that of the parameters
    names = [row.own for row in own.account.rows if row.own is not None]
    return TrainedNetwork(
        entries={name: tensor.clone() for name, tensor in own.entries.items()},
        moments=_moments(optimizer, names),
    )


def _moments(path: Path, names: Sequence[str]) -> dict[str, Moments]:
    found = read_checkpoint(path).entries
    state, groups = found.get("state"), found.get("param_groups")
    if not is_dict(state) or not isinstance(groups, list) or len(groups) != 1:  # pyright: ignore[reportUnknownArgumentType]
        raise WeightsError(
            f"{path}: expected the state of an Adam with one group of parameters "
            f"('state', 'param_groups'), found {', '.join(map(str, found)) or 'nothing'}"
        )
    if sorted(state) != list(range(len(names))):
        raise WeightsError(
            f"{path}: remembers {len(state)} parameters, its network has {len(names)}: "
            "take both files from the same run"
        )
    return {name: _one(path, state[number], name) for number, name in enumerate(names)}


def _one(path: Path, memory: Any, name: str) -> Moments:
    if not is_dict(memory) or not {"step", "exp_avg", "exp_avg_sq"} <= set(memory):
        raise WeightsError(f"{path}: expected step, exp_avg and exp_avg_sq for {name}")
    return Moments(float(memory["step"]), memory["exp_avg"], memory["exp_avg_sq"])
