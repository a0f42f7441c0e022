import pytest
import torch

from earsight.checkpoints.keymap import load_strict, untranslate
from earsight.errors import InputError
from earsight.models.vggishish.config import VGGishishConfig
from earsight.models.vggishish.model import VGGishish
from earsight.models.vggishish.published import config_from_entries, vggishish_keys

SMALL = VGGishishConfig(levels=((4,), (4, 6), (8, 8)), pooled_shape=(5, 3), hidden=7, num_classes=3)


def test_official_names_and_sizes_survive_the_way_there_and_back() -> None:
    model = VGGishish(SMALL)
    official = untranslate(model.state_dict(), vggishish_keys(SMALL))
    convs = [name for name in official if name.startswith("features") and "weight" in name]
    assert convs == [f"features.{n}.weight" for n in (0, 3, 5, 8, 10)]
    assert config_from_entries(official) == SMALL
    load_strict(VGGishish(SMALL), official, vggishish_keys(SMALL))


def test_any_length_gives_one_row_of_scores_and_tiny_inputs_are_refused() -> None:
    model = VGGishish(SMALL)
    assert model(torch.rand(2, 80, 33)).shape == (2, 3)
    with pytest.raises(InputError, match="at least 4 bands and frames, got 80 x 3"):
        model(torch.rand(2, 80, 3))
