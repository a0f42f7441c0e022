"""Kaldi's log filterbank, the input of Audio-MAE, AST and SSAST.

Source: Audio-MAE, sec. 4.1; official repositories facebookresearch/AudioMAE and YuanGongND/ast,
which call torchaudio's Kaldi functions.

Axes: b clips, s samples, t frames, m mel bands, w samples in an FFT, f frequency bins.
"""

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import ConfigError, InputError
from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.frontends.htk_filters import htk_filters
from earsight.frontends.stored_tables import load_table

TABLE = "kaldi_fbank.npz"
TABLE_SHA256 = "4016367a9dbcbce5785fe564ac2ad5bc32e038d8f220d2fb176efd76f75c32f1"

PRE_EMPHASIS = 0.97
ENERGY_FLOOR = torch.finfo(torch.float32).eps  # Kaldi's: silence is ln of it, -15.9424
PADDING = 0.0  # log energy of missing frames as published: above silence, +0.467 on AudioSet
FRAMES_PER_PASS = 1024  # for each thread of a CPU: what lies between two steps stays in its cache
BANDS_PER_BLOCK = 16  # neighbouring bands need neighbouring bins: most of the matrix is zero


@dataclass(frozen=True, kw_only=True, slots=True)
class FbankSettings:
    """Frames and bands of a filterbank; the defaults are the published ones (25 ms every 10 ms).

    Waves are mono in [-1, 1], not scaled to 16 bit. The mean of a clip, which the published code
    subtracts, changes no value, as every frame loses its own mean.
    """

    rate_hz: int = 16000
    window_samples: int = 400
    hop_samples: int = 160
    num_mels: int = 128
    low_hz: float = 20.0
    high_hz: float = 8000.0

    def __post_init__(self) -> None:
        """Refuse sizes without a frame or a band."""
        if min(self.hop_samples, self.num_mels) < 1 or self.window_samples < 2:
            raise ConfigError("filterbank: hop and bands must be at least 1, the window 2 samples")
        if not 0 <= self.low_hz < self.high_hz <= self.rate_hz / 2:
            raise ConfigError(
                f"filterbank: expected 0 <= low_hz < high_hz <= {self.rate_hz / 2:g} Hz, got "
                f"{self.low_hz:g} and {self.high_hz:g}"
            )

    @property
    def fft_samples(self) -> int:
        """The next power of two from the window."""
        return 1 << (self.window_samples - 1).bit_length()

    def num_frames(self, num_samples: int) -> int:
        """Frames that lie wholly inside so many samples."""
        return max(0, 1 + (num_samples - self.window_samples) // self.hop_samples)

    def samples_of(self, num_frames: int) -> int:
        """Samples from the first to the last of so many frames."""
        return self.window_samples + (num_frames - 1) * self.hop_samples


PUBLISHED = FbankSettings()


def compressed(factor: int, settings: FbankSettings = PUBLISHED) -> FbankSettings:
    """The settings with a hop `factor` times as long and the same window: fewer frames."""
    return replace(settings, hop_samples=settings.hop_samples * factor)


def log_fbank(
    wave: Float[Tensor, "b s"], *, settings: FbankSettings = PUBLISHED
) -> Float[Tensor, "b t m"]:
    """Natural log of mel power, a row a frame; 10 s at 16 kHz give 998 rows of 128.

    Frames hang over no edge. Published band 3 holds no frequency bin and is always -15.9424.
    Gradients do not pass. Raises InputError for less than one frame.
    """
    _check(wave.shape[1], settings)
    num_frames = settings.num_frames(wave.shape[1])
    result = torch.empty(len(wave), num_frames, settings.num_mels, device=wave.device)
    _write(result, wave, settings)
    return result


def pad_or_crop(fbank: Float[Tensor, "b t m"], *, num_frames: int) -> Float[Tensor, "b u m"]:
    """The first `num_frames` rows, or all of them and rows of `PADDING` behind them."""
    missing = max(0, num_frames - fbank.shape[1])
    return functional.pad(fbank[:, :num_frames], (0, 0, 0, missing), value=PADDING)


def normalise(fbank: Float[Tensor, "b t m"], statistics: FbankStatistics) -> Float[Tensor, "b t m"]:
    """Log energies as networks take them: mean 0, standard deviation about one half."""
    return (fbank - statistics.mean) / (2 * statistics.spread)


def denormalise(
    values: Float[Tensor, "b t m"], statistics: FbankStatistics
) -> Float[Tensor, "b t m"]:
    """Log energies of `normalise`d values."""
    return values * (2 * statistics.spread) + statistics.mean


def network_input(
    wave: Float[Tensor, "b s"],
    statistics: FbankStatistics,
    *,
    settings: FbankSettings = PUBLISHED,
) -> Float[Tensor, "b u m"]:
    """`log_fbank` of waves, padded or cropped at their ends to the published length, normalised."""
    _check(wave.shape[1], settings)
    size = (len(wave), statistics.num_frames, settings.num_mels)
    result = torch.empty(size, device=wave.device)
    num_frames = settings.num_frames(wave.shape[1])
    result[:, num_frames:] = PADDING
    result[:, num_frames:].sub_(statistics.mean).div_(2 * statistics.spread)
    _write(result[:, :num_frames], wave, settings, statistics)
    return result


@cache
def window(settings: FbankSettings, device: torch.device) -> Float[Tensor, " w"]:
    """Symmetric Hann window."""
    with torch.inference_mode(False):  # kept, so that gradients may pass after a prediction
        size = settings.window_samples
        if size == PUBLISHED.window_samples:
            return load_table(TABLE, sha256=TABLE_SHA256)["window"].to(device)
        return torch.hann_window(size, periodic=False, dtype=torch.float64).float().to(device)


@cache
def mel_filters(settings: FbankSettings, device: torch.device) -> Float[Tensor, "f m"]:
    """Triangles that are straight in mel, a column a band; the highest frequency is left out."""
    with torch.inference_mode(False):
        same = replace(settings, hop_samples=PUBLISHED.hop_samples)
        if same == PUBLISHED:
            return load_table(TABLE, sha256=TABLE_SHA256)["filters"].to(device)
        filters = htk_filters(
            rate_hz=settings.rate_hz,
            fft_samples=settings.fft_samples,
            num_mels=settings.num_mels,
            low_hz=settings.low_hz,
            high_hz=settings.high_hz,
            straight_in="mel",
        )
        return filters.float()[:, :-1].T.contiguous().to(device)


@dataclass(frozen=True, slots=True)
class _Block:
    """Some neighbouring bands, and the bins they need: a real and an imaginary row each."""

    bands: slice
    rows: slice
    weights: Float[Tensor, "r n"]


@cache
def _blocks(settings: FbankSettings, device: torch.device) -> tuple[_Block, ...]:
    filters = mel_filters(settings, device)
    blocks: list[_Block] = []
    for first in range(0, settings.num_mels, BANDS_PER_BLOCK):
        bands = slice(first, min(first + BANDS_PER_BLOCK, settings.num_mels))
        reached = filters[:, bands].any(dim=1).nonzero().flatten()
        needed = [int(row) for row in reached] or [0]
        bins = slice(needed[0], needed[-1] + 1)
        weights = filters[bins, bands].repeat_interleave(2, dim=0)
        blocks.append(_Block(bands, slice(2 * bins.start, 2 * bins.stop), weights))
    return tuple(blocks)


def _check(num_samples: int, settings: FbankSettings) -> None:
    if num_samples < settings.window_samples:
        raise InputError(
            f"wave has {num_samples} samples, one frame needs {settings.window_samples} at "
            f"{settings.rate_hz} Hz: use a longer clip"
        )


@torch.no_grad()
def _write(
    result: Float[Tensor, "b t m"],
    wave: Float[Tensor, "b s"],
    settings: FbankSettings,
    statistics: FbankStatistics | None = None,
) -> None:
    """Put the first frames' log energies into `result`, normalised where `statistics` are given.

    On a CPU so few frames at a time that a core's cache holds them through all steps.
    """
    num_frames, settled = result.shape[1], wave.float()
    per_pass = FRAMES_PER_PASS * torch.get_num_threads()
    if wave.device.type != "cpu":
        per_pass = num_frames * len(wave)
    clips = max(1, min(per_pass // num_frames, len(wave)))
    at_once = -(-num_frames // -(-num_frames // per_pass))
    scratch = _Scratch(clips, at_once, settings, wave.device)
    for clip in range(0, len(wave), clips):
        for first in range(0, num_frames, at_once):
            rows = result[clip : clip + clips, first : first + at_once]
            start = first * settings.hop_samples
            stop = start + settings.samples_of(rows.shape[1])
            scratch.write(rows, settled[clip : clip + clips, start:stop], statistics)


class _Scratch:
    """Memory for one pass over frames, which all passes use: fresh memory would cost more time."""

    def __init__(
        self, num_clips: int, num_frames: int, settings: FbankSettings, device: torch.device
    ) -> None:
        self.settings = settings
        self.window = window(settings, device)
        self.blocks = _blocks(settings, device)
        size, count = settings.samples_of(num_frames), num_clips * num_frames
        self.emphasised = torch.zeros(num_clips, size, device=device)
        self.padded = torch.zeros(count, settings.fft_samples, device=device)
        self.energies = torch.empty(count, settings.num_mels, device=device)

    def write(
        self,
        result: Float[Tensor, "b t m"],
        wave: Float[Tensor, "b s"],
        statistics: FbankStatistics | None,
    ) -> None:
        """Log mel power of so many frames of waves, into `result`, perhaps normalised."""
        shape = result.shape[:2]
        padded = self.padded[: shape.numel()]
        windowed = padded.view(*shape, -1)[..., : self.settings.window_samples]
        frames, offsets = self._frames(wave)
        torch.sub(frames, offsets, out=windowed)
        windowed.mul_(self.window)
        spectrum = cast(Tensor, torch.fft.rfft(padded))
        power = torch.view_as_real(spectrum).square_().flatten(1)  # (frames, 2 f)
        energies = self.energies[: shape.numel()]
        for block in self.blocks:
            torch.mm(power[:, block.rows], block.weights, out=energies[:, block.bands])
        energies = energies.clamp_(min=ENERGY_FLOOR).view(*shape, -1)
        if statistics is None:
            torch.log(energies, out=result)
        else:
            torch.div(energies.log_().sub_(statistics.mean), 2 * statistics.spread, out=result)

    def _frames(
        self, wave: Float[Tensor, "b s"]
    ) -> tuple[Float[Tensor, "b t n"], Float[Tensor, "b t 1"]]:
        """Frames after pre-emphasis, and what is left to subtract from each.

        Kaldi subtracts the means of clip and frame before pre-emphasis; as all are linear, the
        wave is emphasised once for all frames and (1 - 0.97) of a frame's mean is subtracted then.
        A frame's first sample, which has another predecessor, meets a window of 0.
        """
        emphasised = self.emphasised[: len(wave), : wave.shape[1]]
        torch.sub(wave[:, 1:], wave[:, :-1], alpha=PRE_EMPHASIS, out=emphasised[:, 1:])
        size, hop = self.settings.window_samples, self.settings.hop_samples
        piece = math.gcd(size, hop)  # frames are made of whole pieces, whose means they share
        means = wave.unfold(1, piece, piece).mean(dim=-1)
        means = means.unfold(1, size // piece, hop // piece).mean(dim=-1, keepdim=True)
        return emphasised.unfold(1, size, hop), means.mul_(1 - PRE_EMPHASIS)
