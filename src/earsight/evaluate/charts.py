"""Pictures of an evaluation: spectrograms in pairs, bars with their errors, confusions.

Axes: m mel bands, t frames, k classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from earsight.evaluate.card import Score
from earsight.extras import require
from earsight.files import staged
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ

DPI = 110
MOST_CONFUSED = 100
"""Classes up to which a confusion can be read as a picture."""
COLOURS = ("#4467a8", "#9aa5b1", "#e0a458", "#5b8c5a", "#b9a0c9", "#d1495b")


@dataclass(frozen=True, slots=True)
class SpectrogramPair:
    """A clip's true and generated spectrogram in [0, 1], and when something happens in it."""

    title: str
    true: Float[Tensor, "m t"]
    generated: Float[Tensor, "m u"]
    event_seconds: tuple[float, ...] = ()


def draw_pairs(pairs: Sequence[SpectrogramPair], target: Path) -> Path:
    """A row a clip: the true spectrogram, then the generated one; events as ticks above."""
    pyplot = _pyplot()
    figure, grid = pyplot.subplots(
        len(pairs), 2, figsize=(11, 1.9 * len(pairs) + 0.5), squeeze=False, layout="constrained"
    )
    for row, pair in zip(grid, pairs, strict=True):
        seconds = max(_seconds(pair.true), _seconds(pair.generated))
        for axes, mel, kind in (
            (row[0], pair.true, "true"),
            (row[1], pair.generated, "generated"),
        ):
            _spectrogram(axes, mel, pair.event_seconds)
            axes.set(title=f"{pair.title}, {kind}", xlim=(0, seconds), yticks=[])
            axes.title.set_fontsize(8)
    grid[-1][0].set_xlabel("seconds (ticks: events)")
    return _save(figure, target)


def draw_bars(
    by_class: Mapping[str, Mapping[str, Mapping[str, Score]]],
    measure: str,
    target: Path,
    *,
    title: str,
) -> Path | None:
    """Bars of one measure per class and system, with standard errors; None where there is none.

    `by_class` maps class, then system, then measure to a score.
    """
    names = [
        name for name, systems in by_class.items() if any(measure in s for s in systems.values())
    ]
    if not names:
        return None
    systems = list(dict.fromkeys(system for name in names for system in by_class[name]))
    pyplot = _pyplot()
    width = 0.8 / len(systems)
    figure, axes = pyplot.subplots(
        figsize=(max(6.0, 1.1 * len(names) + 2), 3.6), layout="constrained"
    )
    for index, system in enumerate(systems):
        scores = [by_class[name].get(system, {}).get(measure) for name in names]
        axes.bar(
            [place + (index - (len(systems) - 1) / 2) * width for place in range(len(names))],
            [0.0 if s is None or s.value is None else s.value for s in scores],
            width,
            yerr=[0.0 if s is None or s.spread is None else s.spread for s in scores],
            color=COLOURS[index % len(COLOURS)],
            error_kw={"linewidth": 0.8, "ecolor": "#333333"},
            label=system.replace("_", " "),
        )
    axes.set(title=title, xticks=range(len(names)))
    axes.title.set_fontsize(10)
    axes.set_xticklabels(names, rotation=30, ha="right", fontsize=8)
    axes.axhline(0, color="#333333", linewidth=0.6)
    axes.legend(fontsize=7, frameon=False, ncols=len(systems), loc="upper center",
                bbox_to_anchor=(0.5, -0.22))  # fmt: skip
    return _save(figure, target)


def draw_confusion(
    table: Int[np.ndarray, "k k"], class_names: Sequence[str], target: Path
) -> Path | None:
    """Shares of each true class (rows) by what it was taken for; None for too many classes."""
    if len(class_names) > MOST_CONFUSED:
        return None
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    pyplot = _pyplot()
    size = 2.2 + 0.32 * len(class_names)
    figure, axes = pyplot.subplots(figsize=(size + 1.2, size), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(table), strict=True):
        axes.text(
            column, row, str(table[row, column]), ha="center", va="center", fontsize=6,
            color="white" if shares[row, column] > 0.5 else "#1d2430",
        )  # fmt: skip
    places = range(len(class_names))
    axes.set(xticks=places, yticks=places, xlabel="most probable", ylabel="true")
    axes.set_xticklabels(class_names, rotation=90, fontsize=7)
    axes.set_yticklabels(class_names, fontsize=7)
    return _save(figure, target)


def _spectrogram(axes: Any, mel: Float[Tensor, "m t"], events: Sequence[float]) -> None:
    axes.imshow(
        mel.clamp(0, 1).numpy(),
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0, _seconds(mel), 0, mel.shape[0]),
        vmin=0,
        vmax=0.8,
    )
    for time in events:
        axes.plot([time, time], [mel.shape[0] * 0.9, mel.shape[0]], color="#7fd4ff", linewidth=1.2)


def _seconds(mel: Float[Tensor, "m t"]) -> float:
    return mel.shape[1] * MEL_HOP_SAMPLES / MEL_RATE_HZ


def _pyplot() -> Any:
    matplotlib = require("matplotlib", extra="plots", purpose="drawing an evaluation")
    matplotlib.use("Agg")
    return require("matplotlib.pyplot", extra="plots", purpose="drawing an evaluation")


def _save(figure: Any, target: Path) -> Path:
    with staged(target, overwrite=True) as temporary:
        figure.savefig(temporary, dpi=DPI)
    _pyplot().close(figure)
    return target
