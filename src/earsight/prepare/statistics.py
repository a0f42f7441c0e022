"""How a prepared corpus differs from what published models were trained on, and from itself.

Levels are compared with the statistics of the VGGSound training spectrograms, which VGGish-ish and
Melception normalise by.
Source: official repository v-iashin/SpecVQGAN, train_means_stds_melspec_10s_22050hz.txt; sizes of
the published split lists.

Axes: s samples.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from earsight.data.corpus import SPLITS, ClipRecord, Split
from earsight.data.fbank_measured import (
    CARD_KEY,
    MeasuredFbank,
    spread_over,
    statistics_drift,
)
from earsight.data.prepared_layout import mel_path, sound_path
from earsight.data.source_clips import Source
from earsight.errors import InputError
from earsight.frontends.fbank_statistics import AUDIOSET
from earsight.frontends.specvqgan_mel import (
    MEL_HOP_SAMPLES,
    MEL_RATE_HZ,
    MODEL_FRAMES,
    NUM_MELS,
    TABLE,
    TABLE_SHA256,
)
from earsight.frontends.stored_tables import load_table
from earsight.media.audio import read_audio
from earsight.settings import to_plain

MODEL_SECONDS = MODEL_FRAMES * MEL_HOP_SAMPLES / MEL_RATE_HZ
LARGEST_SHIFT = 0.5
"""In published deviations of a band, averaged over bands: about 5 dB."""
LARGEST_SPREAD = 1.5
LARGEST_IMBALANCE = 50.0
SILENT = 0.02
"""Mean of a spectrogram below which a clip counts as silent."""
_LISTED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftRow:
    """A quantity as found and as published ("" where nothing is), and a warning or ""."""

    quantity: str
    found: str
    published: str = ""
    warning: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bands:
    """Log-mel statistics per band, and how many clips are silent."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    num_silent: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """Everything that was measured, as rows to print and as values to keep."""

    rows: tuple[DriftRow, ...]
    values: Mapping[str, Any]

    @property
    def warnings(self) -> list[str]:
        """What deserves a look."""
        return [f"{row.quantity}: {row.warning}" for row in self.rows if row.warning]


def drift(folder: Path, records: Sequence[ClipRecord], source: Source) -> Drift:
    """Measure the clips of a folder. Raises InputError for no clips."""
    if not records:
        raise InputError("no clips to measure")
    trained = [r for r in records if r.split == "train"] or list(records)
    bands = band_statistics(folder, trained)
    rows = [*_splits(records, source.published), *_classes(records, source.class_names)]
    rows += [_durations(records), _rates(records), *_levels(bands, len(trained))]
    rates = Counter(str(r.notes.get("rate_hz", "")) for r in records)
    values = {
        "clips": {split: sum(r.split == split for r in records) for split in SPLITS},
        "seconds": round(sum(r.seconds for r in records), 3),
        "rates_hz": dict(sorted(rates.items())),
        "band_means": [round(float(value), 5) for value in bands.mean],
        "band_stds": [round(float(value), 5) for value in bands.std],
    }
    found = Drift(rows=tuple(rows), values=values)
    return Drift(rows=found.rows, values=values | {"warnings": found.warnings})


def with_fbank(measured: Drift, fbank: MeasuredFbank) -> Drift:
    """The same with the clips' own log filterbanks, compared with AudioSet's."""
    warning = statistics_drift(fbank, AUDIOSET, fill="repeat") or ""
    row = DriftRow(
        quantity="log filterbank mean / spread",
        found=f"{fbank.mean:.2f} / {fbank.spread:.2f}",
        published=f"{AUDIOSET.mean:.2f} / {AUDIOSET.spread:.2f} (AudioSet)",
        warning="not AudioSet's: train with statistics=measured" if warning else "",
    )
    found = Drift(rows=(*measured.rows, row), values={})
    values = {**measured.values, CARD_KEY: to_plain(fbank), "warnings": found.warnings}
    return Drift(rows=found.rows, values=values)


def recorded_waves(
    folder: Path, records: Sequence[ClipRecord]
) -> Iterator[Float[torch.Tensor, " s"]]:
    """Sounds of training clips (of all where there are none), evenly spread, 500 at most."""
    trained = [record for record in records if record.split == "train"] or records
    for record in spread_over(trained):
        path = sound_path(folder, record)
        yield read_audio(path, rate_hz=MEL_RATE_HZ, mono=True).samples[0]


def band_statistics(folder: Path, records: Sequence[ClipRecord]) -> Bands:
    """Mean and deviation over time of every band, averaged over clips, as the published ones."""
    mean, deviation = np.zeros(NUM_MELS), np.zeros(NUM_MELS)
    silent = 0
    for record in records:
        mel = np.load(mel_path(folder, record.id), mmap_mode="r", allow_pickle=False)
        values = mel.astype(np.float64)
        mean += values.mean(1)
        deviation += values.std(1)
        silent += bool(values.mean() < SILENT)
    return Bands(mean=mean / len(records), std=deviation / len(records), num_silent=silent)


def _splits(records: Sequence[ClipRecord], published: Mapping[Split, int]) -> list[DriftRow]:
    rows: list[DriftRow] = []
    for split in SPLITS:
        found = sum(record.split == split for record in records)
        wanted = published.get(split)
        warning = "empty" if not found and wanted != 0 else ""
        if found and wanted and found < wanted:
            warning = f"{wanted - found} of the published clips are missing"
        told = "" if wanted is None else str(wanted)
        rows.append(
            DriftRow(quantity=f"clips, {split}", found=str(found), published=told, warning=warning)
        )
    return rows


def _classes(records: Sequence[ClipRecord], names: Sequence[str]) -> list[DriftRow]:
    unlabelled = sum(record.class_index is None for record in records)
    rows: list[DriftRow] = []
    if unlabelled:
        told = "none has a label" if unlabelled == len(records) else "they teach no class"
        rows.append(DriftRow(quantity="unlabelled", found=str(unlabelled), warning=told))
    for split in SPLITS if names else ():
        counts = Counter(r.class_name for r in records if r.split == split and r.class_name)
        if not counts:
            continue
        absent = [name for name in names if not counts[name]]
        warning = ""
        if absent:
            warning = f"no clip of {', '.join(absent[:_LISTED])}"
            warning += f" and {len(absent) - _LISTED} more" if len(absent) > _LISTED else ""
        elif max(counts.values()) > LARGEST_IMBALANCE * min(counts.values()):
            least = min(counts, key=lambda name: counts[name])
            warning = f"uneven: {counts[least]} clips of {least}, up to {max(counts.values())}"
        rows.append(
            DriftRow(
                quantity=f"classes, {split}",
                found=f"{len(names) - len(absent)} of {len(names)}",
                warning=warning,
            )
        )
    return rows


def _durations(records: Sequence[ClipRecord]) -> DriftRow:
    seconds = [record.seconds for record in records]
    # a frame begins at every hop, so a clip has one frame more than whole hops
    short = sum(1 + each * MEL_RATE_HZ // MEL_HOP_SAMPLES < MODEL_FRAMES for each in seconds)
    told = f"{min(seconds):.2f} / {median(seconds):.2f} / {max(seconds):.2f}"
    warning = f"{short} shorter than the model's {MODEL_SECONDS:.2f} s: they are masked"
    return DriftRow(
        quantity="seconds, least / median / most",
        found=told,
        published="10.00",
        warning=warning if short else "",
    )


def _rates(records: Sequence[ClipRecord]) -> DriftRow:
    rates = sorted({int(record.notes.get("rate_hz", MEL_RATE_HZ)) for record in records})
    low = sum(int(record.notes.get("rate_hz", MEL_RATE_HZ)) < MEL_RATE_HZ for record in records)
    warning = f"{low} below {MEL_RATE_HZ} Hz: their high bands are empty" if low else ""
    return DriftRow(
        quantity="source rates in Hz",
        found=", ".join(map(str, rates)),
        published=f">= {MEL_RATE_HZ}",
        warning=warning,
    )


def _levels(bands: Bands, num_clips: int) -> list[DriftRow]:
    table = load_table(TABLE, sha256=TABLE_SHA256)
    means, deviations = table["band_means"].numpy(), table["band_stds"].numpy()
    shifts = (bands.mean - means) / deviations
    shift, spread = float(shifts.mean()), float((bands.std / deviations).mean())
    level = "" if abs(shift) <= LARGEST_SHIFT else ("quieter" if shift < 0 else "louder")
    worst = int(np.abs(shifts).argmax())
    uneven = max(spread, 1 / max(spread, 1e-9)) > LARGEST_SPREAD
    silent = f"{bands.num_silent} of {num_clips}"
    return [
        DriftRow(
            quantity="log-mel mean over bands",
            found=f"{bands.mean.mean():.4f}",
            published=f"{means.mean():.4f}",
            warning=f"{level} by {abs(shift):.2f} standard deviations" if level else "",
        ),
        DriftRow(
            quantity="log-mel deviation over bands",
            found=f"{bands.std.mean():.4f}",
            published=f"{deviations.mean():.4f}",
            warning=f"{spread:.2f} times the published one" if uneven else "",
        ),
        DriftRow(
            quantity=f"most shifted band ({worst})",
            found=f"{bands.mean[worst]:.4f}",
            published=f"{means[worst]:.4f}",
        ),
        DriftRow(
            quantity="silent clips",
            found=silent,
            warning="look at them" if bands.num_silent else "",
        ),
    ]
