"""From codes to a waveform of any length, piece by piece in bounded memory.

Axes: b clips, r code rows, c code columns, m mel bands, t frames, s samples.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from earsight.frontends.griffin_lim import mel_to_wave
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ, from_model
from earsight.generate.windows import window_starts
from earsight.media.audio import Waveform
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.melgan.model import MelGANGenerator, fold_weight_norm

DECODE_COLUMNS = 64
"""Columns decoded at once: a 10 s clip (54) is one pass."""
JOINT_COLUMNS = 8
"""Columns over which neighbouring passes fade into each other."""
VOCODE_FRAMES = 1024

Compute = Literal["fp32", "bf16"]
GRIFFIN_LIM = "griffin-lim"
"""What options and model folders call the vocoder that needs no weights."""


def stream_mel(
    codebook: MelVQGAN,
    codes: Int[Tensor, "b r c"],
    *,
    compute: Compute = "fp32",
    window_columns: int = DECODE_COLUMNS,
    joint_columns: int = JOINT_COLUMNS,
) -> Iterator[Float[Tensor, "b m _"]]:
    """Spectrograms in [0, 1] of a code grid of any length, in pieces that add up to all frames.

    A long grid is decoded in overlapping passes that fade into each other, since the decoder's
    normalisation sees its whole input; `window_columns` of at least c gives a single pass.
    """
    num_columns = codes.shape[2]
    starts = window_starts(
        num_columns, window_columns=window_columns, overlap_columns=joint_columns
    )
    held: Tensor | None = None
    for index, start in enumerate(starts):
        mel = decode_mel(codebook, codes[:, :, start : start + window_columns], compute=compute)
        step = mel.shape[2] // min(window_columns, num_columns)
        if held is not None:
            overlap = held.shape[2]
            weight = torch.linspace(0, 1, overlap + 2, device=mel.device)[1:-1]
            joint = held * (1 - weight) + mel[:, :, :overlap] * weight
            mel = torch.cat([joint, mel[:, :, overlap:]], dim=2)
        if index + 1 < len(starts):
            kept = (starts[index + 1] - start) * step
            held = mel[:, :, kept:]
            mel = mel[:, :, :kept]
        yield mel


@torch.inference_mode()
def decode_mel(
    codebook: MelVQGAN, codes: Int[Tensor, "b r c"], *, compute: Compute = "fp32"
) -> Float[Tensor, "b m t"]:
    """One pass of the decoder: spectrograms in about [0, 1], not clamped (as published)."""
    with _autocast(codes.device, compute):
        mel = codebook.decode_codes(codes)
    return from_model(rearrange(mel.float(), "b 1 m t -> b m t"))


@runtime_checkable
class Vocoder(Protocol):
    """Turns spectrogram frames into 256 samples each."""

    @property
    def margin_frames(self) -> int:
        """Neighbouring frames that a sample can depend on."""
        ...

    @property
    def joint_frames(self) -> int:
        """Frames over which pieces must fade into each other; 0 where pieces fit exactly."""
        ...

    def __call__(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b s"]:
        """Waves at 22050 Hz of spectrograms in [0, 1]."""
        ...


class MelGANVocoder:
    """A MelGAN generator, its weight norm folded away.

    On a CPU it always computes in fp32: its one-dimensional convolutions are slower in bf16.
    """

    margin_frames = 32
    joint_frames = 0

    def __init__(self, generator: MelGANGenerator, *, compute: Compute = "fp32") -> None:
        self._generator = fold_weight_norm(generator).eval()
        self._compute: Compute = compute

    @torch.inference_mode()
    def __call__(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b s"]:
        """Waves in (-1, 1)."""
        compute: Compute = "fp32" if mel.device.type == "cpu" else self._compute
        with _autocast(mel.device, compute):
            wave = self._generator(mel)
        return rearrange(wave.float(), "b 1 s -> b s")


class GriffinLimVocoder:
    """Phases found by iteration: needs no weights, sounds metallic."""

    margin_frames = 32
    joint_frames = 16

    def __init__(self, *, iterations: int = 32) -> None:
        self._iterations = iterations

    @torch.inference_mode()
    def __call__(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b s"]:
        """Waves held inside (-1, 1) by a soft limit that leaves levels below 0.8 alone."""
        return soft_limit(mel_to_wave(mel, iterations=self._iterations))


def soft_limit(wave: Float[Tensor, "b s"], *, knee: float = 0.8) -> Float[Tensor, "b s"]:
    """Bend what exceeds `knee` so that it approaches 0.999 and never goes beyond."""
    room = 0.999 - knee
    bent = knee + room * torch.tanh((wave.abs() - knee).clamp(min=0) / room)
    return torch.where(wave.abs() > knee, wave.sign() * bent, wave)


def stream_wave(
    vocoder: Vocoder,
    mels: Iterable[Float[Tensor, "b m _"]],
    *,
    piece_frames: int = VOCODE_FRAMES,
) -> Iterator[Float[Tensor, "b _"]]:
    """Waves of a streamed spectrogram, in pieces that add up to 256 samples per frame.

    Every piece is vocoded with enough neighbouring frames that the pieces join without a seam.
    """
    margin, joint = vocoder.margin_frames, vocoder.joint_frames
    source = iter(mels)
    buffer: Tensor | None = None
    before = 0  # frames of the buffer that were written already, kept for context
    tail: Tensor | None = None
    ended = False
    while not ended:
        wanted = before + piece_frames + margin + joint
        while not ended and (buffer is None or buffer.shape[2] < wanted):
            mel = next(source, None)
            ended = mel is None
            if mel is not None:
                buffer = mel if buffer is None else torch.cat([buffer, mel], dim=2)
        if buffer is None:
            return
        end = buffer.shape[2] if ended else before + piece_frames
        wave = vocoder(buffer[:, :, : min(buffer.shape[2], end + margin + joint)])
        piece = wave[:, before * MEL_HOP_SAMPLES : end * MEL_HOP_SAMPLES]
        if tail is not None:
            piece = _faded(tail, piece)
        tail = wave[:, end * MEL_HOP_SAMPLES : (end + joint) * MEL_HOP_SAMPLES] if joint else None
        yield piece
        first = max(0, end - margin)
        buffer, before = buffer[:, :, first:], end - first


def cut_to_length(pieces: Iterable[Float[Tensor, "1 _"]], num_samples: int) -> Iterator[Waveform]:
    """Pieces of one sound at 22050 Hz as waveforms on the CPU, `num_samples` long in all.

    What is missing at the end is silence.
    """
    left = num_samples
    for piece in pieces:
        wave = piece[:, :left].cpu()
        left -= wave.shape[1]
        if wave.shape[1]:
            yield Waveform(wave, MEL_RATE_HZ)
    if left:
        yield Waveform(torch.zeros(1, left), MEL_RATE_HZ)


def _faded(tail: Tensor, piece: Tensor) -> Tensor:
    """The end of the last piece fading into the beginning of this one."""
    length = min(tail.shape[1], piece.shape[1])
    weight = torch.linspace(0, 1, length, device=piece.device)
    joint = tail[:, :length] * (1 - weight) + piece[:, :length] * weight
    return torch.cat([joint, piece[:, length:]], dim=1)


def _autocast(device: torch.device, compute: Compute) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=compute == "bf16")
