"""A tagger's table: any network with classes, on the labelled clips of any corpus."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from earsight.data.clip_classes import targets_of
from earsight.data.corpus import ClipRecord, Corpus, Split
from earsight.data.open_corpus import open_corpus
from earsight.errors import InputError
from earsight.evaluate.card import Card, Counts, LeftOut, left_out, now, versions
from earsight.evaluate.corpus_clips import labelled, records_of
from earsight.evaluate.specvqgan_table import set_digest
from earsight.evaluate.tagger_classes import match_classes, told_classes
from earsight.evaluate.tagger_hearing import HearingSettings, Sounds, hear_clips, hearing_of
from earsight.evaluate.tagger_published import data_set_of
from earsight.evaluate.tagger_report import SystemTags, write_tag_report
from earsight.evaluate.tagger_scores import TagScores, tag_scores
from earsight.generate.tagger import SoundTagger, load_tagger

TABLE = "tagger"
METRICS = "tags (mAP, mean area, d prime, accuracy; standard errors by bootstrap over clips)"
NO_CLASS = "no class is known"
OnClip = Callable[[int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaggerJob:
    """What to judge, on what, and how.

    `classes` says which of the model's classes stand for the corpus's: a file (`read_classes`), or
    "audioset" for a model of AudioSet's classes on ESC-50 or ESC-10; by name where None.
    `published` names the data set whose published scores are shown beside; by the corpus's own
    name where None.
    """

    model: str
    data: Path
    output: Path
    split: Split | Literal["all"] = "test"
    limit: int | None = None
    hearing: HearingSettings = field(default_factory=HearingSettings)
    classes: str | None = None
    published: str | None = None
    num_resamples: int = 200
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True, slots=True)
class TaggedClips:
    """What a tagger said of labelled clips, in the classes of their corpus."""

    records: tuple[ClipRecord, ...]
    probabilities: np.ndarray
    targets: np.ndarray
    left_out: tuple[LeftOut, ...]
    sounds: Sounds
    matched: str


def evaluate_tagger(job: TaggerJob, *, on_clip: OnClip | None = None) -> Card:
    """Tag every labelled clip of a split, or of all, score the tags, write card and page.

    Raises InputError for a model without classes, classes that do not match, and no clips.
    """
    corpus = open_corpus(job.data)
    tagger = open_with_classes(job.model, job.device)
    records = records_of(corpus, job.split)[: job.limit]
    tagged = tag_clips(tagger, corpus, records, job, on_clip=on_clip)
    found = score_tags(tagged, corpus.class_names, job)
    card = Card(
        table=TABLE,
        scores=found.scores,
        counts=Counts(expected=len(records), found=len(tagged.records), skipped=tagged.left_out),
        protocol={
            "metrics": METRICS,
            **clip_facts(corpus, [r.id for r in tagged.records]),
            "split": job.split,
        },
        settings={
            "model": tagger.name,
            "weights_sha256": tagger.weights_sha256,
            **listening_facts(tagger, job.hearing, tagged.sounds),
            "classes_matched": tagged.matched,
            "published": job.published or data_set_of(corpus.name),
            "classes_without_curve": list(found.without_curve),
        },
        seeds=(job.seed,),
        versions=versions(),
        date=now(),
    )
    write_tag_report(
        card,
        {"model": SystemTags(found, tagged.probabilities)},
        job.output,
        title=f"{tagger.name} on {corpus.name}",
        class_names=corpus.class_names,
        clips=[r.id for r in tagged.records],
    )
    return card


def open_with_classes(model: str, device: str) -> SoundTagger:
    """A tagger. Raises InputError for a network that was pre-trained only."""
    tagger = load_tagger(model, device=device)
    if not tagger.listener.num_classes:
        raise InputError(
            f"{tagger.name} was pre-trained only and knows no classes: fine-tune it, or judge its "
            "embeddings by 'earsight evaluate probe'"
        )
    return tagger


def tag_clips(
    tagger: SoundTagger,
    corpus: Corpus,
    records: list[ClipRecord],
    job: TaggerJob,
    *,
    on_clip: OnClip | None = None,
) -> TaggedClips:
    """Probabilities and truth of the labelled ones among `records`; the others are left out."""
    told = None if job.classes is None else told_classes(job.classes)
    match = match_classes(tagger.class_names, tagger.listener.num_classes, corpus.class_names, told)
    known, unknown = labelled(records)
    heard = hear_clips(tagger, corpus, known, hearing_of(job.model, job.hearing), on_clip=on_clip)
    assert heard.probabilities is not None
    return TaggedClips(
        records=heard.records,
        probabilities=match.of_corpus(heard.probabilities),
        targets=targets_of(heard.records, corpus.class_names),
        left_out=(*left_out([(r.id, NO_CLASS) for r in unknown]), *heard.left_out),
        sounds=heard.sounds,
        matched=match.rule,
    )


def score_tags(tagged: TaggedClips, class_names: Sequence[str], job: TaggerJob) -> TagScores:
    """Scores of what was said, by the job's bootstrap."""
    return tag_scores(
        tagged.probabilities,
        tagged.targets,
        class_names=class_names,
        num_resamples=job.num_resamples,
        seed=job.seed,
    )


def clip_facts(corpus: Corpus, ids: Sequence[str]) -> dict[str, Any]:
    """What a card says of its clips, so that unlike ones are not compared."""
    return {
        "corpus": corpus.name,
        "clip_set": set_digest(ids),
        "clips": len(ids),
        "classes": len(corpus.class_names),
    }


def listening_facts(
    tagger: SoundTagger, hearing: HearingSettings, sounds: Sounds
) -> dict[str, Any]:
    """What a card says of how a network listened."""
    listener = tagger.listener
    return {
        "window_seconds": round(listener.window_samples / listener.rate_hz, 3),
        "rate_hz": listener.rate_hz,
        "num_shifts": hearing.num_shifts,
        "sounds": sounds,
        "device": str(tagger.device),
    }
