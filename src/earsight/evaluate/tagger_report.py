"""The files of a tagger's table: card, page with pictures, scores by class, probabilities.

Axes: n clips, k classes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from earsight.evaluate.card import Card, write_card
from earsight.evaluate.charts import draw_bars, draw_confusion
from earsight.evaluate.report_page import Table, write_page
from earsight.evaluate.tagger_published import COLUMNS, beside_published
from earsight.evaluate.tagger_scores import TagScores
from earsight.files import staged, write_json
from earsight.settings import to_plain

DETAILS_FILE = "details.json"
PROBABILITIES_FILE = "probabilities.npy"
MOST_BARS = 40


def write_tag_report(
    card: Card,
    found: TagScores,
    output: Path,
    *,
    title: str,
    class_names: Sequence[str],
    clips: Sequence[str],
    probabilities: Float[np.ndarray, "n k"],
    tables: Sequence[Table] = (),
) -> None:
    """Write everything into `output`, in place of older files of the same.

    A row of `probabilities.npy` (float32) is that of the clip at this place of `details.json`.
    """
    write_card(output, card)
    plain = {
        "clips": list(clips),
        "classes": list(class_names),
        "by_class": to_plain(found.by_class),
        "confusion": None if found.confusion is None else found.confusion.tolist(),
    }
    write_json(output / DETAILS_FILE, plain, overwrite=True)
    with staged(output / PROBABILITIES_FILE, overwrite=True) as temporary:
        np.save(temporary, probabilities.astype(np.float32), allow_pickle=False)
    published = beside_published(card)
    own: list[Table] = [("Beside published scores", COLUMNS, published)] if published else []
    write_page(
        output,
        card,
        title=title,
        pictures=_pictures(found, class_names, output),
        by_class=found.by_class,
        tables=[*own, *tables],
    )


def _pictures(found: TagScores, class_names: Sequence[str], output: Path) -> list[tuple[str, Path]]:
    pictures: list[tuple[str, Path]] = []
    if found.confusion is not None:
        drawn = draw_confusion(found.confusion, class_names, output / "confusion.png")
        if drawn is not None:
            pictures.append(("What clips were taken for", drawn))
    if len(found.by_class) <= MOST_BARS:
        drawn = draw_bars(
            found.by_class, "recall", output / "recall.png", title="share of clips found"
        )
        if drawn is not None:
            pictures.append(("By class", drawn))
    return pictures
