"""Neural codec: sound to a small file of spectrogram codes and back.

Axes: b clips, r code rows, c code columns, m mel bands, t frames, s samples, n codes.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from earsight.errors import InputError
from earsight.files import staged
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ, log_mel, to_model
from earsight.generate.decode import (
    DECODE_COLUMNS,
    Compute,
    Vocoder,
    cut_to_length,
    stream_mel,
    stream_wave,
)
from earsight.generate.grid import to_grid, to_sequence
from earsight.media.audio import Waveform
from earsight.models.mel_vqgan.model import MelVQGAN

CONTEXT_COLUMNS = 4
"""Columns on either side that the encoder sees of a long sound without writing their codes."""
MAGIC = b"ESC1"
_HEADER = struct.Struct("<4sBBIQ8s")


@dataclass(frozen=True, slots=True)
class CodedSound:
    """Codes of a mono sound at 22050 Hz, and what is needed to decode them."""

    codes: Int[Tensor, " n"]
    num_codes: int
    rows: int
    num_samples: int
    weights_id: bytes

    @property
    def bits_per_code(self) -> int:
        """Bits that the largest code takes: 10 for 1024 codes."""
        return max(1, (self.num_codes - 1).bit_length())

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return self.num_samples / MEL_RATE_HZ

    @property
    def payload_bits_per_second(self) -> float:
        """Bit rate of the codes alone. Source: SpecVQGAN, sec. 4 (neural codec)."""
        return self.bits_per_code * self.codes.shape[0] / self.seconds


class Codec:
    """A spectrogram codebook and a vocoder; made by `earsight.load`."""

    def __init__(
        self,
        *,
        name: str,
        weights_sha256: str,
        codebook: MelVQGAN,
        vocoder: Vocoder,
        compute: Compute = "fp32",
    ) -> None:
        self.name = name
        self.weights_sha256 = weights_sha256
        self.codebook = codebook.eval()
        self.vocoder = vocoder
        self.compute: Compute = compute

    def encode(self, wave: Waveform) -> CodedSound:
        """Codes of a mono sound at 22050 Hz of any length.

        Raises InputError for another rate, several channels or no samples.
        """
        if wave.rate_hz != MEL_RATE_HZ or wave.num_channels != 1 or wave.num_samples == 0:
            raise InputError(
                f"expected mono sound at {MEL_RATE_HZ} Hz, got {wave.num_channels} channels at "
                f"{wave.rate_hz} Hz with {wave.num_samples} samples: resample it first"
            )
        config = self.codebook.config
        step = config.downsample * MEL_HOP_SAMPLES
        num_columns = math.ceil(wave.num_samples / step)
        codes = torch.cat(list(self._grids(wave.samples, num_columns)), dim=2)
        return CodedSound(
            to_sequence(codes)[0],
            config.num_codes,
            codes.shape[1],
            wave.num_samples,
            bytes.fromhex(self.weights_sha256)[:8],
        )

    def decode(self, coded: CodedSound) -> Waveform:
        """The sound, as long as it was. Raises InputError for codes of another model."""
        return Waveform(
            torch.cat([piece.samples for piece in self.stream(coded)], dim=1), MEL_RATE_HZ
        )

    def stream(self, coded: CodedSound) -> Iterator[Waveform]:
        """The sound in pieces, for sounds of any length."""
        own = bytes.fromhex(self.weights_sha256)[:8]
        if coded.weights_id != own:
            raise InputError(
                f"these codes were made by weights {coded.weights_id.hex()}, {self.name} has "
                f"{own.hex()}: decode them with the model that encoded them"
            )
        device = next(self.codebook.parameters()).device
        grid = to_grid(coded.codes[None], rows=coded.rows).to(device)
        mels = stream_mel(self.codebook, grid, compute=self.compute)
        yield from cut_to_length(stream_wave(self.vocoder, mels), coded.num_samples)

    @torch.inference_mode()
    def _grids(self, samples: Tensor, num_columns: int) -> Iterator[Int[Tensor, "1 r _"]]:
        """Codes of pieces of a long sound; the encoder sees a little more than each piece."""
        device = next(self.codebook.parameters()).device
        downsample = self.codebook.config.downsample
        step = downsample * MEL_HOP_SAMPLES
        whole = num_columns <= DECODE_COLUMNS
        stride = num_columns if whole else DECODE_COLUMNS - 2 * CONTEXT_COLUMNS
        for start in range(0, num_columns, stride):
            end = min(start + stride, num_columns)
            first = 0 if whole else max(0, start - CONTEXT_COLUMNS)
            last = min(end + CONTEXT_COLUMNS, num_columns)
            piece = samples[:, first * step : last * step]
            frames = (last - first) * downsample
            piece = torch.nn.functional.pad(piece, (0, (last - first) * step - piece.shape[1]))
            mel = log_mel(piece.to(device), num_frames=None)[:, :, :frames]
            codes = self.codebook.encode(to_model(mel)[:, None]).codes
            yield codes[:, :, start - first : end - first].cpu()


def write_coded(path: Path, coded: CodedSound, *, overwrite: bool = False) -> int:
    """Write a code file; returns its size in bytes.

    Layout: "ESC1", bits per code, code rows, number of codes in the codebook, samples of the
    sound (little-endian), first 8 bytes of the weights' hash, then the codes without gaps.
    """
    header = _HEADER.pack(
        MAGIC,
        coded.bits_per_code,
        coded.rows,
        coded.num_codes,
        coded.num_samples,
        coded.weights_id,
    )
    payload = _pack(coded.codes.numpy(), coded.bits_per_code)
    with staged(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(header + payload)
    return len(header) + len(payload)


def read_coded(path: Path) -> CodedSound:
    """Read a code file. Raises InputError for another format or a damaged file."""
    if not path.is_file():
        raise InputError(f"{path}: expected a code file, found none: check the name")
    data = path.read_bytes()
    if len(data) < _HEADER.size or data[:4] != MAGIC:
        raise InputError(
            f"{path}: expected a code file that begins with ESC1, found something else"
        )
    _, bits, rows, num_codes, num_samples, weights_id = _HEADER.unpack_from(data)
    if not 1 <= bits <= 24 or bits != max(1, (num_codes - 1).bit_length()) or not rows:
        raise InputError(
            f"{path}: damaged header ({bits} bits for {num_codes} codes): encode again"
        )
    payload = data[_HEADER.size :]
    count = len(payload) * 8 // bits // rows * rows
    needed = math.ceil(num_samples / MEL_HOP_SAMPLES)
    codes = _unpack(payload, bits, count)
    if not count or needed > count // rows * 64 or int(codes.max()) >= num_codes:
        raise InputError(f"{path}: cut short or damaged ({count} codes found): encode it again")
    return CodedSound(torch.from_numpy(codes), num_codes, rows, num_samples, weights_id)


def _pack(codes: NDArray[np.int64], bits: int) -> bytes:
    shifts = np.arange(bits - 1, -1, -1)
    return np.packbits((codes[:, None] >> shifts & 1).astype(np.uint8)).tobytes()


def _unpack(payload: bytes, bits: int, count: int) -> NDArray[np.int64]:
    flags = np.unpackbits(np.frombuffer(payload, np.uint8))[: count * bits].reshape(count, bits)
    weights = (1 << np.arange(bits - 1, -1, -1)).astype(np.int64)
    return flags.astype(np.int64) @ weights
