"""Render a folder of Foley Room clips: in parallel, resumable, every failure named.

FOLDER/foley_room.json                      seed, settings, class names, numbers of clips
FOLDER/clips/<split>/<id>.mp4               picture and sound
FOLDER/clips/<split>/<id>.wav               the exact sound, 16 bit
FOLDER/clips/<split>/<id>.truth.json        what is true of it; written last
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from earsight.data.foley_room.clip_files import is_finished, write_foley_clip
from earsight.data.foley_room.sound_bank import SoundBank
from earsight.data.foley_room.world import (
    CLASS_NAMES,
    FoleyRoomSettings,
    Split,
    clip_id,
    foley_clip,
)
from earsight.errors import EarsightError, InputError
from earsight.files import refuse_existing, write_json
from earsight.prepare.pool import LocalPool
from earsight.settings import to_plain

FOLDER_FILE = "foley_room.json"
SHARES: tuple[tuple[Split, float], ...] = (("train", 0.8), ("valid", 0.1), ("test", 0.1))


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedClip:
    """What became of one clip; `reason` says why it failed, and is empty otherwise."""

    id: str
    split: Split
    video: Path
    outcome: Literal["rendered", "kept", "failed"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _World:
    """What every worker needs to render any clip."""

    folder: Path
    seed: int
    settings: FoleyRoomSettings
    bank: SoundBank | None


def render_foley_room(
    folder: Path,
    *,
    num_clips: int,
    num_test: int | None = None,
    seed: int = 0,
    settings: FoleyRoomSettings | None = None,
    bank: SoundBank | None = None,
    workers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
) -> Iterator[RenderedClip]:
    """Render clips into a folder, 80 % for training, 10 % for validation, 10 % for test.

    `num_test` asks for another number of test clips, for finer scores; the other splits stay.
    Yields a result for each clip, as they get done. `resume` keeps the finished clips of an
    earlier run with the same seed, settings and bank, which may have been shorter; `overwrite`
    renders all of them anew. With one worker everything happens in this process. Raises
    InputError for a folder that is in use and neither is asked for, or that holds another world.
    """
    settings = settings or FoleyRoomSettings()
    if num_clips < 1 or workers < 1:
        raise InputError(f"clips and workers must be 1 or more, got {num_clips} and {workers}")
    counts = split_counts(num_clips, num_test=num_test)
    _write_folder_file(folder, seed, settings, bank, counts, resume=resume, overwrite=overwrite)
    _remove_unfinished(folder, also_finished=overwrite)
    clips: list[tuple[Split, int]] = [
        (split, index) for split, count in counts.items() for index in range(count)
    ]
    world = _World(folder, seed, settings, bank)
    return _render_all(world, clips, workers=min(workers, len(clips)), keep=not overwrite)


def split_counts(num_clips: int, *, num_test: int | None = None) -> dict[Split, int]:
    """How many clips each split gets; training has what rounding leaves.

    Raises InputError for a negative number of test clips.
    """
    counts: dict[Split, int] = {split: round(share * num_clips) for split, share in SHARES}
    counts["train"] = num_clips - counts["valid"] - counts["test"]
    if num_test is not None:
        if num_test < 0:
            raise InputError(f"test clips must be 0 or more, got {num_test}")
        counts["test"] = num_test
    return counts


def _render_all(
    world: _World, clips: Sequence[tuple[Split, int]], *, workers: int, keep: bool
) -> Iterator[RenderedClip]:
    waiting: list[tuple[Split, int]] = []
    for split, index in clips:
        video = _video_path(world.folder, split, index)
        if keep and is_finished(video):
            yield RenderedClip(id=video.stem, split=split, video=video, outcome="kept")
        else:
            waiting.append((split, index))
    pool: LocalPool[tuple[Split, int], RenderedClip] = LocalPool(
        partial(_renderer, world), workers=workers
    )
    yield from pool.run(waiting, partial(_died, world.folder))


def _renderer(world: _World) -> Callable[[tuple[Split, int]], RenderedClip]:
    return partial(_render, world)


def _render(world: _World, clip_number: tuple[Split, int]) -> RenderedClip:
    split, index = clip_number
    video = _video_path(world.folder, split, index)
    try:
        clip = foley_clip(world.seed, split, index, world.settings, world.bank)
        write_foley_clip(video.parent, clip)
    except (EarsightError, OSError) as error:
        return _failed(video, split, str(error))
    return RenderedClip(id=video.stem, split=split, video=video, outcome="rendered")


def _died(folder: Path, clip_number: tuple[Split, int]) -> RenderedClip:
    video = _video_path(folder, *clip_number)
    return _failed(video, clip_number[0], "the process that rendered it was ended")


def _failed(video: Path, split: Split, reason: str) -> RenderedClip:
    return RenderedClip(id=video.stem, split=split, video=video, outcome="failed", reason=reason)


def _video_path(folder: Path, split: Split, index: int) -> Path:
    return folder / "clips" / split / f"{clip_id(split, index)}.mp4"


def _remove_unfinished(folder: Path, *, also_finished: bool) -> None:
    """Take away what a killed run left behind, and on request every clip of this folder."""
    for split, _ in SHARES:
        inner = folder / "clips" / split
        left = list(inner.glob(f".{split}_*"))
        if also_finished:
            left += inner.glob(f"{split}_*")
        for path in left:
            path.unlink()


def _write_folder_file(
    folder: Path,
    seed: int,
    settings: FoleyRoomSettings,
    bank: SoundBank | None,
    counts: dict[Split, int],
    *,
    resume: bool,
    overwrite: bool,
) -> None:
    path = folder / FOLDER_FILE
    world: dict[str, Any] = {
        "seed": seed,
        "settings": to_plain(settings),
        "class_names": list(CLASS_NAMES if bank is None else bank.class_names),
        "bank": None if bank is None else bank.digest,
    }
    if path.is_file() and resume and not overwrite:
        found = json.loads(path.read_text())
        differing = [name for name, value in world.items() if found.get(name) != value]
        if differing:
            raise InputError(
                f"{folder} holds clips with another {', '.join(differing)}: go on with the same, "
                "choose another folder, or overwrite"
            )
        counts = {split: max(count, found["clips"][split]) for split, count in counts.items()}
    elif not resume:
        refuse_existing(path, overwrite=overwrite)
    write_json(path, {**world, "clips": counts}, overwrite=True)
