"""The product's loading path as golden cases use it: published entries, key map, our network."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from earsight.checkpoints.keymap import Account, KeyMap, load_strict, translate
from earsight.errors import InputError
from earsight.parity.cases import Case
from earsight.parity.compare import Row

Entry = TypeVar("Entry")
Network = TypeVar("Network", bound=nn.Module)
INTEGER_ENTRIES = ("num_batches_tracked", "shuffle_idx")


def filled(network: Network, entries: Mapping[str, Tensor], keys: KeyMap) -> Network:
    """`network` with published entries loaded strictly, in evaluation mode."""
    load_strict(network, entries, keys)
    return network.eval()


def below(entries: Mapping[str, Entry], prefix: str) -> dict[str, Entry]:
    """The entries (tensors or shapes) whose names begin with `prefix`, without it."""
    return {
        name.removeprefix(prefix): entry
        for name, entry in entries.items()
        if name.startswith(prefix)
    }


def meta_entries(case: Case) -> dict[str, Tensor]:
    """The entries of a list of names and shapes, without memory behind them."""
    return {
        name: torch.empty(
            tuple(shape),
            device="meta",
            dtype=torch.int64 if name.endswith(INTEGER_ENTRIES) else torch.float32,
        )
        for name, shape in case.spec.items()
    }


def account_row(case: Case, accounts: Iterable[Account]) -> Iterator[Row]:
    """The row of an entry list after strict loading: every entry used or dropped with a reason.

    `accounts` are those of the parts of the file, which together must hold every entry.
    """
    rows = [row for account in accounts for row in account.rows]
    missed = len(case.spec) - len(rows)
    used = sum(row.own is not None for row in rows)
    reasons = sorted({row.reason for row in rows if row.reason})
    detail = f"{used} used, {len(rows) - used} dropped" + "".join(f"; {text}" for text in reasons)
    yield Row(
        system=case.system,
        case=case.name,
        output="strict load",
        status="fail" if missed else "pass",
        shape=(len(case.spec),),
        error=float(missed),
        tolerance="every entry",
        detail=f"{missed} entries belong to no part" if missed else detail,
    )


def gradient_norms(
    network: nn.Module, keys: KeyMap, entries: Mapping[str, Tensor], names: Iterable[str]
) -> list[float]:
    """2-norms of the gradients of parameters under their published names.

    `entries` are the published entries the network was filled with. Raises InputError for a name
    that is none of them, or has no gradient.
    """
    own_names = own_by_published(keys, entries)
    parameters = dict(network.named_parameters())
    norms: list[float] = []
    for name in map(str, names):
        parameter = parameters.get(own_names.get(name, ""))
        if parameter is None or parameter.grad is None:
            raise InputError(f"no gradient under the published name {name!r}")
        norms.append(float(parameter.grad.double().square().sum().sqrt()))
    return norms


def own_by_published(keys: KeyMap, entries: Mapping[str, Tensor]) -> dict[str, str]:
    """Our name of every published entry that is used."""
    rows = translate(entries, keys).account.used
    return {row.published: str(row.own) for row in rows}
