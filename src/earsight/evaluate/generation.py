"""Samples of a model for a split of a corpus, as files under their official names.

`samples/cls_<class>/<clip>_sample_<i>.npy` holds the decoder's spectrogram in [0, 1], not clamped;
the `.wav` beside it is the same through the vocoder, as long as the clip. Every sample depends on
(seed, clip, i) alone: not on the batch, the process or what was there before, so that work can be
split and taken up again. Source of the names: official repository v-iashin/SpecVQGAN.

Axes: b samples, m mel bands, t frames, n codes.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.data.corpus import ClipRecord, Corpus, Split
from earsight.errors import EarsightError, InputError
from earsight.evaluate.card import LeftOut
from earsight.evaluate.clip_conditions import ClipInput, clip_conditions
from earsight.evaluate.sound_sets import sample_name
from earsight.files import staged, write_json
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ, MODEL_FRAMES
from earsight.generate.conditions import Conditions
from earsight.generate.decode import cut_to_length, stream_mel, stream_wave
from earsight.generate.grid import to_grid
from earsight.generate.guidance import guided
from earsight.generate.logits import SamplingConfig
from earsight.generate.sampler import FREE, Condition
from earsight.generate.seeds import item_generator
from earsight.generate.video_to_sound import OVERLAP_COLUMNS, VideoToSound, best_of_each
from earsight.generate.windows import sample_moving
from earsight.media.provenance import Provenance, package_version
from earsight.media.wave_write import write_audio
from earsight.settings import to_plain

SAMPLES_FOLDER = "samples"
SETTINGS_FILE = "generation.json"
COLUMN_FRAMES = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationSettings:
    """What is made. `sampling` None takes what suits the model; `limit` keeps the first clips.

    With `class_known` the model is told each clip's class, with `show_picture` off it gets zeros
    for what is seen. The best of `num_candidates` by the picture and its class becomes a sample;
    a withheld picture ranks nothing. `batch` samples are drawn at once.
    """

    split: Split = "test"
    num_samples: int = 1
    num_candidates: int = 1
    class_known: bool = False
    show_picture: bool = True
    seed: int = 0
    sampling: SamplingConfig | None = None
    limit: int | None = None
    batch: int = 8

    def __post_init__(self) -> None:
        """Refuse counts without a meaning."""
        counts = {"samples": self.num_samples, "rank": self.num_candidates, "batch": self.batch}
        if self.limit is not None:
            counts["limit"] = self.limit
        if wrong := [f"{name} ({count})" for name, count in counts.items() if count < 1]:
            raise InputError(f"{', '.join(wrong)} must be 1 or more")


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One sample that is wanted: its clip, its number, and where it lies without ending."""

    record: ClipRecord
    index: int
    stem: Path

    @property
    def mel(self) -> Path:
        """The decoder's spectrogram, written last."""
        return self.stem.with_name(self.stem.name + ".npy")

    @property
    def wave(self) -> Path:
        """The sound."""
        return self.stem.with_name(self.stem.name + ".wav")

    @property
    def is_finished(self) -> bool:
        """Whether both files are there."""
        return self.mel.is_file() and self.wave.is_file()


def wanted_records(corpus: Corpus, settings: GenerationSettings) -> list[ClipRecord]:
    """Clips of the split. Raises InputError for a split without clips."""
    records = list(islice(corpus.records(settings.split), settings.limit))
    if not records:
        raise InputError(f"{corpus.name} has no clips in its {settings.split} split")
    return records


def wanted_files(records: Sequence[ClipRecord], folder: Path, num_samples: int) -> list[SampleFile]:
    """Every sample of the clips in order. Raises InputError where two clips share a name."""
    files: list[SampleFile] = []
    taken: dict[Path, str] = {}
    for record in records:
        place = folder / SAMPLES_FOLDER
        if record.class_index is not None:
            place = place / f"cls_{record.class_index}"
        clip = record.id.rpartition("/")[2] if record.class_index is not None else record.id
        first = place / sample_name(clip, 0)
        if taken.setdefault(first, record.id) != record.id:
            raise InputError(f"clips {taken[first]} and {record.id} would share {first}")
        files += [
            SampleFile(record, index, place / sample_name(clip, index))
            for index in range(num_samples)
        ]
    return files


