"""Speed and memory of tagging long sounds, each length in a process of its own."""

import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from earsight.checkpoints.native import save_folder
from earsight.evaluate.arms import in_turns
from earsight.generate.tagger import load_tagger
from earsight.models.audiomae.config import AudioTaggerConfig, EncoderConfig
from earsight.models.audiomae.model import AudioTagger

BLOCK_SECONDS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class TaggingMemory:
    """One row of the table: a sound of so many minutes, tagged window by window.

    `real_time_factor` is seconds of sound per second. `growth_mib` is how much more the process
    held at its peak than the one with the shortest sound.
    """

    minutes: float
    seconds: float
    real_time_factor: float
    loaded_mib: int
    peak_memory_mib: int
    growth_mib: int


def tagging_memory(
    minutes: Sequence[float],
    *,
    model: str | Path | None = None,
    rate_hz: int = 44100,
    batch: int = 8,
    with_steps: bool = False,
    num_threads: int | None = None,
) -> list[TaggingMemory]:
    """Tag noise of every length; without a model, by a small network with random weights."""
    found: dict[float, TaggingMemory] = {}
    with TemporaryDirectory() as folder:
        source = small_tagger(Path(folder) / "model") if model is None else model
        for length in sorted(minutes):
            path = noise_file(Path(folder) / "noise.wav", seconds=60 * length, rate_hz=rate_hz)
            work = partial(tag_once, source, path, batch=batch, with_steps=with_steps)
            name = f"{length:g} minutes"
            own = in_turns({name: work}, repeats=1, warm_ups=0, num_threads=num_threads)[name]
            shortest = min(
                (row.peak_memory_mib for row in found.values()), default=own.peak_memory_mib
            )
            found[length] = TaggingMemory(
                minutes=float(length),
                seconds=round(own.middle, 2),
                real_time_factor=round(60 * length / own.middle, 1),
                loaded_mib=own.loaded_mib,
                peak_memory_mib=own.peak_memory_mib,
                growth_mib=own.peak_memory_mib - shortest,
            )
    return list(found.values())


def tag_once(
    source: str | Path, path: Path, *, batch: int, with_steps: bool
) -> Callable[[], object]:
    """The work of hearing one file."""
    tagger = load_tagger(source)
    return lambda: tagger.hear(path, batch=batch, with_steps=with_steps)


def small_tagger(folder: Path) -> Path:
    """A model folder of Audio-MAE with four small blocks and random weights."""
    config = AudioTaggerConfig(
        encoder=EncoderConfig(width=96, num_layers=4, num_heads=3, hidden=384), num_classes=50
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = AudioTagger(config)
    save_folder(folder, "audiomae_tagger", config, network.state_dict())
    return folder


def noise_file(path: Path, *, seconds: float, rate_hz: int) -> Path:
    """A mono wave file of noise, written block by block."""
    draws = np.random.default_rng(0)
    block = draws.integers(-3000, 3000, BLOCK_SECONDS * rate_hz).astype("<i2")
    left = round(seconds * rate_hz)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        while left > 0:
            file.writeframes(block[:left].tobytes())
            left -= len(block)
    return path
