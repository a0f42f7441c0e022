"""What a code transformer is shown at one visit: codes of a window, its picture, its class.

A source holds clips of one role in the mixture: clips with their pictures, clips whose sounds come
from a bank of recordings, or windows put together from recordings with made motion tracks.
Axes: m mel bands, t frames, r code rows, c code columns, q codes of a window, f feature tokens,
w feature width, b visits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from earsight.data.batching import crop_start
from earsight.data.code_windows import (
    COLUMN_FRAMES,
    Visual,
    cut_window,
    noise_rows,
    picture_rows,
    without_learned_values,
)
from earsight.data.collages import CollageConfig, draw_window
from earsight.data.corpus import ClipRecord, CodedCorpus, Corpus, Split
from earsight.data.motion_pairs import TrackNoise, motion_from_strength, strength
from earsight.data.sound_events import ClipParts, find_parts
from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import to_model
from earsight.generate.grid import to_sequence
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.training.batches import item_generator

Crop = Literal["centre", "random"]
Role = Literal["pictures", "sound_bank", "sounds"]
ROLES: tuple[Role, ...] = ("pictures", "sound_bank", "sounds")
FILLER = 0  # stands for codes beyond a clip's end, which do not count
_COLLAGES = 7919  # keeps the draws that make windows apart from those of the visits


@dataclass(frozen=True, slots=True)
class Visit:
    """One window: codes in the transformer's order, which of them count, picture, class row.

    `class_row` is None where the class is unknown or withheld.
    """

    codes: Int[Tensor, " q"]
    counted: Bool[Tensor, " q"]
    features: Float[Tensor, "f w"] | None
    class_row: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The sizes of a visit, and what is seen in it."""

    num_columns: int
    num_features: int
    feature_width: int
    visual: Visual

    @property
    def num_frames(self) -> int:
        """Spectrogram frames."""
        return self.num_columns * COLUMN_FRAMES


@runtime_checkable
class Source(Protocol):
    """Windows of one role."""

    @property
    def role(self) -> Role:
        """Place in the mixture."""
        ...

    @property
    def num_items(self) -> int:
        """Clips or windows to draw from."""
        ...

    def visit(self, index: int, generator: torch.Generator) -> Visit:
        """One look at an item; what is random comes from the generator alone."""
        ...


class Coder:
    """A frozen codebook that codes windows one by one, so that codes never depend on a batch."""

    def __init__(self, codebook: MelVQGAN, sha256: str) -> None:
        self.codebook = codebook.eval().requires_grad_(False)
        self.sha256 = sha256

    @property
    def num_rows(self) -> int:
        """Codes of one column."""
        return self.codebook.config.num_mels // COLUMN_FRAMES

    @torch.no_grad()
    def code(self, mel: Float[Tensor, "m t"]) -> Int[Tensor, " q"]:
        """Codes of a spectrogram in [0, 1], in the transformer's order."""
        device = next(self.codebook.parameters()).device
        found = self.codebook.encode(to_model(mel.to(device))[None, None]).codes
        return to_sequence(found)[0].cpu()


@dataclass(frozen=True, slots=True)
class Item:
    """One clip of a corpus and the row of its class in the model, None without one."""

    corpus: Corpus
    record: ClipRecord
    class_row: int | None


def items_of(
    corpora: Sequence[Corpus], split: Split, class_row: Callable[[str], int | None]
) -> list[Item]:
    """All clips of a split; `class_row` tells the row of a class name."""
    return [
        Item(corpus, record, None if (n := record.class_name) is None else class_row(n))
        for corpus in corpora
        for record in corpus.records(split)
    ]


