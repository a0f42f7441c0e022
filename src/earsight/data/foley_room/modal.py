"""Impacts by modal synthesis: a struck body rings in a bank of damped sines.

Frequencies are not multiples of one another; high modes die sooner; a harder blow excites more of
them; the contact itself is a short burst of noise. Modal synthesis after Adrien, "The missing
link: modal synthesis" (1991); ratios of membranes and bells after Fletcher and Rossing, The
Physics of Musical Instruments (1998), chapters 18 and 21.
Axes: m modes, s samples.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.performance import Happening
from earsight.errors import InputError

LOUDEST_PEAK = 0.7
INAUDIBLE = 1e-3  # -60 dB: a mode is computed until it has fallen so far
HIGHEST_PART_OF_RATE = 0.45  # modes above this part of the sample rate are left out

Body = Literal["wood", "metal", "glass", "membrane", "bell", "tick"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyKind:
    """How bodies of a material ring.

    `ratios` are the modes' frequencies over the lowest; `detune` is the largest part by which
    chance moves them. `decay_seconds` is the time to 1/e of the lowest mode, and `damping` the
    power of the ratio by which higher modes die sooner. `tilt` is the power by which they are
    weaker. `contact_seconds` and `contact_part` describe the burst of noise at the contact.
    """

    ratios: tuple[float, ...]
    lowest_hz: tuple[float, float]
    decay_seconds: tuple[float, float]
    damping: float
    tilt: float
    detune: float
    contact_seconds: float
    contact_part: float


BODIES: dict[Body, BodyKind] = {
    "wood": BodyKind(
        ratios=(1.0, 2.57, 4.95, 8.1, 11.9), lowest_hz=(190.0, 420.0),
        decay_seconds=(0.035, 0.06), damping=0.5, tilt=0.7, detune=0.06,
        contact_seconds=0.004, contact_part=0.5,
    ),
    "metal": BodyKind(
        ratios=(1.0, 1.51, 2.32, 2.76, 3.9, 5.4, 6.2, 8.9, 11.3), lowest_hz=(520.0, 900.0),
        decay_seconds=(0.30, 0.50), damping=0.35, tilt=0.25, detune=0.05,
        contact_seconds=0.002, contact_part=0.25,
    ),
    "glass": BodyKind(
        ratios=(1.0, 2.32, 4.25, 6.63, 9.38), lowest_hz=(1500.0, 2300.0),
        decay_seconds=(0.10, 0.18), damping=0.6, tilt=0.45, detune=0.04,
        contact_seconds=0.001, contact_part=0.3,
    ),
    "membrane": BodyKind(
        ratios=(1.0, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501, 3.6),
        lowest_hz=(80.0, 200.0), decay_seconds=(0.16, 0.30), damping=0.9, tilt=0.6, detune=0.02,
        contact_seconds=0.012, contact_part=0.35,
    ),
    "bell": BodyKind(
        ratios=(0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.17, 5.43, 6.79),
        lowest_hz=(420.0, 900.0), decay_seconds=(0.6, 1.0), damping=0.7, tilt=0.35, detune=0.012,
        contact_seconds=0.003, contact_part=0.35,
    ),
    "tick": BodyKind(
        ratios=(1.0, 1.73, 2.9, 4.3), lowest_hz=(1900.0, 2900.0),
        decay_seconds=(0.006, 0.011), damping=0.3, tilt=0.3, detune=0.05,
        contact_seconds=0.0015, contact_part=0.6,
    ),
}  # fmt: skip


class Ringing:
    """One struck body: its bank of modes, worked out once and weighed anew at every blow."""

    def __init__(
        self,
        rng: np.random.Generator,
        body: Body,
        rate_hz: int,
        *,
        size: float = 1.0,
        longest_seconds: float = 4.0,
    ) -> None:
        """Draw a body by chance; of double `size` it sounds an octave lower.

        No blow rings for more than `longest_seconds`.
        """
        kind = BODIES[body]
        if size <= 0:
            raise InputError(f"the size of a struck body must be over 0, got {size:g}")
        lowest = float(rng.uniform(*kind.lowest_hz)) / size
        ratios = np.array(kind.ratios) * rng.uniform(
            1 - kind.detune, 1 + kind.detune, len(kind.ratios)
        )
        ratios = ratios[ratios * lowest < HIGHEST_PART_OF_RATE * rate_hz]
        decays = float(rng.uniform(*kind.decay_seconds)) * np.maximum(ratios, 1.0) ** -kind.damping
        self.rate_hz = rate_hz
        self.frequencies_hz = ratios * lowest
        self.decays_seconds = decays
        self.contact = kind
        self.gains = np.maximum(ratios, 1.0) ** -kind.tilt * rng.uniform(0.6, 1.0, len(ratios))
        self._seed = int(rng.integers(2**32))
        ringing_seconds = min(longest_seconds, float(decays.max()) * -float(np.log(INAUDIBLE)))
        num_samples = round(ringing_seconds * rate_hz)
        self._bank = damped_sines(self.frequencies_hz, decays, rate_hz, num_samples)
        # with all modes at full gain; blows are weighed against it
        self._peak = float(np.abs(self.gains.astype(np.float32) @ self._bank).max())

    def blows(self, strengths: Iterable[float]) -> Iterator[Float[np.ndarray, " s"]]:
        """The sounds of successive blows; the same ones whenever it is asked."""
        rng = np.random.default_rng(self._seed)
        return (self.blow(strength, rng) for strength in strengths)

    def blow(self, strength: float, rng: np.random.Generator) -> Float[np.ndarray, " s"]:
        """The sound of one blow; its peak is near 0.7 at strength 1.

        Where it is struck differs a little from blow to blow, and so do the modes' shares.
        """
        steps = np.arange(len(self.gains)) / max(1, len(self.gains) - 1)
        softness = np.exp(-2.0 * (1 - min(1.0, strength)) * steps)
        gains = self.gains * softness * rng.uniform(0.8, 1.2, len(self.gains))
        wave = gains.astype(np.float32) @ self._bank / self._peak
        num_contact = round(4 * self.contact.contact_seconds * self.rate_hz)
        since = np.arange(num_contact) / self.rate_hz
        burst = np.exp(-since / self.contact.contact_seconds)
        burst *= rng.uniform(-1, 1, num_contact) * self.contact.contact_part
        wave[:num_contact] += burst.astype(np.float32)[: len(wave)]
        # the burst and the modes rarely peak together
        loudest = 1 + 0.5 * self.contact.contact_part
        return wave * np.float32(LOUDEST_PEAK * strength / loudest)


def damped_sines(
    frequencies_hz: Float[np.ndarray, " m"],
    decays_seconds: Float[np.ndarray, " m"],
    rate_hz: int,
    num_samples: int,
) -> Float[np.ndarray, "m s"]:
    """Sines that begin at 0 and fall to 1/e in their decay times; float32."""
    step = (2j * np.pi * frequencies_hz - 1 / decays_seconds) / rate_hz
    # a table of products: coarse steps times fine ones costs far less than a sine a sample
    num_fine = 256
    coarse = np.exp(step[:, None] * np.arange(0, num_samples, num_fine))
    fine = np.exp(step[:, None] * np.arange(num_fine))
    product = (coarse.astype(np.complex64)[:, :, None] * fine.astype(np.complex64)[:, None]).imag
    return product.reshape(len(step), -1)[:, :num_samples]


def placed(
    blows: Iterable[tuple[float, Float[np.ndarray, " _"]]], *, num_samples: int, rate_hz: int
) -> Float[np.ndarray, " s"]:
    """Sounds laid over one another from their times (s) on; what goes past the end is cut."""
    total = np.zeros(num_samples, np.float32)
    for time_seconds, wave in blows:
        start = round(time_seconds * rate_hz)
        length = min(len(wave), num_samples - start)
        if length > 0:
            total[start : start + length] += wave[:length]
    return total


def struck(
    ringing: Ringing, happenings: Sequence[Happening], clip_seconds: float
) -> Float[np.ndarray, " s"]:
    """The sound of a clip in which a body is struck at each happening."""
    times = [one.time_seconds for one in happenings]
    blows = ringing.blows(one.strength for one in happenings)
    num_samples = round(clip_seconds * ringing.rate_hz)
    return placed(zip(times, blows, strict=True), num_samples=num_samples, rate_hz=ringing.rate_hz)


def ringing_envelope(
    happenings: Iterable[Happening], clip_seconds: float, decay_seconds: float
) -> Float[np.ndarray, " n"]:
    """A hundred times a second: each happening's strength, dying away."""
    times = np.arange(round(clip_seconds * 100)) / 100
    total = np.zeros(len(times))
    for one in happenings:
        since = times - one.time_seconds
        total += np.where(since >= 0, one.strength * np.exp(-since / decay_seconds), 0.0)
    return np.minimum(total, 1.0)
