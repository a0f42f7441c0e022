"""A cross-validation's table: each fold's network on the clips it was not trained on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from earsight.checkpoints.narrow import is_dict
from earsight.data.corpus import ClipRecord, Corpus
from earsight.data.folds import fold_of, folds_of
from earsight.data.open_corpus import open_corpus
from earsight.errors import InputError
from earsight.evaluate.card import Card, Counts, Score, now, number, versions
from earsight.evaluate.corpus_clips import records_of
from earsight.evaluate.report_page import Table
from earsight.evaluate.tagger_published import data_set_of
from earsight.evaluate.tagger_report import SystemTags, write_tag_report
from earsight.evaluate.tagger_scores import MEASURES, TagScores
from earsight.evaluate.tagger_table import (
    OnClip,
    TaggedClips,
    TaggerJob,
    clip_facts,
    listening_facts,
    open_with_classes,
    score_tags,
    tag_clips,
)
from earsight.generate.tagger import SoundTagger
from earsight.metrics.repeats import repeated

TABLE = "folds"
MARK = "{fold}"
SELECTION_FILE = "selection.json"
METRICS = "tags by fold (accuracy, mAP, mean area; means and standard errors over folds)"


@dataclass(frozen=True, slots=True)
class JudgedFold:
    """A fold's network and what it said of the fold's clips."""

    tagger: SoundTagger
    tagged: TaggedClips
    found: TagScores


def evaluate_folds(job: TaggerJob, *, on_clip: OnClip | None = None) -> Card:
    """Judge every fold's network on that fold's clips, write card and page.

    `job.model` has "{fold}" in the place of the fold's number, or is the folder of `earsight train
    --folds`. Raises InputError for a corpus without folds, a model that is missing, and one whose
    run says that it held out another fold.
    """
    corpus = open_corpus(job.data)
    clips = clips_by_fold(corpus)
    models = {fold: model_of(job.model, fold) for fold in clips}
    parts = {
        fold: _judged(job, corpus, clips[fold], model, on_clip) for fold, model in models.items()
    }
    by_fold = {fold: part.found for fold, part in parts.items()}
    joined = _joined([part.tagged for part in parts.values()])
    any_tagger = next(iter(parts.values())).tagger
    ids = [record.id for record in joined.records]
    card = Card(
        table=TABLE,
        scores=over_folds(by_fold),
        counts=Counts(
            expected=sum(map(len, clips.values())), found=len(ids), skipped=joined.left_out
        ),
        protocol={
            "metrics": METRICS,
            **clip_facts(corpus, ids),
            "folds": list(clips),
        },
        settings={
            "model": job.model,
            "weights_sha256": [part.tagger.weights_sha256 for part in parts.values()],
            **listening_facts(any_tagger, job.hearing, joined.sounds),
            "classes_matched": joined.matched,
            "published": job.published or data_set_of(corpus.name),
        },
        seeds=(job.seed,),
        versions=versions(),
        date=now(),
    )
    write_tag_report(
        card,
        {"model": SystemTags(score_tags(joined, corpus.class_names, job), joined.probabilities)},
        job.output,
        title=f"Folds of {corpus.name}: {job.model}",
        class_names=corpus.class_names,
        clips=ids,
        tables=[fold_lines(by_fold)],
    )
    return card


def clips_by_fold(corpus: Corpus) -> dict[int, list[ClipRecord]]:
    """Clips of every fold, whatever their split. Raises InputError for a corpus without folds."""
    found: dict[int, list[ClipRecord]] = {fold: [] for fold in folds_of(corpus)}
    if len(found) < 2:
        raise InputError(
            f"{corpus.name} has no folds: expected clips with two folds or more, such as those of "
            "ESC-10 or ESC-50; judge a split by 'earsight evaluate tagger'"
        )
    for record in records_of(corpus, "all"):
        if (fold := fold_of(record)) is not None:
            found[fold].append(record)
    return found


def model_of(pattern: str, fold: int) -> str:
    """The model folder of a fold. Raises InputError where there is none."""
    folder = Path(pattern.replace(MARK, str(fold)))
    if MARK not in pattern:
        folder = folder / f"fold{fold}" / "model"
    if not folder.is_dir():
        raise InputError(
            f"no model of fold {fold} at {folder}: give --model RUN/fold{MARK}/model, or the "
            "folder of 'earsight train --folds'"
        )
    refuse_other_fold(folder, fold)
    return str(folder)


def refuse_other_fold(model: Path, fold: int) -> None:
    """Raise InputError where the run beside a model says that it held out another fold."""
    told = model.parent / SELECTION_FILE
    if not told.is_file():
        return
    plain = json.loads(told.read_text(encoding="utf-8"))
    held_out = plain.get("fold") if is_dict(plain) else None
    if held_out != fold:
        raise InputError(
            f"{model} was trained with {'all folds' if held_out is None else f'fold {held_out}'} "
            f"{'in use' if held_out is None else 'held out'}, so clips of fold {fold} would be "
            "known to it"
        )


def over_folds(by_fold: Mapping[int, TagScores]) -> dict[str, Score]:
    """Means over folds with their errors, of measures for which every fold has a number."""
    scores: dict[str, Score] = {}
    for measure, what in MEASURES.items():
        values = [found.scores[measure].value for found in by_fold.values()]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            continue
        mean = repeated(known)
        scores[measure] = Score(
            value=mean.mean,
            spread=mean.standard_error,
            what=f"{what}; mean and error over {len(known)} folds",
            better="more",
            num_items=sum(found.num_clips for found in by_fold.values()),
        )
    return scores


def fold_lines(by_fold: Mapping[int, TagScores], *, heading: str = "By fold") -> Table:
    """Every fold's scores, as a table of the page."""
    lines = [
        (
            str(fold),
            str(found.num_clips),
            *(number(found.scores[measure].value) for measure in MEASURES),
        )
        for fold, found in by_fold.items()
    ]
    return heading, ("fold", "clips", *MEASURES), lines


def _judged(
    job: TaggerJob,
    corpus: Corpus,
    clips: list[ClipRecord],
    model: str,
    on_clip: OnClip | None,
) -> JudgedFold:
    tagger = open_with_classes(model, job.device)
    tagged = tag_clips(tagger, corpus, clips, replace(job, model=model), on_clip=on_clip)
    return JudgedFold(tagger, tagged, score_tags(tagged, corpus.class_names, job))


def _joined(parts: Sequence[TaggedClips]) -> TaggedClips:
    """All folds' clips, one fold after the other."""
    return TaggedClips(
        records=tuple(record for part in parts for record in part.records),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        targets=np.concatenate([part.targets for part in parts]),
        left_out=tuple(left for part in parts for left in part.left_out),
        sounds=parts[0].sounds,
        matched=parts[0].matched,
    )
