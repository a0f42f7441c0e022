"""Draw docs/images/demo.png: demo_picture.py CLIP SOUNDING_CLIP PICTURE.

Four frames of the clip, the motion that earsight sees in it, and the sound that it made. Where the
clip has its truth beside it, thin lines mark the contacts.
"""

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

from earsight.data.foley_room.clip_files import read_truth, truth_path
from earsight.frontends.motion import motion_track
from earsight.media.audio import Waveform, read_audio
from earsight.media.frame_rules import FpsFilter
from earsight.media.video import Frames, read_frames

SHOWN_SECONDS = (0.55, 1.05, 4.75, 8.7)
INK, MOTION, SOUND = "#3b3f46", "#c8553d", "#2f6690"


def draw(frames: Frames, wave: Waveform, contacts: list[float]) -> Any:
    """The figure: frames above, motion and sound below on one axis of time."""
    seconds = len(frames.pixels) / 21.5
    figure = pyplot.figure(figsize=(10, 5.2), layout="constrained")
    grid = figure.add_gridspec(3, len(SHOWN_SECONDS), height_ratios=(2.1, 1, 1.3))
    for column, second in enumerate(SHOWN_SECONDS):
        axes = figure.add_subplot(grid[0, column])
        axes.imshow(frames.pixels[min(round(second * 21.5), len(frames.pixels) - 1)].numpy())
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"{second:g} s", fontsize=9, color=INK)
        axes.spines[:].set_visible(False)
    motion, sound = (figure.add_subplot(grid[row, :]) for row in (1, 2))
    track = motion_track(iter(frames.pixels))
    times = np.arange(track.num_frames) / track.fps
    motion.fill_between(times, track.energy.numpy(), color=MOTION, alpha=0.3, linewidth=0)
    motion.plot(times, track.onset.numpy(), color=MOTION, linewidth=1.1)
    samples = wave.samples[0].numpy()
    # every line of the picture shows the extremes of its piece of the sound
    pieces = np.array_split(samples, 1600)
    middle = (np.arange(len(pieces)) + 0.5) * len(samples) / wave.rate_hz / len(pieces)
    sound.fill_between(
        middle, [p.min() for p in pieces], [p.max() for p in pieces], color=SOUND, linewidth=0
    )
    for axes, name in ((motion, "motion, onsets"), (sound, "sound")):
        for contact in contacts:
            axes.axvline(contact, color=INK, linewidth=0.5, alpha=0.35)
        axes.set(xlim=(0, seconds), yticks=[])
        axes.set_ylabel(name, fontsize=9, color=INK)
        axes.spines[["top", "right", "left"]].set_visible(False)
    motion.set_xticks([])
    sound.set_xlabel("seconds", fontsize=9, color=INK)
    return figure


def main(clip: Path, sounding: Path, picture: Path) -> None:
    """Read, draw, save."""
    frames = read_frames(clip, rule=FpsFilter(Fraction(43, 2)), size=(384, 216))
    contacts: list[float] = []
    if truth_path(clip).is_file():
        contacts = [e.time_seconds for e in read_truth(clip).events if e.impact_speed >= 1]
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw(frames, read_audio(sounding, mono=True), contacts).savefig(picture, dpi=110)


main(*(Path(argument) for argument in sys.argv[1:4]))
