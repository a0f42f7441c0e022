"""What a recipe's input is normalised for, as far as its settings say."""

from dataclasses import dataclass, replace
from typing import Any

from earsight.checkpoints.narrow import is_dict
from earsight.data.fbank_clips import MEASURED
from earsight.data.fbank_measured import Fill
from earsight.frontends.fbank_statistics import FbankStatistics, fbank_statistics
from earsight.generate.bundles import open_bundle
from earsight.recipes.start_folder import OF_START
from earsight.settings import from_plain, to_plain


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedInput:
    """Statistics over inputs of a recipe's length, and what short clips are filled with."""

    statistics: FbankStatistics
    fill: Fill


def expected_input(recipe: object) -> ExpectedInput | None:
    """What a recipe with `statistics` expects; None for one without, and where it measures.

    Raises InputError where the recipe's start is not there.
    """
    plain: dict[str, Any] = to_plain(recipe)
    name = plain.get("statistics")
    if not isinstance(name, str) or name == MEASURED:
        return None
    statistics = _of_start(str(plain["start"])) if name == OF_START else fbank_statistics(name)
    if statistics is None:
        return None
    num_frames = _num_frames(plain.get("model")) or statistics.num_frames
    cut = plain.get("cut") or plain.get("changes", {}).get("cut", {})
    fill: Fill = "repeat" if cut.get("fill") == "repeat" else "padding"
    return ExpectedInput(statistics=replace(statistics, num_frames=num_frames), fill=fill)


def _of_start(start: str) -> FbankStatistics | None:
    """Statistics that the start was trained with, None where it measured or tells none."""
    for part in open_bundle(start).parts.values():
        told = part.extra.get("statistics")
        if isinstance(told, str):
            return None if told == MEASURED else fbank_statistics(told)
        if is_dict(told):
            return from_plain(FbankStatistics, told)
    return None


def _num_frames(model: Any) -> int | None:
    """The length of a network's input, in its settings or in those of its encoder."""
    if not is_dict(model):
        return None
    found = model.get("num_frames")
    return found if isinstance(found, int) else _num_frames(model.get("encoder"))
