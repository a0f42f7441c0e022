"""Models whose window is shorter than the published one, on videos of any length."""

import pytest
import torch

from earsight.checkpoints.native import BundlePart, save_bundle
from earsight.frontends.column_rows import COLUMN_SECONDS
from earsight.frontends.motion import MotionTrack, motion_features
from earsight.generate.load import load_pipeline
from earsight.generate.video_to_sound import SoundRequest, VideoToSound
from earsight.generate.visual_input import TrackInput
from earsight.generate.windows import window_starts
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import TokenGPT

COLUMNS = 21
CODEBOOK = MelVQGANConfig(
    channels=4, channel_multipliers=(1, 1, 1, 1, 1), blocks_per_level=1, latent_channels=4,
    code_dim=4, num_codes=16, attention_resolutions=(), middle_attention=False, norm_groups=2,
)  # fmt: skip
TRANSFORMER = TokenGPTConfig(
    num_codes=16, num_positions=COLUMNS + 1 + 5 * COLUMNS, width=16, num_layers=1, num_heads=2,
    grid_columns=COLUMNS, condition="features+class", feature_width=8, num_classes=3,
    class_dropout_index=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> VideoToSound:
    folder = tmp_path_factory.mktemp("model") / "short"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = {
            "codebook": BundlePart(
                family="mel_vqgan", config=CODEBOOK, state=MelVQGAN(CODEBOOK).state_dict()
            ),
            "transformer": BundlePart(
                family="token_gpt", config=TRANSFORMER, state=TokenGPT(TRANSFORMER).state_dict()
            ),
        }
    extra = {"visual": "motion", "class_names": ["a", "b"]}
    save_bundle(folder, "video_to_sound", parts, extra=extra)
    return load_pipeline(folder, vocoder="griffin-lim")


def track(seconds: float) -> MotionTrack:
    frames = round(seconds * 21.5)
    values = torch.arange(frames) / frames
    grid = torch.zeros(frames, 9)
    return MotionTrack(values, values, grid, grid, torch.zeros(frames, dtype=torch.bool), 21.5)


@pytest.mark.parametrize("columns", [7, COLUMNS, COLUMNS + 1, 45, 96])
def test_a_video_of_any_length_gets_all_its_codes(pipeline: VideoToSound, columns: int) -> None:
    visual = TrackInput(track(columns * COLUMN_SECONDS - 0.03))
    request = SoundRequest(num_samples=1, num_candidates=2, class_name="b")
    (found,) = pipeline.sample(visual, request)
    assert found.codes.shape == (5 * columns,)
    assert pipeline.mel(found.codes).shape[1] == 16 * columns
    assert found.score is not None


def test_every_window_sees_the_picture_of_its_own_time(
    pipeline: VideoToSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    engine = pipeline.engine
    prefill = engine.prefill

    def watched(features, classes, codes):
        seen.append(features)
        return prefill(features, classes, codes)

    monkeypatch.setattr(engine, "prefill", watched)
    motion = track(45 * COLUMN_SECONDS - 0.03)
    pipeline.sample(TrackInput(motion), SoundRequest())
    starts = window_starts(45, window_columns=COLUMNS, overlap_columns=COLUMNS // 2)
    assert starts == [0, 11, 22, 24]
    assert len(seen) == len(starts)
    for features, start in zip(seen, starts, strict=True):
        wanted = motion_features(motion, num_columns=COLUMNS, start_seconds=start * COLUMN_SECONDS)
        torch.testing.assert_close(features[0], wanted)


def test_whole_columns_stay_whole(pipeline: VideoToSound) -> None:
    counts = range(1, 200)
    assert [pipeline.num_columns(count * COLUMN_SECONDS) for count in counts] == list(counts)


def test_attention_is_that_of_one_window(pipeline: VideoToSound) -> None:
    codes = torch.zeros(5 * 45, dtype=torch.long)
    found = pipeline.attention(TrackInput(track(9.0)), SoundRequest(), codes)
    length = TRANSFORMER.num_positions
    assert found.shape == (length, length)
