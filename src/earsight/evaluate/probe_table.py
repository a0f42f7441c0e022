"""A table of frozen features: what simple classifiers read from them, by split or by fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from earsight.data.clip_classes import targets_of
from earsight.data.corpus import ClipRecord, Corpus
from earsight.data.folds import fold_of
from earsight.data.open_corpus import open_corpus
from earsight.errors import InputError
from earsight.evaluate.card import Card, Counts, Score, left_out, now, versions
from earsight.evaluate.corpus_clips import labelled, records_of
from earsight.evaluate.filterbank_listener import NAME as FILTERBANK
from earsight.evaluate.filterbank_listener import filterbank_tagger
from earsight.evaluate.fold_table import clips_by_fold, fold_lines, over_folds
from earsight.evaluate.probe import NEIGHBOURS, TEMPERATURE, knn, linear_probe
from earsight.evaluate.report_page import Table
from earsight.evaluate.tagger_hearing import HeardClips, HearingSettings, hear_clips, hearing_of
from earsight.evaluate.tagger_report import SystemTags, write_tag_report
from earsight.evaluate.tagger_scores import TagScores, tag_scores
from earsight.evaluate.tagger_table import NO_CLASS, OnClip, clip_facts, listening_facts
from earsight.generate.load import usable_device
from earsight.generate.tagger import load_tagger

TABLE = "probe"
Kind = Literal["linear", "knn"]
METRICS = {
    False: "frozen features (accuracy, mAP, mean area, d prime; errors by bootstrap over clips)",
    True: "frozen features by fold (accuracy, mAP, mean area, d prime; errors over folds)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeJob:
    """Whose features to judge, on what, and how; the model "filterbank" is none.

    Without `folds` the classifiers learn from the train and valid clips and are judged on the test
    clips; with them every fold is judged by classifiers that learnt from the others.
    """

    model: str
    data: Path
    output: Path
    kinds: tuple[Kind, ...] = ("linear", "knn")
    folds: bool = False
    num_neighbours: int = NEIGHBOURS
    hearing: HearingSettings = field(default_factory=HearingSettings)
    num_resamples: int = 200
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Clips:
    """Clips with their features, and in which part each is judged: a fold, or 0 for never."""

    heard: HeardClips
    features: Tensor
    classes: Tensor
    parts: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class _Judged:
    """What one kind of classifier said of one part's clips, and how it was chosen."""

    found: TagScores
    places: list[int]
    probabilities: np.ndarray
    facts: Mapping[str, Any]


def evaluate_probe(job: ProbeJob, *, on_clip: OnClip | None = None) -> Card:
    """Embed every labelled clip, learn and judge the classifiers, write card and page.

    Raises InputError for a corpus without folds where they are wanted, or without clips to learn
    from or to judge.
    """
    corpus = open_corpus(job.data)
    plain = job.model == FILTERBANK
    tagger = filterbank_tagger(job.device) if plain else load_tagger(job.model, device=job.device)
    known, unknown = labelled(records_of(corpus, "all"))
    hearing = hearing_of(job.model, job.hearing)
    heard = hear_clips(tagger, corpus, known, hearing, on_clip=on_clip)
    clips = _clips(heard, corpus, job)
    judged: dict[Kind, dict[int, _Judged]] = {
        kind: _judge(kind, clips, corpus, job) for kind in job.kinds
    }
    systems = {kind: _together(kind, parts, clips, corpus, job) for kind, parts in judged.items()}
    order = [place for part in judged[job.kinds[0]].values() for place in part.places]
    ids = [heard.records[place].id for place in order]
    card = Card(
        table=TABLE,
        scores=_scores(judged),
        counts=Counts(
            expected=len(known) + len(unknown),
            found=len(heard.records),
            skipped=(*left_out([(r.id, NO_CLASS) for r in unknown]), *heard.left_out),
        ),
        protocol={"metrics": METRICS[job.folds], **clip_facts(corpus, ids)},
        settings={
            "model": tagger.name,
            "weights_sha256": tagger.weights_sha256,
            **listening_facts(tagger, hearing, heard.sounds),
            "width": int(clips.features.shape[1]),
            "neighbours": job.num_neighbours,
            "temperature": TEMPERATURE,
            "chosen": {
                str(part): found.facts
                for part, found in judged.get("linear", dict[int, _Judged]()).items()
            },
        },
        seeds=(job.seed,),
        versions=versions(),
        date=now(),
    )
    write_tag_report(
        card,
        systems,
        job.output,
        title=f"Frozen features of {tagger.name} on {corpus.name}",
        class_names=corpus.class_names,
        clips=ids,
        tables=_tables(judged) if job.folds else (),
    )
    return card


