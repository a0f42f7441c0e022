"""Windows of sound put together from recorded clips: events, bounces, swells, silence.

Recorded clips are shorter than a window and show few arrangements. A collage places events and
stretches of one class at random times and strengths, so that a model meets every arrangement.
Powers add. Axes: m mel bands, t frames.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.data.sound_events import ClipParts, Span, level_db, power_mel
from earsight.errors import ConfigError, InputError
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ, MODEL_FRAMES

Style = Literal["events", "bounces", "swells", "clips", "silence"]
FRAMES_PER_SECOND = MEL_RATE_HZ / MEL_HOP_SAMPLES
FULL_DB = 6.0  # the level that counts as full strength
MAX_GAIN_DB = 18.0
FADE_FRAMES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class CollageConfig:
    """How windows are put together; shares are weights of the styles, levels are in dB.

    A window's loudest event lies `top_db` from full strength, its other events up to
    `event_range_db` below that.
    """

    num_frames: int = MODEL_FRAMES
    events: float = 0.45
    bounces: float = 0.15
    swells: float = 0.25
    clips: float = 0.11
    silence: float = 0.04
    max_events: int = 14
    event_range_db: float = 26.0
    swell_range_db: float = 45.0
    top_db: tuple[float, float] = (-6.0, 2.0)
    background_share: float = 0.35
    background_db: tuple[float, float] = (-55.0, -32.0)

    def __post_init__(self) -> None:
        """Refuse weights that draw nothing."""
        shares = self.style_shares
        if min(shares) < 0 or sum(shares) <= 0:
            raise ConfigError(f"shares of the styles must be positive, got {shares}")

    @property
    def style_shares(self) -> tuple[float, ...]:
        """Weights in the order of `STYLES`."""
        return (self.events, self.bounces, self.swells, self.clips, self.silence)


STYLES: tuple[Style, ...] = ("events", "bounces", "swells", "clips", "silence")


def uniform(low: float | int, high: float | int, rng: torch.Generator) -> float:
    """One draw from [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=rng))


def whole(low: int, high: int, rng: torch.Generator) -> int:
    """One whole number from low to high - 1."""
    return int(torch.randint(low, max(high, low + 1), (), generator=rng))


def draw_style(config: CollageConfig, rng: torch.Generator) -> Style:
    """A style by its share."""
    shares = torch.tensor(config.style_shares)
    return STYLES[int(torch.multinomial(shares, 1, generator=rng))]


def draw_window(
    clips: Sequence[ClipParts],
    config: CollageConfig,
    rng: torch.Generator,
    *,
    style: Style | None = None,
) -> Float[Tensor, "m t"]:
    """A spectrogram in [0, 1] from clips of one class.

    Raises InputError when there are no clips.
    """
    if not clips:
        raise InputError("no clips to make a window from: every clip of the class is silent")
    chosen = clips[whole(0, len(clips), rng)]
    match style or draw_style(config, rng):
        case "events":
            power = _events(clips, chosen, config, rng)
        case "bounces":
            power = _bounces(chosen, config, rng)
        case "swells":
            power = _swells(chosen, config, rng)
        case "clips":
            power = _whole_clips(clips, config, rng)
        case "silence":
            quiet = _gain(uniform(*config.background_db, rng) - 8)
            keep = 1.0 if uniform(0.0, 1.0, rng) < 0.5 else 0.0
            return power_mel(_normalised(_fill(chosen, config.num_frames, rng)) * quiet * keep)
    power = _normalised(power) * _gain(uniform(*config.top_db, rng))
    if uniform(0.0, 1.0, rng) < config.background_share:
        background = _normalised(_fill(chosen, config.num_frames, rng))
        power = power + background * _gain(uniform(*config.background_db, rng))
    return power_mel(power)


def _gain(gain_db: float) -> float:
    return 10 ** (gain_db / 10)


def _normalised(power: Float[Tensor, "m t"]) -> Float[Tensor, "m t"]:
    """Brought to full strength at its loudest, as far as `MAX_GAIN_DB` allows."""
    gain = FULL_DB - float(level_db(power).max())
    return power * _gain(min(gain, MAX_GAIN_DB + FULL_DB))


def _place(
    canvas: Float[Tensor, "m t"], piece: Float[Tensor, "m n"], start: int, gain_db: float
) -> Float[Tensor, "m t"]:
    """The canvas with a piece added; what sticks out is cut off."""
    first, last = max(0, start), min(canvas.shape[1], start + piece.shape[1])
    if first >= last:
        return canvas
    result = canvas.clone()
    result[:, first:last] += piece[:, first - start : last - start] * _gain(gain_db)
    return result


def _faded(piece: Float[Tensor, "m n"], *, fade_in: bool) -> Float[Tensor, "m n"]:
    """A ramp at the end, and at the start if asked for."""
    length = piece.shape[1]
    frames = torch.arange(length)
    ramp = ((length - frames) / FADE_FRAMES).clamp(0, 1)
    if fade_in:
        ramp = ramp * ((frames + 1) / FADE_FRAMES).clamp(0, 1)
    return piece * ramp


def _one_event(clip: ClipParts, rng: torch.Generator) -> Float[Tensor, "m n"]:
    """An event of the clip at full strength; a clip without one gives a burst that dies away."""
    if clip.events and uniform(0.0, 1.0, rng) < 0.9:
        span = clip.events[whole(0, len(clip.events), rng)]
        return _normalised(_faded(clip.power[:, span.start : span.stop], fade_in=False))
    span = _stretch(clip, whole(8, 90, rng), rng)
    decay_frames = uniform(2.0, 30.0, rng)
    fall = torch.exp(-torch.arange(span.num_frames) / decay_frames)
    return _normalised(_faded(clip.power[:, span.start : span.stop] * fall, fade_in=False))


