"""Log-mel spectrogram of SpecVQGAN and RegNet, its inverse up to mel amplitude, and its scalings.

Every published codebook, classifier and vocoder of that line expects exactly these numbers, which
are more than the paper says: magnitude (power 1), 20 log10, minus 20 dB, plus 100, over 100,
clipped to [0, 1], and the reflecting STFT border of librosa 0.8.
Source: SpecVQGAN, sec. 3.1; official repositories v-iashin/SpecVQGAN and PeihaoChen/regnet.

Axes: b clips, s samples, m mel bands, t frames, f frequency bins.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import ConfigError, InputError
from earsight.frontends.stored_tables import load_table

TABLE = "specvqgan_mel.npz"
TABLE_SHA256 = "d81b031b077d34bbfd24ccd98c9d08e2e156220b736cf7c81b8d764d9eba55b5"

MEL_RATE_HZ = 22050
MEL_HOP_SAMPLES = 256
NUM_MELS = 80
FFT_SAMPLES = 1024
CLIP_SAMPLES = 220500
CLIP_FRAMES = 860
MODEL_FRAMES = 848
MEL_FLOOR = 1e-5  # under the clip at 1e-4, kept as published: it makes log10(0) finite
LOOP_GAP_SOURCE_SAMPLES = 1024  # measured on published mels: back to back the error is 2.4 times
BLOCK_FRAMES = 4096  # transformed at once, so that memory does not grow with a batch of hours
_BORDER = FFT_SAMPLES // 2
_TAIL_SAMPLES = CLIP_SAMPLES - CLIP_FRAMES * MEL_HOP_SAMPLES


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecVQGANMelConfig:
    """What a checkpoint says about its spectrograms; nothing but the length may differ.

    `num_frames` columns reach the model: the middle of the `clip_frames` that were computed.
    """

    clip_frames: int = CLIP_FRAMES
    num_frames: int = MODEL_FRAMES

    def __post_init__(self) -> None:
        """Refuse a crop longer than the clip."""
        if not 0 < self.num_frames <= self.clip_frames:
            raise ConfigError(
                f"num_frames ({self.num_frames}) must lie in 1..clip_frames ({self.clip_frames})"
            )

    @property
    def clip_samples(self) -> int:
        """Samples that a wave is padded or cut to."""
        return samples_for(self.clip_frames)


@cache
def _filters(device: torch.device) -> Float[Tensor, "m f"]:
    return load_table(TABLE, sha256=TABLE_SHA256)["filters"].to(device)


@cache
def _band_statistics(device: torch.device) -> tuple[Float[Tensor, "m 1"], Float[Tensor, "m 1"]]:
    table = load_table(TABLE, sha256=TABLE_SHA256)
    means, stds = table["band_means"].float(), table["band_stds"].float()
    return means.to(device)[:, None], stds.to(device)[:, None]


@cache
def _window(device: torch.device) -> Float[Tensor, " n"]:
    return torch.hann_window(FFT_SAMPLES, periodic=True, device=device)


def mel_filters(device: torch.device) -> Float[Tensor, "m f"]:
    """The stored filter matrix: 80 Slaney bands of unit area from 125 to 7600 Hz, 513 bins."""
    return _filters(device)


def samples_for(num_frames: int) -> int:
    """Samples that the published chain pads or cuts to for `num_frames`; 220500 for 860."""
    return num_frames * MEL_HOP_SAMPLES + _TAIL_SAMPLES


def fit_samples(wave: Float[Tensor, "b s"], num_samples: int) -> Float[Tensor, "b n"]:
    """Zero-pad at the end or cut to `num_samples`."""
    kept = wave[:, :num_samples]
    return functional.pad(kept, (0, num_samples - kept.shape[1]))


def _transform(padded: Float[Tensor, "b s"]) -> Float[Tensor, "b m t"]:
    """Scaled log-mel of whole windows, without any padding."""
    spectrum = torch.stft(
        padded,
        FFT_SAMPLES,
        hop_length=MEL_HOP_SAMPLES,
        window=_window(padded.device),
        center=False,
        return_complex=True,
    )
    mel = _filters(padded.device) @ spectrum.abs()  # (b, m, t)
    return ((20 * torch.log10(mel.clamp(min=MEL_FLOOR)) + 80) / 100).clamp(0, 1)


def log_mel(
    wave: Float[Tensor, "b s"], *, num_frames: int | None = CLIP_FRAMES
) -> Float[Tensor, "b m t"]:
    """Mel spectrogram scaled to [0, 1]: 0 is a mel amplitude of 1e-4 or less, 1 is 10 or more.

    Input is mono at 22050 Hz in [-1, 1], a plain mean of the channels. With a number of frames
    the wave is zero-padded at the end or cut to `samples_for(num_frames)` first, as published for
    860; None keeps all 1 + s // 256 frames of a wave of any length. Computed in float32 on the
    wave's device, and differentiable. Raises InputError for a wave without samples.
    """
    if wave.shape[1] == 0:
        raise InputError("wave has 0 samples: at least 1 is needed")
    wave = wave.float()
    if num_frames is not None:
        wave = fit_samples(wave, samples_for(num_frames))
    all_frames = 1 + wave.shape[1] // MEL_HOP_SAMPLES
    # a border is reflected, which a wave shorter than it cannot do: zeros follow such a wave
    wave = fit_samples(wave, max(wave.shape[1], _BORDER + 1))
    padded = functional.pad(wave[:, None], (_BORDER, _BORDER), mode="reflect")[:, 0]
    wanted = all_frames if num_frames is None else num_frames
    step = max(1, BLOCK_FRAMES // wave.shape[0])
    blocks = [
        _transform(padded[:, start * MEL_HOP_SAMPLES : _end_of(min(start + step, wanted))])
        for start in range(0, wanted, step)
    ]
    return torch.cat(blocks, dim=2)


def _end_of(num_frames: int) -> int:
    """Samples that the first `num_frames` windows cover."""
    return (num_frames - 1) * MEL_HOP_SAMPLES + FFT_SAMPLES


def stream_log_mel(blocks: Iterable[Float[Tensor, " s"]]) -> Iterator[Float[Tensor, "m t"]]:
    """`log_mel(..., num_frames=None)` of a wave that arrives in blocks, in constant memory.

    Blocks are mono at 22050 Hz and of any lengths; the pieces that come out, joined along time,
    equal the spectrogram of the whole wave. Nothing comes out for no samples.
    """
    held = torch.zeros(0)
    is_start = True
    for block in blocks:
        held = torch.cat([held.to(block.device), block.float()])
        if is_start and held.numel() > FFT_SAMPLES:
            held = torch.cat([held[1 : _BORDER + 1].flip(0), held])
            is_start = False
        # the last border stays back: it is reflected when the wave ends
        ready = 0 if is_start else (held.numel() - _BORDER - FFT_SAMPLES) // MEL_HOP_SAMPLES
        if ready > 0:
            yield _transform(held[None, : _end_of(ready)])[0]
            held = held[ready * MEL_HOP_SAMPLES :]
    if is_start and held.numel():
        yield log_mel(held[None], num_frames=None)[0]
    elif not is_start:
        held = torch.cat([held, held[-_BORDER - 1 : -1].flip(0)])
        count = 1 + (held.numel() - FFT_SAMPLES) // MEL_HOP_SAMPLES
        yield _transform(held[None, : _end_of(count)])[0]


def mel_amplitude(mel: Float[Tensor, "*b m t"]) -> Float[Tensor, "*b m t"]:
    """Linear mel amplitude of a [0, 1] spectrogram: the inverse of the scaling, not of the clip."""
    return 10 ** ((100 * mel - 80) / 20)


def centre_crop(
    mel: Float[Tensor, "*b m t"], num_frames: int = MODEL_FRAMES
) -> Float[Tensor, "*b m n"]:
    """The middle `num_frames` frames: frames 6 to 853 of 860.

    Raises InputError where the spectrogram is shorter.
    """
    found = mel.shape[-1]
    if found < num_frames:
        raise InputError(
            f"mel has {found} frames, fewer than the {num_frames} to keep: "
            "use a longer sound or a smaller crop"
        )
    start = (found - num_frames) // 2
    return mel[..., start : start + num_frames]


def to_model(mel: Float[Tensor, "*b m t"]) -> Float[Tensor, "*b m t"]:
    """From [0, 1] to the [-1, 1] that the codebook model works in, and nothing else does."""
    return 2 * mel - 1


def from_model(mel: Float[Tensor, "*b m t"]) -> Float[Tensor, "*b m t"]:
    """From the codebook model's [-1, 1] to the [0, 1] of vocoders and classifiers, not clamped."""
    return (mel + 1) / 2


