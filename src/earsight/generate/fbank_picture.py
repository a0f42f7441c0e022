"""How pictures show a log filterbank: bands as kHz, time as seconds or minutes.

Axes: t frames, m mel bands.
"""

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from earsight.extras import require
from earsight.files import staged
from earsight.frontends.kaldi_fbank import PUBLISHED

SHOWN_NATS = 14.0  # below the loudest value, 61 dB
MARKS_HZ = (250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
MISSING = "#9aa0a6"
MINUTES_FROM_SECONDS = 180.0
MARKS_SECONDS = (30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
MOST_MARKS = 9
DPI = 130
PURPOSE = "drawing a picture"


@contextmanager
def picture_of_rows(
    target: Path, heights: Sequence[float], *, width: float, overwrite: bool = False
) -> Generator[tuple[Any, list[Any]]]:
    """A figure with a row of axes a height, in inches; saved where the block ends well."""
    require("matplotlib", extra="plots", purpose=PURPOSE).use("Agg")
    pyplot = require("matplotlib.pyplot", extra="plots", purpose=PURPOSE)
    figure, rows = pyplot.subplots(
        len(heights),
        1,
        figsize=(width, sum(heights)),
        height_ratios=list(heights),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    try:
        yield figure, list(rows[:, 0])
        with staged(target, overwrite=overwrite) as temporary:
            figure.savefig(temporary, dpi=DPI)
    finally:
        pyplot.close(figure)


def draw_fbank(
    axes: Any, fbank: Float[Tensor, "t m"], *, seconds: float, highest: float | None = None
) -> Any:
    """Draw log energies into axes of matplotlib; what is not a number is grey.

    Colours reach from `highest`, else the loudest value, 61 dB down. Returns the drawn picture.
    """
    colours = require("matplotlib", extra="plots", purpose=PURPOSE).colormaps["magma"]
    loudest = highest if highest is not None else float(fbank.nan_to_num(nan=-math.inf).max())
    picture = axes.imshow(
        fbank.T.numpy(),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=colours.with_extremes(bad=MISSING),
        extent=(0, seconds, 0, fbank.shape[1]),
        vmin=loudest - SHOWN_NATS,
        vmax=loudest,
    )
    axes.set_yticks([band_of(hertz) for hertz in MARKS_HZ], [f"{f / 1000:g}" for f in MARKS_HZ])
    axes.set_ylabel("kHz")
    return picture


def band_of(hertz: float) -> float:
    """Place of a frequency on the axis of bands, 0 at the lower edge of the first."""
    low, high = _mel(PUBLISHED.low_hz), _mel(PUBLISHED.high_hz)
    # triangles peak one step above the lower edge, and a band is drawn from n to n + 1
    return (_mel(hertz) - low) / (high - low) * (PUBLISHED.num_mels + 1) - 0.5


def time_axis(axes: Any, seconds: float) -> None:
    """Label the axis of time."""
    axes.set_xlim(0, seconds)
    if seconds < MINUTES_FROM_SECONDS:
        axes.set_xlabel("seconds")
        return
    fitting = (step for step in MARKS_SECONDS if seconds / step <= MOST_MARKS)
    marks = range(0, math.floor(seconds) + 1, next(fitting, math.ceil(seconds / MOST_MARKS)))
    axes.set_xticks(list(marks), [f"{mark // 60}:{mark % 60:02d}" for mark in marks])
    axes.set_xlabel("minutes:seconds")


def _mel(hertz: float) -> float:
    """Kaldi's scale."""
    return 1127 * math.log(1 + hertz / 700)
