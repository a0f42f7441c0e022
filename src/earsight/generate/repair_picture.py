"""A picture of a sound that was hidden in parts and restored."""

from pathlib import Path
from typing import Any

from earsight.frontends.kaldi_fbank import PUBLISHED
from earsight.generate.fbank_picture import draw_fbank, picture_of_rows, time_axis
from earsight.generate.repair import Repaired

ROW_INCHES = 2.5


def draw_repair(repaired: Repaired, target: Path, *, title: str, overwrite: bool = False) -> None:
    """Three rows: the original, what the network saw of it, and what it made of that."""
    settings = PUBLISHED
    seconds = len(repaired.original) * settings.hop_samples / settings.rate_hz
    seen = repaired.original.masked_fill(repaired.hidden, float("nan"))
    highest = float(repaired.original.max())
    rows = (
        (f"{title}: original", repaired.original),
        (f"what the network saw: {1 - repaired.hidden_share:.0%}", seen),
        (_told(repaired), repaired.restored),
    )
    width = min(14.0, max(8.5, seconds))
    with picture_of_rows(target, [ROW_INCHES] * 3, width=width, overwrite=overwrite) as (
        figure,
        places,
    ):
        drawn: Any = None
        for axes, (name, values) in zip(places, rows, strict=True):
            drawn = draw_fbank(axes, values, seconds=seconds, highest=highest)
            axes.set_title(name, loc="left", fontsize=9.5)
        time_axis(places[-1], seconds)
        figure.colorbar(drawn, ax=list(places), label="log energy", shrink=0.6, aspect=40)


def _told(repaired: Repaired) -> str:
    if repaired.error is None or repaired.error_of_mean is None:
        return "restored: nothing was hidden"
    told = (
        f"restored: mean square error {repaired.error:.3f} on what was hidden; "
        f"the mean of the visible has {repaired.error_of_mean:.3f}"
    )
    if repaired.levels == "neighbours":
        told += "\n(the network predicts shapes; how loud a patch is, visible neighbours say)"
    return told
