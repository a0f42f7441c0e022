"""What recipes say about their input, by their settings alone."""

from dataclasses import dataclass, replace
from pathlib import Path

from earsight.checkpoints.native import save_folder
from earsight.frontends.fbank_statistics import ESC50, FbankStatistics
from earsight.models.audiomae.config import EncoderConfig
from earsight.recipes import audiomae_finetune, audiomae_pretrain, foley_sight
from earsight.recipes.expected_input import expected_input
from earsight.settings import to_plain


@dataclass(frozen=True)
class Starting:
    start: str
    statistics: str = "start"


def test_published_statistics_have_the_recipes_length() -> None:
    found = expected_input(audiomae_finetune.SETTINGS["esc50"]())
    assert found is not None
    assert (found.statistics, found.fill) == (ESC50, "padding")
    repeating = replace(audiomae_pretrain.SETTINGS["small"](), statistics="audioset")
    found = expected_input(repeating)
    assert found is not None
    num_frames = repeating.model.encoder.num_frames
    assert (found.statistics.num_frames, found.fill) == (num_frames, "repeat")


def test_nothing_is_expected_where_the_recipe_measures() -> None:
    assert expected_input(audiomae_finetune.SETTINGS["small"]()) is None
    assert expected_input(foley_sight.SETTINGS["tiny"]()) is None


def test_a_start_tells_what_it_was_trained_with(tmp_path: Path) -> None:
    own = FbankStatistics(mean=-3.0, spread=2.0, num_frames=96)
    for name, told in (("own", to_plain(own)), ("measured", "measured"), ("named", "esc50")):
        save_folder(
            tmp_path / name, "audiomae", EncoderConfig(), {}, extra={"statistics": told}, card=""
        )
    found = [expected_input(Starting(str(tmp_path / n))) for n in ("own", "measured", "named")]
    assert [each and each.statistics for each in found] == [own, None, ESC50]
