"""Evaluation cards: numbers together with everything they depend on, and honest comparison.

A card says which network judged (name and hash), by which protocol, how many samples were
expected, found and skipped (each by name), with which seed and settings, and by which versions.
Two cards are compared only where all of what makes numbers comparable is equal.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from earsight.errors import InputError
from earsight.files import write_json
from earsight.media.provenance import package_version
from earsight.settings import from_plain, to_plain

CARD_FILE = "card.json"
WHOSE = ("real", "fake", "corpus", "split", "model", "weights_sha256", "class_known")
"""Facts that make a card another one, not a newer one."""
VERSIONED = ("torch", "numpy", "scipy", "soxr", "av")


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One number: its unit or meaning in `what`, whether more is better, and its spread.

    `spread` is the standard error over clips, or the metric's own deviation where `what` says so.
    None as value stands for a number that could not be computed; `what` says why.
    """

    value: float | None
    what: str
    spread: float | None = None
    better: str = ""
    num_items: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """An item that is missing from the numbers, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How many samples the protocol wants, how many there were, and each that was not."""

    expected: int
    found: int
    skipped: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeName:
    """The feature network behind the numbers."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What `earsight evaluate` writes.

    `protocol` holds what must agree between two cards for their numbers to be comparable;
    `settings` holds the rest (model, seeds, devices), in which cards may differ.
    """

    table: str
    scores: Mapping[str, Score]
    counts: Counts
    protocol: Mapping[str, Any]
    settings: Mapping[str, Any]
    judge: JudgeName | None = None
    seeds: tuple[int, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    date: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One number on two cards."""

    name: str
    value: float | None
    other: float | None
    better: str

    @property
    def change(self) -> float | None:
        """This card's number minus the other's; None where one of them is missing."""
        if self.value is None or self.other is None:
            return None
        return self.value - self.other


def versions() -> dict[str, str]:
    """Versions that can move a number."""
    found = {"earsight": package_version(), "python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def now() -> str:
    """Date and time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_card(folder: Path, card: Card) -> Path:
    """Write the card into a folder, in place of an older one of the same; returns its path.

    Raises InputError where the folder holds the card of something else.
    """
    path = folder / CARD_FILE
    if path.is_file():
        old = read_card(path)
        facts = ({"table": c.table, **c.protocol, **c.settings} for c in (card, old))
        mine, theirs = ({name: to_plain(fact.get(name)) for name in ("table", *WHOSE)}
                        for fact in facts)  # fmt: skip
        other = [name for name in mine if mine[name] != theirs[name]]
        if other:
            told = "; ".join(f"{n} {_short(theirs[n])} there, {_short(mine[n])} now" for n in other)
            raise InputError(f"{path} is the card of something else ({told}): choose --output")
    write_json(path, to_plain(card), overwrite=True)
    return path


def read_card(path: Path) -> Card:
    """Read a card, or the one inside a folder. Raises InputError for anything else."""
    file = path / CARD_FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{path}: expected a card ({CARD_FILE}) or a folder with one, found none")
    try:
        plain = json.loads(file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not a card: {error}") from error
    told = cast(dict[str, Any], plain) if isinstance(plain, dict) else {}
    if not isinstance(told.get("scores"), dict):
        raise InputError(f"{file} is not a card: expected an object with 'scores'")
    scores = {name: from_plain(Score, value) for name, value in told["scores"].items()}
    card = from_plain(Card, {**told, "scores": {}})
    return replace(card, scores=scores)


def refuse_unlike(card: Card, other: Card) -> None:
    """Raise InputError, naming every reason, where two cards' numbers cannot be compared."""
    reasons = unlike(card, other)
    if reasons:
        raise InputError("these cards cannot be compared: " + "; ".join(reasons))


def unlike(card: Card, other: Card) -> list[str]:
    """Why numbers of two cards cannot be compared; nothing where they can."""
    reasons: list[str] = []
    if card.table != other.table:
        reasons.append(f"other table ({card.table} and {other.table})")
    if card.judge != other.judge:
        reasons.append(f"other feature network ({_judge(card)} and {_judge(other)})")
    for name in sorted({*card.protocol, *other.protocol}):
        mine, theirs = (to_plain(c.protocol.get(name)) for c in (card, other))
        if mine != theirs:
            reasons.append(f"other protocol: {name} is {_short(mine)} here, {_short(theirs)} there")
    for name in ("expected", "found"):
        mine, theirs = getattr(card.counts, name), getattr(other.counts, name)
        if mine != theirs:
            reasons.append(f"other number of samples: {name} {mine} here, {theirs} there")
    return reasons


def differences(card: Card, other: Card) -> list[Difference]:
    """Every number of two comparable cards. Raises InputError for unlike cards."""
    refuse_unlike(card, other)
    empty = Score(value=None, what="not on this card")
    return [
        Difference(
            name,
            card.scores.get(name, empty).value,
            other.scores.get(name, empty).value,
            card.scores.get(name, other.scores.get(name, empty)).better,
        )
        for name in dict.fromkeys([*card.scores, *other.scores])
    ]


def rows(card: Card) -> list[tuple[str, str, str, str]]:
    """The card as lines of a table: name, value with spread, items, meaning."""
    return [
        (
            name,
            number(score.value) + ("" if score.spread is None else f" ± {number(score.spread)}"),
            "" if score.num_items is None else str(score.num_items),
            score.what + (f" ({score.better} is better)" if score.better else ""),
        )
        for name, score in card.scores.items()
    ]


def table(card: Card) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and lines for people: one line a score, or measures against systems.

    Scores named `measure.system` make a line per measure and a column per system.
    """
    if not all("." in name for name in card.scores):
        return ("score", "value", "items", "meaning"), list(rows(card))
    measures = dict.fromkeys(name.partition(".")[0] for name in card.scores)
    systems = tuple(dict.fromkeys(name.partition(".")[2] for name in card.scores))
    cells = {name: (value, items) for name, value, items, _ in rows(card)}
    lines: list[tuple[str, ...]] = []
    for measure in measures:
        found = [cells.get(f"{measure}.{system}", ("-", "")) for system in systems]
        items = max((items for _, items in found), key=lambda text: int(text or 0))
        lines.append((measure, *(value for value, _ in found), items))
    return ("measure", *systems, "clips"), lines


def number(value: float | None) -> str:
    """Four digits that matter; a dash for what is missing."""
    return "-" if value is None else f"{value:.4g}"


def left_out(reasons: Sequence[tuple[str, str]]) -> tuple[LeftOut, ...]:
    """Names and reasons as a card keeps them."""
    return tuple(LeftOut(name=name, reason=" ".join(reason.split())) for name, reason in reasons)


def _judge(card: Card) -> str:
    return "none" if card.judge is None else f"{card.judge.name} {card.judge.sha256[:12]}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
