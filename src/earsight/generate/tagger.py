"""Tags and embeddings of sounds of any length, window by window.

Axes: s samples, n windows, d features, k classes, f steps in time.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.checkpoints.native import Bundle, NativeFolder
from earsight.data.class_lists import audioset_names
from earsight.errors import InputError
from earsight.generate.bundles import BUNDLED, open_listening, short_name
from earsight.generate.listeners import (
    FAMILIES,
    WITHOUT_CLASSES,
    Hearing,
    Listener,
    build_listener,
)
from earsight.generate.load import usable_device
from earsight.generate.sound_windows import SoundWindow, mean_over_time, sound_windows
from earsight.media.audio import stream_audio

SILENT_PEAK = 1e-4
"""Peak (-80 dB) below which a sound counts as silent."""
BLOCK_SECONDS = 10.0
OnWindows = Callable[[float], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """A class of a sound: its number, its name where that is known, and its probability."""

    index: int
    name: str | None
    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What a tagger made of a sound; `spans` are its windows in seconds.

    `whole` is the mean over time of what the windows say, where several cover a moment of their
    mean. `steps` are probabilities at `step_times` (seconds), of networks that score every
    instant. `silent` means that no sample reaches -80 dB, so that classes say nothing.
    """

    seconds: float
    silent: bool
    spans: Float[Tensor, "n 2"]
    features: Float[Tensor, "n d"]
    probabilities: Float[Tensor, "n k"] | None
    whole_features: Float[Tensor, " d"]
    whole: Float[Tensor, " k"] | None
    steps: Float[Tensor, "f k"] | None
    step_times: Float[Tensor, " f"] | None


class SoundTagger:
    """A network that hears, with its class names (none known: empty); made by `load_tagger`."""

    def __init__(
        self,
        listener: Listener,
        *,
        name: str,
        weights_sha256: str,
        class_names: tuple[str, ...],
        device: torch.device,
    ) -> None:
        self.listener = listener
        self.name, self.weights_sha256 = name, weights_sha256
        self.class_names, self.device = class_names, device

    def hear(
        self,
        path: str | Path,
        *,
        window_seconds: float | None = None,
        hop_seconds: float | None = None,
        batch: int = 8,
        with_steps: bool = False,
        on_seconds: OnWindows | None = None,
    ) -> Heard:
        """Hear a sound file, or a video's sound track, of any length, rate and channels.

        Windows are the network's own unless told, and lie side by side; the last is flush with
        the end. `on_seconds` is told how much was heard. Raises InputError for windows the network
        cannot take and for a sound that is too short, MediaError for a file that is not readable.
        """
        size, hop = self.window_and_hop(window_seconds, hop_seconds)
        if batch < 1:
            raise InputError(f"a batch has at least one window, got {batch}")
        rate = self.listener.rate_hz
        blocks = stream_audio(path, rate_hz=rate, mono=True, block_seconds=BLOCK_SECONDS)
        collected = _Collected(self.listener, with_steps=with_steps)
        for some in _batches(sound_windows(blocks, window_samples=size, hop_samples=hop), batch):
            self._refuse_short(path, some[0])
            collected.add(some, self._listen(some))
            if on_seconds is not None:
                on_seconds(sum(window.num_fresh for window in some) / rate)
        return collected.result()

    def tag(self, path: str | Path, *, top: int = 5) -> list[Tag]:
        """The most probable classes of a whole sound, best first; raises as `hear` and `best`."""
        whole = self.hear(path).whole
        if whole is None:
            raise InputError(
                f"{self.name} was pre-trained only and knows no classes: use a fine-tuned network, "
                "or embed"
            )
        return self.best(whole, top)

    def embed(self, path: str | Path) -> Float[Tensor, " d"]:
        """The vector of a whole sound; raises as `hear` does."""
        return self.hear(path).whole_features

    def best(self, probabilities: Float[Tensor, " k"], top: int) -> list[Tag]:
        """The `top` most probable classes, best first; all of them where there are fewer."""
        if top < 1:
            raise InputError(f"at least one tag must be asked for, got {top}")
        values, places = probabilities.topk(min(top, len(probabilities)))
        found = zip(numbers(values), numbers(places), strict=True)
        return [
            Tag(index=int(place), name=self.class_name(int(place)), probability=value)
            for value, place in found
        ]

    def class_name(self, index: int) -> str | None:
        """Name of a class, or None where the folder tells no names."""
        return self.class_names[index] if self.class_names else None

    def window_and_hop(self, window: float | None, hop: float | None) -> tuple[int, int]:
        """Both in samples, from seconds; raises InputError for what the network cannot take."""
        listener = self.listener
        size = listener.window_samples
        for seconds, what in ((window, "window"), (hop, "hop")):
            if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
                raise InputError(f"the {what} must be above 0 s, got {seconds}")
        if window is not None:
            size = round(window * listener.rate_hz)
        if not listener.min_samples <= size <= listener.window_samples:
            raise InputError(
                f"{self.name} hears windows of {listener.min_samples / listener.rate_hz:.3f} to "
                f"{listener.window_samples / listener.rate_hz:.3f} s, got {window} s"
            )
        step = size if hop is None else max(1, round(hop * listener.rate_hz))
        if step > size:
            raise InputError(
                f"a hop of {hop} s leaves gaps between windows of "
                f"{size / listener.rate_hz:.3f} s: choose a smaller one"
            )
        return size, step

    @torch.inference_mode()
    def _listen(self, windows: tuple[SoundWindow, ...]) -> Hearing:
        waves = torch.stack([window.samples for window in windows]).to(self.device)
        return self.listener.hear(waves)

    def _refuse_short(self, path: str | Path, window: SoundWindow) -> None:
        least, rate = self.listener.min_samples, self.listener.rate_hz
        if len(window.samples) < least:
            raise InputError(
                f"{path} lasts {len(window.samples) / rate:.3f} s, {self.name} needs at least "
                f"{least / rate:.3f} s: use a longer sound"
            )


