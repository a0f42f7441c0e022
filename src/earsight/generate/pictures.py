"""Pictures of sounds and of attention, for people."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.extras import require
from earsight.files import staged
from earsight.frontends.motion import MotionTrack
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ, log_mel
from earsight.media.audio import read_audio

MAX_SECONDS = 30.0
"""Longest stretch that one picture shows."""
DPI = 130


def draw_sound(
    sound: Path, target: Path, *, motion: MotionTrack | None = None, overwrite: bool = False
) -> None:
    """Spectrogram of a sound file with its loudness, and the picture's motion if given."""
    wave = read_audio(sound, rate_hz=MEL_RATE_HZ, mono=True, duration_seconds=MAX_SECONDS)
    mel = log_mel(wave.samples, num_frames=None)[0]
    figure, (top, bottom) = _figure(mel.shape[1] * MEL_HOP_SAMPLES / MEL_RATE_HZ)
    _spectrogram(top, mel, title=sound.stem)
    seconds = np.arange(mel.shape[1]) * MEL_HOP_SAMPLES / MEL_RATE_HZ
    loudness = mel.mean(dim=0).numpy()
    bottom.fill_between(seconds, loudness / max(loudness.max(), 1e-6), color="#4467a8", alpha=0.8)
    if motion is not None:
        strength = torch.maximum(motion.energy, motion.onset).numpy()
        times = np.arange(len(strength)) / motion.fps
        bottom.plot(times, strength, color="#d1495b", linewidth=1.2, label="motion of the picture")
        bottom.legend(loc="upper right", frameon=False, fontsize=8)
    bottom.set(ylabel="loudness", xlabel="seconds", yticks=[], xlim=(0, seconds[-1]))
    _save(figure, target, overwrite=overwrite)


def draw_maps(
    maps: Float[Tensor, "l l"], num_condition: int, target: Path, *, overwrite: bool = False
) -> None:
    """Attention of every position (row) to every earlier one (column), condition first."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(7.5, 7), layout="constrained")
    bound = float(maps.abs().quantile(0.99)) or 1.0
    picture = axes.imshow(maps.cpu().numpy(), cmap="RdBu_r", vmin=-bound, vmax=bound)
    axes.axvline(num_condition - 0.5, color="#333333", linewidth=0.8)
    axes.axhline(num_condition - 0.5, color="#333333", linewidth=0.8)
    axes.set(
        title="Attention of the last layer, minus even attention",
        xlabel=f"seen: {num_condition} condition tokens, then codes",
        ylabel="position that looks",
    )
    figure.colorbar(picture, ax=axes, shrink=0.7)
    _save(figure, target, overwrite=overwrite)


def _spectrogram(axes: Any, mel: Float[Tensor, "m t"], *, title: str) -> None:
    seconds = mel.shape[1] * MEL_HOP_SAMPLES / MEL_RATE_HZ
    axes.imshow(
        mel.clamp(0, 1).numpy(),
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0, seconds, 0, mel.shape[0]),
        vmin=0,
        vmax=max(0.6, float(mel.max())),
    )
    axes.set(title=title, ylabel="mel band (125 Hz to 7.6 kHz)")
    axes.tick_params(labelbottom=False)


def _figure(seconds: float) -> tuple[Any, Any]:
    width = min(14.0, max(6.0, seconds))
    return _pyplot().subplots(
        2, 1, figsize=(width, 4.2), height_ratios=(3, 1), sharex=True, layout="constrained"
    )


def _pyplot() -> Any:
    matplotlib = require("matplotlib", extra="plots", purpose="drawing a picture")
    matplotlib.use("Agg")
    return require("matplotlib.pyplot", extra="plots", purpose="drawing a picture")


def _save(figure: Any, target: Path, *, overwrite: bool) -> None:
    with staged(target, overwrite=overwrite) as temporary:
        figure.savefig(temporary, dpi=DPI)
    _pyplot().close(figure)
