"""A sound's best classes over time: as a table, and as a picture under its spectrogram.

Axes: n stretches of time, e edges between them, k classes, t columns of the picture, m mel bands.
"""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.files import staged
from earsight.frontends.kaldi_fbank import PUBLISHED, log_fbank
from earsight.generate.fbank_picture import draw_fbank, picture_of_rows, time_axis
from earsight.generate.sound_windows import over_time
from earsight.generate.tagger import Heard, SoundTagger, Tag, numbers
from earsight.media.audio import stream_audio

NUM_COLUMNS = 1400
SHORTEST_COLUMN_SECONDS = 0.02  # no column is without a frame
TRACK_INCHES, SPECTROGRAM_INCHES = 0.6, 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """Probabilities of classes in stretches of time that follow each other; edges in seconds.

    `tags` are the classes with the probability of the whole sound.
    """

    tags: list[Tag]
    edges: Float[Tensor, " e"]
    probabilities: Float[Tensor, "n k"]


def timeline_of(tagger: SoundTagger, heard: Heard, *, top: int) -> Timeline:
    """The sound's best classes at every step of networks that have them, else of its windows."""
    assert heard.probabilities is not None
    assert heard.whole is not None
    tags = tagger.best(heard.whole, top)
    classes = [tag.index for tag in tags]
    if heard.steps is None or heard.step_times is None:
        edges, values = over_time(heard.spans, heard.probabilities[:, classes])
    else:
        times = heard.step_times
        inner = (times[1:] + times[:-1]) / 2
        edges = torch.cat([times.new_zeros(1), inner, times.new_tensor([heard.seconds])])
        values = heard.steps[:, classes]
    return Timeline(tags=tags, edges=edges, probabilities=values)


def write_timeline(target: Path, timeline: Timeline, *, overwrite: bool = False) -> None:
    """A CSV file with a row a stretch: its start and end in seconds, and a column a class."""
    names = [tag.name or f"class {tag.index}" for tag in timeline.tags]
    with (
        staged(target, overwrite=overwrite) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["start", "end", *names])
        edges = numbers(timeline.edges)
        for start, end, row in zip(edges, edges[1:], timeline.probabilities, strict=False):
            values = (f"{value:.6f}" for value in numbers(row))
            rows.writerow([f"{start:.4f}", f"{end:.4f}", *values])


def draw_timeline(
    target: Path, source: Path, timeline: Timeline, *, title: str, overwrite: bool = False
) -> None:
    """The spectrogram of a sound file, and below it a track for every class.

    The file is read again, piece by piece. Raises MediaError as `stream_audio` does.
    """
    timeline = _drawable(timeline)
    seconds, count = float(timeline.edges[-1]), len(timeline.tags)
    heights = [SPECTROGRAM_INCHES, *[TRACK_INCHES] * count]
    fbank = _columns(source, seconds=seconds)
    with picture_of_rows(target, heights, width=11.0, overwrite=overwrite) as (_, rows):
        draw_fbank(rows[0], fbank, seconds=seconds)
        rows[0].set_title(title, loc="left", fontsize=11)
        # one scale for all tracks, so that they compare
        top = _round_up(float(timeline.probabilities.max()))
        for place, axes in enumerate(rows[1:]):
            _draw_track(axes, timeline, place, top=top)
        time_axis(rows[-1], seconds)


def _drawable(timeline: Timeline) -> Timeline:
    """The same with no more stretches than can be seen: means of several."""
    together = -(-len(timeline.probabilities) // NUM_COLUMNS)
    parts = cast(tuple[Tensor, ...], timeline.probabilities.split(together))
    return replace(
        timeline,
        edges=torch.cat([timeline.edges[:-1:together], timeline.edges[-1:]]),
        probabilities=torch.stack([part.mean(dim=0) for part in parts]),
    )


def _draw_track(axes: Any, timeline: Timeline, place: int, *, top: float) -> None:
    colour = f"C{place % 10}"
    tag, values = timeline.tags[place], timeline.probabilities[:, place]
    axes.stairs(values.numpy(), timeline.edges.numpy(), fill=True, color=colour, alpha=0.75)
    axes.stairs(values.numpy(), timeline.edges.numpy(), color=colour, linewidth=1.2, baseline=None)
    axes.set_ylim(0, top)
    axes.set_yticks([0, top], ["", f"{top:g}"], fontsize=8)
    axes.grid(axis="x", alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    name = tag.name or f"class {tag.index}"
    axes.set_ylabel(_shortened(name), rotation=0, ha="right", va="center", fontsize=9)
    axes.text(
        1.005, 0.5, f"{tag.probability:.2f}", transform=axes.transAxes, va="center", fontsize=9
    )


def _columns(source: Path, *, seconds: float) -> Float[Tensor, "t m"]:
    """The mean log filterbank of equal stretches of a sound file of any length."""
    num_columns = max(1, min(NUM_COLUMNS, int(seconds / SHORTEST_COLUMN_SECONDS)))
    total = torch.zeros(num_columns, PUBLISHED.num_mels)
    frames = torch.zeros(num_columns, 1)
    start, held = 0, torch.zeros(1, 0)
    for piece in stream_audio(source, rate_hz=PUBLISHED.rate_hz, mono=True):
        held = torch.cat([held, piece.samples], dim=1)
        if not (count := PUBLISHED.num_frames(held.shape[1])):
            continue
        middles = start + PUBLISHED.window_samples / 2 + PUBLISHED.hop_samples * torch.arange(count)
        column = (middles.double() / PUBLISHED.rate_hz / seconds * num_columns).long()
        column = column.clamp(max=num_columns - 1)
        total.index_add_(0, column, log_fbank(held)[0])
        frames.index_add_(0, column, torch.ones(count, 1))
        # the next frame begins here, so that none is lost between two pieces
        start, held = (
            start + count * PUBLISHED.hop_samples,
            held[:, count * PUBLISHED.hop_samples :],
        )
    return total / frames  # not a number where nothing is, such as behind the last whole frame


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, ... hundredths, at most 1."""
    steps = [digit * 10**power for power in (-2, -1) for digit in (1, 2, 5)]
    return float(next((step for step in steps if step >= value), 1.0))


def _shortened(name: str, longest: int = 24) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
