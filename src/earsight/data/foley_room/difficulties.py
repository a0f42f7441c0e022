"""What makes a clip hard: hidden sources, things that move in silence, company, noise.

Each is switched on in a share of the clips. They are drawn apart from everything else, so that
a clip without any of them is the same whatever the shares are.
Axes: s samples.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from earsight.errors import ConfigError

SLIDE_SECONDS = 0.45
ENTRY_SECONDS = 0.35


@dataclass(frozen=True, kw_only=True, slots=True)
class DifficultyShares:
    """In which part of the clips each difficulty is used, 0 to 1.

    `off_screen`: the source slides out of the picture and goes on sounding. `distractor`: a thing
    of another class moves and makes no sound. `late_entry`: the source comes in after the clip's
    begin. `two_sources`: a second class is seen and heard. `noise`: there is noise in the
    background, `noise_db` (least, most) in dB of full scale.
    """

    off_screen: float = 0.0
    distractor: float = 0.0
    late_entry: float = 0.0
    two_sources: float = 0.0
    noise: float = 0.0
    noise_db: tuple[float, float] = (-60.0, -35.0)

    def __post_init__(self) -> None:
        problems = [
            f"{field.name} is {getattr(self, field.name):g}"
            for field in fields(self)
            if field.name != "noise_db" and not 0 <= getattr(self, field.name) <= 1
        ]
        if problems:
            raise ConfigError(f"shares of clips go from 0 to 1: {', '.join(problems)}")
        least, most = self.noise_db
        if not -120 <= least <= most <= 0:
            raise ConfigError(
                f"noise_db must be (least, most) from -120 to 0 dB, got {least:g}, {most:g}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Difficulties:
    """What one clip has to bear; times in seconds, None for what is not used."""

    leaves_seconds: float | None
    enters_seconds: float | None
    to_the_right: bool
    distractor: bool
    two_sources: bool
    noise_db: float | None

    @property
    def names(self) -> tuple[str, ...]:
        """Those in use, named as the shares are."""
        used = {
            "off_screen": self.leaves_seconds is not None,
            "distractor": self.distractor,
            "late_entry": self.enters_seconds is not None,
            "two_sources": self.two_sources,
            "noise": self.noise_db is not None,
        }
        return tuple(name for name, is_used in used.items() if is_used)

    def slide(self, time_seconds: float) -> float:
        """How far the source is moved sideways, in widths of the picture, at a time.

        It comes in from one side and leaves to it.
        """
        away = 0.0
        if self.enters_seconds is not None:
            away += 1 - _eased((time_seconds - self.enters_seconds) / ENTRY_SECONDS)
        if self.leaves_seconds is not None:
            away += _eased((time_seconds - self.leaves_seconds) / SLIDE_SECONDS)
        return away if self.to_the_right else -away


def choose_difficulties(
    rng: np.random.Generator, shares: DifficultyShares, clip_seconds: float
) -> Difficulties:
    """Draw what a clip has to bear; every clip takes the same numbers of random draws."""
    leaves, enters, right, distractor, two, noise = map(float, rng.random(6))
    leave_at, enter_at, level = map(float, rng.random(3))
    least, most = shares.noise_db
    return Difficulties(
        # the source is seen for a while first, and unseen for at least a third of the clip
        leaves_seconds=(0.38 + 0.2 * leave_at) * clip_seconds
        if leaves < shares.off_screen
        else None,
        enters_seconds=(0.12 + 0.18 * enter_at) * clip_seconds
        if enters < shares.late_entry
        else None,
        to_the_right=right < 0.5,
        distractor=distractor < shares.distractor,
        two_sources=two < shares.two_sources,
        noise_db=least + (most - least) * level if noise < shares.noise else None,
    )


def background_noise(
    rng: np.random.Generator, num_samples: int, level_db: float
) -> Float[np.ndarray, " s"]:
    """Noise between white and brown, by chance, with an rms of `level_db` dB of full scale."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    steepness = float(rng.uniform(0.0, 1.0))
    spectrum *= np.maximum(np.arange(len(spectrum)), num_samples / 500) ** -steepness
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, num_samples)
    return (noise / np.sqrt((noise**2).mean()) * 10 ** (level_db / 20)).astype(np.float32)


def _eased(part: float) -> float:
    inside = min(1.0, max(0.0, part))
    return inside**2 * (3 - 2 * inside)
