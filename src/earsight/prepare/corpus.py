"""From a corpus on disk to a prepared folder: spectrograms, sounds, picture features and codes.

What is finished is kept: an interrupted run goes on, a changed file is read again, and a further
kind of features is added to the clips that are there.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from earsight.data import prepared_layout as layout
from earsight.data.corpus import ClipRecord
from earsight.data.fbank_measured import measure_fbank
from earsight.data.find_source import find_source
from earsight.data.source_clips import Source, SourceClip, SplitRule
from earsight.errors import InputError
from earsight.prepare.extract import Extractor, Job, Outcome, RowMaker, Skipped, Wanted, killed
from earsight.prepare.journal import Finished, Journal, fingerprint
from earsight.prepare.pool import LocalPool
from earsight.prepare.statistics import Drift, drift, recorded_waves, with_fbank

_LISTED = 3
Watch = Callable[[Outcome], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """What became of a corpus. `num_kept` clips were finished by an earlier run.

    `absent` are clips that the corpus lists and that are not here.
    """

    folder: Path
    name: str
    rule: str
    num_made: int
    num_kept: int
    skipped: tuple[Skipped, ...]
    absent: tuple[str, ...]
    drift: Drift


def prepare_corpus(
    source: str | Path | Source,
    folder: str | Path,
    *,
    features: Sequence[str] = ("motion",),
    codes: str | None = None,
    sight: str | None = None,
    makers: Mapping[str, RowMaker] | None = None,
    split_rule: SplitRule | None = None,
    workers: int = 1,
    limit: int | None = None,
    resume: bool = True,
    watch: Watch | None = None,
) -> Preparation:
    """Prepare every clip of `source` into `folder`, which `data.prepared` reads.

    `features`, `codes`, `sight` and `makers` as in `Wanted`; a corpus without pictures gets no
    features, and in one with pictures a sound alone is skipped while features are wanted.
    `limit` takes that many clips, chosen by a hash of their names. `watch` hears of every
    clip as it ends, first of those that an earlier run finished. Results do not depend on
    `workers`.
    Raises InputError for a source that cannot be read, networks that are not installed, a
    folder that holds earlier work where `resume` is off, and where no clip at all is of use.
    """
    target = Path(folder)
    if not resume and target.is_dir() and any(target.iterdir()):
        raise InputError(f"{target} is not empty: choose another folder, or go on with what it has")
    found = source if isinstance(source, Source) else find_source(source, split_rule)
    clips = _limited(found.clips, limit)
    if not any(clip.has_picture for clip in clips):
        features = ()
    wanted = Wanted(features=tuple(features), codes=codes, sight=sight, makers=makers or {})
    extractor = Extractor(target, wanted)
    layout.reopen(target)
    journal = Journal(target)
    told = watch or _unheard
    try:
        jobs, early = _plan(clips, extractor, journal)
        skipped = [each for each in early if isinstance(each, Skipped)]
        for each in early:
            told(each)
        setup = partial(_same, extractor) if workers == 1 else partial(Extractor, target, wanted)
        pool = LocalPool[Job, Outcome](setup, workers=workers)
        for outcome in pool.run(iter(jobs), killed):
            if isinstance(outcome, Finished):
                journal.add(outcome)
            else:
                skipped.append(outcome)
            told(outcome)
    finally:
        journal.close()
    return _finish(found, clips, extractor, journal, skipped)


def _same(extractor: Extractor) -> Extractor:
    return extractor


def _unheard(outcome: Outcome) -> None:
    del outcome


def _limited(clips: Sequence[SourceClip], limit: int | None) -> list[SourceClip]:
    if limit is None:
        return list(clips)
    if limit < 1:
        raise InputError(f"a limit of {limit} clips leaves none: give 1 or more")

    def place(clip: SourceClip) -> bytes:
        return hashlib.sha256(clip.id.encode()).digest()

    kept = {clip.id for clip in sorted(clips, key=place)[:limit]}
    return [clip for clip in clips if clip.id in kept]


def _plan(
    clips: Iterable[SourceClip], extractor: Extractor, journal: Journal
) -> tuple[list[Job], list[Outcome]]:
    """Jobs for what is not whole yet; what an earlier run finished, and sounds among videos."""
    jobs: list[Job] = []
    early: list[Outcome] = []
    seen: set[str] = set()
    for clip in clips:
        if layout.check_id(clip.id) in seen:
            raise InputError(f"two clips are named {clip.id!r}: each is in one split, once")
        seen.add(clip.id)
        if extractor.wanted.features and not clip.has_picture:
            reason = f"no video: {clip.media} has sound alone (without features it can be taken)"
            early.append(Skipped(id=clip.id, reason=reason))
            continue
        done = _whole(clip, extractor.folder, journal)
        if set(extractor.parts(clip)) <= done:
            early.append(journal.finished[clip.id])
        else:
            jobs.append(Job(clip=clip, done=done))
    return jobs, early


def _whole(clip: SourceClip, folder: Path, journal: Journal) -> frozenset[str]:
    """Arrays of a clip that an earlier run finished, from the same file, and that are there."""
    finished = journal.finished.get(clip.id)
    if finished is None or finished.fingerprint != fingerprint(clip):
        return frozenset()
    return frozenset(part for part in finished.parts if _path(folder, part, clip.id).is_file())


def _path(folder: Path, part: str, clip_id: str) -> Path:
    kind, _, name = part.partition("/")
    match kind:
        case "mel":
            return layout.mel_path(folder, clip_id)
        case "wave":
            return layout.wave_path(folder, clip_id)
        case "features":
            return layout.feature_path(folder, name, clip_id)
        case _:
            return layout.codes_path(folder, name, clip_id)


def _finish(
    source: Source,
    clips: Sequence[SourceClip],
    extractor: Extractor,
    journal: Journal,
    skipped: list[Skipped],
) -> Preparation:
    left_out = {each.id for each in skipped}
    order = {clip.id: place for place, clip in enumerate(clips)}
    skipped = sorted(skipped, key=lambda each: order[each.id])
    kept = [clip for clip in clips if clip.id not in left_out]
    if not kept:
        reasons = "; ".join(f"{each.id}: {each.reason}" for each in skipped[:_LISTED])
        raise InputError(f"none of {len(clips)} clips can be used: {reasons}")
    finished = [journal.finished[clip.id] for clip in kept]
    records = [_record(clip, each, source) for clip, each in zip(kept, finished, strict=True)]
    folder = extractor.folder
    heard = measure_fbank(recorded_waves(folder, records))
    measured = with_fbank(drift(folder, records, source), heard)
    card = _card(source, extractor, finished, clips) | {
        "skipped": [{"id": each.id, "reason": each.reason} for each in skipped],
        "absent": list(source.absent),
        "statistics": dict(measured.values),
    }
    layout.complete(folder, records, card)
    num_made = len(journal.made)
    return Preparation(
        folder=folder,
        name=source.name,
        rule=source.rule,
        num_made=num_made,
        num_kept=len(kept) - num_made,
        skipped=tuple(skipped),
        absent=tuple(source.absent),
        drift=measured,
    )


def _card(
    source: Source,
    extractor: Extractor,
    finished: Sequence[Finished],
    clips: Sequence[SourceClip],
) -> dict[str, Any]:
    """What `corpus.json` says beside skipped clips and statistics."""
    pictured = {clip.id for clip in clips if clip.has_picture}
    shared = _shared(each for each in finished if each.id in pictured)
    digests = [part.removeprefix("codes/") for part in _shared(finished) if part[:6] == "codes/"]
    codes = {digest: each for digest, each in _known_codes(extractor).items() if digest in digests}
    return {
        "name": source.name,
        "kind": source.kind,
        "class_names": list(source.class_names),
        "feature_kinds": sorted(
            part.removeprefix("features/") for part in shared if part.startswith("features/")
        ),
        "codes": codes,
        "rule": source.rule,
    }


def _shared(finished: Iterable[Finished]) -> set[str]:
    """Arrays that every one of the clips has."""
    parts = [set(each.parts) for each in finished]
    return set[str].intersection(*parts) if parts else set[str]()


def _known_codes(extractor: Extractor) -> dict[str, Any]:
    """Codebooks by digest: that of this run, and those that earlier runs wrote down."""
    path = extractor.folder / layout.CORPUS_FILE
    known: dict[str, Any] = {}
    if path.is_file():
        known |= json.loads(path.read_text(encoding="utf-8")).get("codes", {})
    codec, digest = extractor.codec, extractor.codes_digest
    if codec is not None and digest is not None:
        known[digest] = {"model": codec.name, "num_codes": codec.codebook.config.num_codes}
    return known


def _record(clip: SourceClip, finished: Finished, source: Source) -> ClipRecord:
    notes = dict(finished.notes) | dict(clip.notes)
    if clip.wave is not None:
        notes["wave"] = str(clip.wave)
    if clip.start_seconds or clip.seconds is not None:
        notes["start_seconds"] = clip.start_seconds
    named = clip.class_name in source.class_names
    return ClipRecord(
        id=clip.id,
        split=clip.split,
        class_index=source.class_names.index(clip.class_name or "") if named else None,
        class_name=clip.class_name if named else None,
        seconds=finished.seconds,
        source=clip.media,
        notes=notes,
    )
