"""A network that helped to choose samples does not judge them; a model's judge is found by name."""

from pathlib import Path

import pytest
import torch

from earsight.checkpoints.native import read_folder, save_folder
from earsight.errors import InputError
from earsight.evaluate.generation import GenerationSettings
from earsight.evaluate.workers import GenerationJob, refuse_own_ranker
from earsight.generate.joining import join_models
from earsight.generate.sound_class import open_sound_classifier
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.melception.config import MelceptionConfig
from earsight.models.melception.model import Melception
from earsight.models.vggishish.config import VGGishishConfig
from earsight.models.vggishish.model import VGGishish

CODEBOOK = MelVQGANConfig(
    channels=4, channel_multipliers=(1, 1, 1, 1, 1), blocks_per_level=1, latent_channels=4,
    code_dim=4, num_codes=16, attention_resolutions=(), middle_attention=False, norm_groups=2,
)  # fmt: skip
NAMES = {"class_names": ["a", "b"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codebook with a VGGish-ish as its judge and a Melception that ranks."""
    folder = tmp_path_factory.mktemp("ranked")
    ears = VGGishishConfig(levels=((4,), (8,)), pooled_shape=(5, 2), hidden=8, num_classes=2)
    inception = MelceptionConfig(unit=1, num_classes=2, auxiliary=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_folder(folder / "codebook", "mel_vqgan", CODEBOOK, MelVQGAN(CODEBOOK).state_dict())
        save_folder(folder / "judge", "vggishish", ears, VGGishish(ears).state_dict(), extra=NAMES)
        state = Melception(inception).state_dict()
        save_folder(folder / "ranker", "melception", inception, state, extra=NAMES)
    parts = {name: folder / name for name in ("codebook", "judge", "ranker")}
    join_models(folder / "model", parts)
    return folder / "model"


def test_the_ranker_is_no_judge_of_what_it_chose(model: Path, tmp_path: Path) -> None:
    own = read_folder(model / "ranker").sha256
    other = read_folder(model / "judge").sha256
    for candidates, judge, is_refused in ((4, own, True), (1, own, False), (4, other, False)):
        job = GenerationJob(
            data=tmp_path,
            model=str(model),
            output=tmp_path,
            settings=GenerationSettings(num_candidates=candidates),
        )
        if is_refused:
            with pytest.raises(InputError, match="give another --judge"):
                refuse_own_ranker(job, judge)
        else:
            refuse_own_ranker(job, judge)


def test_the_part_named_judge_judges(model: Path) -> None:
    assert open_sound_classifier(model).sha256 == read_folder(model / "judge").sha256