def _clips(heard: HeardClips, corpus: Corpus, job: ProbeJob) -> _Clips:
    device = usable_device(job.device)
    if job.folds:
        clips_by_fold(corpus)
        parts = [fold_of(record) or 0 for record in heard.records]
    else:
        parts = [int(record.split == "test") for record in heard.records]
        _need_both(corpus, heard.records)
    return _Clips(
        heard=heard,
        features=torch.from_numpy(heard.features).double().to(device),
        classes=torch.from_numpy(targets_of(heard.records, corpus.class_names)).to(device),
        parts=torch.tensor(parts, device=device),
    )


def _need_both(corpus: Corpus, records: Sequence[ClipRecord]) -> None:
    num_test = sum(record.split == "test" for record in records)
    if not 0 < num_test < len(records):
        raise InputError(
            f"{corpus.name} has {len(records) - num_test} labelled clips to learn from and "
            f"{num_test} test clips: both are needed, or folds and --folds"
        )


def _judge(kind: Kind, clips: _Clips, corpus: Corpus, job: ProbeJob) -> dict[int, _Judged]:
    """Every part but 0, judged by a classifier that learnt from all other clips."""
    judged: dict[int, _Judged] = {}
    for part in sorted(set(clips.parts.cpu().numpy().tolist()) - {0}):
        own = clips.parts == part
        train_x, train_y, test_x = clips.features[~own], clips.classes[~own], clips.features[own]
        facts: dict[str, Any] = {}
        if kind == "linear":
            groups = clips.parts[~own] if job.folds else None
            fit = linear_probe(train_x, train_y, test_x, groups=groups)
            found = fit.probabilities
            facts = {
                "decay": fit.decay,
                "inner_losses": {f"{d:g}": round(v, 6) for d, v in fit.inner_losses.items()},
                "gradient": fit.gradient,
            }
        else:
            found = knn(train_x, train_y, test_x, num_neighbours=job.num_neighbours)
        probabilities, targets = found.cpu().numpy(), clips.classes[own].cpu().numpy()
        judged[int(part)] = _Judged(
            found=_score(probabilities, targets, kind, corpus, job),
            places=np.flatnonzero(own.cpu().numpy()).tolist(),
            probabilities=probabilities,
            facts=facts,
        )
    return judged


def _together(
    kind: Kind, parts: Mapping[int, _Judged], clips: _Clips, corpus: Corpus, job: ProbeJob
) -> SystemTags:
    """All parts' clips as one."""
    if len(parts) == 1:
        only = next(iter(parts.values()))
        return SystemTags(only.found, only.probabilities)
    places = [place for part in parts.values() for place in part.places]
    probabilities = np.concatenate([part.probabilities for part in parts.values()])
    targets = clips.classes.cpu().numpy()[places]
    return SystemTags(_score(probabilities, targets, kind, corpus, job), probabilities)


def _score(
    probabilities: np.ndarray, targets: np.ndarray, kind: Kind, corpus: Corpus, job: ProbeJob
) -> TagScores:
    return tag_scores(
        probabilities,
        targets,
        class_names=corpus.class_names,
        system=kind,
        num_resamples=job.num_resamples,
        seed=job.seed,
    )


def _scores(judged: Mapping[Kind, Mapping[int, _Judged]]) -> dict[str, Score]:
    """The card's scores: measure, then kind."""
    by_kind: dict[str, Mapping[str, Score]] = {}
    for kind, parts in judged.items():
        found = {part: one.found for part, one in parts.items()}
        by_kind[kind] = over_folds(found) if len(found) > 1 else found[next(iter(found))].scores
    measures = dict.fromkeys(name for scores in by_kind.values() for name in scores)
    return {
        f"{measure}.{kind}": scores[measure]
        for measure in measures
        for kind, scores in by_kind.items()
        if measure in scores
    }


def _tables(judged: Mapping[Kind, Mapping[int, _Judged]]) -> list[Table]:
    return [
        fold_lines({f: one.found for f, one in parts.items()}, heading=f"By fold, {kind}")
        for kind, parts in judged.items()
    ]
