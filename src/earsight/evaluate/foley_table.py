"""The Foley Room's table: a model and its controls against the known truth.

Systems: `model`; `no_picture`, the same model without what is seen; `random_training`, a real
training clip of the right class; `truth`, the clip's own sound, the upper bound; for information
`shuffled`, the model's sounds on other clips.

Axes: s samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from earsight.data.corpus import ClipRecord, Corpus
from earsight.data.open_corpus import open_corpus
from earsight.errors import InputError
from earsight.evaluate.card import Card, Counts, JudgeName, now, versions, write_card
from earsight.evaluate.charts import draw_bars, draw_pairs
from earsight.evaluate.foley_scores import (
    MEASURES,
    FoleyResult,
    Sounds,
    TrueClip,
    foley_scores,
    random_training_sound,
    read_truth_of,
    shuffled,
    true_sound,
)
from earsight.evaluate.generation import wanted_records
from earsight.evaluate.report_page import write_page
from earsight.evaluate.specvqgan_table import (
    nothing_made,
    pair_of,
    set_digest,
    spread_over_classes,
)
from earsight.evaluate.workers import (
    Generated,
    GenerationJob,
    generate_all,
    refuse_own_ranker,
)
from earsight.files import write_json
from earsight.frontends.specvqgan_mel import MEL_RATE_HZ
from earsight.generate.sound_class import SoundClassifier
from earsight.media.audio import read_audio
from earsight.settings import to_plain
from earsight.training.distributed import ALONE, World

TABLE = "foley_room"
DETAILS_FILE = "details.json"
NO_PICTURE_FOLDER = "no_picture"


def evaluate_foley_room(
    job: GenerationJob,
    judge: SoundClassifier | None,
    *,
    workers: int = 1,
    world: World = ALONE,
    on_sample: Callable[[int], None] | None = None,
) -> Card | None:
    """Make the samples that are missing, with and without picture, and score every system.

    None in every process of a world but the first. Raises InputError for clips without truth.
    """
    if judge is not None:
        refuse_own_ranker(job, judge.sha256)
    corpus = open_corpus(job.data, only_present=job.only_present)
    clips = [TrueClip(r, read_truth_of(r)) for r in wanted_records(corpus, job.settings)]
    blind = replace(
        job,
        output=job.output / NO_PICTURE_FOLDER,
        settings=replace(job.settings, show_picture=False),
    )
    made = generate_all(job, workers=workers, world=world, on_sample=on_sample)
    if job.settings.show_picture:
        unseen = generate_all(blind, workers=workers, world=world, on_sample=on_sample)
    else:
        unseen = None
    if not world.is_first:
        return None
    if not made.found:
        raise InputError(nothing_made(made.skipped))
    systems = systems_of(corpus, clips, made, unseen, seed=job.settings.seed)
    result = foley_scores(clips, systems, judge=judge, class_names=corpus.class_names)
    card = _card(job, corpus, clips, made, result, judge)
    write_card(job.output, card)
    _write_details(job.output, result)
    shown = [pair_of(corpus, file) for file in spread_over_classes(made.found)]
    by_class = result.by_class()
    pictures = [("True and generated, with events", draw_pairs(shown, job.output / "pairs.png"))]
    for measure, what in MEASURES.items():
        drawn = draw_bars(by_class, measure, job.output / f"{measure}.png", title=what)
        if drawn is not None:
            pictures.append((measure.replace("_", " ").capitalize(), drawn))
    title = f"{made.facts['model']} in the Foley Room"
    write_page(job.output, card, title=title, pictures=pictures, by_class=by_class)
    return card


def systems_of(
    corpus: Corpus,
    clips: Sequence[TrueClip],
    made: Generated,
    unseen: Generated | None,
    *,
    seed: int,
) -> dict[str, Sounds]:
    """Every system by name, the model first."""
    records = [clip.record for clip in clips]
    model = sample_sounds(made)
    blind = {} if unseen is None else {"no_picture": sample_sounds(unseen)}
    return {
        "model": model,
        **blind,
        "random_training": random_training_sound(corpus, seed=seed),
        "shuffled": shuffled(model, records, seed=seed),
        "truth": true_sound(corpus),
    }


def sample_sounds(made: Generated) -> Sounds:
    """All samples of a clip, read from their files."""
    by_clip: dict[str, list[Path]] = {}
    for file in made.found:
        by_clip.setdefault(file.record.id, []).append(file.wave)

    def sounds(record: ClipRecord) -> Sequence[Float[Tensor, " s"]]:
        paths = by_clip.get(record.id, [])
        if not paths:
            raise InputError("no sample was made")
        return [read_audio(path, rate_hz=MEL_RATE_HZ, mono=True).samples[0] for path in paths]

    return sounds


def _card(
    job: GenerationJob,
    corpus: Corpus,
    clips: Sequence[TrueClip],
    made: Generated,
    result: FoleyResult,
    judge: SoundClassifier | None,
) -> Card:
    return Card(
        table=TABLE,
        scores=result.scores(),
        counts=Counts(
            expected=len(made.files),
            found=len(made.found),
            skipped=(*made.skipped, *result.skipped),
        ),
        protocol={
            "metrics": "Foley Room (onsets within 50 ms, classes, loudness, off-screen recall)",
            "corpus": corpus.name,
            "split": job.settings.split,
            "clips": len(clips),
            "clip_set": set_digest([clip.record.id for clip in clips]),
            "samples_per_clip": job.settings.num_samples,
        },
        settings={**made.facts, "device": job.device},
        judge=None if judge is None else JudgeName(name=judge.name, sha256=judge.sha256),
        seeds=(job.settings.seed,),
        versions=versions(),
        date=now(),
    )


def _write_details(output: Path, result: FoleyResult) -> None:
    """Every clip's values and the scores by class, for whoever wants to look closer."""
    plain = {
        "classes": dict(result.classes),
        "by_clip": to_plain(result.values),
        "by_class": to_plain(result.by_class()),
    }
    write_json(output / DETAILS_FILE, plain, overwrite=True)
