"""One clip from its media file to arrays in a prepared folder, or the reason why not.

Axes: s samples, n picture frames, w feature width, h w pixels.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import cast, get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from earsight.data import prepared_layout as layout
from earsight.data.source_clips import SourceClip
from earsight.errors import ConfigError, InputError, MediaError
from earsight.frontends.motion import motion_track, with_clip_gain
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ, log_mel
from earsight.frontends.visual_features import FEATURE_FPS
from earsight.generate.bundles import open_bundle
from earsight.generate.codec import Codec
from earsight.generate.conditions import VisualKind, never_still
from earsight.generate.frame_networks import FEATURE_RATE, FrameNetwork, frame_network
from earsight.generate.grid import to_grid
from earsight.generate.load import load_codec, open_look
from earsight.generate.sight import Watcher, sight_rows
from earsight.media.audio import Waveform, read_audio, resample
from earsight.media.video import FpsFilter, FrameRule, probe, stream_frames
from earsight.media.wave_write import write_audio
from earsight.prepare.journal import MEL, WAVE, Finished, fingerprint

COLUMN_SAMPLES = 16 * MEL_HOP_SAMPLES
DIGEST_CHARACTERS = 16
_FRAMES_AT_ONCE = 64
_FULL_SCALE = 2**15
_FILTER = FpsFilter(FEATURE_RATE)
_WITHOUT_NETWORK = ("motion", "sight")

RowMaker = Callable[[Iterator[UInt8[Tensor, "h w 3"]]], Float[Tensor, "n w"]]
"""Upright RGB pictures at 21.5 a second to one row each; must be picklable for many workers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is made of every clip, beside its spectrogram and its sound.

    `features` are kinds of picture features; `sight` is the model whose image tower makes those
    of kind "sight"; `codes` is the model whose codebook codes the spectrograms. `makers` make
    further kinds, by name.
    """

    features: tuple[str, ...] = ("motion",)
    codes: str | None = None
    sight: str | None = None
    makers: Mapping[str, RowMaker] = field(default_factory=dict[str, RowMaker])

    def __post_init__(self) -> None:
        """Refuse kinds that nothing here makes."""
        made = {"motion", "resnet50", "bn_inception"} | set(self.makers)
        made |= {"sight"} if self.sight else set()
        unknown = [kind for kind in self.features if kind not in made]
        if "sight" in unknown:
            raise ConfigError("'sight' features need a model with an image tower: name it")
        if unknown or len(set(self.features)) != len(self.features):
            raise ConfigError(
                f"features {', '.join(self.features)}: expected different ones of "
                f"{', '.join(sorted(made))}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A clip and the arrays of it that are already whole."""

    clip: SourceClip
    done: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """A clip that could not be used, and why: its reason begins with one of REASONS."""

    id: str
    reason: str


REASONS = ("broken", "no audio", "no video", "too short")
Outcome = Finished | Skipped


def killed(job: Job) -> Outcome:
    """What becomes of a clip whose reading ended its process."""
    return Skipped(
        id=job.clip.id,
        reason=f"broken: reading {job.clip.media} ended the process (out of memory, or a fault in "
        "a decoder): convert the file or leave it out",
    )