def begin(
    model: VideoToSound, corpus: Corpus, folder: Path, settings: GenerationSettings
) -> dict[str, Any]:
    """Write down what the samples are made with; returns it.

    Raises InputError where the folder holds samples of another model or other settings: they
    must not be mixed. More samples per clip may be added at any time.
    """
    own = generation_facts(model, corpus, settings)
    path = folder / SAMPLES_FOLDER / SETTINGS_FILE
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text())
        other = [name for name in own if found.get(name) != own[name]]
        if other:
            told = "; ".join(f"{n}: {found.get(n)!r} there, {own[n]!r} wanted" for n in other)
            raise InputError(
                f"{path.parent} holds samples made otherwise ({told}): choose another --output"
            )
    else:
        write_json(path, own)
    return own


def generation_facts(
    model: VideoToSound, corpus: Corpus, settings: GenerationSettings
) -> dict[str, Any]:
    """Everything that a sample depends on besides its clip and number, as plain values."""
    return {
        "model": model.name,
        "weights_sha256": model.weights_sha256,
        "precision": model.engine.precision,
        "vocoder": type(model.vocoder).__name__,
        "visual": model.visual,
        "corpus": corpus.name,
        "split": settings.split,
        "class_known": settings.class_known,
        "show_picture": settings.show_picture,
        "candidates": settings.num_candidates,
        "seed": settings.seed,
        "sampling": to_plain(settings.sampling or model.default_sampling),
    }


def generate_part(
    model: VideoToSound,
    corpus: Corpus,
    folder: Path,
    settings: GenerationSettings,
    *,
    rank: int = 0,
    size: int = 1,
    on_sample: Callable[[int], None] | None = None,
) -> list[LeftOut]:
    """Make what is missing of every `size`-th clip from number `rank` on.

    Returns the samples that could not be made, each with its reason.
    """
    mine = wanted_records(corpus, settings)[rank::size]
    skipped: list[LeftOut] = []
    waiting: dict[int, list[_Item]] = {}

    def make(num_columns: int) -> None:
        items = waiting.pop(num_columns)
        for item, codes in zip(items, _draw(model, items, num_columns, settings), strict=True):
            _write(model, item, codes, settings)
        if on_sample is not None:
            on_sample(len(items))

    for file in wanted_files(mine, folder, settings.num_samples):
        if file.is_finished:
            if on_sample is not None:
                on_sample(1)
            continue
        try:
            item = _item(model, corpus, file, settings)
        except EarsightError as error:
            skipped.append(LeftOut(name=file.stem.name, reason=" ".join(str(error).split())))
            continue
        waiting.setdefault(item.num_columns, []).append(item)
        if len(waiting[item.num_columns]) == settings.batch:
            make(item.num_columns)
    for num_columns in list(waiting):
        make(num_columns)
    return skipped


@dataclass(frozen=True, slots=True)
class _Item:
    file: SampleFile
    seen: ClipInput
    conditions: Conditions
    class_index: int | None
    num_frames: int
    num_columns: int
    place: tuple[str, int]


def frames_and_columns(num_frames: int) -> tuple[int, int]:
    """Frames of a sample and code columns to draw, for a clip of `num_frames`.

    A clip of ten seconds gets the published 53 columns for its middle 848 frames; any other gets
    as many columns as cover it.
    """
    if MODEL_FRAMES <= num_frames < MODEL_FRAMES + COLUMN_FRAMES:
        return MODEL_FRAMES, MODEL_FRAMES // COLUMN_FRAMES
    return num_frames, max(1, math.ceil(num_frames / COLUMN_FRAMES))


def _item(
    model: VideoToSound, corpus: Corpus, file: SampleFile, settings: GenerationSettings
) -> _Item:
    record = file.record
    name = record.class_name if settings.class_known else None
    if settings.class_known and name is None:
        raise InputError(f"{record.id} has no class: leave --class-known out")
    index = model.class_index(name)
    clip_frames = 1 + round(record.seconds * MEL_RATE_HZ) // MEL_HOP_SAMPLES
    num_frames, num_columns = frames_and_columns(clip_frames)
    place = (record.id, file.index)
    return _Item(
        file,
        ClipInput(corpus, record),
        clip_conditions(
            model,
            corpus,
            record,
            class_name=name,
            show_picture=settings.show_picture,
            noise=item_generator(settings.seed, *place, "noise"),
        ),
        index,
        num_frames,
        num_columns,
        place,
    )


