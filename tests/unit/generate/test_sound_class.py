"""The classifier of sounds: any length, any family, order kept."""

from pathlib import Path

import pytest
import torch

from earsight.checkpoints.native import save_folder
from earsight.errors import InputError, WeightsError
from earsight.generate.sound_class import SoundClassifier, open_sound_classifier
from earsight.models.melception.config import MelceptionConfig
from earsight.models.melception.model import Melception
from earsight.models.vggishish.config import VGGishishConfig
from earsight.models.vggishish.model import VGGishish

NAMES = ["rain", "waves", "bell"]


def folder(tmp_path: Path, family: str, names: list[str] = NAMES) -> Path:
    torch.manual_seed(0)
    if family == "melception":
        network = Melception(MelceptionConfig(unit=1, num_classes=3, auxiliary=False))
        for _ in range(10):
            network(torch.randn(4, 80, 30))  # fills the norms' averages
    else:
        sizes = VGGishishConfig(levels=((4,), (8,)), pooled_shape=(5, 2), hidden=6, num_classes=3)
        network = VGGishish(sizes)
        torch.nn.init.normal_(network.head.weight)
    extra = {"class_names": names}
    save_folder(tmp_path / family, family, network.config, network.state_dict(), extra=extra)
    return tmp_path / family


@pytest.fixture(params=["melception", "vggishish"])
def judge(request: pytest.FixtureRequest, tmp_path: Path) -> SoundClassifier:
    return open_sound_classifier(folder(tmp_path, request.param))


def test_uneven_sounds_are_judged_as_they_would_be_alone(judge: SoundClassifier) -> None:
    mels = [torch.rand(80, frames) for frames in (30, 7, 50, 30, 1)]
    together = judge.judge(mels, batch=2)
    alone = torch.cat([judge.judge([mel]).probabilities for mel in mels])
    torch.testing.assert_close(together.probabilities, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.probabilities.sum(1), torch.ones(5), atol=1e-5, rtol=0)
    assert together.features.shape[0] == 5
    assert together.probabilities.std(dim=0).max() > 1e-4, "sounds are told apart"


def test_long_sounds_are_the_mean_of_their_windows(judge: SoundClassifier) -> None:
    long = torch.rand(80, 1000)
    windows = torch.stack([long[:, :848], long[:, -848:]])
    expected = judge.judge(windows).probabilities.mean(dim=0)
    found = judge.judge(long[None]).probabilities[0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_the_score_of_a_class_is_its_probability(judge: SoundClassifier) -> None:
    mels = torch.rand(3, 80, 40)
    expected = judge.judge(mels).probabilities[:, 1]
    torch.testing.assert_close(judge.class_score(mels, "waves"), expected, atol=1e-6, rtol=0)
    with pytest.raises(InputError, match="does not know the class 'wave': nearest are waves"):
        judge.class_score(mels, "wave")


def test_sounds_that_are_none_are_refused(judge: SoundClassifier) -> None:
    with pytest.raises(InputError, match="no sounds"):
        judge.judge([])
    with pytest.raises(InputError, match=r"sound 1: expected 80 bands .* got 64 bands"):
        judge.judge([torch.rand(80, 30), torch.rand(64, 30)])
    with pytest.raises(InputError, match="some not finite"):
        judge.judge([torch.full((80, 30), torch.nan)])
    with pytest.raises(InputError, match="without frames"):
        judge.judge([torch.zeros(80, 0)])


def test_folders_that_hold_no_classifier_are_refused(tmp_path: Path) -> None:
    from earsight.models.melgan.config import MelGANConfig
    from earsight.models.melgan.model import MelGANGenerator

    other = MelGANGenerator(MelGANConfig(channels=4))
    save_folder(tmp_path / "voice", "melgan", other.config, other.state_dict())
    with pytest.raises(InputError, match="holds melgan and no sound classifier"):
        open_sound_classifier(tmp_path / "voice")
    with pytest.raises(WeightsError, match="2 class names for 3 classes"):
        open_sound_classifier(folder(tmp_path, "vggishish", NAMES[:2]))
