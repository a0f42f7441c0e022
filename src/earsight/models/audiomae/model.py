"""Audio-MAE: pre-training by predicting masked patches, and the tagger made of its encoder.

Source: Huang et al., "Masked autoencoders that listen", 2022; official repository
facebookresearch/AudioMAE.

Axes: b clips, t frames, m mel bands, n tokens, a visible tokens and the class token, d width,
v values of a patch, k classes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earsight.errors import InputError
from earsight.models.audiomae.config import AudioTaggerConfig, MaskedAutoencoderConfig
from earsight.models.audiomae.decoder import PatchDecoder
from earsight.models.audiomae.encoder import NORM_EPSILON, PatchEncoder
from earsight.models.audiomae.masking import TokenMask

FEATURES_AFTER_BLOCK = 8
HEAD_STD = 2e-5


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """Predicted values of all patches, and the encoder's normalised tokens, class token first."""

    patches: Float[Tensor, "b n v"]
    latent: Float[Tensor, "b a d"]


@dataclass(frozen=True, slots=True)
class Tags:
    """Pooled and normalised tokens, and class scores before any softmax or sigmoid."""

    features: Float[Tensor, "b d"]
    logits: Float[Tensor, "b k"]


class MaskedAutoencoder(nn.Module):
    """Encoder of visible patches and decoder of all, on normalised `frontends.kaldi_fbank`.

    Any number of frames from one patch on; positions continue where the stored table ends.
    """

    def __init__(self, config: MaskedAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PatchEncoder(config.encoder)
        self.norm = nn.LayerNorm(config.encoder.width, eps=NORM_EPSILON)
        self.decoder = PatchDecoder(config.decoder, config.encoder)

    def forward(
        self,
        fbank: Float[Tensor, "b t m"],
        mask: TokenMask,
        *,
        rng: torch.Generator | None = None,
        recompute: bool = False,
    ) -> Reconstruction:
        """Predictions for all patches from the visible ones.

        `rng` draws what window blocks leave out in training; `recompute` saves memory there.
        Raises InputError for a mask of another number of tokens, and for less than one patch.
        """
        grid = self.config.encoder.grid_of(fbank.shape[1])
        check_mask(mask, num_tokens=grid[0] * grid[1])
        latent = self.norm(self.encoder(fbank, mask.kept, recompute=recompute))
        patches = self.decoder(latent, mask, grid=grid, rng=rng, recompute=recompute)
        return Reconstruction(patches=patches, latent=latent)

    def features(
        self, fbank: Float[Tensor, "b t m"], *, after_block: int = FEATURES_AFTER_BLOCK
    ) -> Float[Tensor, "b a d"]:
        """All tokens, class token first: mean of the normalised outputs of the last blocks.

        Blocks are counted from 0 and those above `after_block` count; nothing is masked. Raises
        InputError where no block lies above it.
        """
        num_layers = self.config.encoder.num_layers
        if not -1 <= after_block < num_layers - 1:
            raise InputError(
                f"after_block must lie in -1..{num_layers - 2} ({num_layers} blocks), got "
                f"{after_block}"
            )
        total: Tensor | None = None
        for index, x in enumerate(self.encoder.layers(self.encoder.embed(fbank))):
            if index > after_block:
                total = self.norm(x) if total is None else total + self.norm(x)
        assert total is not None
        return total / (num_layers - 1 - after_block)


class AudioTagger(nn.Module):
    """Classes of a clip from the mean of its patches, on normalised `frontends.kaldi_fbank`.

    Any number of frames from one patch on, as for `MaskedAutoencoder`.
    """

    def __init__(self, config: AudioTaggerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PatchEncoder(config.encoder)
        self.norm = nn.LayerNorm(config.encoder.width, eps=NORM_EPSILON)
        self.head = nn.Linear(config.encoder.width, config.num_classes)
        nn.init.trunc_normal_(self.head.weight, std=HEAD_STD)
        nn.init.zeros_(self.head.bias)

    def forward(
        self,
        fbank: Float[Tensor, "b t m"],
        mask: TokenMask | None = None,
        *,
        rng: torch.Generator | None = None,
        recompute: bool = False,
    ) -> Tags:
        """Features and class scores; masks belong to training alone.

        `rng` draws stochastic depth in training, where it must be given unless its rate is 0;
        `recompute` saves memory there. Raises InputError as `MaskedAutoencoder` does.
        """
        if mask is not None:
            grid = self.config.encoder.grid_of(fbank.shape[1])
            check_mask(mask, num_tokens=grid[0] * grid[1])
        scales = self.encoder.drop_scales(self.config.drop_path, batch=len(fbank), rng=rng)
        kept = None if mask is None else mask.kept
        x = self.encoder(fbank, kept, scales=scales, recompute=recompute)
        pooled = x[:, 1:].mean(dim=1) if self.config.pooling == "mean" else x[:, 0]
        features = self.norm(pooled)
        return Tags(features=features, logits=self.head(features))


def check_mask(mask: TokenMask, *, num_tokens: int) -> None:
    """Raise InputError for a mask of another number of tokens."""
    if mask.order.shape[1] != num_tokens:
        raise InputError(
            f"mask has {mask.order.shape[1]} tokens, the spectrogram {num_tokens}: draw it for "
            "the grid of this length"
        )