def normalise_bands(mel: Float[Tensor, "*b m t"]) -> Float[Tensor, "*b m t"]:
    """Minus the mean, over the standard deviation of each band: VGGish-ish and Melception input.

    The statistics are those of the VGGSound training mels, whatever the corpus.
    Source: official repository, train_means_stds_melspec_10s_22050hz.txt.
    """
    means, stds = _band_statistics(mel.device)
    return (mel - means) / stds


def tile_to_clip(
    wave: Float[Tensor, " s"], *, source_rate_hz: int, num_samples: int = CLIP_SAMPLES
) -> Float[Tensor, " n"]:
    """Repeat a short clip as the published training features did: with a gap between the copies.

    The files were looped by stream copy, which left 1,024 samples of silence (at the source's
    rate, one AAC frame) before each copy. `wave` is at 22050 Hz; a longer one is cut. The
    published demo pads with zeros instead, which is what `log_mel` does on its own.
    """
    gap = round(LOOP_GAP_SOURCE_SAMPLES * MEL_RATE_HZ / source_rate_hz)
    if wave.numel() >= num_samples or wave.numel() == 0:
        return fit_samples(wave[None], num_samples)[0]
    period = functional.pad(wave, (0, gap))
    return period.repeat(-(-num_samples // period.numel()))[:num_samples]