class Extractor:
    """Turns clips into arrays in `folder`; opens the networks it needs once.

    Raises InputError where a network is not installed.
    """

    def __init__(self, folder: Path, wanted: Wanted) -> None:
        self.folder = folder
        self.wanted = wanted
        cpu = torch.device("cpu")
        self._makers: dict[str, tuple[FrameRule, RowMaker]] = {
            kind: (_FILTER, maker) for kind, maker in wanted.makers.items()
        }
        for kind in wanted.features:
            if kind in wanted.makers:
                continue
            if kind == "motion":
                self._makers[kind] = _FILTER, motion_rows
            elif kind == "sight":
                self._makers[kind] = _FILTER, SightMaker(wanted.sight or "", cpu)
            elif kind in get_args(VisualKind):
                network = frame_network(cast(VisualKind, kind), device=cpu)
                if network is not None:
                    self._makers[kind] = network.rule, partial(network_rows, network)
        self.codec = load_codec(wanted.codes, vocoder="griffin-lim") if wanted.codes else None

    @property
    def codes_digest(self) -> str | None:
        """The codebook's name in the folder: the beginning of its weights' hash."""
        return self.codec.weights_sha256[:DIGEST_CHARACTERS] if self.codec else None

    def parts(self, clip: SourceClip) -> list[str]:
        """Names of the arrays that a clip gets."""
        parts = [MEL] if clip.wave is not None else [MEL, WAVE]
        if clip.has_picture:
            parts += [f"features/{kind}" for kind in self.wanted.features]
        return parts + ([f"codes/{self.codes_digest}"] if self.codec else [])

    def __call__(self, job: Job) -> Outcome:
        """Make what is missing of a clip. One that cannot be used is an outcome, not an error."""
        try:
            return self._extract(job)
        except InputError as error:
            reason = str(error)
            known = reason.startswith(REASONS)
            return Skipped(id=job.clip.id, reason=reason if known else f"broken: {reason}")

    def _extract(self, job: Job) -> Outcome:
        clip = job.clip
        stamp = fingerprint(clip)
        parts = self.parts(clip)
        todo = [part for part in parts if part not in job.done]
        wave, rate_hz = self._sound(clip)
        needed = COLUMN_SAMPLES / MEL_RATE_HZ
        if clip.shortest_seconds is not None and not self.codec:
            needed = clip.shortest_seconds
        if wave.num_samples < round(needed * MEL_RATE_HZ):
            found = f"{wave.seconds:.3f} s of sound"
            raise InputError(f"too short: {found}, at least {needed:.3f} s are needed")
        for part in todo:
            if part.startswith("features/"):
                self._save_features(clip, part.removeprefix("features/"))
        mel = log_mel(wave.samples, num_frames=None)[0]
        if MEL in todo:
            layout.save_array(layout.mel_path(self.folder, clip.id), _half(mel))
        if WAVE in todo:
            path = layout.wave_path(self.folder, clip.id)
            write_audio(path, wave, provenance=None, subtype="PCM_16", overwrite=True)
        if self.codec and f"codes/{self.codes_digest}" in todo:
            self._save_codes(clip, self.codec, wave, num_columns=mel.shape[1] // 16)
        return Finished(
            id=clip.id,
            fingerprint=stamp,
            parts=tuple(sorted(job.done | set(parts))),
            seconds=wave.seconds,
            notes={"rate_hz": rate_hz, "picture": clip.has_picture},
        )

    def _sound(self, clip: SourceClip) -> tuple[Waveform, int]:
        """Mono at 22050 Hz in 16 bit, and the rate of the file."""
        path = clip.wave or clip.media
        if clip.wave is None and clip.has_picture and not _has_sound(clip.media):
            raise InputError(f"no audio: {clip.media} has a picture alone")
        wave = read_audio(
            path,
            mono=True,
            start_seconds=clip.start_seconds,
            duration_seconds=clip.seconds,
        )
        sound = resample(wave, MEL_RATE_HZ)
        whole = (sound.samples * _FULL_SCALE).round().clamp(-_FULL_SCALE, _FULL_SCALE - 1)
        return Waveform(whole / _FULL_SCALE, MEL_RATE_HZ), wave.rate_hz

    def _save_features(self, clip: SourceClip, kind: str) -> None:
        rule, maker = self._makers[kind]
        motion = layout.feature_path(self.folder, "motion", clip.id)
        if isinstance(maker, SightMaker) and motion.is_file():
            rows = maker.beside(torch.from_numpy(np.load(motion)), _pictures(clip, rule))
        else:
            rows = maker(_pictures(clip, rule))
        if not bool(rows.isfinite().all()):
            raise InputError(f"broken: {kind} features of {clip.media} are not finite")
        layout.save_array(layout.feature_path(self.folder, kind, clip.id), _half(rows))

    def _save_codes(
        self, clip: SourceClip, codec: Codec, wave: Waveform, *, num_columns: int
    ) -> None:
        coded = codec.encode(wave)
        grid = to_grid(coded.codes[None], rows=coded.rows)[0, :, :num_columns]
        path = layout.codes_path(self.folder, self.codes_digest or "", clip.id)
        layout.save_array(path, grid.numpy().astype(np.uint16))


def motion_rows(pictures: Iterator[UInt8[Tensor, "h w 3"]]) -> Float[Tensor, "n 2"]:
    """Energy and onset per picture, brought to a common strength and never quite still."""
    track = never_still(with_clip_gain(motion_track(pictures)))
    return torch.stack([track.energy, track.onset], dim=1).float()


def network_rows(
    network: FrameNetwork, pictures: Iterator[UInt8[Tensor, "h w 3"]]
) -> Float[Tensor, "n w"]:
    """Features of a frame network, in memory that grows with rows only."""
    kept = network.keep(pictures)
    rows: list[Tensor] = []
    while batch := list(islice(kept, _FRAMES_AT_ONCE)):
        rows.append(network.features(batch))
    if not rows:
        raise InputError("no video: there is no picture in the clip's time")
    return torch.cat(rows)


class SightMaker:
    """Motion and an image tower's values per picture; motion that is known is not measured again.

    Raises InputError for a model without an image tower.
    """

    def __init__(self, model: str, device: torch.device) -> None:
        parts = open_bundle(model).parts
        part = parts.get("sight")
        if part is None:
            raise InputError(f"{model} holds {', '.join(parts)} and no image tower named 'sight'")
        self._tower = open_look(part, device).tower

    def __call__(self, pictures: Iterator[UInt8[Tensor, "h w 3"]]) -> Float[Tensor, "n w"]:
        """Rows of a video."""
        return sight_rows(pictures, self._tower)[1]

    def beside(
        self, motion: Float[Tensor, "n 2"], pictures: Iterator[UInt8[Tensor, "h w 3"]]
    ) -> Float[Tensor, "n w"]:
        """Rows of a video whose motion has been measured."""
        watcher = Watcher(self._tower)
        for picture in pictures:
            watcher.see(picture)
        return torch.cat([motion.float(), watcher.finish()], dim=1)


def _pictures(clip: SourceClip, rule: FrameRule) -> Iterator[UInt8[Tensor, "h w 3"]]:
    """Pictures at 21.5 a second inside the clip's range. Raises InputError where there is none."""
    first = round(clip.start_seconds * FEATURE_FPS)
    last = None if clip.seconds is None else first + round(clip.seconds * FEATURE_FPS)
    found = False
    for frame in stream_frames(clip.media, rule=rule):
        if last is not None and frame.index >= last:
            break
        if frame.index >= first:
            found = True
            yield frame.pixels
    if not found:
        raise InputError(f"no video: {clip.media} shows nothing from {clip.start_seconds:g} s on")


def _has_sound(path: Path) -> bool:
    """Whether a video has sound. Raises InputError for a file without a picture."""
    try:
        return probe(path).has_audio
    except MediaError as error:
        try:
            read_audio(path, duration_seconds=0.05)
        except MediaError:
            raise error from None
        raise InputError(f"no video: {path} has sound alone") from error


def _half(values: Tensor) -> NDArray[np.float16]:
    return values.numpy().astype(np.float16)
