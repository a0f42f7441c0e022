"""Embeddings as files, each with a JSON file beside it that says what every row is.

Axes: n rows (whole sounds or windows), d features.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.extras import require
from earsight.files import staged, write_json
from earsight.generate.tag_files import spans
from earsight.generate.tagger import Heard

Per = Literal["clip", "window"]
TABLE_SUFFIXES = (".npy", ".parquet")


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundVectors:
    """Vectors of one sound: a row for all of it, or a row a window; spans in seconds."""

    sound: str
    silent: bool
    spans: list[list[float]]
    vectors: Float[Tensor, "n d"]

    def rows(self) -> Iterator[dict[str, Any]]:
        """What every row is."""
        for start, end in self.spans:
            yield {"sound": self.sound, "start": start, "end": end, "silent": self.silent}


def sound_vectors(sound: str, heard: Heard, *, per: Per) -> SoundVectors:
    """Vectors of a sound that was heard."""
    if per == "window":
        times, vectors = spans(heard), heard.features
    else:
        times, vectors = [[0.0, round(heard.seconds, 4)]], heard.whole_features[None]
    return SoundVectors(sound=sound, silent=heard.silent, spans=times, vectors=vectors)


def write_array(target: Path, values: Tensor, *, overwrite: bool = False) -> None:
    """A float32 .npy file, whole or not at all."""
    with staged(target, overwrite=overwrite) as temporary:
        np.save(temporary, values.numpy().astype(np.float32), allow_pickle=False)


def write_table(
    target: Path,
    sounds: Sequence[SoundVectors],
    *,
    origin: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Vectors of many sounds as one .npy or .parquet file, and `beside(target)`.

    The .npy is a matrix. The .parquet has the columns sound, start, end, silent and embedding, and
    needs the extra `parquet`. Raises InputError for another ending.
    """
    vectors = torch.cat([item.vectors for item in sounds])
    rows = [row for item in sounds for row in item.rows()]
    match target.suffix:
        case ".npy":
            write_array(target, vectors, overwrite=overwrite)
        case ".parquet":
            _write_parquet(target, vectors, rows, overwrite=overwrite)
        case other:
            raise InputError(
                f"a table of embeddings ends in {' or '.join(TABLE_SUFFIXES)}, got '{other}'"
            )
    listed = [{"row": number, **row} for number, row in enumerate(rows)]
    described = {**origin, "width": vectors.shape[1], "rows": listed}
    write_json(beside(target), described, overwrite=overwrite)


def beside(target: Path) -> Path:
    """The file that tells what the rows of a table are."""
    return target.with_name(f"{target.name}.json")


def arrow_modules() -> tuple[Any, Any]:
    """PyArrow and its parquet module; raises MissingExtraError where they are not installed."""
    purpose = "writing parquet tables"
    arrow = require("pyarrow", extra="parquet", purpose=purpose)
    return arrow, require("pyarrow.parquet", extra="parquet", purpose=purpose)


def _write_parquet(
    target: Path, vectors: Float[Tensor, "n d"], rows: list[dict[str, Any]], *, overwrite: bool
) -> None:
    arrow, parquet = arrow_modules()
    values = arrow.array(vectors.numpy().astype(np.float32).reshape(-1))
    columns = {
        name: arrow.array([row[name] for row in rows], type=kind)
        for name, kind in (
            ("sound", arrow.string()),
            ("start", arrow.float64()),
            ("end", arrow.float64()),
            ("silent", arrow.bool_()),
        )
    }
    columns["embedding"] = arrow.FixedSizeListArray.from_arrays(values, vectors.shape[1])
    with staged(target, overwrite=overwrite) as temporary:
        parquet.write_table(arrow.table(columns), temporary)
