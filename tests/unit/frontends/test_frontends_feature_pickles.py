"""Feature files of the official tools, made and real."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from earsight.errors import InputError, UnsafeFileError
from earsight.frontends.feature_pickles import read_bn_inception, read_features


def written(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_come_back(tmp_path: Path, protocol: int) -> None:
    array = np.random.default_rng(0).standard_normal((5, 2048)).astype(np.float32)
    features = read_features(written(tmp_path / "clip.pkl", array, protocol), width=2048)
    assert torch.equal(features, torch.from_numpy(array))


def test_streams_of_a_clip_are_joined(tmp_path: Path) -> None:
    rgb = written(tmp_path / "rgb.pkl", np.zeros((3, 1024), np.float32), 3)
    flow = written(tmp_path / "flow.pkl", np.ones((3, 1024), np.float32), 3)
    joined = read_bn_inception(rgb, flow)
    assert joined.shape == (3, 2048)
    assert joined[:, 1024:].min() == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((3, 1024), np.float32), r"rows of 2048 features, found.*\(3, 1024\)"),
        (np.zeros((0, 2048), np.float32), r"\(0, 2048\)"),
        (np.zeros(2048, np.float32), r"\(2048,\)"),
        (np.full((1, 2048), np.nan, np.float32), "not all finite"),
        (np.zeros((1, 2048), np.int64), "real numbers, found int64"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_features(written(tmp_path / "clip.pkl", content), width=2048)


def test_nothing_is_executed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "touched",))

    path = written(tmp_path / "clip.pkl", Evil())
    with pytest.raises(UnsafeFileError):
        read_features(path, width=2048)
    assert not (tmp_path / "touched").exists()


def test_published_files(data_root: Path) -> None:
    files = sorted((data_root / "av_clips").rglob("feature_resnet50*/*.pkl"))
    assert len(files) == 16
    for path in files:
        features = read_features(path, width=2048)
        assert features.shape == (215, 2048)
        assert features.min() >= 0
    # shorter clips were tiled: the period is the number of frames of 6.006 and 8 seconds
    for name, period in (("video_02677", 129), ("video_00819", 172)):
        features = read_features(next(p for p in files if p.stem == name), width=2048)
        assert torch.equal(features[period:], features[: 215 - period])
    clips = data_root / "av_clips" / "vggsound"
    rgb = next((clips / "feature_rgb_bninception_dim1024_21.5fps").glob("*.pkl"))
    flow = clips / "feature_flow_bninception_dim1024_21.5fps" / rgb.name
    assert read_bn_inception(rgb, flow).shape == (216, 2048)
