"""A tiny model with random weights, a clip and a sound, made once."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from earsight.checkpoints.native import BundlePart, save_bundle
from earsight.media.audio import Waveform
from earsight.media.mux import write_video
from earsight.media.wave_write import write_audio
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.melgan.config import MelGANConfig
from earsight.models.melgan.model import MelGANGenerator
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import TokenGPT

CODEBOOK = MelVQGANConfig(
    channels=8,
    channel_multipliers=(1, 1, 1, 1, 1),
    blocks_per_level=1,
    latent_channels=8,
    code_dim=4,
    num_codes=64,
    norm_groups=4,
)
TRANSFORMER = TokenGPTConfig(
    num_codes=64,
    num_positions=265 + 54,
    width=32,
    num_layers=2,
    num_heads=2,
    condition="features+class",
    feature_width=8,
    num_classes=3,
    class_dropout_index=2,
)
VOCODER = MelGANConfig(channels=4)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small pipeline that `--model` takes."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = TokenGPT(TRANSFORMER)
        torch.nn.init.normal_(transformer.positions, std=0.5)
        parts = {
            "codebook": BundlePart(
                family="mel_vqgan", config=CODEBOOK, state=MelVQGAN(CODEBOOK).state_dict()
            ),
            "transformer": BundlePart(
                family="token_gpt", config=TRANSFORMER, state=transformer.state_dict()
            ),
            "vocoder": BundlePart(
                family="melgan", config=VOCODER, state=MelGANGenerator(VOCODER).state_dict()
            ),
        }
    extra = {"visual": "motion", "class_names": ["dog", "rain"]}
    save_bundle(folder, "video_to_sound", parts, extra=extra, half=True)
    return folder


def moving_square(num_frames: int) -> Iterator[torch.Tensor]:
    for index in range(num_frames):
        picture = torch.full((48, 64, 3), 40, dtype=torch.uint8)
        left = 2 * index % 48
        picture[16:32, left : left + 16] = 200
        yield picture


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A silent mp4 of 3 s."""
    path = tmp_path_factory.mktemp("clip") / "square.mp4"
    write_video(path, moving_square(75), fps=Fraction(25))
    return path


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stereo wav of 4 s at 44.1 kHz."""
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    seconds = torch.arange(4 * 44100) / 44100
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * seconds) * (seconds % 1 < 0.5)
    write_audio(path, Waveform(torch.stack([tone, tone * 0.5]), 44100), provenance=None)
    return path
