"""Audio-MAE restores hidden parts of a sound: as numbers and as sound.

Axes: t frames, m mel bands, s samples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.fbank_sound import KnownSound, fbank_to_wave
from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.frontends.kaldi_fbank import PUBLISHED, denormalise, log_fbank, normalise, pad_or_crop
from earsight.generate.bundles import (
    BUNDLED,
    build_network,
    open_listening,
    short_name,
)
from earsight.generate.listeners import folder_statistics
from earsight.generate.load import usable_device
from earsight.generate.patch_levels import with_levels_around
from earsight.generate.seeds import item_generator
from earsight.losses.reconstruction import reconstruction_loss
from earsight.media.audio import read_audio
from earsight.media.waveform import Waveform
from earsight.models.audiomae.config import MaskedAutoencoderConfig
from earsight.models.audiomae.masking import Masking
from earsight.models.audiomae.model import MaskedAutoencoder
from earsight.models.audiomae.patches import patchify, unpatchify, with_visible

MaskKind = Literal["random", "time", "frequency", "both"]
Levels = Literal["predicted", "neighbours"]
MAX_SECONDS = 60.0
"""Longest sound restored at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repaired:
    """A sound with hidden parts restored.

    Spectrograms are log energies of `frontends.kaldi_fbank`. `error` is the mean square error on
    hidden values and `error_of_mean` that of the mean of what is visible, a guess anyone can make;
    both in the network's units, and None where nothing of the sound was hidden. With `levels`
    "neighbours" the network predicted shapes alone: mean and spread of a hidden patch are guesses
    from visible ones around it. `shape_error` is then the error of patches less their mean, over
    their spread; without any idea it is 1.
    """

    original: Float[Tensor, "t m"]
    restored: Float[Tensor, "t m"]
    hidden: Bool[Tensor, "t m"]
    wave: Waveform
    error: float | None
    error_of_mean: float | None
    levels: Levels
    shape_error: float | None

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
        levels: Levels,
        name: str,
        weights_sha256: str,
    ) -> None:
        self.network, self.statistics = network, statistics
        self.levels: Levels = levels
        self.name, self.weights_sha256 = name, weights_sha256

    def repair_file(
        self,
        path: str | Path,
        *,
        seed: int = 0,
        share: float = 0.8,
        kind: MaskKind = "random",
        start_seconds: float = 0.0,
        duration_seconds: float | None = None,
        keep_visible: bool = True,
    ) -> Repaired:
        """Hide parts of a sound file, or of a stretch of it, and restore them, as in `repair`.

        Raises MediaError for a file that is not readable, InputError as `repair`.
        """
        sound = read_audio(
            path,
            rate_hz=PUBLISHED.rate_hz,
            mono=True,
            start_seconds=start_seconds,
            # a little more than is allowed, so that a longer sound is refused and not cut
            duration_seconds=MAX_SECONDS + 1 if duration_seconds is None else duration_seconds,
        )
        rng = item_generator(seed, "repair")
        return self.repair(sound, rng=rng, share=share, kind=kind, keep_visible=keep_visible)

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
        the original's own spectrum where it was visible. A wave beyond full scale is turned down
        to it. Raises InputError for another rate, for
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
        restored = torch.cat([part.values for part in parts])
        hidden = torch.cat([part.hidden for part in parts])
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
            wave=Waveform(heard[None] / max(1.0, float(heard.abs().max())), rate),
            error=error,
            error_of_mean=error_of_mean,
            levels=self.levels,
            shape_error=_shape_error(parts) if self.levels == "neighbours" else None,
        )

    @torch.inference_mode()
    def _restore(
        self, view: Float[Tensor, "t m"], masking: Masking, rng: torch.Generator
    ) -> "_Stretch":
        """What becomes of a stretch of the network's own length, or a shorter one."""
        config, num_frames = self.network.config.encoder, len(view)
        whole = -(-num_frames // config.patch) * config.patch
        # what is put behind the end is what published inputs are padded with
        padded = normalise(
            pad_or_crop(denormalise(view[None], self.statistics), num_frames=whole),
            self.statistics,
        )
        grid = config.grid_of(whole)
        mask = masking.draw(grid, batch=1, rng=rng)
        device = self.network.encoder.class_token.device
        predicted = self.network(padded.to(device), mask.to(device)).patches.float().cpu()
        original = patchify(padded, config)
        lost = reconstruction_loss(predicted, original, mask.masked)
        if self.levels == "neighbours":
            predicted = with_levels_around(predicted, original, mask.masked, grid)
        patches = with_visible(predicted, original, mask.masked)
        values = unpatchify(patches, config, num_frames=whole)
        flags = mask.masked[..., None].expand(-1, -1, config.patch_values).float()
        hidden = unpatchify(flags, config, num_frames=whole) > 0
        return _Stretch(
            values[0, :num_frames],
            hidden[0, :num_frames],
            num_masked=int(mask.masked.sum()),
            shape_error=float(lost),
        )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Network values with hidden patches predicted, and which values were hidden."""

    values: Float[Tensor, "t m"]
    hidden: Bool[Tensor, "t m"]
    num_masked: int
    shape_error: float


def load_repairer(
    source: str | Path = BUNDLED, *, device: str = "cpu", levels: Levels | None = None
) -> Repairer:
    """Open a pre-trained Audio-MAE: bundled, a model folder, or converted weights by name.

    `levels` says whether the network predicts how loud a patch is, or its shape alone; the folder
    knows. Raises InputError for another network, WeightsError for weights that do not fit.

    `load_repairer("audiomae-pretrained").repair_file("dog.wav", share=0.5).wave` is the sound with
    half of it hidden and restored.
    """
    bundle = open_listening(source)
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
    if levels is None:
        levels = "neighbours" if folder.extra.get("normalise_patches") else "predicted"
    return Repairer(
        network,
        folder_statistics(folder.extra, num_frames=network.config.encoder.num_frames),
        levels=levels,
        name=short_name(source),
        weights_sha256=folder.sha256,
    )


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


def _shape_error(parts: Sequence[_Stretch]) -> float | None:
    total = sum(part.num_masked for part in parts)
    if not total:
        return None
    return sum(part.shape_error * part.num_masked for part in parts if part.num_masked) / total
