"""Published files into our own folders, with an account of every entry.

The networks are built without memory behind them, so that a conversion holds one copy of the
weights at most, and a check of a file holds none.
"""

import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from earsight.checkpoints.archives import Member, is_archive, take_weights
from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.keymap import Account, Row, load_strict
from earsight.checkpoints.native import BundlePart, save_bundle, save_folder
from earsight.checkpoints.published import Entries, PublishedPart, PublishedWeights
from earsight.checkpoints.restricted import CheckpointFile, read_checkpoint, state_entries
from earsight.errors import InputError, WeightsError
from earsight.files import file_digest


@dataclass(frozen=True, kw_only=True)
class FittedPart:
    """One network of a published file: sizes, tensors under our names, and the account.

    The account names entries as the file does, prefix included.
    """

    part: PublishedPart
    config: object
    state: dict[str, Tensor]
    account: Account


@dataclass(frozen=True, kw_only=True)
class OpenedFile:
    """A published file that was read; `member` is the file inside the archive, if it was one."""

    file: CheckpointFile
    entries: dict[str, Tensor]
    member: Member | None


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What a conversion wrote."""

    folder: Path
    parts: tuple[FittedPart, ...]
    member: Member | None


@contextmanager
def opened(
    source: Path, *, pattern: str | None = None, scratch: Path | None = None
) -> Generator[OpenedFile]:
    """Read a weight file or the one inside an archive.

    `scratch` is a folder with room for the unpacked file, which goes when the block ends. Raises
    InputError, UnsafeFileError and WeightsError as the readers of archives and files do.
    """
    if not is_archive(source):
        file = read_checkpoint(source)
        yield OpenedFile(file=file, entries=state_entries(file), member=None)
        return
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".earsight-", dir=scratch) as folder:
        target = Path(folder) / "weights.ckpt"
        member = take_weights(source, target, pattern=pattern or "*.ckpt")
        file = read_checkpoint(target)
        yield OpenedFile(file=file, entries=state_entries(file), member=member)


def fit(record: PublishedWeights, entries: Entries) -> tuple[FittedPart, ...]:
    """Give every entry of a file to a network and every network all its entries.

    Raises WeightsError where an entry is left over, a parameter is not filled or a shape differs,
    and where this version has no network for the file.
    """
    if not record.parts:
        raise WeightsError(
            f"{record.name}: this version lists, fetches and verifies these weights but cannot "
            f"convert them: {record.notes or 'their network is not built yet'}"
        )
    shares = _shares(record, entries)
    return tuple(_fit_part(record, part, shares[part.prefix]) for part in record.parts)


def convert(
    source: Path,
    record: PublishedWeights,
    folder: Path,
    *,
    extra: Callable[[tuple[FittedPart, ...]], Mapping[str, object]] | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> Conversion:
    """Turn a published file or archive into a model folder of ours.

    A file with one network becomes a plain folder, one with several a bundle with a folder each.
    `extra` adds what only the networks' sizes tell; `half` stores float16. Raises InputError for
    a folder in the way, UnsafeFileError and WeightsError for a file that cannot be taken.
    """
    if folder.exists() and not overwrite:
        raise InputError(f"{folder} exists already: choose another (--output) or use --overwrite")
    with opened(source, pattern=record.archive_member, scratch=folder.parent) as read:
        parts = fit(record, read.entries)
        origin = _origin(source, record, read)
        described: dict[str, object] = {
            **record.extra,
            **(extra(parts) if extra is not None else {}),
            "frontend": record.frontend,
            "published": origin,
        }
        card = _card(record, parts, origin)
        if len(parts) == 1:
            save_folder(
                folder,
                parts[0].part.family,
                parts[0].config,
                parts[0].state,
                extra=described,
                card=card,
                half=half,
                overwrite=overwrite,
            )
        else:
            stored = {
                fitted.part.name: BundlePart(
                    family=fitted.part.family, config=fitted.config, state=fitted.state
                )
                for fitted in parts
            }
            save_bundle(
                folder,
                record.family,
                stored,
                extra=described,
                card=card,
                half=half,
                overwrite=overwrite,
            )
        return Conversion(folder=folder, parts=parts, member=read.member)


def _shares(record: PublishedWeights, entries: Entries) -> dict[str, dict[str, Tensor]]:
    """The entries under each prefix, without it; the longest prefix that fits decides.

    Networks of one prefix are made of the same entries.
    """
    shares: dict[str, dict[str, Tensor]] = {part.prefix: {} for part in record.parts}
    by_length = sorted(shares, key=len, reverse=True)
    homeless: list[str] = []
    for name, tensor in entries.items():
        prefix = next((prefix for prefix in by_length if name.startswith(prefix)), None)
        if prefix is None:
            homeless.append(name)
        else:
            shares[prefix][name.removeprefix(prefix)] = tensor
    if homeless:
        raise WeightsError(
            f"{record.name}: {len(homeless)} entries belong to no network of it: "
            f"{', '.join(homeless[:20])}"
        )
    return shares


def _fit_part(record: PublishedWeights, part: PublishedPart, entries: Entries) -> FittedPart:
    try:
        config = part.config(entries)
        network = on_meta(lambda: part.build(config))
        account = load_strict(network, entries, part.keys(entries))
    except (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError) as error:
        # our own errors among them; shapes that no network has break the arithmetic on sizes
        raise WeightsError(f"{record.name}, {part.name}: {error}") from error
    rows = (
        Row(part.prefix + row.published, row.own, row.reason, row.shape) for row in account.rows
    )
    return FittedPart(
        part=part, config=config, state=dict(network.state_dict()), account=Account(tuple(rows))
    )


def _origin(source: Path, record: PublishedWeights, read: OpenedFile) -> dict[str, object]:
    top = read.file.entries
    counted = {
        name: top[name] for name in ("epoch", "global_step") if isinstance(top.get(name), int)
    }
    return {
        "name": record.name,
        "url": record.url,
        "licence": record.licence,
        "source_sha256": file_digest(source),
        "source_is_published": matches(source, record),
        "member": None if read.member is None else read.member.name,
        "format": read.file.format,
        **counted,
    }


def matches(source: Path, record: PublishedWeights) -> bool | None:
    """Whether a file has the hash its authors published; None where they published none."""
    if not record.has_hash:
        return None
    sha256 = file_digest(source)
    return (
        (record.sha256 is None or record.sha256 == sha256)
        and (record.sha256_prefix is None or sha256.startswith(record.sha256_prefix))
        and (record.md5 is None or file_digest(source, "md5") == record.md5)
    )


def _card(
    record: PublishedWeights, parts: tuple[FittedPart, ...], origin: Mapping[str, object]
) -> str:
    lines = [
        f"# {record.name}",
        "",
        record.summary,
        "",
        f"- Origin: {record.url}",
        f"- Licence: {record.licence}",
        f"- Commercial use: {'allowed' if record.commercial else 'not known to be allowed'}",
        f"- Front end: {record.frontend or 'none'}",
    ]
    shown = ("source_sha256", "source_is_published", "member", "format", "epoch", "global_step")
    lines += [f"- {name}: {origin[name]}" for name in shown if name in origin]
    lines += [f"- Notes: {record.notes}"] if record.notes else []
    lines += ["", "| network | entries used | left out | why |", "| --- | --- | --- | --- |"]
    for fitted in parts:
        account = fitted.account
        reasons = "; ".join(sorted({row.reason or "" for row in account.dropped}))
        lines.append(
            f"| {fitted.part.name} | {len(account.used)} | {len(account.dropped)} | {reasons} |"
        )
    return "\n".join(lines) + "\n"