def _draw(
    model: VideoToSound, items: Sequence[_Item], num_columns: int, settings: GenerationSettings
) -> Int[Tensor, "b n"]:
    """Codes of samples of one length, drawn as one batch: of the best candidates, if several."""
    count = settings.num_candidates
    if count == 1 or not settings.show_picture:
        return _draw_batch(model, [(item, 0) for item in items], num_columns, settings)
    tries = [(item, candidate) for item in items for candidate in range(count)]
    first = min(num_columns, model.engine.config.grid_columns)
    drafts = _draw_batch(model, tries, first, settings)
    ranks: list[float] = []
    for number, item in enumerate(items):
        name = item.file.record.class_name if settings.class_known else None
        own = drafts[number * count : (number + 1) * count]
        ranks += model.candidate_scores(own, item.seen, class_name=name)
    winners = best_of_each(ranks, count)
    if first == num_columns:
        return drafts[winners]
    chosen = [tries[winner] for winner in winners]
    return _draw_batch(model, chosen, num_columns, settings, drafts=drafts[winners])


def _draw_batch(
    model: VideoToSound,
    tries: Sequence[tuple[_Item, int]],
    num_columns: int,
    settings: GenerationSettings,
    *,
    drafts: Int[Tensor, "b m"] | None = None,
) -> Int[Tensor, "b n"]:
    """Codes of one candidate each; `drafts` are those of the first columns, if already drawn."""
    device, rows = model.engine.device, model.engine.config.grid_rows
    sampling = settings.sampling or model.default_sampling
    items = [item for item, _ in tries]
    given = torch.full((len(tries), num_columns * rows), FREE)
    if drafts is not None:
        given[:, : drafts.shape[1]] = drafts

    def condition_at(column: int) -> Condition:
        rows = [item.conditions.window(column) for item in items]
        present = [row for row in rows if row is not None]
        indices = [item.class_index for item in items if item.class_index is not None]
        return Condition(
            torch.stack(present).float().to(device) if present else None,
            torch.tensor(indices, device=device) if indices else None,
        )

    pieces = sample_moving(
        guided(model.engine, sampling.guidance),
        condition_at,
        num_columns=num_columns,
        overlap_columns=min(OVERLAP_COLUMNS, model.engine.config.grid_columns // 2),
        generators=[
            item_generator(settings.seed, *item.place, *([candidate] if candidate else []), "codes")
            for item, candidate in tries
        ],
        sampling=sampling,
        known=lambda first, last: given[:, first * rows : last * rows],
    )
    return torch.cat([piece.cpu() for piece in pieces], dim=1)


def _write(
    model: VideoToSound, item: _Item, codes: Int[Tensor, " n"], settings: GenerationSettings
) -> None:
    grid = to_grid(codes[None], rows=model.engine.config.grid_rows).to(model.engine.device)
    pieces = stream_mel(model.codebook, grid, compute=model.compute)
    mel = torch.cat(list(pieces), dim=2)[:, :, : item.num_frames]
    seconds = item.file.record.seconds
    # what lies before the model's first frame: its first frames, mirrored, as elsewhere
    sounding = torch.cat([mel[:, :, : model.lead_frames].flip(-1), mel], dim=2)
    waves = cut_to_length(
        stream_wave(model.vocoder, iter([sounding])), round(seconds * MEL_RATE_HZ)
    )
    origin = Provenance(
        model=model.name,
        weights_sha256=model.weights_sha256,
        seed=settings.seed,
        settings={
            "clip": item.file.record.id,
            "sample": item.file.index,
            "class_known": settings.class_known,
            "show_picture": settings.show_picture,
            "candidates": settings.num_candidates,
            "sampling": to_plain(settings.sampling or model.default_sampling),
        },
        version=package_version(),
    )
    write_audio(item.file.wave, waves, provenance=origin, subtype="PCM_16", overwrite=True)
    save_mel(item.file.mel, mel[0])


def save_mel(path: Path, mel: Float[Tensor, "m t"]) -> None:
    """Write a spectrogram as the official tools do: float32, (80, frames), [0, 1] scale."""
    with staged(path, overwrite=True) as temporary, temporary.open("wb") as file:
        np.save(file, mel.float().cpu().numpy(), allow_pickle=False)


def finished(files: Sequence[SampleFile]) -> Iterator[SampleFile]:
    """Those whose files are there."""
    return (file for file in files if file.is_finished)