class _Collected:
    """Results of windows, gathered on the CPU."""

    def __init__(self, listener: Listener, *, with_steps: bool) -> None:
        self.listener, self.with_steps = listener, with_steps
        self.peak, self.end = 0.0, 0
        self.spans: list[list[int]] = []
        self.features: list[Tensor] = []
        self.probabilities: list[Tensor] = []
        self.steps: list[Tensor] = []
        self.times: list[Tensor] = []

    def add(self, windows: tuple[SoundWindow, ...], heard: Hearing) -> None:
        """Keep what a batch of windows gave."""
        self.features.append(heard.features.float().cpu())
        if heard.logits is not None:
            self.probabilities.append(self.listener.probabilities(heard.logits.float()).cpu())
        for place, window in enumerate(windows):
            self.spans.append([window.start, window.end])
            self.peak = max(self.peak, float(window.samples.abs().max()))
            if self.with_steps and heard.steps is not None:
                self._add_steps(heard.steps[place].float().cpu(), window)
            self.end = window.end

    def _add_steps(self, steps: Float[Tensor, "f k"], window: SoundWindow) -> None:
        """Keep the steps that lie in no earlier window."""
        rate, distance = self.listener.rate_hz, self.listener.step_seconds
        assert distance is not None
        times = window.start / rate + (torch.arange(len(steps)).double() + 0.5) * distance
        fresh = times >= (window.end - window.num_fresh) / rate
        self.steps.append(steps[fresh])
        self.times.append(times[fresh])

    def result(self) -> Heard:
        """Everything about the sound."""
        features = torch.cat(self.features)
        probabilities = torch.cat(self.probabilities) if self.probabilities else None
        rate = self.listener.rate_hz
        spans = torch.tensor(self.spans).double() / rate
        return Heard(
            seconds=self.end / rate,
            silent=self.peak < SILENT_PEAK,
            spans=spans,
            features=features,
            probabilities=probabilities,
            whole_features=mean_over_time(spans, features),
            whole=None if probabilities is None else mean_over_time(spans, probabilities),
            steps=torch.cat(self.steps) if self.steps else None,
            step_times=torch.cat(self.times) if self.times else None,
        )


def load_tagger(
    source: str | Path = BUNDLED,
    *,
    device: str = "cpu",
    part: str | None = None,
    class_names: Sequence[str] | None = None,
) -> SoundTagger:
    """Open AST, SSAST, Audio-MAE, HTS-AT or PaSST: bundled, a folder, or converted ones by name.

    Of several networks in a folder `part` names one; else one that knows classes is taken before
    others. Class names are those given, else the folder's, else AudioSet's for its 527 classes. A
    pre-trained Audio-MAE or SSAST gives embeddings alone. Raises InputError for anything else and
    for class names of another number, WeightsError for weights that do not fit.

    `load_tagger("ast").tag("dog.wav")` are the five best tags of a sound, `.embed("dog.wav")` is
    its vector, and `.hear("dog.wav")` everything about it, window by window.
    """
    bundle = open_listening(source)
    folder = _listening_part(bundle, part)
    target = usable_device(device)
    listener = build_listener(folder, target)
    names = _class_names(bundle, folder, listener) if class_names is None else tuple(class_names)
    if names and len(names) != listener.num_classes:
        raise InputError(
            f"{folder.path}: {len(names)} class names for {listener.num_classes} classes: give as "
            "many as the network has"
        )
    return SoundTagger(
        listener,
        name=short_name(source),
        weights_sha256=folder.sha256,
        class_names=names,
        device=target,
    )


def _class_names(bundle: Bundle, folder: NativeFolder, listener: Listener) -> tuple[str, ...]:
    told = folder.extra.get("class_names", bundle.extra.get("class_names"))
    if isinstance(told, list):
        return tuple(str(name) for name in cast(list[Any], told))
    names = audioset_names()
    return names if listener.num_classes == len(names) else ()


def _listening_part(bundle: Bundle, wanted: str | None) -> NativeFolder:
    hearing = {name: part for name, part in bundle.parts.items() if part.family in FAMILIES}
    if not hearing:
        found = ", ".join(sorted({part.family for part in bundle.parts.values()}))
        raise InputError(
            f"{bundle.path} holds {found} and no network that hears sounds: expected one of "
            f"{', '.join(FAMILIES)}"
        )
    if wanted is not None and wanted not in hearing:
        raise InputError(f"{bundle.path} has no part '{wanted}' that hears: {', '.join(hearing)}")
    knowing = [name for name, part in hearing.items() if part.family not in WITHOUT_CLASSES]
    return hearing[wanted or next(iter(knowing or hearing))]


def numbers(values: Float[Tensor, " n"] | Int[Tensor, " n"]) -> list[float]:
    """The values of a vector as plain numbers."""
    return cast(list[float], values.double().tolist())


def _batches(windows: Iterator[SoundWindow], batch: int) -> Iterator[tuple[SoundWindow, ...]]:
    # within one sound all windows have one length
    while some := tuple(islice(windows, batch)):
        yield some
