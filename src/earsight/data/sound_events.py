"""Events and steady stretches inside recorded clips, found on their spectrograms.

Spectrograms are in [0, 1], 100 dB wide, 0 being silence. Levels are 10 log10 of the power summed
over the bands. Axes: m mel bands, t frames.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.frontends.specvqgan_mel import mel_amplitude

LOWEST_POWER = 1e-10  # a frame of silence is at -100 dB
RISE_DB = 8.0
RISE_FRAMES = 3
EVENT_RANGE_DB = 25.0  # an event's peak lies at most so far under the clip's
DECAY_RANGE_DB = 35.0  # an event ends when it has fallen so far under its own peak
EVENT_FALL_DB = 12.0
STEADY_RANGE_DB = 30.0
MIN_EVENT_FRAMES, MAX_EVENT_FRAMES = 6, 170
MIN_GAP_FRAMES = 12
PEAK_FRAMES = 10


@dataclass(frozen=True, slots=True)
class Span:
    """Frames `start` to `stop` - 1 of a clip."""

    start: int
    stop: int

    @property
    def num_frames(self) -> int:
        """Length."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class ClipParts:
    """A clip's power and what was found in it; `steady` always holds at least one span."""

    power: Float[Tensor, "m t"]
    peak_db: float
    events: tuple[Span, ...]
    steady: tuple[Span, ...]


def mel_power(mel: Float[Tensor, "*b m t"]) -> Float[Tensor, "*b m t"]:
    """Power per band; exactly 0 where the spectrogram is 0."""
    return torch.where(mel > 0, mel_amplitude(mel.float()).square(), 0.0)


def power_mel(power: Float[Tensor, "*b m t"]) -> Float[Tensor, "*b m t"]:
    """The spectrogram in [0, 1] of a power per band: the inverse of `mel_power`."""
    return ((10 * power.clamp(min=LOWEST_POWER).log10() + 80) / 100).clamp(0, 1)


def level_db(power: Float[Tensor, "*b m t"]) -> Float[Tensor, "*b t"]:
    """Level per frame, -100 for silence."""
    return 10 * power.sum(dim=-2).clamp(min=LOWEST_POWER).log10()


def find_parts(mel: Float[Tensor, "m t"]) -> ClipParts | None:
    """Events and steady stretches of a clip; None where it is all silence."""
    power = mel_power(mel)
    levels = level_db(power)
    peak = float(levels.max())
    if peak <= -99:
        return None
    onsets = _onsets(levels, peak)
    events = [_event(levels, onset, later) for onset, later in _with_next(onsets, len(levels))]
    steady = _spans(levels > peak - STEADY_RANGE_DB)
    return ClipParts(
        power,
        peak,
        tuple(span for span in events if _is_event(levels, span)),
        tuple(span for span in steady if span.num_frames >= MIN_EVENT_FRAMES)
        or (Span(0, len(levels)),),
    )


def _onsets(levels: Float[Tensor, " t"], peak: float) -> list[int]:
    """Frames where the level jumps, at least `MIN_GAP_FRAMES` apart."""
    padded = functional.pad(levels, (RISE_FRAMES, PEAK_FRAMES), value=-100.0)
    before = padded[: len(levels)]
    rise = padded[RISE_FRAMES + 1 : RISE_FRAMES + 1 + len(levels)] - before
    soon = padded.unfold(0, PEAK_FRAMES, 1)[RISE_FRAMES : RISE_FRAMES + len(levels)].amax(1)
    wanted = (rise > RISE_DB) & (soon > peak - EVENT_RANGE_DB)
    found: list[int] = []
    for frame in map(int, torch.argsort(rise, descending=True)):
        if not wanted[frame]:
            continue
        if all(abs(frame - other) >= MIN_GAP_FRAMES for other in found):
            found.append(frame)
    return sorted(found)


def _with_next(onsets: list[int], num_frames: int) -> list[tuple[int, int]]:
    return list(pairwise([*onsets, num_frames]))


def _event(levels: Float[Tensor, " t"], onset: int, later: int) -> Span:
    start, stop = max(0, onset - 1), min(later - 1, onset + MAX_EVENT_FRAMES)
    body = levels[start:stop]
    if body.numel() == 0:
        return Span(start, start)
    top = int(body.argmax())
    quiet = torch.nonzero(body[top:] < body[top] - DECAY_RANGE_DB)
    return Span(start, start + top + int(quiet[0, 0]) if len(quiet) else stop)


def _is_event(levels: Float[Tensor, " t"], span: Span) -> bool:
    """Long enough, and dying away: the start of a steady sound is none."""
    if span.num_frames < MIN_EVENT_FRAMES:
        return False
    body = levels[span.start : span.stop]
    return float(body.max() - body[-3:].mean()) > EVENT_FALL_DB


def _spans(wanted: Tensor) -> list[Span]:
    """Runs of true values."""
    edges = functional.pad(wanted.int(), (1, 1)).diff()
    starts, stops = torch.nonzero(edges == 1)[:, 0], torch.nonzero(edges == -1)[:, 0]
    return [Span(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)]