def _stretch(clip: ClipParts, num_frames: int, rng: torch.Generator) -> Span:
    """A random steady stretch of at most `num_frames`; long ones are drawn more often."""
    lengths = torch.tensor([float(span.num_frames) for span in clip.steady])
    span = clip.steady[int(torch.multinomial(lengths, 1, generator=rng))]
    kept = min(num_frames, span.num_frames)
    start = whole(span.start, span.stop - kept + 1, rng)
    return Span(start, start + kept)


def _fill(clip: ClipParts, num_frames: int, rng: torch.Generator) -> Float[Tensor, "m t"]:
    """Steady stretches joined with short cross-fades until the window is full."""
    canvas = torch.zeros(clip.power.shape[0], num_frames)
    start = -whole(0, 40, rng)
    while start < num_frames:
        span = _stretch(clip, whole(60, 430, rng), rng)
        piece = _faded(clip.power[:, span.start : span.stop], fade_in=True)
        canvas = _place(canvas, piece, start, 0.0)
        start += max(1, span.num_frames - FADE_FRAMES + 1)
    return canvas


def _events(
    clips: Sequence[ClipParts], chosen: ClipParts, config: CollageConfig, rng: torch.Generator
) -> Float[Tensor, "m t"]:
    count = round(math.exp(uniform(0.0, math.log(config.max_events + 1), rng)))
    frames = config.num_frames
    if uniform(0.0, 1.0, rng) < 0.4:
        period = uniform(0.2, 2.5, rng) * FRAMES_PER_SECOND
        first = uniform(0.0, period, rng)
        count = max(1, min(3 * config.max_events, int((frames - first) / period)))
        starts = [
            first + index * period + uniform(-0.05, 0.05, rng) * period for index in range(count)
        ]
    else:
        starts = [uniform(0.0, frames - 4, rng) for _ in range(count)]
    is_even, is_same = uniform(0.0, 1.0, rng) < 0.3, uniform(0.0, 1.0, rng) < 0.4
    piece = _one_event(chosen, rng)
    canvas = torch.zeros(piece.shape[0], frames)
    for start in starts:
        if not is_same:
            mixed = uniform(0.0, 1.0, rng) < 0.25
            piece = _one_event(clips[whole(0, len(clips), rng)] if mixed else chosen, rng)
        gain_db = 0.0 if is_even else -uniform(0.0, config.event_range_db, rng)
        canvas = _place(canvas, piece, int(start), gain_db)
    return canvas


def _bounces(
    chosen: ClipParts, config: CollageConfig, rng: torch.Generator
) -> Float[Tensor, "m t"]:
    """The same event in ever shorter gaps, ever quieter, and again after a pause."""
    piece = _one_event(chosen, rng)
    if uniform(0.0, 1.0, rng) < 0.5:
        piece = piece * torch.exp(-torch.arange(piece.shape[1]) / uniform(3.0, 25.0, rng))
    canvas = torch.zeros(piece.shape[0], config.num_frames)
    start = uniform(0.0, 2.0, rng) * FRAMES_PER_SECOND
    while start < config.num_frames:
        gap = uniform(0.4, 1.3, rng) * FRAMES_PER_SECOND
        ratio, fall_db = uniform(0.6, 0.92, rng), uniform(1.0, 6.0, rng)
        level = -uniform(0.0, 8.0, rng)
        for _ in range(whole(2, 12, rng)):
            canvas = _place(canvas, piece, int(start), level)
            start, gap, level = start + gap, max(gap * ratio, 8.0), level - fall_db
        start += uniform(0.5, 3.0, rng) * FRAMES_PER_SECOND
    return canvas


def _swells(chosen: ClipParts, config: CollageConfig, rng: torch.Generator) -> Float[Tensor, "m t"]:
    """A steady sound whose level moves between random knots, by ramps or by steps."""
    frames = config.num_frames
    num_knots = whole(1, 9, rng)
    knots = sorted(uniform(0.0, frames, rng) for _ in range(num_knots))
    levels = [_knot_level(config, rng) for _ in range(num_knots)]
    levels = [level - max(levels) for level in levels]
    ramp = 2 ** uniform(1.0, 7.0, rng)
    envelope = torch.full((frames,), levels[0])
    positions = torch.arange(frames)
    for knot, before, level in zip(knots[1:], levels, levels[1:], strict=False):
        envelope = envelope + (level - before) * ((positions - knot) / ramp).clamp(0, 1)
    return _fill(chosen, frames, rng) * 10 ** (envelope / 10)


def _knot_level(config: CollageConfig, rng: torch.Generator) -> float:
    return -100.0 if uniform(0.0, 1.0, rng) < 0.25 else -uniform(0.0, config.swell_range_db, rng)


def _whole_clips(
    clips: Sequence[ClipParts], config: CollageConfig, rng: torch.Generator
) -> Float[Tensor, "m t"]:
    """Clips as they were recorded, with gaps between them."""
    canvas = torch.zeros(clips[0].power.shape[0], config.num_frames)
    start = -whole(0, 200, rng)
    while start < config.num_frames:
        clip = clips[whole(0, len(clips), rng)]
        loud = _normalised(_faded(clip.power, fade_in=True))
        canvas = _place(canvas, loud, start, -uniform(0.0, 12.0, rng))
        start += clip.power.shape[1] + whole(-40, 120, rng)
    return canvas
