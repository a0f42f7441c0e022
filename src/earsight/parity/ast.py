"""Golden cases of AST: network with losses and gradients, starts from other weights, files.

Axes: b clips, t frames, m mel bands, n tokens, d width.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.keymap import load_strict
from earsight.errors import InputError
from earsight.models.ast.config import AstConfig
from earsight.models.ast.model import Ast
from earsight.models.ast.published import HUB_PREFIX, KEYS, OFFICIAL_PREFIX, config_from_entries
from earsight.models.ast.start import carried_over, from_image
from earsight.models.ast_archives import HUB_PART, OFFICIAL_PART
from earsight.nn.deit_layout import sizes_of
from earsight.parity import fill
from earsight.parity.cases import Case
from earsight.parity.compare import Row, compare, equal, number
from earsight.parity.loading import account_row, below, filled, gradient_norms, meta_entries
from earsight.parity.runners import Runner, must_be

MODEL_SIZES: Mapping[str, int] = {"tiny224": 192, "small224": 384, "base224": 768, "base384": 768}
POSITIONS = "encoder.positions"
AUDIOSET = AstConfig()


def run_forward(case: Case) -> Iterator[Row]:
    """Class scores, both losses, and gradient norms of one of them."""
    official, entries = case.config, _unwrapped(case.entries())
    config = config_from_entries(
        entries,
        num_mels=int(official["input_fdim"]),
        num_frames=int(official["input_tdim"]),
        strides=(int(official["fstride"]), int(official["tstride"])),
    )
    config = replace(config, num_heads=int(official.get("num_heads", config.num_heads)))
    _check(official, config)
    network = filled(on_meta(lambda: Ast(config)), entries, KEYS)

    logits = network(case.input("x")).logits
    losses = _losses(case, logits)
    told = case.note("grad_norms")
    loss = losses[1] if re.search(r"for the (CE|cross)", told, re.IGNORECASE) else losses[0]
    names = re.findall(r"'([^']+)'", told)
    yield from compare(
        case,
        {
            "logits": logits,
            "losses": torch.stack(losses),
            "grad_norms": lambda: _norms(network, entries, names, loss),
        },
    )


def _check(official: Mapping[str, Any], config: AstConfig) -> None:
    must_be(
        {name: str(value) for name, value in official.items()},
        embed_dim=str(config.width),
        depth=str(config.num_layers),
        label_dim=str(config.num_classes),
        grid_freq_by_time=str(list(config.grid)),
    )
    size = official.get("model_size")
    if size is not None and MODEL_SIZES.get(str(size)) not in (None, config.width):
        raise InputError(f"the case says {size}, its entries are {config.width} wide")


def _losses(case: Case, logits: Tensor) -> list[Tensor]:
    """Binary cross-entropy with the targets, cross-entropy with the first of the largest."""
    targets = drawn_targets(case, "targets")
    return [
        functional.binary_cross_entropy_with_logits(logits, targets),
        functional.cross_entropy(logits, targets.argmax(dim=1)),
    ]


def drawn_targets(case: Case, name: str) -> Tensor:
    """0 and 1 where a drawn array lies above a limit, as a case words it."""
    told = str(fill.table(case.spec["inputs"]).get(name))
    found = re.fullmatch(r"normal\(seed, ?'(\w+)', ?\[(\d+), ?(\d+)\]\) > ([-\d.]+)", told)
    if found is None:
        raise InputError(f"input {name!r}: no rule for {told!r}")
    values = fill.normal(case.seed, found[1], [int(found[2]), int(found[3])])
    return (torch.as_tensor(values) > float(found[4])).float()


def _norms(
    network: Ast, entries: Mapping[str, Tensor], names: list[str], loss: Tensor
) -> list[float]:
    network.zero_grad()
    loss.backward(retain_graph=True)
    return gradient_norms(network, KEYS, entries, names)


def run_from_audioset(case: Case) -> Iterator[Row]:
    """Positions of the 10 s network carried over to other inputs.

    The network has no blocks here: they take no part.
    """
    (name,) = fill.table(case.spec["inputs"])
    table = case.input(name)
    old = replace(
        AUDIOSET,
        num_layers=0,
        width=table.shape[2],
        num_heads=1,
        hidden=1,
        num_classes=1,
    )
    network = Ast(old)
    with torch.no_grad():
        network.get_parameter(POSITIONS).copy_(table)
    for label, official in fill.table(case.config["cases"]).items():
        config = _input_config(old, official)
        yield from _position_rows(case, label, official, carried_over(network, config))


def run_from_image(case: Case) -> Iterator[Row]:
    """Positions and patch embedding that start from a network for pictures."""
    entries = case.entries()
    sizes = sizes_of(entries)
    size = AstConfig(
        width=sizes.width,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        hidden=sizes.hidden,
        patch=sizes.patch,
        num_classes=1,
    )
    network = None
    for label, official in fill.table(case.config["cases"]).items():
        network = from_image(_input_config(size, official), entries)
        yield from _position_rows(case, label, official, network)
    if network is not None and "proj" in case.stored:
        kernel = network.encoder.patches.weight
        part = replace(case, stored={"proj": case.stored["proj"]})
        yield from compare(part, {"proj": kernel[: len(case.stored["proj"])]})


def _input_config(config: AstConfig, official: Mapping[str, Any]) -> AstConfig:
    changed = replace(
        config,
        num_mels=int(official["input_fdim"]),
        num_frames=int(official["input_tdim"]),
        strides=(
            int(official.get("fstride", config.strides[0])),
            int(official.get("tstride", config.strides[1])),
        ),
    )
    must_be({"grid": str(official.get("grid"))}, grid=str(list(changed.grid)))
    return changed


def _position_rows(
    case: Case, label: str, official: Mapping[str, Any], network: Ast
) -> Iterator[Row]:
    """Rows of one new table: stored rows, their number, mean and spread of the whole table."""
    table = network.get_parameter(POSITIONS).detach()[0]
    if label in case.stored:
        stored = case.stored[label]
        step = re.fullmatch(r"::(\d+)", str(official.get("rows", "::1")))
        if step is None:
            raise InputError(f"{label}: no rule for the rows {official['rows']!r}")
        part = table[:: int(step[1]), : stored.shape[1]]
        yield from compare(replace(case, stored={label: stored}), {label: part})
    if "tokens" in official:
        yield equal(case, f"{label} tokens", len(table), official["tokens"])
    if "mean_std" in official:
        summary = torch.stack([table.double().mean(), table.double().std(correction=0)])
        yield number(case, f"{label} (mean, spread)", summary, official["mean_std"])


def run_keys(case: Case) -> Iterator[Row]:
    """Strict load of a published file's names and shapes, in the official or the hub's layout."""
    entries = meta_entries(case)
    in_hub = any(name.startswith(HUB_PREFIX) for name in entries)
    part = HUB_PART if in_hub else OFFICIAL_PART
    entries = below(entries, part.prefix)
    network = on_meta(lambda: part.build(part.config(entries)))
    yield from account_row(case, [load_strict(network, entries, part.keys(entries))])


def _unwrapped(entries: dict[str, Tensor]) -> dict[str, Tensor]:
    """Official entries without `module.`, which cases may leave away."""
    return below(entries, OFFICIAL_PREFIX) or entries


KINDS: dict[str, Runner] = {
    "forward": run_forward,
    "pos_embed_from_audioset": run_from_audioset,
    "pos_embed_from_deit": run_from_image,
    "audioset.keys": run_keys,
    "speechcommands.keys": run_keys,
    "hub.keys": run_keys,
}
