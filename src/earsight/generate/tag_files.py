"""Tags and embeddings as files: CSV for people and spreadsheets, npy for programs."""

import csv
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from earsight.files import staged
from earsight.generate.tagger import Heard, SoundTagger, numbers

TAG_COLUMNS = ("file", "start", "end", "rank", "index", "name", "probability")


def described(tagger: SoundTagger, heard: Heard, *, top: int, windows: bool) -> dict[str, Any]:
    """A sound's tags as plain values, with those of every window where asked for."""
    assert heard.probabilities is not None
    assert heard.whole is not None
    told: dict[str, Any] = {
        "seconds": round(heard.seconds, 4),
        "silent": heard.silent,
        "tags": [asdict(tag) for tag in tagger.best(heard.whole, top)],
    }
    if windows:
        told["windows"] = [
            {
                "start": start,
                "end": end,
                "tags": [asdict(tag) for tag in tagger.best(row, top)],
            }
            for (start, end), row in zip(spans(heard), heard.probabilities, strict=True)
        ]
    return told


def spans(heard: Heard) -> list[list[float]]:
    """Start and end of every window in seconds, to a tenth of a millisecond."""
    return [[round(time, 4) for time in numbers(span)] for span in heard.spans]


def write_tags(
    target: Path, sounds: Iterable[tuple[str, dict[str, Any]]], *, overwrite: bool = False
) -> None:
    """A row for every tag of named, `described` sounds: of windows where they are, else of all."""
    with _rows(target, overwrite=overwrite) as row_of:
        row_of(TAG_COLUMNS)
        for name, told in sounds:
            whole: dict[str, Any] = {"start": 0.0, "end": told["seconds"], "tags": told["tags"]}
            for span in told.get("windows", [whole]):
                for rank, tag in enumerate(span["tags"], 1):
                    what = (tag["index"], tag["name"] or "", f"{tag['probability']:.6f}")
                    row_of([name, span["start"], span["end"], rank, *what])


def write_timeline(
    target: Path, tagger: SoundTagger, heard: Heard, *, top: int, overwrite: bool = False
) -> None:
    """Probabilities of the sound's best classes over time, a column a class.

    A row a step for networks that score every instant, else a row a window; its time is the
    middle of the step or window, in seconds.
    """
    assert heard.probabilities is not None
    assert heard.whole is not None
    best = tagger.best(heard.whole, top)
    values, times = heard.probabilities, heard.spans.mean(dim=1)
    if heard.steps is not None and heard.step_times is not None:
        values, times = heard.steps, heard.step_times
    chosen = values[:, [tag.index for tag in best]]
    with _rows(target, overwrite=overwrite) as row_of:
        row_of(["seconds", *(tag.name or str(tag.index) for tag in best)])
        for time, row in zip(numbers(times), chosen, strict=True):
            row_of([f"{time:.3f}", *(f"{value:.6f}" for value in numbers(row))])


def write_array(target: Path, values: Tensor, *, overwrite: bool = False) -> None:
    """A float32 .npy file, whole or not at all."""
    with staged(target, overwrite=overwrite) as temporary:
        np.save(temporary, values.numpy().astype(np.float32), allow_pickle=False)


@contextmanager
def _rows(target: Path, *, overwrite: bool) -> Generator[Callable[[Sequence[object]], object]]:
    """A function that writes a row of a CSV file, which appears when the block ends well."""
    with (
        staged(target, overwrite=overwrite) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        yield csv.writer(file, lineterminator="\n").writerow
