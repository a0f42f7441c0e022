"""A card as a page for people: numbers, what they depend on, what is missing, pictures."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from earsight.evaluate.card import Card, Score, number, rows, table
from earsight.files import staged
from earsight.settings import to_plain

PAGE_FILE = "report.html"
Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""A heading, names of columns, and lines."""
MOST_LISTED = 200
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem;
  padding: 0 1rem; color: #1d2430; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; margin: .5rem 0 } th { text-align: left }
td, th { padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #dde2e8; vertical-align: top }
td.n { font-variant-numeric: tabular-nums; white-space: nowrap } img { max-width: 100% }
code { font-size: .85em; overflow-wrap: anywhere } .muted { color: #66707c }
@media (prefers-color-scheme: dark) { body { color: #e3e7ec; background: #14181d }
  td, th { border-color: #313a44 } .muted { color: #98a2ae } }
"""


def write_page(
    folder: Path,
    card: Card,
    *,
    title: str,
    pictures: Sequence[tuple[str, Path]] = (),
    by_class: Mapping[str, Mapping[str, Mapping[str, Score]]] | None = None,
    tables: Sequence[Table] = (),
) -> Path:
    """Write the page beside the card, in place of an older one; pictures lie in the folder."""
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="muted">{escape(card.date)}, earsight '
        f"{escape(str(card.versions.get('earsight', '')))}. {_counts(card)}</p>",
        _table(*table(card)),
        _meanings(card),
    ]
    for heading, columns, lines in tables:
        parts += [f"<h2>{escape(heading)}</h2>", _table(columns, lines)]
    for caption, picture in pictures:
        parts.append(f"<h2>{escape(caption)}</h2>")
        source = escape(picture.relative_to(folder).as_posix(), quote=True)
        parts.append(f'<img src="{source}" alt="{escape(caption, quote=True)}">')
    if by_class:
        parts += ["<h2>By class</h2>", _class_table(by_class)]
    parts += ["<h2>What the numbers depend on</h2>", _facts(card), "<h2>Left out</h2>", _left(card)]
    document = (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )
    path = folder / PAGE_FILE
    with staged(path, overwrite=True) as temporary:
        temporary.write_text(document, encoding="utf-8")
    return path


def _counts(card: Card) -> str:
    counts = card.counts
    return f"{counts.found} of {counts.expected} samples found, {len(counts.skipped)} left out"


def _meanings(card: Card) -> str:
    """What the measures are, where the table has no room for it."""
    if "meaning" in table(card)[0]:
        return ""
    found = {name.partition(".")[0]: what for name, _, _, what in reversed(rows(card))}
    lines = (f"{name.replace('_', ' ')}: {what}" for name, what in reversed(found.items()))
    return "".join(f'<p class="muted">{escape(line)}</p>' for line in lines)


def _facts(card: Card) -> str:
    judge = "none" if card.judge is None else f"{card.judge.name}, sha256 {card.judge.sha256}"
    facts: dict[str, object] = {"feature network": judge, **card.protocol, **card.settings}
    facts["seeds"] = list(card.seeds)
    facts["versions"] = ", ".join(f"{name} {value}" for name, value in card.versions.items())
    lines = [
        (name, value if isinstance(value, str) else json.dumps(to_plain(value)))
        for name, value in facts.items()
    ]
    return _table(("fact", "value"), lines)


def _left(card: Card) -> str:
    skipped = card.counts.skipped
    if not skipped:
        return "<p>Nothing.</p>"
    more = len(skipped) - MOST_LISTED
    table = _table(("item", "reason"), [(s.name, s.reason) for s in skipped[:MOST_LISTED]])
    return table + (f"<p>and {more} more, in the card</p>" if more > 0 else "")


def _class_table(by_class: Mapping[str, Mapping[str, Mapping[str, Score]]]) -> str:
    measures = list(
        dict.fromkeys(m for systems in by_class.values() for s in systems.values() for m in s)
    )
    lines = [
        (name, system, *(_cell(scores.get(measure)) for measure in measures))
        for name, systems in by_class.items()
        for system, scores in systems.items()
    ]
    return _table(("class", "system", *measures), lines)


def _cell(score: Score | None) -> str:
    if score is None or score.value is None:
        return ""
    return number(score.value) + ("" if score.spread is None else f" ± {number(score.spread)}")


def _table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td class=n>{escape(cell)}</td>" if i else f"<td>{escape(cell)}</td>"
                         for i, cell in enumerate(line)) + "</tr>"
        for line in lines
    )  # fmt: skip
    return f"<table><tr>{head}</tr>{body}</table>"
