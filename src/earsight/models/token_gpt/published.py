"""Entry names of the official code transformers, and their sizes read off the entries."""

from collections.abc import Mapping

from torch import Tensor

from earsight.checkpoints.keymap import Dropped, KeyMap
from earsight.errors import WeightsError
from earsight.models.token_gpt.config import ConditionKind, TokenGPTConfig

_MASK = Dropped("causal mask, part of the attention arithmetic")
_PERMUTER = Dropped("column-major order, derived from the grid")


def transformer_keys(condition: ConditionKind, *, prefix: str = "transformer.") -> KeyMap:
    """Official entry names of the transformer alone, for one kind of condition.

    `prefix` is "transformer." inside an official archive and "" for the bare network.
    """
    keys: dict[str, str | Dropped] = {
        "tok_emb.weight": "code_embedding.weight",
        "pos_emb": "positions",
        "ln_f.{p}": "norm.{p}",
        "head.weight": "head.weight",
        "blocks.{i}.ln1.{p}": "blocks.{i}.norm_attention.{p}",
        "blocks.{i}.ln2.{p}": "blocks.{i}.norm_mlp.{p}",
        "blocks.{i}.attn.key.{p}": "blocks.{i}.attention.key.{p}",
        "blocks.{i}.attn.query.{p}": "blocks.{i}.attention.query.{p}",
        "blocks.{i}.attn.value.{p}": "blocks.{i}.attention.value.{p}",
        "blocks.{i}.attn.proj.{p}": "blocks.{i}.attention.project.{p}",
        "blocks.{i}.attn.mask": _MASK,
        "blocks.{i}.mlp.0.{p}": "blocks.{i}.mlp_in.{p}",
        "blocks.{i}.mlp.2.{p}": "blocks.{i}.mlp_out.{p}",
    }
    match condition:
        case "features":
            keys["embedder.{p}"] = "feature_embedding.{p}"
        case "class":
            keys["embedder.weight"] = "class_embedding.weight"
        case "features+class":
            keys["feat_embedder.{p}"] = "feature_embedding.{p}"
            keys["cls_embedder.weight"] = "class_embedding.weight"
    return {prefix + name: own for name, own in keys.items()}


PERMUTER_KEYS: KeyMap = {
    "first_stage_permuter.forward_shuffle_idx": _PERMUTER,
    "first_stage_permuter.backward_shuffle_idx": _PERMUTER,
}


def config_from_entries(
    entries: Mapping[str, Tensor], *, prefix: str = "transformer.", num_heads: int = 16
) -> TokenGPTConfig:
    """Sizes of an official transformer read off its entries' shapes.

    The number of heads leaves no trace in the shapes; every published model has 16. The number of
    grid columns is read off the permuter where the file has one, else the published 5 x 53 holds.
    Raises WeightsError when the entries are not those of a code transformer.
    """
    if f"{prefix}tok_emb.weight" not in entries or f"{prefix}pos_emb" not in entries:
        raise WeightsError(
            f"expected a code transformer with entries {prefix}tok_emb.weight and {prefix}pos_emb, "
            f"got {len(entries)} others: check which file this is"
        )
    num_codes, width = entries[f"{prefix}tok_emb.weight"].shape
    layers = {name.split(".")[-3] for name in entries if name.endswith(".ln1.weight")}
    shuffle = entries.get("first_stage_permuter.forward_shuffle_idx")
    num_grid = 265 if shuffle is None else shuffle.shape[0]
    features = entries.get(f"{prefix}feat_embedder.weight")
    classes = entries.get(f"{prefix}cls_embedder.weight")
    embedder = entries.get(f"{prefix}embedder.weight")
    condition: ConditionKind = "features+class"
    if embedder is not None and embedder.ndim == 3:
        condition, features = "features", embedder
    elif embedder is not None:
        condition, classes = "class", embedder
    return TokenGPTConfig(
        num_codes=num_codes,
        num_positions=entries[f"{prefix}pos_emb"].shape[1],
        width=width,
        num_layers=len(layers),
        num_heads=num_heads,
        grid_columns=num_grid // 5,
        condition=condition,
        feature_width=2048 if features is None else features.shape[1],
        num_classes=309 if classes is None else classes.shape[0],
    )
