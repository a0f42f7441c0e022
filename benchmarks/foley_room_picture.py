"""Draw what a model made of rendered clips: foley_room_picture.py PREPARED EVALUATED PICTURE.

PREPARED is a prepared Foley Room, EVALUATED the output folder of `earsight evaluate foley_room` on
it. One clip per class: four frames, the true spectrogram, and the generated one. White ticks above
a spectrogram are the events of the picture.
"""

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

from earsight.data.corpus import ClipRecord, Corpus
from earsight.data.open_corpus import open_corpus
from earsight.evaluate.foley_scores import read_truth_of
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ
from earsight.media.frame_rules import FpsFilter
from earsight.media.video import read_frames

NUM_FRAMES = 4
INK = "#3b3f46"


def chosen(corpus: Corpus, samples: Path) -> list[tuple[ClipRecord, Path]]:
    """The first test clip of every class that has a sample and one class only."""
    found: dict[str, tuple[ClipRecord, Path]] = {}
    for record in corpus.records("test"):
        name = f"{record.id.rpartition('/')[2]}_sample_0.npy"
        path = samples / f"cls_{record.class_index}" / name
        alone = len(read_truth_of(record).classes) == 1
        if alone and path.is_file() and record.class_name is not None:
            found.setdefault(record.class_name, (record, path))
    return [found[name] for name in corpus.class_names if name in found]


def show(axes: Any, mel: np.ndarray, events: list[float]) -> None:
    """A spectrogram with ticks at events."""
    seconds = mel.shape[1] * MEL_HOP_SAMPLES / MEL_RATE_HZ
    axes.imshow(
        mel, origin="lower", aspect="auto", vmin=0, vmax=1, cmap="magma", extent=(0, seconds, 0, 80)
    )
    axes.vlines(events, 74, 80, color="white", linewidth=0.8)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def main(prepared: Path, evaluated: Path, picture: Path) -> None:
    """Draw the picture."""
    corpus = open_corpus(prepared)
    clips = chosen(corpus, evaluated / "samples")
    widths = (*([1] * NUM_FRAMES), 3.2, 3.2)
    figure, grid = pyplot.subplots(
        len(clips), NUM_FRAMES + 2, figsize=(12, 1.02 * len(clips)), layout="constrained",
        gridspec_kw={"width_ratios": widths},
    )  # fmt: skip
    for row, (record, path) in zip(grid, clips, strict=True):
        pixels = read_frames(record.source, rule=FpsFilter(Fraction(43, 2))).pixels
        for place, axes in enumerate(row[:NUM_FRAMES]):
            axes.imshow(pixels[int((place + 0.5) / NUM_FRAMES * len(pixels))].numpy())
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(record.class_name, fontsize=9, color=INK)
        events = [event.time_seconds for event in read_truth_of(record).events]
        show(row[NUM_FRAMES], corpus.mel(record).float().numpy(), events)
        show(row[NUM_FRAMES + 1], np.load(path), events)
    grid[0][NUM_FRAMES].set_title("its sound", fontsize=9, color=INK)
    grid[0][NUM_FRAMES + 1].set_title("what earsight gives it", fontsize=9, color=INK)
    figure.savefig(picture, dpi=75)


main(*map(Path, sys.argv[1:4]))
