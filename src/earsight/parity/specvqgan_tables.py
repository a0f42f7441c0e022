"""Golden tables of constants, and the preparation of a real clip for training.

Axes: m mel bands, t frames, r feature rows, d feature width.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earsight.checkpoints.restricted_pickle import read_array_pickle
from earsight.data.corpora.vggsound import class_names
from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import TABLE, TABLE_SHA256, centre_crop, to_model
from earsight.frontends.stored_tables import load_table
from earsight.frontends.visual_features import condition_rows, join_streams, sampled_rows
from earsight.parity.cases import Case
from earsight.parity.compare import Row, compare, crop, equal, number
from earsight.parity.runners import CaseSkippedError

FEATURE_STREAMS = {
    "resnet50": ("feature_resnet50",),
    "bninception": ("feature_rgb_bninception", "feature_flow_bninception"),
}


def run_frame_indices(case: Case) -> Iterator[Row]:
    """Which rows are picked for each number of features."""
    for count, expected in case.spec["indices"].items():
        yield equal(case, f"indices of {count}", sampled_rows(int(count)).tolist(), expected)  # pyright: ignore[reportUnknownMemberType]


def run_mel_stats(case: Case) -> Iterator[Row]:
    """Means and standard deviations per mel band, as stored in the package."""
    table = load_table(TABLE, sha256=TABLE_SHA256)
    for name, ours in (("mean", table["band_means"]), ("std", table["band_stds"])):
        gap = np.abs(ours.double().numpy() - np.asarray(case.spec[name])).max()
        # stored with 8 decimals, kept here in the precision that the networks use
        same = bool(gap <= 1e-8)
        yield equal(case, f"{name} per band", "equal" if same else f"off by {gap:g}", "equal")


def run_class_names(case: Case) -> Iterator[Row]:
    """Class names in the order of their ids."""
    yield equal(case, "classes", list(class_names()), case.spec["classes"])


def run_dataset_item(case: Case) -> Iterator[Row]:
    """Spectrogram and features of one of the sample clips, as training sees them.

    Raises CaseSkippedError where the clips are not at hand.
    """
    clip = str(case.spec["clip"])
    mel = torch.as_tensor(np.load(_find(case, f"{clip}_mel.npy"), allow_pickle=False))
    image = to_model(centre_crop(mel))
    outputs: dict[str, Any] = {}
    for name, array in case.stored.items():
        width = array.shape[-1]
        if name.startswith("image_"):
            outputs[name] = image[:, -width:] if name.endswith("tail") else image[:, :width]
    features = [_features(case, clip, item) for item in case.spec.get("items", [])]
    for index, (rows, item) in enumerate(zip(features, case.spec.get("items", []), strict=True)):
        stored = case.stored.get(f"feature_{index}")
        if stored is not None:
            outputs[f"feature_{index}"] = crop(rows, stored.shape, str(item.get("rows", "")))
    yield from compare(case, outputs)
    for index, (rows, item) in enumerate(zip(features, case.spec.get("items", []), strict=True)):
        yield from _summary(case, f"feature_{index}", rows, item)
    yield from _summary(case, "image", image.numpy(), case.spec["image"])
    if "label" in case.spec:
        yield equal(case, "target", class_names().index(case.spec["label"]), case.spec["target"])


def _features(case: Case, clip: str, item: Mapping[str, Any]) -> NDArray[Any]:
    kind = item["features"]
    if kind not in FEATURE_STREAMS:
        raise InputError(f"features are {sorted(FEATURE_STREAMS)}, the case asks for {kind!r}")
    streams = [
        torch.as_tensor(read_array_pickle(_find(case, f"{clip}.pkl", under=stream)))
        for stream in FEATURE_STREAMS[kind]
    ]
    rows: Tensor = join_streams(*streams) if len(streams) == 2 else streams[0]
    repeats = item.get("times_to_repeat") or 1
    return condition_rows(rows, item["feat_sample_size"], repeats=repeats).numpy()


def _summary(
    case: Case, name: str, array: NDArray[Any], expected: Mapping[str, Any]
) -> Iterator[Row]:
    if "shape" in expected:
        yield equal(case, f"{name} shape", list(array.shape), expected["shape"])
    for part, ours in (("mean", array.mean(dtype=np.float64)), ("std", array.std())):
        if part in expected:
            yield number(case, f"{name} {part}", float(ours), expected[part])


def _find(case: Case, name: str, *, under: str = "") -> Path:
    """A file of the sample clips, wherever below the data folder it lies."""
    advice = "give the folder of the sample clips with --data or EARSIGHT_DATA"
    if case.data_root is None:
        raise CaseSkippedError(f"needs the clip {case.spec['clip']}: {advice}")
    folder, _, last = name.rpartition("/")
    for path in sorted(case.data_root.rglob(f"*/{last}")):
        parents = path.parts[:-1]
        if (not under or parents[-1].startswith(under)) and (not folder or folder in parents):
            return path
    raise CaseSkippedError(f"{name} is not below {case.data_root}: {advice}")
