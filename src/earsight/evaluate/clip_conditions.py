"""What a model is told of a clip of a corpus: stored features, or the clip's own video.

Axes: n frames, r values of a frame, f feature tokens of one window, w feature width.
"""

from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.data.corpus import ClipRecord, Corpus
from earsight.errors import InputError
from earsight.frontends.column_rows import COLUMN_SECONDS
from earsight.frontends.motion import MotionTrack
from earsight.frontends.visual_features import FEATURE_FPS, condition_rows
from earsight.generate.conditions import (
    Conditions,
    NoConditions,
    NoiseConditions,
    RowConditions,
    VisualKind,
    WithheldConditions,
)
from earsight.generate.frame_networks import FrameNetwork
from earsight.generate.video_to_sound import VideoToSound
from earsight.generate.visual_input import VideoInput, VisualInput
from earsight.models.sight.model import SightTower


class StoredRows:
    """Stored frame features, picked as published; a short clip is followed by zeros.

    Source: official repository v-iashin/SpecVQGAN (data sets).
    """

    def __init__(self, rows: Float[Tensor, "n r"], *, num_samples: int) -> None:
        self._rows = rows
        self._num_samples = num_samples

    def window(self, column: int) -> Float[Tensor, "f w"]:
        """Rows of the 9.85 s from `column` on."""
        first = round(column * COLUMN_SECONDS * FEATURE_FPS)
        return condition_rows(self._rows[first:], self._num_samples, short="zeros")


class ClipInput(VisualInput):
    """A clip's stored features as a picture; its video where the corpus has no such features."""

    def __init__(self, corpus: Corpus, record: ClipRecord) -> None:
        self._corpus = corpus
        self._record = record

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return self._record.seconds

    def motion(self) -> MotionTrack:
        """Stored energy and onset; without the grid's values, which no model takes."""
        rows = self._stored("motion")
        if rows is None:
            return self._video().motion()
        return MotionTrack(
            energy=rows[:, 0],
            onset=rows[:, 1],
            grid_energy=rows[:, :1],
            grid_onset=rows[:, 1:2],
            breaks=torch.zeros(rows.shape[0], dtype=torch.bool),
            fps=FEATURE_FPS,
        )

    def sight(self, tower: SightTower) -> Float[Tensor, "n r"]:
        """Stored energy, onset and tower values, where their width fits the tower."""
        rows = self._stored("sight")
        if rows is None or rows.shape[1] != 2 + tower.config.num_values:
            return self._video().sight(tower)
        return rows

    def features(self, network: FrameNetwork, *, num_samples: int) -> Conditions:
        """Frame features of the video."""
        return self._video().features(network, num_samples=num_samples)

    def stored(self, kind: VisualKind) -> Float[Tensor, "n r"]:
        """Stored features of a kind; raises InputError where the corpus has none."""
        return self._corpus.features(self._record, kind).float()

    def _stored(self, kind: VisualKind) -> Float[Tensor, "n r"] | None:
        kinds = getattr(self._corpus, "feature_kinds", None)
        return self.stored(kind) if kinds is None or kind in kinds else None

    def _video(self) -> VideoInput:
        if not self._record.source.is_file():
            raise InputError(
                f"{self._record.id}: neither stored features nor a video "
                f"({self._record.source}): run 'earsight prepare' with the model's features"
            )
        return VideoInput(self._record.source)


def clip_conditions(
    model: VideoToSound,
    corpus: Corpus,
    record: ClipRecord,
    *,
    class_name: str | None,
    show_picture: bool,
    noise: torch.Generator,
) -> Conditions:
    """The model's condition of one clip. Without the picture it gets zeros, as in training.

    `noise` draws what stands for features in the published models without any.
    """
    config = model.engine.config
    if not config.has_features:
        return NoConditions()
    number, width = config.num_features, config.feature_width
    if model.visual in ("noise", "none"):
        return NoiseConditions(noise, num_samples=number, width=width)
    if not show_picture:
        return WithheldConditions(num_features=number, width=width)
    seen = ClipInput(corpus, record)
    match model.visual:
        case "sight":
            assert model.look is not None, "load gives every model with sight its tower"
            return RowConditions(model.look.rows(seen, class_name), num_columns=number)
        case "motion":
            track = seen.motion()
            rows = torch.stack([track.energy, track.onset], dim=1).float()
            return RowConditions(rows, num_columns=number)
        case "resnet50" | "bn_inception":
            return StoredRows(seen.stored(model.visual), num_samples=number)
        case _:
            raise InputError(
                f"{model.name} takes '{model.visual}', expected one of "
                f"{', '.join(get_args(VisualKind))}"
            )
