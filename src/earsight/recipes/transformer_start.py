"""Which transformer a run trains: sizes, rows of the classes, values to start from.

Axes: k classes, d width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.checkpoints.native import Bundle, NativeFolder
from earsight.data.corpus import Corpus
from earsight.errors import ConfigError, InputError
from earsight.generate.bundles import open_bundle
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import TokenGPT
from earsight.recipes.clock_positions import start_clock
from earsight.settings import from_plain
from earsight.training.warm_start import warm_start

CLASS_ROWS = "class_embedding.weight"
POSITIONS = "positions"


@dataclass(frozen=True, slots=True)
class Started:
    """A transformer that was trained before, with what its folder says about it."""

    folder: NativeFolder
    config: TokenGPTConfig
    class_names: tuple[str, ...]
    visual: str | None


def open_started(source: str) -> Started:
    """A transformer by name or folder, alone or in a bundle.

    Raises InputError where there is none.
    """
    bundle = open_bundle(source)
    part = part_of(bundle, ("transformer", "token_gpt"))
    if part is None:
        raise InputError(f"{source} holds {', '.join(bundle.parts)} and no transformer to start at")
    said = part.extra | bundle.extra
    names = said.get("class_names")
    return Started(
        folder=part,
        config=from_plain(TokenGPTConfig, part.config),
        class_names=tuple(map(str, cast(list[Any], names))) if isinstance(names, list) else (),
        visual=said.get("visual"),
    )


def part_of(bundle: Bundle, names: Sequence[str]) -> NativeFolder | None:
    """The first part of these names, None without one."""
    return next((bundle.parts[name] for name in names if name in bundle.parts), None)


def joined_classes(corpora: Sequence[Corpus], started: Started | None = None) -> tuple[str, ...]:
    """Names of all classes: those of the start, then of the corpora in the order given."""
    known = () if started is None else started.class_names
    return tuple(dict.fromkeys([*known, *(n for c in corpora for n in c.class_names)]))


def sized(config: TokenGPTConfig, class_names: Sequence[str], *, no_class: bool) -> TokenGPTConfig:
    """The sizes with a row per class, and one more for "no class" where it is wanted.

    Raises ConfigError for a model of classes that would have no row.
    """
    if not config.has_class:
        return config
    number = len(class_names)
    if not number and not no_class:
        raise ConfigError(
            f"a '{config.condition}' model needs classes and the corpora name none: train with "
            "no_class, or on features alone"
        )
    return replace(
        config,
        num_classes=number + no_class,
        class_dropout_index=number if no_class else None,
    )


def build(
    config: TokenGPTConfig,
    class_names: Sequence[str],
    *,
    started: Started | None,
    clock: bool,
    seed: int,
) -> tuple[TokenGPT, str]:
    """The network with its start values, and in words where they come from.

    Rows of classes that the start knows by name are taken over; new ones begin as its row for
    "no class", or fresh. A feature embedding of another width, and positions of another number of
    condition tokens, stay fresh.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # constructors draw from torch's global generator
        model = TokenGPT(config)
    if clock:
        start_clock(model)
    if started is None:
        return model, "freshly initialised"
    given = dict(started.folder.tensors)
    own = model.state_dict()
    told: list[str] = []
    if CLASS_ROWS in own and CLASS_ROWS in given:
        given[CLASS_ROWS], text = carried_rows(own[CLASS_ROWS], config, class_names, started)
        told.append(text)
    if config.num_grid_codes == started.config.num_grid_codes and (
        config.num_condition != started.config.num_condition
    ):
        given[POSITIONS] = carried_positions(own[POSITIONS], config, started)
        told.append("positions of other conditions: freshly initialised")
    parts = ("class_embedding", "feature_embedding")
    differ = [part for part in parts if _shapes(own, part) != _shapes(given, part)]
    taken = warm_start(
        model,
        given,
        fresh=[part for part in differ if _shapes(own, part)],
        unused=[part for part in differ if _shapes(given, part)],
    )
    told.insert(0, f"started at {started.folder.path.name}: {taken.told()}")
    return model, "; ".join(told)


def carried_rows(
    fresh: Float[Tensor, "k d"],
    config: TokenGPTConfig,
    class_names: Sequence[str],
    started: Started,
) -> tuple[Float[Tensor, "k d"], str]:
    """Rows of the classes in the new order, and in words which of them are new."""
    before, rows = started.folder.tensors[CLASS_ROWS], fresh.clone()
    width, nobody = before.shape[1], started.config.class_dropout_index
    if width != fresh.shape[1]:
        return before, "rows of the classes: of another width"
    places = {name: row for row, name in enumerate(started.class_names)}
    if not places and len(before) == len(class_names):
        # official files keep no names: the same number of classes are the same classes
        places = {name: row for row, name in enumerate(class_names)}
    new: list[str] = []
    for row, name in enumerate(class_names):
        if name in places:
            rows[row] = before[places[name]]
        else:
            new.append(name)
            rows[row] = rows[row] if nobody is None else before[nobody]
    if config.class_dropout_index is not None:
        rows[config.class_dropout_index] = before.mean(0) if nobody is None else before[nobody]
    return rows, f"new classes: {', '.join(new) or 'none'}"


def carried_positions(
    fresh: Float[Tensor, "1 p d"], config: TokenGPTConfig, started: Started
) -> Float[Tensor, "1 p d"]:
    """Positions of codes, and of features where they are as many, behind another condition."""
    before = started.folder.tensors[POSITIONS]
    if before.shape[2] != fresh.shape[2]:
        return before
    joined = fresh.clone()
    joined[:, -config.num_grid_codes :] = before[:, -config.num_grid_codes :]
    if config.num_features == started.config.num_features:
        joined[:, : config.num_features] = before[:, : config.num_features]
    return joined


def _shapes(entries: dict[str, Tensor], part: str) -> dict[str, tuple[int, ...]]:
    return {n: tuple(v.shape) for n, v in entries.items() if n.startswith(part + ".")}
