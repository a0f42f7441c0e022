"""SpecVQGAN's table of generated sounds: on a model with a corpus, or on two folders of sounds.

Source: SpecVQGAN, tables 3 and 4; official repository v-iashin/SpecVQGAN (evaluation).
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from earsight.data.corpus import Corpus
from earsight.data.open_corpus import open_corpus
from earsight.errors import InputError
from earsight.evaluate.card import Card, Counts, LeftOut, now, versions, write_card
from earsight.evaluate.charts import SpectrogramPair, draw_pairs
from earsight.evaluate.foley_scores import read_truth_of
from earsight.evaluate.generation import SampleFile, wanted_records
from earsight.evaluate.judge import Judge, JudgedSet, judged_set
from earsight.evaluate.report_page import write_page
from earsight.evaluate.sound_sets import open_sets, read_mel
from earsight.evaluate.specvqgan_generation import (
    ClipMel,
    SampleMel,
    folder_mels,
    generation_scores,
    unique_real,
)
from earsight.evaluate.workers import GenerationJob, generate_all, refuse_own_ranker
from earsight.frontends.specvqgan_mel import MODEL_FRAMES
from earsight.training.distributed import ALONE, World

TABLE = "specvqgan"
MOST_PAIRS = 6


def evaluate_model(
    job: GenerationJob,
    judge: Judge,
    *,
    workers: int = 1,
    world: World = ALONE,
    on_sample: Callable[[int], None] | None = None,
) -> Card | None:
    """Make the samples that are missing, judge all, write card and page into the job's output.

    None in every process of a world but the first. Raises InputError as its parts do.
    """
    refuse_own_ranker(job, judge.name.sha256)
    made = generate_all(job, workers=workers, world=world, on_sample=on_sample)
    if not world.is_first:
        return None
    corpus = open_corpus(job.data, only_present=job.only_present)
    records = wanted_records(corpus, job.settings)
    real = judged_set([ClipMel(corpus, record) for record in records], judge, real=True)
    found = made.found
    if not found:
        raise InputError(nothing_made(made.skipped))
    fake = judged_set([SampleMel(file) for file in found], judge, real=False)
    scores, alone = generation_scores(real, fake)
    card = Card(
        table=TABLE,
        scores=scores,
        counts=Counts(
            expected=len(made.files),
            found=fake.num_items,
            skipped=(*made.skipped, *real.skipped, *fake.skipped, *alone),
        ),
        protocol={
            **_protocol(real),
            "corpus": corpus.name,
            "split": job.settings.split,
            "samples_per_clip": job.settings.num_samples,
        },
        settings={**made.facts, "device": job.device},
        judge=judge.name,
        seeds=(job.settings.seed,),
        versions=versions(),
        date=now(),
    )
    write_card(job.output, card)
    judged = set(real.keys) & set(fake.keys)
    shown = spread_over_classes([file for file in found if file.record.id in judged])
    picture = draw_pairs([pair_of(corpus, file) for file in shown], job.output / "pairs.png")
    title = f"{made.facts['model']} on {corpus.name}, {job.settings.split}"
    write_page(job.output, card, title=title, pictures=[("True and generated", picture)])
    return card


def evaluate_folders(real: Path, fake: Path, output: Path, judge: Judge) -> Card:
    """Judge two folders of sounds or spectrograms; write card and page into `output`.

    Raises InputError for folders without sounds and where nothing pairs up.
    """
    real_set, fake_set = open_sets(real, fake)
    real_set, doubled = unique_real(real_set)
    true_rows = judged_set(folder_mels(real_set), judge, real=True)
    fake_rows = judged_set(folder_mels(fake_set), judge, real=False)
    scores, alone = generation_scores(true_rows, fake_rows)
    card = Card(
        table=TABLE,
        scores=scores,
        counts=Counts(
            expected=len(fake_set.files),
            found=fake_rows.num_items,
            skipped=(*doubled, *true_rows.skipped, *fake_rows.skipped, *alone),
        ),
        protocol=_protocol(true_rows),
        settings={"real": str(real), "fake": str(fake)},
        judge=judge.name,
        versions=versions(),
        date=now(),
    )
    write_card(output, card)
    first = {file.key: file.path for file in reversed(fake_set.files)}
    judged = set(true_rows.keys) & set(fake_rows.keys)
    pairs = [
        SpectrogramPair(file.key, read_mel(file.path), read_mel(first[file.key]))
        for file in real_set.files
        if file.key in judged
    ][:MOST_PAIRS]
    pictures = [("Real and generated", draw_pairs(pairs, output / "pairs.png"))]
    write_page(output, card, title=f"{fake.name} against {real.name}", pictures=pictures)
    return card


def set_digest(keys: Sequence[str]) -> str:
    """Short name of a set of clips, whatever their order."""
    text = "\n".join(sorted(keys))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _protocol(real: JudgedSet) -> dict[str, object]:
    return {
        "metrics": "SpecVQGAN (FID, KID, ISC, MKL)",
        "real_clips": real.num_items,
        "real_set": set_digest(real.keys),
        "most_frames": MODEL_FRAMES,
    }


def nothing_made(skipped: Sequence[LeftOut]) -> str:
    """What to say where every sample failed."""
    reasons = "; ".join(dict.fromkeys(left.reason for left in skipped[:50]))
    return f"not one sample could be made: {reasons}"


def spread_over_classes(found: Sequence[SampleFile]) -> list[SampleFile]:
    """The first sample of some clips, of as many classes as there is room for."""
    by_class: dict[str | None, list[SampleFile]] = {}
    for file in found:
        if file.index == 0:
            by_class.setdefault(file.record.class_name, []).append(file)
    columns = list(by_class.values())
    deepest = max((len(column) for column in columns), default=0)
    ordered = [column[i] for i in range(deepest) for column in columns if i < len(column)]
    return ordered[:MOST_PAIRS]


def pair_of(corpus: Corpus, file: SampleFile) -> SpectrogramPair:
    """A sample beside its clip, with the events of the truth where the clip has one."""
    record = file.record
    has_truth = "truth" in record.notes
    events = tuple(e.time_seconds for e in read_truth_of(record).events) if has_truth else ()
    title = f"{record.class_name or ''} {record.id}".strip()
    return SpectrogramPair(title, corpus.mel(record).float(), read_mel(file.mel), events)
