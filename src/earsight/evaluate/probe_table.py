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
from earsight.evaluate.card import Card, Counts, LeftOut, Score, left_out, now, versions
from earsight.evaluate.corpus_clips import labelled, records_of
from earsight.evaluate.filterbank_listener import NAME as FILTERBANK
from earsight.evaluate.filterbank_listener import filterbank_tagger
from earsight.evaluate.fold_table import MARK, clips_by_fold, fold_lines, model_of, over_folds
from earsight.evaluate.probe import NEIGHBOURS, TEMPERATURE, knn, linear_probe
from earsight.evaluate.report_page import Table
from earsight.evaluate.tagger_hearing import HeardClips, HearingSettings, hear_clips, hearing_of
from earsight.evaluate.tagger_report import SystemTags, write_tag_report
from earsight.evaluate.tagger_scores import TagScores, tag_scores
from earsight.evaluate.tagger_table import NO_CLASS, OnClip, clip_facts, listening_facts
from earsight.generate.load import usable_device
from earsight.generate.tagger import SoundTagger, load_tagger

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
    clips; with them every fold is judged by classifiers that learnt from the others, and "{fold}"
    in `model` stands for the fold's number: each fold has a network of its own.
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


@dataclass(frozen=True, slots=True)
class _Embedded:
    """What a network made of all clips."""

    tagger: SoundTagger
    heard: HeardClips


@dataclass(frozen=True, kw_only=True, slots=True)
class _Clips:
    """Clips, and in which part each is judged: a fold, 1 for "test", or 0 for never.

    `features` are those that a part is judged by, of all clips.
    """

    records: tuple[ClipRecord, ...]
    features: Mapping[int, Tensor]
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
    known, unknown = labelled(records_of(corpus, "all"))
    embedded = _embedded(job, corpus, known, on_clip)
    clips = _clips(embedded, corpus, job)
    judged: dict[Kind, dict[int, _Judged]] = {
        kind: _judge(kind, clips, corpus, job) for kind in job.kinds
    }
    systems = {kind: _together(kind, parts, clips, corpus, job) for kind, parts in judged.items()}
    places = [place for part in judged[job.kinds[0]].values() for place in part.places]
    ids = [clips.records[place].id for place in places]
    missing = left_out([(record.id, NO_CLASS) for record in unknown])
    card = _card(job, corpus, list(embedded.values()), judged, ids, missing)
    write_tag_report(
        card,
        systems,
        job.output,
        title=f"Frozen features of {job.model} on {corpus.name}",
        class_names=corpus.class_names,
        clips=ids,
        tables=_tables(judged) if job.folds else (),
    )
    return card


def _card(
    job: ProbeJob,
    corpus: Corpus,
    embedded: Sequence[_Embedded],
    judged: Mapping[Kind, Mapping[int, _Judged]],
    ids: Sequence[str],
    missing: tuple[LeftOut, ...],
) -> Card:
    first, heard = embedded[0].tagger, embedded[0].heard
    shas = [one.tagger.weights_sha256 for one in embedded]
    fits = judged.get("linear", dict[int, _Judged]())
    return Card(
        table=TABLE,
        scores=_scores(judged),
        counts=Counts(
            expected=len(missing) + len(heard.left_out) + len(heard.records),
            found=len(heard.records),
            skipped=(*missing, *heard.left_out),
        ),
        protocol={"metrics": METRICS[job.folds], **clip_facts(corpus, ids)},
        settings={
            "model": first.name if len(shas) == 1 else job.model,
            "weights_sha256": shas[0] if len(shas) == 1 else shas,
            **listening_facts(first, job.hearing, heard.sounds),
            "width": int(heard.features.shape[1]),
            "neighbours": job.num_neighbours,
            "temperature": TEMPERATURE,
            "chosen": {str(part): one.facts for part, one in fits.items()},
        },
        seeds=(job.seed,),
        versions=versions(),
        date=now(),
    )


def _embedded(
    job: ProbeJob, corpus: Corpus, records: list[ClipRecord], on_clip: OnClip | None
) -> dict[int, _Embedded]:
    """All clips under the network of each fold; under the one that there is, numbered 0."""
    models = {0: job.model}
    if job.folds and MARK in job.model:
        models = {fold: model_of(job.model, fold) for fold in clips_by_fold(corpus)}
    found: dict[int, _Embedded] = {}
    for fold, model in models.items():
        plain = model == FILTERBANK
        tagger = filterbank_tagger(job.device) if plain else load_tagger(model, device=job.device)
        hearing = hearing_of(model, job.hearing)
        heard = hear_clips(tagger, corpus, records, hearing, on_clip=on_clip)
        found[fold] = _Embedded(tagger, heard)
    if len({tuple(r.id for r in one.heard.records) for one in found.values()}) > 1:
        raise InputError("the folds' networks could not hear the same clips: their inputs differ")
    return found


def _clips(embedded: Mapping[int, _Embedded], corpus: Corpus, job: ProbeJob) -> _Clips:
    device = usable_device(job.device)
    records = next(iter(embedded.values())).heard.records
    if job.folds:
        numbers = list(clips_by_fold(corpus))
        parts = [fold_of(record) or 0 for record in records]
    else:
        numbers = [1]
        parts = [int(record.split == "test") for record in records]
        _need_both(corpus, records)
    found = {
        number: torch.from_numpy(one.heard.features).double().to(device)
        for number, one in embedded.items()
    }
    return _Clips(
        records=records,
        features={number: found[number if number in found else 0] for number in numbers},
        classes=torch.from_numpy(targets_of(records, corpus.class_names)).to(device),
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
    for part, features in clips.features.items():
        own = clips.parts == part
        train_x, train_y, test_x = features[~own], clips.classes[~own], features[own]
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
        judged[part] = _Judged(
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
