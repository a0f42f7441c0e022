from pathlib import Path

import pytest
import torch

from earsight.checkpoints.convert import convert
from earsight.checkpoints.keymap import load_strict, untranslate
from earsight.checkpoints.native import read_folder
from earsight.cli.app import main
from earsight.errors import ConfigError, InputError, WeightsError
from earsight.models.catalogue import find
from earsight.models.melception.config import MelceptionConfig
from earsight.models.melception.model import Melception
from earsight.models.melception.published import KEYS, config_from_entries

SMALL = MelceptionConfig(unit=1, num_classes=3)


def test_official_names_and_sizes_survive_the_way_there_and_back() -> None:
    for config in (SMALL, MelceptionConfig(unit=2, num_classes=5, auxiliary=False)):
        official = untranslate(Melception(config).state_dict(), KEYS)
        assert config_from_entries(official) == config
        load_strict(Melception(config), official, KEYS)
    with pytest.raises(WeightsError, match=r"expected a Melception .* fc.weight is missing"):
        config_from_entries({})


def test_an_official_file_becomes_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(1)
    model = Melception(MelceptionConfig(unit=1, num_classes=8))
    source = tmp_path / "melception.pt"
    content = {"loss": 1.5, "metrics": {"top_1": 0.4}, "epoch": 14, "optimizer": {"state": {}}}
    torch.save({**content, "model": untranslate(model.state_dict(), KEYS)}, source)
    done = convert(source, find("melception-vggsound"), tmp_path / "out")
    folder = read_folder(tmp_path / "out")
    assert (folder.family, folder.config["unit"]) == ("melception", 1)
    assert folder.extra["published"]["epoch"] == 14
    assert done.parts[0].account.dropped == ()
    assert all(torch.equal(model.state_dict()[k], v) for k, v in folder.tensors.items())
    command = ["weights", "convert", str(source), "--as", "melception-vggsound"]
    assert main([*command, "--output", str(tmp_path / "by_command"), "--json"]) == 0
    capsys.readouterr()
    assert read_folder(tmp_path / "by_command").extra["class_names"][0] == "baby"


def test_six_features_of_any_length_and_too_short_sounds_are_refused() -> None:
    model = Melception(SMALL).eval()
    for frames in (23, 100):
        found = model.features(torch.rand(2, 80, frames))
        widths = [found.rows37, found.stem, found.rows17, found.features]
        assert [part.shape[1] for part in widths] == [4, 12, 48, 128]
        assert found.scores.shape == found.unbiased_scores.shape == (2, 3)
        bias = model.head.bias.expand(2, 3)
        torch.testing.assert_close(found.scores - found.unbiased_scores, bias, atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="at least 23 bands and frames, got 80 x 22"):
        model(torch.rand(2, 80, 22))


def test_scores_are_the_features_through_the_head_and_dropout_works_in_training_alone() -> None:
    torch.manual_seed(0)
    model, mel = Melception(SMALL), torch.rand(2, 80, 30)
    assert not torch.allclose(model(mel), model(mel)), "norms see the same batch twice"
    for _ in range(20):
        model(mel)  # fills the norms' averages
    model.eval()
    assert model(mel).abs().max() > 0.1
    torch.testing.assert_close(model(mel), model.features(mel).scores, atol=1e-5, rtol=0)


def test_the_auxiliary_classifier_is_there_when_asked_for() -> None:
    assert Melception(SMALL).auxiliary_scores(torch.rand(2, 80, 79)).shape == (2, 3)
    with pytest.raises(InputError, match="at least 79"):
        Melception(SMALL).auxiliary_scores(torch.rand(2, 80, 78))
    without = Melception(MelceptionConfig(unit=1, auxiliary=False))
    with pytest.raises(ConfigError, match="no auxiliary"):
        without.auxiliary_scores(torch.rand(2, 80, 79))
