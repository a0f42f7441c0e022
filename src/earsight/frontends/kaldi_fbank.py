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
FRAMES_PER_PASS = 256  # on a CPU, so that what lies between two steps stays in its cache
BANDS_PER_BLOCK = 16  # neighbouring bands need neighbouring bins: most of the matrix is zero


@dataclass(frozen=True, kw_only=True, slots=True)
class FbankSettings:
    """Frames and bands of a filterbank; the defaults are the published ones (25 ms every 10 ms).

    Waves are mono in [-1, 1], not scaled to 16 bit. Without `remove_clip_mean` a constant offset
    of the clip stays, as in the Hugging Face extractor; as every frame loses its own mean, that
    moves values by 0.002 at most.
    """

    rate_hz: int = 16000
    window_samples: int = 400
    hop_samples: int = 160
    num_mels: int = 128
    low_hz: float = 20.0
    high_hz: float = 8000.0
    remove_clip_mean: bool = True

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
    _write(result[:, :num_frames], wave, settings)
    return result.sub_(statistics.mean).div_(2 * statistics.spread)


@cache
def window(settings: FbankSettings, device: torch.device) -> Float[Tensor, " w"]:
    """Symmetric Hann window with zeros behind it up to the FFT's length."""
    with torch.inference_mode(False):  # kept, so that gradients may pass after a prediction
        size = settings.window_samples
        if size == PUBLISHED.window_samples:
            hann = load_table(TABLE, sha256=TABLE_SHA256)["window"].to(device)
        else:
            hann = torch.hann_window(size, periodic=False, dtype=torch.float64).float().to(device)
        return functional.pad(hann, (0, settings.fft_samples - size))


@cache
def mel_filters(settings: FbankSettings, device: torch.device) -> Float[Tensor, "f m"]:
    """Triangles that are straight in mel, a column a band; the highest frequency is left out."""
    with torch.inference_mode(False):
        same = replace(settings, hop_samples=PUBLISHED.hop_samples, remove_clip_mean=True)
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
    result: Float[Tensor, "b t m"], wave: Float[Tensor, "b s"], settings: FbankSettings
) -> None:
    """Put the first frames' log energies into `result`, a few hundred frames at a time on a CPU."""
    num_frames = result.shape[1]
    per_pass = FRAMES_PER_PASS if wave.device.type == "cpu" else max(1, num_frames * len(wave))
    clips = max(1, min(per_pass // num_frames, len(wave)))
    passes = -(-num_frames // per_pass)
    at_once = -(-num_frames // passes)
    scratch = _Scratch(clips, wave.shape[1], at_once, settings, wave.device)
    for clip in range(0, len(wave), clips):
        frames, offsets = scratch.frames(wave[clip : clip + clips])
        rows = result[clip : clip + clips]
        for first in range(0, num_frames, at_once):
            part = slice(first, min(first + at_once, num_frames))
            scratch.write(rows[:, part], frames[:, part], offsets[:, part])


class _Scratch:
    """Memory for one pass over frames, which all passes use: fresh memory would cost more time."""

    def __init__(
        self,
        num_clips: int,
        num_samples: int,
        num_frames: int,
        settings: FbankSettings,
        device: torch.device,
    ) -> None:
        self.settings = settings
        self.window = window(settings, device)
        self.blocks = _blocks(settings, device)
        missing = settings.fft_samples - settings.window_samples
        self.wave = torch.zeros(num_clips, num_samples + missing, device=device)
        self.windowed = torch.empty(num_clips * num_frames, settings.fft_samples, device=device)
        self.energies = torch.empty(num_clips * num_frames, settings.num_mels, device=device)

    def frames(
        self, wave: Float[Tensor, "b s"]
    ) -> tuple[Float[Tensor, "b t w"], Float[Tensor, "b t 1"]]:
        """Frames after pre-emphasis, and what is left to subtract from each.

        Kaldi subtracts a frame's mean before pre-emphasis; as both are linear, the wave is
        emphasised once for all frames and (1 - 0.97) of the mean is subtracted then. The first
        sample of a frame, which has another predecessor, meets a window of 0.
        """
        settings, (num_clips, num_samples) = self.settings, wave.shape
        wave = wave.float()
        if settings.remove_clip_mean:
            wave = wave - wave.mean(dim=1, keepdim=True)
        emphasised = self.wave[:num_clips]
        torch.sub(wave[:, 1:], wave[:, :-1], alpha=PRE_EMPHASIS, out=emphasised[:, 1:num_samples])
        size, hop = settings.window_samples, settings.hop_samples
        piece = math.gcd(size, hop)  # frames are made of whole pieces, whose means they share
        means = wave.unfold(1, piece, piece).mean(dim=-1)
        means = means.unfold(1, size // piece, hop // piece).mean(dim=-1, keepdim=True)
        return emphasised.unfold(1, settings.fft_samples, hop), (1 - PRE_EMPHASIS) * means

    def write(
        self,
        result: Float[Tensor, "b t m"],
        frames: Float[Tensor, "b t w"],
        offsets: Float[Tensor, "b t 1"],
    ) -> None:
        """Log mel power of frames without window, into `result`."""
        shape = result.shape[:2]
        count = shape.numel()
        windowed = self.windowed[:count]
        torch.sub(frames, offsets, out=windowed.view(*shape, -1))
        spectrum = cast(Tensor, torch.fft.rfft(windowed.mul_(self.window)))
        power = torch.view_as_real(spectrum).square_().flatten(1)  # (frames, 2 f)
        energies = self.energies[:count]
        for block in self.blocks:
            torch.mm(power[:, block.rows], block.weights, out=energies[:, block.bands])
        torch.log(energies.clamp_(min=ENERGY_FLOOR).view(*shape, -1), out=result)
