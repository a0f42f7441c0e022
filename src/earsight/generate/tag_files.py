"""Tags as plain values, and as a table for people and spreadsheets."""

import csv
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from earsight.files import staged
from earsight.generate.tagger import Heard, SoundTagger, Tag, numbers

TAG_COLUMNS = ("file", "start", "end", "rank", "index", "name", "probability")


def described(tagger: SoundTagger, heard: Heard, *, top: int, windows: bool) -> dict[str, Any]:
    """A sound's tags as plain values, with those of every window where asked for."""
    assert heard.probabilities is not None
    assert heard.whole is not None
    told: dict[str, Any] = {
        "seconds": round(heard.seconds, 4),
        "silent": heard.silent,
        "tags": _plain(tagger.best(heard.whole, top)),
    }
    if windows:
        told["windows"] = [
            {"start": start, "end": end, "tags": _plain(tagger.best(row, top))}
            for (start, end), row in zip(spans(heard), heard.probabilities, strict=True)
        ]
    return told


def _plain(tags: list[Tag]) -> list[dict[str, Any]]:
    # rounded to what does not depend on how many windows were heard at once
    return [{**asdict(tag), "probability": round(tag.probability, 6)} for tag in tags]


def spans(heard: Heard) -> list[list[float]]:
    """Start and end of every window in seconds, to a tenth of a millisecond."""
    return [[round(time, 4) for time in numbers(span)] for span in heard.spans]


def write_tags(
    target: Path, sounds: Iterable[tuple[str, dict[str, Any]]], *, overwrite: bool = False
) -> None:
    """A row for every tag of named, `described` sounds: of windows where they are, else of all."""
    with (
        staged(target, overwrite=overwrite) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(TAG_COLUMNS)
        for name, told in sounds:
            whole: dict[str, Any] = {"start": 0.0, "end": told["seconds"], "tags": told["tags"]}
            for span in told.get("windows", [whole]):
                for rank, tag in enumerate(span["tags"], 1):
                    what = (tag["index"], tag["name"] or "", f"{tag['probability']:.6f}")
                    rows.writerow([name, span["start"], span["end"], rank, *what])
