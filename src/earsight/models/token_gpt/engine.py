"""Cached inference of the code transformer: one pass over the prefix, then one row per code.

Axes: b clips, c condition tokens, n codes, l cached positions, d width, h heads, e head width,
k code vocabulary.
"""

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from earsight.errors import InputError
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import Block, TokenGPT
from earsight.nn.packed_linear import PackedLinear, Precision


class KeyValueCache:
    """Keys and values of all layers, in one block of memory of fixed size.

    Layout (layer, key|value, clip, head, position, head width); bf16 for the reduced precisions.
    """

    def __init__(
        self, config: TokenGPTConfig, *, batch: int, precision: Precision, device: torch.device
    ) -> None:
        self.length = 0
        self.memory = torch.zeros(
            config.num_layers,
            2,
            batch,
            config.num_heads,
            config.num_positions,
            config.width // config.num_heads,
            dtype=torch.float32 if precision == "fp32" else torch.bfloat16,
            device=device,
        )

    def write(
        self,
        layer: int,
        clips: slice,
        key: Float[Tensor, "b h n e"],
        value: Float[Tensor, "b h n e"],
    ) -> tuple[Tensor, Tensor]:
        """Store at the current length; returns all keys and values up to and with the new ones."""
        end = self.length + key.shape[2]
        keys, values = self.memory[layer, 0, clips], self.memory[layer, 1, clips]
        keys[:, :, self.length : end] = key
        values[:, :, self.length : end] = value
        return keys[:, :, :end], values[:, :, :end]


class _EngineBlock:
    """Packed weights of one block."""

    def __init__(self, block: Block, *, num_heads: int, precision: Precision) -> None:
        attention = block.attention
        self.num_heads = num_heads
        self.norms = block.norm_attention, block.norm_mlp
        self.query_key_value = PackedLinear(
            attention.query, attention.key, attention.value, precision=precision
        )
        self.project = PackedLinear(attention.project, precision=precision)
        self.mlp_in = PackedLinear(block.mlp_in, precision=precision)
        self.mlp_out = PackedLinear(block.mlp_out, precision=precision)

    def __call__(self, x: Tensor, cache: KeyValueCache, layer: int, clips: slice) -> Tensor:
        """Rows (b n) of width d, after attention to the cache and themselves."""
        batch = clips.stop - clips.start
        # several rows of one clip are a prefix; one row per clip is a step
        prefix = x.shape[0] > batch
        parts = rearrange(
            _apply(self.query_key_value, self.norms[0](x), prefix=prefix),
            "(b n) (p h e) -> p b h n e",
            b=batch,
            p=3,
            h=self.num_heads,
        ).to(cache.memory.dtype)
        keys, values = cache.write(layer, clips, parts[1], parts[2])
        # a prefix starts an empty cache, a single row may see all of it: never a partial mask
        mixed = functional.scaled_dot_product_attention(parts[0], keys, values, is_causal=prefix)
        rows = rearrange(mixed, "b h n e -> (b n) (h e)").float()
        x = x + _apply(self.project, rows, prefix=prefix)
        hidden = functional.gelu(_apply(self.mlp_in, self.norms[1](x), prefix=prefix))
        return x + _apply(self.mlp_out, hidden, prefix=prefix)

    def attention(self, x: Float[Tensor, "l d"]) -> Float[Tensor, "h l l"]:
        """Causal attention weights of one clip's rows."""
        parts = rearrange(
            self.query_key_value.prefix(self.norms[0](x)),
            "n (p h e) -> p h n e",
            p=3,
            h=self.num_heads,
        )
        scores = parts[0] @ parts[1].mT / parts.shape[-1] ** 0.5
        visible = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).tril()
        return scores.masked_fill(~visible, -torch.inf).softmax(dim=-1)


def _apply(layer: PackedLinear, x: Tensor, *, prefix: bool) -> Tensor:
    return layer.prefix(x) if prefix else layer(x)


class TokenEngine:
    """A code transformer packed for sampling; `precision` as in `PackedLinear`.

    Holds its own packed copies of the large matrices, so the model may be freed.
    """

    def __init__(self, model: TokenGPT, *, precision: Precision = "fp32") -> None:
        self.config = model.config
        self.precision: Precision = precision
        self.device = model.positions.device
        self._embed_condition = model.embed_condition
        self._codes = model.code_embedding.weight.detach()
        self._positions = model.positions.detach()[0]
        self._blocks = [
            _EngineBlock(block, num_heads=model.config.num_heads, precision=precision)
            for block in model.blocks
            if isinstance(block, Block)
        ]
        self._norm = model.norm
        self._head = PackedLinear(model.head, precision=precision)

    @torch.inference_mode()
    def prefill(
        self,
        features: Float[Tensor, "b f w"] | None,
        classes: Int[Tensor, " b"] | None,
        codes: Int[Tensor, "b n"],
    ) -> tuple[Float[Tensor, "b k"], KeyValueCache]:
        """Scores of the code after condition and given codes (n may be 0), and the filled cache.

        Clips pass one by one: they are long enough to keep the kernels busy, and their results
        stay independent of the batch.
        """
        batch = codes.shape[0]
        cache = KeyValueCache(
            self.config, batch=batch, precision=self.precision, device=self.device
        )
        last: list[Tensor] = []
        length = 0
        for item in range(batch):
            clip = slice(item, item + 1)
            x = self._rows(features, classes, codes, clip)
            length = x.shape[0]
            for layer, block in enumerate(self._blocks):
                x = block(x, cache, layer, clip)
            last.append(x[-1:])
        cache.length = length
        return self._head(self._norm(torch.cat(last))), cache

    @torch.inference_mode()
    def attention(
        self,
        features: Float[Tensor, "b f w"] | None,
        classes: Int[Tensor, " b"] | None,
        codes: Int[Tensor, "b n"],
    ) -> Float[Tensor, "b h l l"]:
        """Attention weights of the last layer over condition and codes."""
        maps: list[Tensor] = []
        for item in range(codes.shape[0]):
            x = self._rows(features, classes, codes, slice(item, item + 1))
            cache = KeyValueCache(
                self.config, batch=1, precision=self.precision, device=self.device
            )
            for layer, block in enumerate(self._blocks[:-1]):
                x = block(x, cache, layer, slice(0, 1))
            maps.append(self._blocks[-1].attention(x))
        return torch.stack(maps)

    def _rows(
        self,
        features: Float[Tensor, "b f w"] | None,
        classes: Int[Tensor, " b"] | None,
        codes: Int[Tensor, "b n"],
        clip: slice,
    ) -> Float[Tensor, "l d"]:
        """Embedded condition and codes of one clip, with their positions."""
        condition = self._embed_condition(
            None if features is None else features[clip],
            None if classes is None else classes[clip],
        )
        x = torch.cat([condition[0], self._codes[codes[clip.start]]])
        self._check(x.shape[0])
        return x + self._positions[: x.shape[0]]

    @torch.inference_mode()
    def step(self, codes: Int[Tensor, " b"], cache: KeyValueCache) -> Float[Tensor, "b k"]:
        """Scores of the next code after appending one code per clip."""
        self._check(cache.length + 1)
        x = self._codes[codes] + self._positions[cache.length]
        for layer, block in enumerate(self._blocks):
            x = block(x, cache, layer, slice(0, codes.shape[0]))
        cache.length += 1
        return self._head(self._norm(x))

    def _check(self, length: int) -> None:
        if length > self.config.num_positions:
            raise InputError(
                f"condition and codes need {length} positions, the model has "
                f"{self.config.num_positions}: use windows for longer sounds"
            )
