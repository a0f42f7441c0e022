"""When the image tower is listened to, and that a pipeline gets what it says."""

from pathlib import Path

import pytest
import torch

from earsight.checkpoints.native import BundlePart, save_bundle
from earsight.errors import InputError
from earsight.generate.load import load_pipeline
from earsight.generate.look import Look
from earsight.generate.video_to_sound import SoundRequest
from earsight.generate.visual_input import TrackInput, VideoInput
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.sight.config import SightConfig
from earsight.models.sight.model import SightTower
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import TokenGPT

TOWER = SightConfig(picture_size=8, channels=(8, 8), width=16, num_values=3, num_classes=2)
NAMES = ("drop", "drum")


def tower(*, certainty: float) -> SightTower:
    torch.manual_seed(0)
    network = SightTower(TOWER).eval()
    torch.nn.init.zeros_(network.read_classes.weight)
    torch.nn.init.constant_(network.read_classes.bias, torch.tensor(certainty).logit().item())
    return network


@pytest.fixture
def video(moving_video: Path) -> VideoInput:
    return VideoInput(moving_video)


@pytest.mark.parametrize(
    ("certainty", "class_name", "listened"),
    [(0.9, None, True), (0.9, "drum", True), (0.9, "rain", False), (0.1, "drum", False)],
)
def test_only_what_the_tower_knows_is_listened_to(
    video: VideoInput, certainty: float, class_name: str | None, listened: bool
) -> None:
    look = Look(tower(certainty=certainty), NAMES)
    rows = look.rows(video, class_name)
    assert bool(rows[:, 2:].any()) == listened
    torch.testing.assert_close(rows[:, 0], video.motion().energy, atol=0, rtol=0)


CODEBOOK = MelVQGANConfig(
    channels=4, channel_multipliers=(1, 1, 1, 1, 1), blocks_per_level=1, latent_channels=4,
    code_dim=4, num_codes=16, attention_resolutions=(), middle_attention=False, norm_groups=2,
)  # fmt: skip
TRANSFORMER = TokenGPTConfig(
    num_codes=16, num_positions=21 + 1 + 105, width=16, num_layers=1, num_heads=2,
    grid_columns=21, condition="features+class", feature_width=4 * (2 + 3), num_classes=3,
    class_dropout_index=2,
)  # fmt: skip


def save(folder: Path, *, with_tower: bool) -> Path:
    torch.manual_seed(1)
    network = TokenGPT(TRANSFORMER)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)  # as trained, conditions are heard
    parts = {
        "codebook": BundlePart(
            family="mel_vqgan", config=CODEBOOK, state=MelVQGAN(CODEBOOK).state_dict()
        ),
        "transformer": BundlePart(
            family="token_gpt", config=TRANSFORMER, state=network.state_dict()
        ),
    }
    if with_tower:
        state = tower(certainty=0.9).state_dict()
        parts["sight"] = BundlePart(
            family="sight", config=TOWER, state=state, extra={"class_names": list(NAMES)}
        )
    save_bundle(folder, "video_to_sound", parts, extra={"visual": "sight", "class_names": NAMES})
    return folder


def test_a_pipeline_with_a_tower_sees_hears_and_can_be_blindfolded(
    tmp_path: Path, video: VideoInput
) -> None:
    pipeline = load_pipeline(save(tmp_path / "model", with_tower=True))
    seen = pipeline.sample(video, SoundRequest(seed=3))[0].codes
    blind = pipeline.sample(video, SoundRequest(seed=3, see_picture=False))[0].codes
    other = pipeline.sample(TrackInput(video.motion()), SoundRequest(seed=3, see_picture=False))
    assert len(seen) == 5 * pipeline.num_columns(video.seconds)
    assert not torch.equal(seen, blind)
    assert torch.equal(blind, other[0].codes)


def test_a_model_without_its_tower_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds none"):
        load_pipeline(save(tmp_path / "model", with_tower=False))