class ClipSource:
    """Clips with pictures; `learned` off keeps their motion alone.

    `crops_per_clip` limits the places where a clip's windows start, whose codes are then kept in
    memory; None starts anywhere, and codes anew at every visit. `prepared` takes the codes that
    the corpus keeps, in windows that start at whole columns.
    """

    def __init__(
        self,
        items: Sequence[Item],
        coder: Coder,
        window: Window,
        *,
        crop: Crop,
        crops_per_clip: int | None,
        seed: int,
        learned: bool = True,
        prepared: bool = False,
    ) -> None:
        self._items, self._coder, self._window = items, coder, window
        self._crop: Crop = crop
        self._crops_per_clip = 1 if crop == "centre" else crops_per_clip
        self._seed, self._learned, self._prepared = seed, learned, prepared
        self._kept: dict[tuple[int, int], tuple[int, Tensor]] = {}

    @property
    def role(self) -> Role:
        """Place in the mixture."""
        return "pictures" if self._learned else "sound_bank"

    @property
    def num_items(self) -> int:
        """Clips."""
        return len(self._items)

    def visit(self, index: int, generator: torch.Generator) -> Visit:
        """A window of a clip with its picture and its class."""
        item = self._items[index]
        start, codes = self._coded(index, generator)
        return Visit(*filled(codes, self._window, self._coder.num_rows),
                     self._features(item, start, generator), item.class_row)  # fmt: skip

    def _coded(self, index: int, generator: torch.Generator) -> tuple[int, Int[Tensor, " q"]]:
        """Where the window starts, and its codes as far as the clip goes."""
        if self._crops_per_clip is None:
            return self._cut(index, generator)
        place = int(torch.randint(self._crops_per_clip, (), generator=generator))
        if (index, place) not in self._kept:
            own = item_generator(self._seed, index, place)
            start, codes = self._cut(index, own)
            self._kept[index, place] = start, codes.to(torch.int16)
        start, codes = self._kept[index, place]
        return start, codes.long()

    def _cut(self, index: int, generator: torch.Generator) -> tuple[int, Int[Tensor, " q"]]:
        item, window = self._items[index], self._window
        rng = None if self._crop == "centre" else generator
        if self._prepared:
            grid = _prepared_codes(item, self._coder)
            column = crop_start(grid.shape[1], window.num_columns, rng)
            part = grid[:, column : column + window.num_columns]
            return column * COLUMN_FRAMES, to_sequence(part[None].long())[0]
        mel = item.corpus.mel(item.record)
        start = crop_start(mel.shape[1], window.num_frames, rng)
        return start, self._coder.code(cut_window(mel, start, window.num_frames))

    def _features(
        self, item: Item, start: int, generator: torch.Generator
    ) -> Float[Tensor, "f w"] | None:
        window = self._window
        if window.visual == "none":
            return None
        if window.visual == "noise":
            return noise_rows(window.num_features, window.feature_width, generator=generator)
        rows = picture_rows(
            item.corpus.features(item.record, window.visual),
            window.visual,
            start=start,
            num_columns=window.num_columns,
            num_features=window.num_features,
        )
        if rows.shape[1] != window.feature_width:
            raise InputError(
                f"{item.corpus.name}: {window.visual} features are {rows.shape[1]} values a token, "
                f"the model takes {window.feature_width}: set model.feature_width={rows.shape[1]}"
            )
        return rows if self._learned else without_learned_values(rows)


class CollageSource:
    """Windows put together from recordings, each with a new made motion track at every visit.

    `num_windows` of them are drawn, class by class in turn; their codes are kept in memory.
    Raises InputError where every recording is silent.
    """

    role: Role = "sounds"

    def __init__(
        self,
        items: Sequence[Item],
        coder: Coder,
        window: Window,
        *,
        config: CollageConfig,
        noise: TrackNoise,
        num_windows: int,
        seed: int,
    ) -> None:
        self._coder, self._window, self._noise = coder, window, noise
        self._config = replace(config, num_frames=window.num_frames)
        self._num_windows, self._seed = num_windows, seed
        self._clips = clip_parts(items)
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}
        if not self._clips:
            raise InputError("no sounds: every clip is silent, or the folder holds none")

    @property
    def num_items(self) -> int:
        """Windows."""
        return self._num_windows

    def visit(self, index: int, generator: torch.Generator) -> Visit:
        """A window with a track made anew, and its class."""
        row, clips = self._clips[index % len(self._clips)]
        if index not in self._kept:
            own = item_generator(self._seed + _COLLAGES, index, 0)
            mel = draw_window(clips, self._config, own)
            self._kept[index] = self._coder.code(mel).to(torch.int16), strength(mel)
        codes, loud = self._kept[index]
        track = motion_from_strength(loud, rng=generator, noise=self._noise)
        missing = self._window.feature_width - track.shape[1]
        features = functional.pad(track, (0, missing)) if missing >= 0 else track
        if features.shape != (self._window.num_features, self._window.feature_width):
            raise InputError(
                f"a made motion track is {tuple(track.shape)} and the model takes "
                f"{(self._window.num_features, self._window.feature_width)}: sounds without "
                "pictures train models of motion or sight only"
            )
        filled_codes = filled(codes.long(), self._window, self._coder.num_rows)
        return Visit(*filled_codes, features, row)


def clip_parts(items: Sequence[Item]) -> list[tuple[int | None, list[ClipParts]]]:
    """Events and steady stretches by class, classes in order; silent clips are left out."""
    found: dict[int | None, list[ClipParts]] = {}
    for item in items:
        parts = find_parts(item.corpus.mel(item.record))
        if parts is not None:
            found.setdefault(item.class_row, []).append(parts)
    return sorted(found.items(), key=lambda pair: (pair[0] is None, pair[0] or 0))


def filled(
    codes: Int[Tensor, " k"], window: Window, num_rows: int
) -> tuple[Int[Tensor, " q"], Bool[Tensor, " q"]]:
    """Codes brought to the window's number, and which of them are real."""
    wanted = window.num_columns * num_rows
    counted = torch.arange(wanted) < len(codes)
    return functional.pad(codes, (0, wanted - len(codes)), value=FILLER), counted


def _prepared_codes(item: Item, coder: Coder) -> Int[Tensor, "r c"]:
    corpus = item.corpus
    if not isinstance(corpus, CodedCorpus):
        raise InputError(f"{corpus.name} keeps no codes: prepare it with --codes MODEL")
    digests = [digest for digest in corpus.code_digests if coder.sha256.startswith(digest)]
    if not digests:
        raise InputError(
            f"{corpus.name} keeps codes of {', '.join(corpus.code_digests) or 'no codebook'}, the "
            f"run's codebook is {coder.sha256[:12]}: prepare it again with --codes MODEL"
        )
    return corpus.codes(item.record, digests[0])
