"""Audio-MAE restores hidden parts of a sound: as numbers, as a picture, as sound.

Axes: t frames, m mel bands, s samples.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from earsight.errors import InputError
from earsight.extras import require
from earsight.files import staged
from earsight.frontends.fbank_sound import KnownSound, fbank_to_wave
from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.frontends.kaldi_fbank import PUBLISHED, denormalise, log_fbank, normalise, pad_or_crop
from earsight.generate.bundles import build_network, open_bundle
from earsight.generate.listeners import folder_statistics
from earsight.generate.load import usable_device
from earsight.media.waveform import Waveform
from earsight.models.audiomae.config import MaskedAutoencoderConfig
from earsight.models.audiomae.masking import Masking
from earsight.models.audiomae.model import MaskedAutoencoder
from earsight.models.audiomae.patches import patchify, unpatchify, with_visible

MaskKind = Literal["random", "time", "frequency", "both"]
MAX_SECONDS = 60.0
"""Longest sound restored at once."""
DPI = 130


@dataclass(frozen=True, kw_only=True, slots=True)
class Repaired:
    """A sound with hidden parts restored.

    Spectrograms are log energies of `frontends.kaldi_fbank`. `error` is the mean square error on
    hidden values and `error_of_mean` that of the mean of what is visible, a guess anyone can make;
    both in the network's units, and None where nothing of the sound was hidden.
    """

    original: Float[Tensor, "t m"]
    restored: Float[Tensor, "t m"]
    hidden: Bool[Tensor, "t m"]
    wave: Waveform
    error: float | None
    error_of_mean: float | None

    @property
    def hidden_share(self) -> float:
        """Share of the spectrogram that was hidden."""
        return float(self.hidden.float().mean())


class Repairer:
    """A pre-trained Audio-MAE with its statistics; made by `load_repairer`."""

    def __init__(
        self,
        network: MaskedAutoencoder,
        statistics: FbankStatistics,
        *,
        name: str,
        weights_sha256: str,
    ) -> None:
        self.network, self.statistics = network, statistics
        self.name, self.weights_sha256 = name, weights_sha256

    def repair(
        self,
        sound: Waveform,
        *,
        rng: torch.Generator,
        share: float = 0.8,
        kind: MaskKind = "random",
        keep_visible: bool = True,
    ) -> Repaired:
        """Hide the share of a sound at 16 kHz and restore it.

        `rng`, a CPU generator, draws what is hidden and the phases. Longer sounds than the network
        was trained on are restored in stretches of that length. With `keep_visible` the wave holds
        the original's own spectrum where it was visible. Raises InputError for another rate, for
        sounds below one frame or above a minute, and where a share hides all or nothing.
        """
        rate, num_samples = PUBLISHED.rate_hz, sound.num_samples
        if sound.rate_hz != rate:
            raise InputError(f"expected a sound at {rate} Hz, got {sound.rate_hz}: resample it")
        if not PUBLISHED.window_samples <= num_samples <= MAX_SECONDS * rate:
            raise InputError(
                f"a sound of {PUBLISHED.window_samples / rate:.3f} to {MAX_SECONDS:g} s can be "
                f"restored, got {sound.seconds:.3f} s: choose a part of it (--start, --duration)"
            )
        masking = masking_of(kind, share)
        wave = sound.mono().samples
        original = log_fbank(wave)[0]
        network_view = normalise(original[None], self.statistics)[0]
        num_frames, length = len(original), self.network.config.encoder.num_frames
        stretches = (network_view[first : first + length] for first in range(0, num_frames, length))
        parts = [self._restore(stretch, masking, rng) for stretch in stretches]
        restored = torch.cat([part for part, _ in parts])
        hidden = torch.cat([mask for _, mask in parts])
        error, error_of_mean = _errors(network_view, restored, hidden)
        energies = torch.where(hidden, denormalise(restored[None], self.statistics)[0], original)
        heard = fbank_to_wave(
            energies,
            num_samples=num_samples,
            rng=rng,
            known=KnownSound(wave[0], ~hidden) if keep_visible else None,
        )
        return Repaired(
            original=original,
            restored=energies,
            hidden=hidden,
            wave=Waveform(heard[None], rate),
            error=error,
            error_of_mean=error_of_mean,
        )

    @torch.inference_mode()
    def _restore(
        self, view: Float[Tensor, "t m"], masking: Masking, rng: torch.Generator
    ) -> tuple[Float[Tensor, "t m"], Bool[Tensor, "t m"]]:
        """Values with hidden patches predicted, and which values were hidden."""
        config, num_frames = self.network.config.encoder, len(view)
        whole = -(-num_frames // config.patch) * config.patch
        # what is put behind the end is what published inputs are padded with
        padded = normalise(
            pad_or_crop(denormalise(view[None], self.statistics), num_frames=whole),
            self.statistics,
        )
        mask = masking.draw(config.grid_of(whole), batch=1, rng=rng)
        device = self.network.encoder.class_token.device
        on_device = type(mask)(mask.order.to(device), mask.num_kept, mask.masked.to(device))
        predicted = self.network(padded.to(device), on_device).patches.cpu()
        patches = with_visible(predicted, patchify(padded, config), mask.masked)
        values = unpatchify(patches, config, num_frames=whole)
        flags = mask.masked[..., None].expand(-1, -1, config.patch_values).float()
        hidden = unpatchify(flags, config, num_frames=whole) > 0
        return values[0, :num_frames], hidden[0, :num_frames]


def load_repairer(source: str | Path, *, device: str = "cpu") -> Repairer:
    """Open a pre-trained Audio-MAE: a model folder, or converted weights by name.

    Raises InputError for another network, WeightsError for weights that do not fit.
    """
    bundle = open_bundle(source)
    folder = next((part for part in bundle.parts.values() if part.family == "audiomae"), None)
    if folder is None:
        found = ", ".join(sorted({part.family for part in bundle.parts.values()}))
        raise InputError(
            f"{source} holds {found}: only a pre-trained Audio-MAE (family audiomae, such as "
            "'audiomae-pretrained') restores sounds"
        )
    network = build_network(
        MaskedAutoencoder, MaskedAutoencoderConfig, folder, "audiomae", usable_device(device)
    )
    statistics = folder_statistics(folder.extra, num_frames=network.config.encoder.num_frames)
    return Repairer(network, statistics, name=Path(source).name, weights_sha256=folder.sha256)


def masking_of(kind: MaskKind, share: float) -> Masking:
    """Masking that hides `share` of the spectrogram; "both" shares it evenly between the axes.

    Raises InputError for a share outside (0, 1).
    """
    if not 0 < share < 1:
        raise InputError(f"the hidden share must lie between 0 and 1, got {share}")
    match kind:
        case "random":
            return Masking(kind="random", ratio=share)
        case "time":
            return Masking(kind="time_frequency", time=share, frequency=0.0)
        case "frequency":
            return Masking(kind="time_frequency", time=0.0, frequency=share)
        case "both":
            each = 1 - math.sqrt(1 - share)
            return Masking(kind="time_frequency", time=each, frequency=each)


def draw_repair(repaired: Repaired, target: Path, *, title: str, overwrite: bool = False) -> None:
    """One picture: the original, what the network saw of it, and what it made of that."""
    require("matplotlib", extra="plots", purpose="drawing a picture").use("Agg")
    pyplot: Any = require("matplotlib.pyplot", extra="plots", purpose="drawing a picture")
    num_frames, num_mels = repaired.original.shape
    seconds = num_frames * PUBLISHED.hop_samples / PUBLISHED.rate_hz
    figure, rows = pyplot.subplots(
        3, 1, figsize=(min(14.0, max(6.0, seconds)), 7.5), sharex=True, layout="constrained"
    )
    seen = repaired.original.masked_fill(repaired.hidden, float("nan"))
    high = float(repaired.original.max())
    names = (f"{title}: original", f"visible, {1 - repaired.hidden_share:.0%}", "restored")
    values = (repaired.original, seen, repaired.restored)
    colours = pyplot.get_cmap("magma").with_extremes(bad="#9aa0a6")
    for axes, name, picture in zip(rows, names, values, strict=True):
        axes.imshow(
            picture.T.numpy(),
            origin="lower",
            aspect="auto",
            cmap=colours,
            extent=(0, seconds, 0, num_mels),
            vmin=high - 14,
            vmax=max(high, high - 14 + 1e-3),
        )
        axes.set(title=name, ylabel="mel band")
    rows[-1].set(xlabel="seconds")
    try:
        with staged(target, overwrite=overwrite) as temporary:
            figure.savefig(temporary, dpi=DPI)
    finally:
        pyplot.close(figure)


def _errors(
    original: Float[Tensor, "t m"], restored: Float[Tensor, "t m"], hidden: Bool[Tensor, "t m"]
) -> tuple[float | None, float | None]:
    if not bool(hidden.any()):
        return None, None
    target = original[hidden]
    visible = original[~hidden]
    guess = visible.mean() if len(visible) else torch.zeros(())
    return (
        float((restored[hidden] - target).square().mean()),
        float((guess - target).square().mean()),
    )
