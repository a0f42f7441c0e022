"""Motion tracks made from sound, so that a model of motion and sound needs no video to train on.

A track has the layout of `frontends.motion.motion_features`: per code column four values of
energy, then four of onset. Real pictures follow the sound late, smoothly, in part or hardly at
all between blows; so a made track is delayed, smoothed, scaled and noised at random.
Axes: m mel bands, t frames, n slots of 4 frames (a video frame at 21.5 fps), c code columns.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.data.collages import FULL_DB, uniform, whole
from earsight.data.sound_events import LOWEST_POWER, mel_power
from earsight.errors import ConfigError, InputError
from earsight.frontends.motion import FRAMES_PER_COLUMN

SLOT_FRAMES = 4
COLUMN_FRAMES = SLOT_FRAMES * FRAMES_PER_COLUMN
DECADE_DB = 60.0  # a tenth of the motion is a sound quieter by so much
SILENT_STRENGTH = 0.03
SUDDEN_RISE = 0.3  # of the strength within two slots


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackNoise:
    """How unlike the sound a track may be; shares are probabilities per track.

    In `mover_share` of the tracks of sounds with sudden starts, energy tells only that something
    moves about (a ball between two bounces), and the onsets tell when it sounds; in
    `onsetless_share` there are hardly any onsets.
    """

    mover_share: float = 0.55
    onsetless_share: float = 0.15
    max_delay_slots: int = 1
    max_smooth_slots: int = 7
    scale: tuple[float, float] = (0.7, 1.1)
    onset_scale: tuple[float, float] = (0.9, 1.6)
    exponent: tuple[float, float] = (0.75, 1.35)
    jitter: float = 0.03
    missed_share: float = 0.04
    false_share: float = 0.15

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        if not 0 <= self.mover_share + self.onsetless_share <= 1:
            raise ConfigError(
                f"mover_share ({self.mover_share}) and onsetless_share ({self.onsetless_share}) "
                "together must be in 0..1"
            )


CLEAN = TrackNoise(
    mover_share=0.0,
    onsetless_share=0.0,
    max_delay_slots=0,
    max_smooth_slots=1,
    scale=(1.0, 1.0),
    onset_scale=(1.2, 1.2),
    exponent=(1.0, 1.0),
    jitter=0.0,
    missed_share=0.0,
    false_share=0.0,
)


def strength(mel: Float[Tensor, "*b m t"]) -> Float[Tensor, "*b n"]:
    """Loudness per slot in [0, 1]: 1 is full strength, a tenth is 60 dB less, silence is 0.

    The spectrogram is in [0, 1]; a last part of a slot is left out.
    """
    power = mel_power(mel).sum(dim=-2)
    kept = power.shape[-1] // SLOT_FRAMES * SLOT_FRAMES
    slots = rearrange(power[..., :kept], "... (n s) -> ... n s", s=SLOT_FRAMES).mean(-1)
    relative_db = 10 * slots.clamp(min=LOWEST_POWER).log10() - FULL_DB
    above = 10 ** (relative_db / DECADE_DB) - SILENT_STRENGTH
    return (above / (1 - SILENT_STRENGTH)).clamp(0, 1)


def rises(values: Float[Tensor, "*b n"]) -> Float[Tensor, "*b n"]:
    """How far each slot lies above both slots before it; 0 where it does not."""
    earlier = functional.pad(values, (2, 0))
    highest = torch.maximum(earlier[..., :-2], earlier[..., 1:-1])
    return (values - highest).clamp(min=0)


def motion_from_sound(
    mel: Float[Tensor, "m t"], *, rng: torch.Generator, noise: TrackNoise | None = None
) -> Float[Tensor, "c 8"]:
    """A motion track that could have come with the sound, as features of whole code columns.

    The spectrogram is in [0, 1]. Raises InputError for one shorter than a column.
    """
    if mel.shape[1] < COLUMN_FRAMES:
        raise InputError(
            f"mel has {mel.shape[1]} frames, a code column has {COLUMN_FRAMES}: use a longer sound"
        )
    loud = strength(mel[:, : mel.shape[1] // COLUMN_FRAMES * COLUMN_FRAMES])
    return motion_from_strength(loud, rng=rng, noise=noise)


def motion_from_strength(
    loud: Float[Tensor, " n"], *, rng: torch.Generator, noise: TrackNoise | None = None
) -> Float[Tensor, "c 8"]:
    """`motion_from_sound` for a sound of which only the strength per slot is kept."""
    energy, onset = _energy_onset(loud, noise or TrackNoise(), rng)
    return rearrange(torch.stack([energy, onset]), "k (c j) -> c (k j)", j=FRAMES_PER_COLUMN)


def _energy_onset(
    loud: Float[Tensor, " n"], noise: TrackNoise, rng: torch.Generator
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    if not loud.any():
        return torch.zeros_like(loud), torch.zeros_like(loud)
    jumps = rises(loud)
    kind = uniform(0.0, 1.0, rng)
    is_mover = kind < noise.mover_share and float(jumps.max()) > SUDDEN_RISE
    is_onsetless = kind > 1 - noise.onsetless_share
    onset = jumps * uniform(*noise.onset_scale, rng)
    onset = onset * (torch.rand(loud.shape, generator=rng) >= noise.missed_share)
    if is_onsetless:
        onset = onset * uniform(0.0, 0.2, rng)
    if uniform(0.0, 1.0, rng) < noise.false_share:
        places = torch.randint(loud.numel(), (whole(1, 4, rng),), generator=rng)
        onset = onset.index_fill(0, places, uniform(0.05, 0.25, rng))
    energy = _smooth(loud, whole(0, (noise.max_smooth_slots + 1) // 2, rng))
    energy = energy ** uniform(*noise.exponent, rng) * uniform(*noise.scale, rng)
    if is_mover:
        energy = uniform(0.0, 0.4, rng) * energy + _wandering(loud, rng)
    if noise.jitter:
        energy = energy + noise.jitter * torch.randn(loud.shape, generator=rng) * (energy > 0)
    delay = whole(-noise.max_delay_slots, noise.max_delay_slots + 1, rng)
    return _delayed(energy, delay).clamp(0, 1), _delayed(onset, delay).clamp(0, 1)


def _wandering(loud: Float[Tensor, " n"], rng: torch.Generator) -> Float[Tensor, " n"]:
    """Movement around the sounding slots that says nothing about their strength."""
    reach = whole(4, 40, rng)
    near = functional.max_pool1d((loud > 0.1).float()[None], 2 * reach + 1, 1, reach)[0]
    swing = _smooth(torch.randn(loud.shape, generator=rng), whole(2, 8, rng))
    swing = swing / swing.square().mean().sqrt().clamp(min=1e-6)
    level, amount = uniform(0.15, 0.75, rng), uniform(0.0, 0.3, rng)
    return _smooth(near, 2) * (level + amount * swing).clamp(min=0)


def _smooth(values: Float[Tensor, " n"], reach: int) -> Float[Tensor, " n"]:
    """Mean over `reach` slots on both sides."""
    width = 2 * reach + 1
    return functional.avg_pool1d(values[None], width, 1, reach, count_include_pad=False)[0]


def _delayed(values: Float[Tensor, " n"], slots: int) -> Float[Tensor, " n"]:
    """Shifted towards later for positive `slots`; what comes in is 0."""
    padded = functional.pad(values, (max(slots, 0), max(-slots, 0)))
    return padded[: len(values)] if slots >= 0 else padded[-len(values) :]
