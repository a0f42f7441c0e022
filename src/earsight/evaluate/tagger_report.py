"""The files of a tagger's table: card, page with pictures, scores by class, probabilities.

Axes: n clips, k classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from earsight.evaluate.card import Card, Score, write_card
from earsight.evaluate.charts import draw_bars, draw_confusion
from earsight.evaluate.report_page import Table, write_page
from earsight.evaluate.tagger_published import COLUMNS, beside_published
from earsight.evaluate.tagger_scores import TagScores
from earsight.files import staged, write_json
from earsight.settings import to_plain

DETAILS_FILE = "details.json"
MOST_BARS = 40


@dataclass(frozen=True, slots=True)
class SystemTags:
    """A system's scores, and its probabilities of every clip."""

    found: TagScores
    probabilities: Float[np.ndarray, "n k"]


def write_tag_report(
    card: Card,
    systems: Mapping[str, SystemTags],
    output: Path,
    *,
    title: str,
    class_names: Sequence[str],
    clips: Sequence[str],
    tables: Sequence[Table] = (),
) -> None:
    """Write everything into `output`, in place of older files of the same.

    A row of `probabilities_SYSTEM.npy` (float32) is that of the clip at this place of
    `details.json`.
    """
    write_card(output, card)
    by_class = _joined(systems)
    confusions = {name: system.found.confusion for name, system in systems.items()}
    plain = {
        "clips": list(clips),
        "classes": list(class_names),
        "by_class": to_plain(by_class),
        "confusion": {n: None if t is None else t.tolist() for n, t in confusions.items()},
        **{heading: [list(columns), *map(list, lines)] for heading, columns, lines in tables},
    }
    write_json(output / DETAILS_FILE, plain, overwrite=True)
    for name, system in systems.items():
        with staged(output / f"probabilities_{name}.npy", overwrite=True) as temporary:
            np.save(temporary, system.probabilities.astype(np.float32), allow_pickle=False)
    pictures: list[tuple[str, Path]] = []
    for name, table in confusions.items():
        target = output / f"confusion_{name}.png"
        drawn = None if table is None else draw_confusion(table, class_names, target)
        if drawn is not None:
            pictures.append((f"What clips were taken for: {name}", drawn))
    if len(by_class) <= MOST_BARS:
        drawn = draw_bars(by_class, "recall", output / "recall.png", title="share of clips found")
        if drawn is not None:
            pictures.append(("By class", drawn))
    published = beside_published(card)
    own: list[Table] = [("Beside published scores", COLUMNS, published)] if published else []
    write_page(
        output, card, title=title, pictures=pictures, by_class=by_class, tables=[*own, *tables]
    )


def _joined(
    systems: Mapping[str, SystemTags],
) -> dict[str, dict[str, Mapping[str, Score]]]:
    """Scores of all systems by class."""
    joined: dict[str, dict[str, Mapping[str, Score]]] = {}
    for system in systems.values():
        for name, found in system.found.by_class.items():
            joined.setdefault(name, {}).update(found)
    return joined
