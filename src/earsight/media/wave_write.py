"""Sound files, written piece by piece and whole or not at all.

Axes: c channels, s samples.
"""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.extras import require
from earsight.files import staged
from earsight.media.guard import writing
from earsight.media.provenance import Provenance
from earsight.media.waveform import Waveform

Subtype = Literal["PCM_16", "PCM_24", "FLOAT"]
_FORMATS = {".wav": "WAV", ".flac": "FLAC"}


def write_audio(
    path: str | Path,
    sound: Waveform | Iterable[Waveform],
    *,
    provenance: Provenance | None,
    subtype: Subtype = "PCM_24",
    overwrite: bool = False,
) -> None:
    """Write a .wav or .flac file, with its provenance as comment; memory does not grow with length.

    Integer subtypes are clipped at full scale, by libsndfile. Raises InputError for NaN, infinity,
    no samples, changing rate or channels, an unknown ending or an existing file; nothing is left
    behind then.
    """
    path = Path(path)
    name = _FORMATS.get(path.suffix.lower())
    if name is None:
        raise InputError(
            f"sound is written as {' or '.join(_FORMATS)}, got '{path.name}': change the ending"
        )
    if name == "FLAC" and subtype == "FLOAT":
        raise InputError("FLAC holds integers only: use PCM_16, PCM_24 or a .wav file")
    require("soundfile", extra="media", purpose="writing sound")
    pieces = iter([sound] if isinstance(sound, Waveform) else sound)
    first = next(pieces, None)
    if first is None:
        raise InputError(f"no sound to write to {path}: not even one piece was given")
    with staged(path, overwrite=overwrite) as temporary, writing(path):
        _write(temporary, name, subtype, first, pieces, provenance)


def sane_samples(piece: Waveform, first: Waveform) -> Float[Tensor, "c s"]:
    """Samples of a piece on the CPU.

    Raises InputError for NaN, infinity, or where rate or channels differ from the first piece's.
    """
    samples = piece.samples.detach().to("cpu", torch.float32)
    if not bool(torch.isfinite(samples).all()):
        raise InputError("the sound to write holds NaN or infinity: the program before is at fault")
    found = (piece.num_channels, piece.rate_hz)
    if found != (first.num_channels, first.rate_hz):
        raise InputError(
            f"pieces of one sound differ: {first.num_channels} channels at {first.rate_hz} Hz, "
            f"then {found[0]} at {found[1]} Hz; resample or mix them to one"
        )
    return samples


def _write(
    path: Path,
    name: str,
    subtype: Subtype,
    first: Waveform,
    rest: Iterable[Waveform],
    provenance: Provenance | None,
) -> None:
    import soundfile

    num_samples = 0
    with soundfile.SoundFile(
        path, "w", first.rate_hz, first.num_channels, subtype=subtype, format=name
    ) as file:
        if provenance is not None:
            # before the first sample, since later it would land behind them
            file.comment = provenance.to_metadata()["comment"]
        for piece in chain([first], rest):
            samples = sane_samples(piece, first)
            num_samples += samples.shape[1]
            file.write(np.ascontiguousarray(samples.T.numpy()))
    if not num_samples:
        raise InputError("no sound to write: all pieces were empty")
