"""Code transformer: causal self-attention over condition tokens and spectrogram codes.

Axes: b clips, n codes, c condition tokens, f feature tokens, l positions (c + n), d width,
h heads, k code vocabulary, w feature width.
"""

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from earsight.errors import InputError
from earsight.models.token_gpt.config import TokenGPTConfig


@dataclass(frozen=True, slots=True)
class TokenOutput:
    """Scores of the next code at every position, and the last layer's attention if asked for."""

    logits: Float[Tensor, "b l k"]
    attention: Float[Tensor, "b h l l"] | None


class SelfAttention(nn.Module):
    """Multi-head causal self-attention with separate, biased projections."""

    def __init__(self, *, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        """Attend to the own and all earlier positions."""
        query, key, value = self._heads(x)
        mixed = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, dropout_p=self.dropout if self.training else 0.0
        )
        return self.project(rearrange(mixed, "b h l e -> b l (h e)"))

    def weights(self, x: Float[Tensor, "b l d"]) -> Float[Tensor, "b h l l"]:
        """Attention weights themselves: row = query position, column = key position."""
        query, key, _ = self._heads(x)
        scores = query @ key.mT / math.sqrt(query.shape[-1])
        visible = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).tril()
        return scores.masked_fill(~visible, -math.inf).softmax(dim=-1)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = (
            rearrange(part(x), "b l (h e) -> b h l e", h=self.num_heads)
            for part in (self.query, self.key, self.value)
        )
        return query, key, value


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, *, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = SelfAttention(width=width, num_heads=num_heads, dropout=dropout)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        """Attention, then the two-layer perceptron, each added to its input."""
        x = x + self.dropout(self.attention(self.norm_attention(x)))
        hidden = functional.gelu(self.mlp_in(self.norm_mlp(x)))
        return x + self.dropout(self.mlp_out(hidden))


class TokenGPT(nn.Module):
    """Next-code scores from visual features, a class, or features followed by a class.

    Source: SpecVQGAN, sec. 3.2; the official repository v-iashin/SpecVQGAN (the causal mask also
    covers the condition, exact GELU, one position table for condition and codes).
    """

    def __init__(self, config: TokenGPTConfig) -> None:
        super().__init__()
        self.config = config
        self.code_embedding = nn.Embedding(config.num_codes, config.width)
        self.positions = nn.Parameter(torch.zeros(1, config.num_positions, config.width))
        self.blocks = nn.ModuleList(
            Block(width=config.width, num_heads=config.num_heads, dropout=config.dropout)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.num_codes, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]
                nn.init.zeros_(module.bias)
        # created after the pass above: the published runs left the embedders at PyTorch's defaults
        self.feature_embedding = (
            nn.Conv1d(config.feature_width, config.width, kernel_size=1)
            if config.has_features
            else None
        )
        self.class_embedding = (
            nn.Embedding(config.num_classes, config.width) if config.has_class else None
        )

    def embed_condition(
        self,
        features: Float[Tensor, "b f w"] | None,
        classes: Int[Tensor, " b"] | None,
    ) -> Float[Tensor, "b c d"]:
        """Condition tokens: features first, then the class.

        An input that this kind of model does not condition on is ignored. Raises InputError when
        one that it needs is missing.
        """
        parts: list[Tensor] = []
        if self.feature_embedding is not None:
            if features is None:
                raise InputError(f"a '{self.config.condition}' model needs features, got none")
            parts.append(self.feature_embedding(features.mT).mT)
        if self.class_embedding is not None:
            if classes is None:
                raise InputError(f"a '{self.config.condition}' model needs a class, got none")
            parts.append(self.class_embedding(classes)[:, None])
        return torch.cat(parts, dim=1)

    def forward(
        self,
        codes: Int[Tensor, "b n"],
        features: Float[Tensor, "b f w"] | None = None,
        classes: Int[Tensor, " b"] | None = None,
        *,
        with_attention: bool = False,
    ) -> TokenOutput:
        """Scores at all positions; position c - 1 (the last condition token) predicts code 0.

        Raises InputError when condition and codes together exceed the position table.
        """
        condition = self.embed_condition(features, classes)
        x = torch.cat([condition, self.code_embedding(codes)], dim=1)
        length = x.shape[1]
        if length > self.config.num_positions:
            raise InputError(
                f"{condition.shape[1]} condition tokens and {codes.shape[1]} codes exceed the "
                f"model's {self.config.num_positions} positions: shorten the codes or use windows"
            )
        x = self.dropout(x + self.positions[:, :length])
        attention: Tensor | None = None
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            if with_attention and index == len(self.blocks) - 1:
                attention = block.attention.weights(block.norm_attention(x))
            x = block(x)
        return TokenOutput(self.head(self.norm(x)), attention)
