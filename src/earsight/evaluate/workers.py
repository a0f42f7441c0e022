"""The samples of a split, made by one process, several on this machine, or those of `torchrun`.

Every process takes each n-th clip and writes what it left out into a file of its own; samples are
files too, so that whoever comes last finds everything.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from earsight.data.open_corpus import open_corpus
from earsight.errors import EarsightError, InputError
from earsight.evaluate.card import LeftOut
from earsight.evaluate.generation import (
    SAMPLES_FOLDER,
    GenerationSettings,
    SampleFile,
    begin,
    generate_part,
    wanted_files,
    wanted_records,
)
from earsight.files import write_json
from earsight.generate.bundles import open_bundle
from earsight.generate.conditions import VisualKind
from earsight.generate.load import load_pipeline
from earsight.generate.video_to_sound import VideoToSound
from earsight.nn.packed_linear import Precision
from earsight.training.distributed import ALONE, World


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationJob:
    """What a process needs to know to do its part: everything by name."""

    data: Path
    model: str
    output: Path
    settings: GenerationSettings
    device: str = "cpu"
    precision: Precision = "fp32"
    vocoder: str = "auto"
    visual: VisualKind | None = None
    only_present: bool = False

    def load(self) -> VideoToSound:
        """Open the model."""
        return load_pipeline(
            self.model,
            device=self.device,
            precision=self.precision,
            vocoder=self.vocoder,
            visual=self.visual,
        )


def refuse_own_ranker(job: GenerationJob, judge_sha256: str) -> None:
    """Raise InputError where the judge is the very network that chooses among the candidates."""
    if job.settings.num_candidates == 1:
        return
    ranker = open_bundle(job.model).parts.get("ranker")
    if ranker is not None and ranker.sha256 == judge_sha256:
        raise InputError(
            "the judge is the network that chooses among the candidates, which would flatter them: "
            "give another --judge, or leave --rank out"
        )


@dataclass(frozen=True, slots=True)
class Generated:
    """All samples that were wanted, what they were made with, and those that are missing."""

    files: tuple[SampleFile, ...]
    facts: dict[str, Any]
    skipped: tuple[LeftOut, ...]

    @property
    def found(self) -> tuple[SampleFile, ...]:
        """Samples that are there."""
        return tuple(file for file in self.files if file.is_finished)


def generate_all(
    job: GenerationJob,
    *,
    workers: int = 1,
    world: World = ALONE,
    on_sample: Callable[[int], None] | None = None,
) -> Generated:
    """Make every sample that is missing; with a `world` each process returns when all are done.

    Raises InputError for samples made with other settings and for workers inside a world;
    EarsightError where a worker broke off.
    """
    if workers < 1 or (workers > 1 and world.size > 1):
        raise InputError(
            f"{workers} workers in a run of {world.size} processes: give --workers or torchrun"
        )
    corpus = open_corpus(job.data, only_present=job.only_present)
    model = job.load()
    facts: dict[str, Any] = {}
    if world.is_first:
        facts = begin(model, corpus, job.output, job.settings)
    world.any(False)  # the others wait until the first has looked at the folder
    if workers > 1:
        _run_processes(job, workers)
    else:
        skipped = generate_part(
            model,
            corpus,
            job.output,
            job.settings,
            rank=world.rank,
            size=world.size,
            on_sample=on_sample,
        )
        _write_report(job.output, world.rank, skipped)
        world.any(False)
    parts = range(max(workers, world.size))
    records = wanted_records(corpus, job.settings)
    files = tuple(wanted_files(records, job.output, job.settings.num_samples))
    reports = [left for rank in parts for left in _read_report(job.output, rank)]
    return Generated(files, facts, tuple(reports))


def _run_processes(job: GenerationJob, workers: int) -> None:
    context = get_context("spawn")
    processes = [
        context.Process(target=work, args=(job, rank, workers), daemon=True)
        for rank in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join()
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
    broken = [p.name for p in processes if p.exitcode]
    if broken:
        raise EarsightError(
            f"{len(broken)} of {workers} workers broke off (see above); finished samples stay, "
            "run the same command again"
        )


def work(job: GenerationJob, rank: int, size: int) -> None:
    """One process's part of a job."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // size))
    corpus = open_corpus(job.data, only_present=job.only_present)
    skipped = generate_part(job.load(), corpus, job.output, job.settings, rank=rank, size=size)
    _write_report(job.output, rank, skipped)


def _report_path(output: Path, rank: int) -> Path:
    return output / SAMPLES_FOLDER / f"skipped_{rank}.json"


def _write_report(output: Path, rank: int, skipped: list[LeftOut]) -> None:
    plain = [{"name": left.name, "reason": left.reason} for left in skipped]
    write_json(_report_path(output, rank), plain, overwrite=True)


def _read_report(output: Path, rank: int) -> list[LeftOut]:
    plain: list[dict[str, str]] = json.loads(_report_path(output, rank).read_text())
    return [LeftOut(name=left["name"], reason=left["reason"]) for left in plain]
