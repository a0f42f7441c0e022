"""Speed of the log filterbank beside that of the extractor in transformers, in the same run."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, cast

import numpy as np
import torch

from earsight.errors import InputError
from earsight.extras import require
from earsight.frontends.fbank_statistics import AUDIOSET
from earsight.frontends.kaldi_fbank import PUBLISHED, network_input


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterbankSpeed:
    """One row of the table: median milliseconds of a clip, and how far values lie apart.

    `deviation` is the largest difference of normalised values from earsight's.
    """

    extractor: str
    batch: int
    clip_milliseconds: float
    speedup: float
    deviation: float


def filterbank_speeds(
    *, batch: int = 32, clip_seconds: float = 10.0, repeats: int = 5
) -> list[FilterbankSpeed]:
    """Normalised input of AST and Audio-MAE from waves of noise, both ways in turns.

    Raises MissingExtraError without transformers, InputError where it uses torchaudio.
    """
    theirs = _numpy_extractor()
    draws = torch.Generator().manual_seed(0)
    waves = 0.1 * torch.randn(batch, round(clip_seconds * PUBLISHED.rate_hz), generator=draws)
    clips = [np.asarray(wave) for wave in waves]
    wanted = network_input(waves, AUDIOSET)
    found = theirs(clips)  # both have run once before they are measured
    own_seconds: list[float] = []
    their_seconds: list[float] = []
    for _ in range(repeats):
        own_seconds.append(_timed(lambda: network_input(waves, AUDIOSET)))
        their_seconds.append(_timed(lambda: theirs(clips)))
    plain, deviation = median(their_seconds), float((found - wanted).abs().max())
    return [
        _row(name, batch, seconds, plain, far)
        for name, seconds, far in (
            ("earsight", median(own_seconds), 0.0),
            ("transformers (NumPy)", plain, deviation),
        )
    ]


def _numpy_extractor() -> Callable[[list[np.ndarray]], torch.Tensor]:
    """transformers' extractor of AST, which computes with NumPy where torchaudio is absent."""
    module = require("transformers", extra="bench", purpose="comparing filterbanks")
    extractor: Any = module.ASTFeatureExtractor()
    if not hasattr(extractor, "mel_filters"):
        raise InputError(
            "transformers computes filterbanks with torchaudio here, and the comparison is with "
            "its NumPy path: use an environment without torchaudio"
        )

    def extract(clips: list[np.ndarray]) -> torch.Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of the band that holds no bin, as published
            made = extractor(clips, sampling_rate=PUBLISHED.rate_hz, return_tensors="np")
        return torch.from_numpy(cast(np.ndarray, made["input_values"]))

    return extract


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _row(name: str, batch: int, seconds: float, plain: float, deviation: float) -> FilterbankSpeed:
    return FilterbankSpeed(
        extractor=name,
        batch=batch,
        clip_milliseconds=round(seconds / batch * 1000, 3),
        speedup=round(plain / seconds, 1),
        deviation=round(deviation, 6),
    )
