"""Vector quantisation with a learned codebook.

Axes: b items, d code width, h rows, w columns, k codes, n vectors.
Source: van den Oord et al., 2017; CompVis/taming-transformers.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

# Weight of the codebook term; the commitment term has weight 1. The published code has the two
# the other way round than the VQ-VAE paper, and its weights were trained so.
CODEBOOK_TERM_WEIGHT = 0.25


@dataclass(frozen=True, slots=True)
class Quantized:
    """Latents before and after quantisation.

    `quantized` carries the straight-through gradient; `loss` is commitment + 0.25 * codebook term;
    `perplexity` is the exponential of the entropy of the code frequencies in the batch.
    """

    latent: Float[Tensor, "b d h w"]
    quantized: Float[Tensor, "b d h w"]
    codes: Int[Tensor, "b h w"]
    loss: Float[Tensor, ""]
    perplexity: Float[Tensor, ""]


class Codebook(nn.Module):
    """Nearest-neighbour quantiser."""

    def __init__(self, *, num_codes: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_codes, dim)
        nn.init.uniform_(self.embedding.weight, -1 / num_codes, 1 / num_codes)

    def forward(self, latent: Float[Tensor, "b d h w"]) -> Quantized:
        """Replace each latent vector by its nearest code; computed in float32."""
        with torch.autocast(latent.device.type, enabled=False):
            latent = latent.float()
            codes = self.nearest(latent)
            chosen = self.look_up(codes).to(latent.dtype)
            commitment = F.mse_loss(latent, chosen.detach())
            codebook = F.mse_loss(chosen, latent.detach())
            return Quantized(
                latent=latent,
                quantized=latent + (chosen - latent).detach(),
                codes=codes,
                loss=commitment + CODEBOOK_TERM_WEIGHT * codebook,
                perplexity=perplexity(codes, num_codes=self.embedding.num_embeddings),
            )

    def nearest(self, latent: Float[Tensor, "b d h w"]) -> Int[Tensor, "b h w"]:
        """Index of the code at the smallest squared distance, the first one of equals.

        The distance is computed in the expanded form of the published code.
        """
        rows = rearrange(latent, "b d h w -> (b h w) d")
        codes = self.embedding.weight.to(rows.dtype)
        distance = rows.pow(2).sum(1, keepdim=True) + codes.pow(2).sum(1) - 2 * rows @ codes.T
        return rearrange(
            distance.argmin(1), "(b h w) -> b h w", b=latent.shape[0], h=latent.shape[2]
        )

    def look_up(self, codes: Int[Tensor, "b h w"]) -> Float[Tensor, "b d h w"]:
        """Codebook rows laid out as a latent grid."""
        # contiguous: PyTorch's group norm loses 2 digits on channels-last tensors (CPU, float32)
        return rearrange(self.embedding(codes), "b h w d -> b d h w").contiguous()


def perplexity(codes: Int[Tensor, "*n"], *, num_codes: int) -> Float[Tensor, ""]:
    """Effective number of codes in use: exp of the entropy of their frequencies."""
    share = torch.bincount(codes.flatten(), minlength=num_codes).float() / codes.numel()
    return torch.exp(-(share * torch.log(share + 1e-10)).sum())
