"""Clips of uneven lengths in one batch: crops, and masks of what is real.

Where a clip is shorter than the crop, the rest is filled with zeros and the mask is False there.
Nothing is padded without a mask, and every loss takes the mask: a filled frame counts nowhere.
Picture features are cropped at the same time as the spectrogram, at 21.5 rows a second.

Axes: b clips, m mel bands, t frames of the crop, f frames of a clip, s samples, n feature rows,
r rows of the crop, w feature width, c code columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from earsight.data.corpus import ClipRecord, Corpus
from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ
from earsight.frontends.visual_features import FEATURE_FPS

UNLABELLED = -1
"""Class index of a clip without a label, in a batch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipBatch:
    """Crops of several clips. Masks are True where there is something of the clip.

    `features` and `row_masks` are by kind. `starts` are the first frames of the crops in their
    clips; `class_index` is UNLABELLED where no label is known.
    """

    ids: tuple[str, ...]
    mel: Float[Tensor, "b m t"]
    frame_mask: Bool[Tensor, "b t"]
    starts: Int[Tensor, " b"]
    class_index: Int[Tensor, " b"]
    features: Mapping[str, Float[Tensor, "b r w"]]
    row_masks: Mapping[str, Bool[Tensor, "b r"]]


def crop_or_pad(
    mel: Float[Tensor, "m f"], num_frames: int, start: int = 0
) -> tuple[Float[Tensor, "m t"], Bool[Tensor, " t"]]:
    """`num_frames` frames from `start` on, and which of them the clip has; the others are 0.

    Works on samples as well, as one row. Raises InputError for a start outside the clip.
    """
    found = mel.shape[1]
    if not 0 <= start < found or num_frames < 1:
        raise InputError(
            f"a crop of {num_frames} frames from frame {start} on, of a clip of {found} frames: "
            "it must hold at least one of them"
        )
    kept = mel[:, start : start + num_frames]
    filled = mel.new_zeros(mel.shape[0], num_frames)
    filled[:, : kept.shape[1]] = kept
    return filled, torch.arange(num_frames) < kept.shape[1]


def crop_rows_or_pad(
    rows: Float[Tensor, "n w"], num_rows: int, start: int = 0
) -> tuple[Float[Tensor, "r w"], Bool[Tensor, " r"]]:
    """`crop_or_pad` for picture features; a crop beyond the last row is empty, not an error.

    A picture may end a little before its sound.
    """
    if start >= rows.shape[0]:
        return rows.new_zeros(num_rows, rows.shape[1]), torch.zeros(num_rows, dtype=torch.bool)
    cropped, mask = crop_or_pad(rows.T, num_rows, start)
    return cropped.T.contiguous(), mask


def crop_start(found: int, wanted: int, rng: torch.Generator | None = None) -> int:
    """First frame of a crop: drawn evenly with a generator, else the one in the middle.

    0 where the clip is not longer than the crop. 6 for 848 of 860 frames, as published.
    """
    spare = max(0, found - wanted)
    if rng is None:
        return spare // 2
    return int(torch.randint(spare + 1, (), generator=rng))


def row_of_frame(frame: int) -> int:
    """Feature row nearest to the time at which a spectrogram frame begins: 1 for frame 6."""
    return round(frame * MEL_HOP_SAMPLES / MEL_RATE_HZ * FEATURE_FPS)


def rows_of_frames(num_frames: int) -> int:
    """Feature rows that last as long as a number of frames, rounded up: 212 for 848."""
    return -int(-num_frames * MEL_HOP_SAMPLES / MEL_RATE_HZ * FEATURE_FPS // 1)


def column_mask(mask: Bool[Tensor, "b t"], column_frames: int = 16) -> Bool[Tensor, "b c"]:
    """Code columns of which every frame is real. A last part of a column is left out."""
    kept = mask.shape[1] // column_frames * column_frames
    return rearrange(mask[:, :kept], "b (c f) -> b c f", f=column_frames).all(2)


def load_batch(
    corpus: Corpus,
    records: Sequence[ClipRecord],
    *,
    num_frames: int,
    rngs: Sequence[torch.Generator] | None = None,
    kinds: Sequence[str] = (),
) -> ClipBatch:
    """Read clips and crop each: where its generator says, or in the middle without generators.

    A clip's crop depends on its own generator alone. Raises InputError for no clips, or another
    number of generators than of clips.
    """
    if not records or (rngs is not None and len(rngs) != len(records)):
        raise InputError(
            f"{len(records)} clips and {'no' if rngs is None else len(rngs)} generators: a batch "
            "needs a clip, and a generator for each or none at all"
        )
    starts: list[int] = []
    crops: list[tuple[Tensor, Tensor]] = []
    features: dict[str, list[tuple[Tensor, Tensor]]] = {kind: [] for kind in kinds}
    for place, record in enumerate(records):
        mel = corpus.mel(record)
        start = crop_start(mel.shape[1], num_frames, None if rngs is None else rngs[place])
        starts.append(start)
        crops.append(crop_or_pad(mel, num_frames, start))
        for kind, found in features.items():
            rows = corpus.features(record, kind)
            found.append(crop_rows_or_pad(rows, rows_of_frames(num_frames), row_of_frame(start)))
    labels = [UNLABELLED if r.class_index is None else r.class_index for r in records]
    return ClipBatch(
        ids=tuple(record.id for record in records),
        mel=torch.stack([mel for mel, _ in crops]),
        frame_mask=torch.stack([mask for _, mask in crops]),
        starts=torch.tensor(starts),
        class_index=torch.tensor(labels),
        features={kind: torch.stack([rows for rows, _ in f]) for kind, f in features.items()},
        row_masks={kind: torch.stack([mask for _, mask in f]) for kind, f in features.items()},
    )
