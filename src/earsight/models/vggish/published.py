"""Entry names of the PyTorch VGGish files, and sizes read off their entries.

Source: official repository harritaylor/torchvggish.
"""

from collections.abc import Mapping

from torch import Tensor

from earsight.checkpoints.keymap import KeyMap, require_entries
from earsight.errors import WeightsError
from earsight.models.vggish.config import VGGishConfig, VGGishPcaConfig

PCA_KEYS: KeyMap = {"pca_eigen_vectors": "directions", "pca_means": "means"}


def vggish_keys(config: VGGishConfig) -> KeyMap:
    """Published names to ours; rectifiers and poolings count in the published numbers."""
    keys = {
        f"embeddings.{2 * i}.{{p}}": f"{own}.{{p}}"
        for i, own in enumerate(("hidden_in", "hidden_out", "head"))
    }
    position = index = 0
    for level in config.levels:
        for _ in level:
            keys[f"features.{position}.{{p}}"] = f"convs.{index}.{{p}}"
            position, index = position + 2, index + 1
        position += 1
    return keys


def keys_from_entries(entries: Mapping[str, Tensor]) -> KeyMap:
    """Key map of the network that the entries make up."""
    return vggish_keys(config_from_entries(entries))


def config_from_entries(entries: Mapping[str, Tensor], *, num_mels: int = 64) -> VGGishConfig:
    """Sizes of a published network read off its entries' numbers and shapes.

    The number of bands leaves no trace of its own; frames follow from it. Raises WeightsError
    when the entries are not those of VGGish.
    """
    needed = ("features.0.weight", "embeddings.0.weight", "embeddings.4.weight")
    require_entries(entries, needed, what="VGGish as torchvggish stores it")
    numbers = sorted(
        int(name.split(".")[1])
        for name in entries
        if name.startswith("features.") and name.endswith(".weight")
    )
    levels: list[list[int]] = []
    for previous, number in zip([-3, *numbers], numbers, strict=False):
        if number - previous == 3:  # a rectifier and a pooling lie between
            levels.append([])
        levels[-1].append(entries[f"features.{number}.weight"].shape[0])
    hidden, pooled = entries["embeddings.0.weight"].shape
    factor = 2 ** len(levels)
    return VGGishConfig(
        levels=tuple(map(tuple, levels)),
        num_frames=pooled // levels[-1][-1] // (num_mels // factor) * factor,
        num_mels=num_mels,
        hidden=hidden,
        width=entries["embeddings.4.weight"].shape[0],
    )


def pca_config(entries: Mapping[str, Tensor]) -> VGGishPcaConfig:
    """Size of the rotation; WeightsError when the entries are not those of the PCA file."""
    if set(entries) != set(PCA_KEYS):
        raise WeightsError(
            f"expected the entries {', '.join(PCA_KEYS)}, found {', '.join(list(entries)[:8])}"
        )
    return VGGishPcaConfig(width=entries["pca_eigen_vectors"].shape[0])
