"""Entry names of the published CNN14 files, and sizes read off their entries.

Source: official repository qiuqiangkong/audioset_tagging_cnn.
"""

from collections.abc import Mapping

from torch import Tensor

from earsight.checkpoints.keymap import Dropped, KeyMap, require_entries
from earsight.models.cnn14.config import Cnn14Config

_TABLE = Dropped("constant of the spectrogram, which the front end computes with its own table")
_COUNT = Dropped("counts training batches; the statistics are used as stored")
_WINDOWS_PER_SECOND = 31.25  # the window is 32 ms at every published rate


def cnn14_keys(config: Cnn14Config) -> KeyMap:
    """Published entry names to ours; the stored spectrogram matrices are dropped."""
    keys: dict[str, str | Dropped] = {
        "spectrogram_extractor.*": _TABLE,
        "logmel_extractor.*": _TABLE,
        "bn0.num_batches_tracked": _COUNT,
        "bn0.{p}": "band_norm.{p}",
        "fc1.{p}": "hidden.{p}",
        "fc_audioset.{p}": "head.{p}",
    }
    for index in range(len(config.widths)):
        block, own = f"conv_block{index + 1}", f"blocks.{index}"
        for number in (1, 2):
            keys[f"{block}.conv{number}.weight"] = f"{own}.conv{number}.weight"
            keys[f"{block}.bn{number}.num_batches_tracked"] = _COUNT
            keys[f"{block}.bn{number}.{{p}}"] = f"{own}.norm{number}.{{p}}"
    return keys


def keys_from_entries(entries: Mapping[str, Tensor]) -> KeyMap:
    """Key map of the network that the entries make up."""
    return cnn14_keys(config_from_entries(entries))


def config_from_entries(entries: Mapping[str, Tensor]) -> Cnn14Config:
    """Sizes of a published network read off its entries; the stored mel matrix tells the rate.

    Raises WeightsError when the entries are not those of CNN14.
    """
    matrix = "logmel_extractor.melW"
    needed = ("bn0.weight", "conv_block1.conv1.weight", "fc_audioset.weight", matrix)
    require_entries(entries, needed, what="CNN14 as PANNs stores it")
    widths: list[int] = []
    while (name := f"conv_block{len(widths) + 1}.conv1.weight") in entries:
        widths.append(entries[name].shape[0])
    window_samples = 2 * (entries[matrix].shape[0] - 1)
    return Cnn14Config(
        widths=tuple(widths),
        num_mels=entries["bn0.weight"].shape[0],
        num_classes=entries["fc_audioset.weight"].shape[0],
        rate_hz=round(window_samples * _WINDOWS_PER_SECOND),
    )
