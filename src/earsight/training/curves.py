"""A picture of a run's curves, drawn from its log."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from earsight.errors import InputError
from earsight.extras import require
from earsight.files import staged
from earsight.training.rundir import RunDir

PANEL_INCHES = (4.0, 2.6)
COLUMNS = 3


def draw_curves(run: RunDir, path: Path, *, names: Sequence[str] = ()) -> None:
    """Write one panel per logged name (or per one of `names`) over the step, as PNG or PDF.

    An existing picture is replaced. Raises InputError for a run without a log or a name that was
    never logged, MissingExtraError without matplotlib.
    """
    lines = run.read_log()
    logged = list(dict.fromkeys(name for line in lines for name in line if name != "step"))
    if not logged:
        raise InputError(f"{run.path} has no log to draw: train first")
    if unknown := [name for name in names if name not in logged]:
        raise InputError(f"never logged: {', '.join(unknown)}; there are {', '.join(logged)}")
    chosen = list(names) or logged
    require("matplotlib", extra="plots", purpose="drawing the curves of a run")
    from matplotlib.figure import Figure  # not pyplot: no window, nothing global

    columns = min(COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows))
    for place, name in enumerate(chosen, start=1):
        points = [(line["step"], line[name]) for line in lines if name in line]
        panel: Any = figure.add_subplot(rows, columns, place)
        panel.plot(*zip(*points, strict=True), marker="." if len(points) < 40 else "")
        panel.set_title(name, fontsize=9)
        panel.grid(alpha=0.3)
    figure.tight_layout()
    with staged(path, overwrite=True) as temporary:
        figure.savefig(temporary)
