"""SSAST: pre-training of a spectrogram transformer on masked patches, and the tagger after it.

Axes: b clips, t frames, m mel bands, n patches, k and l masked patches, d width, v values of a
patch, c classes.
"""

from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from earsight.models.ssast.config import SsastConfig, SsastTaggerConfig
from earsight.nn.two_token_transformer import NUM_CLASS_TOKENS, TwoTokenTransformer

HEAD_NORM_EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class SsastOutput:
    """What both heads say of their masked patches, and the values that were there."""

    matched: Float[Tensor, "b k v"]
    match_target: Float[Tensor, "b k v"]
    rebuilt: Float[Tensor, "b l v"]
    rebuild_target: Float[Tensor, "b l v"]


@dataclass(frozen=True, slots=True)
class SsastTags:
    """Pooled features, and class scores before any softmax or sigmoid."""

    features: Float[Tensor, "b d"]
    logits: Float[Tensor, "b c"]


class Ssast(nn.Module):
    """Pre-training network: the encoder sees all patches, masked ones as one learned vector.

    Source: Gong et al., "SSAST: self-supervised audio spectrogram transformer", 2022, sec. 2;
    official repository YuanGongND/ssast.
    """

    def __init__(self, config: SsastConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = TwoTokenTransformer(
            size=(config.num_mels, config.num_frames),
            patch=config.patch,
            strides=config.patch,
            width=config.width,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            hidden=config.hidden,
        )
        self.masked = nn.Parameter(torch.zeros(1, 1, config.width))
        self.match_head = _head(config)
        self.rebuild_head = _head(config)
        nn.init.xavier_normal_(self.masked)

    def forward(
        self,
        mel: Float[Tensor, "b t m"],
        *,
        matched: Int[Tensor, "b k"],
        rebuilt: Int[Tensor, "b l"],
        recompute: bool = False,
    ) -> SsastOutput:
        """Both tasks on the same clips, each with the numbers of its masked patches.

        Each task hides its own patches, in a pass of its own: both run side by side in the batch.
        `recompute` saves memory in training. Raises InputError for a spectrogram of another size.
        """
        patches = self.encoder.embed(mel)
        hidden = torch.cat([self.hide(patches, matched), self.hide(patches, rebuilt)])
        to_match, to_rebuild = self.encoder.encode(hidden, recompute=recompute)[
            :, NUM_CLASS_TOKENS:
        ].chunk(2)
        values = self.patch_values(mel)
        return SsastOutput(
            matched=self.match_head(chosen(to_match, matched)),
            match_target=chosen(values, matched),
            rebuilt=self.rebuild_head(chosen(to_rebuild, rebuilt)),
            rebuild_target=chosen(values, rebuilt),
        )

    def hide(
        self, patches: Float[Tensor, "b n d"], numbers: Int[Tensor, "b k"]
    ) -> Float[Tensor, "b n d"]:
        """The patches with the learned vector in the place of those numbered."""
        here = torch.zeros(patches.shape[:2], dtype=torch.bool, device=patches.device)
        here = here.scatter(1, numbers, value=True)
        return torch.where(here[..., None], self.masked.to(patches.dtype), patches)

    def patch_values(self, mel: Float[Tensor, "b t m"]) -> Float[Tensor, "b n v"]:
        """Values of every patch, band by band, in the order of the patches."""
        picture = rearrange(mel, "b t m -> b 1 m t")
        return functional.unfold(picture, self.config.patch, stride=self.config.patch).mT


class SsastTagger(nn.Module):
    """Fine-tuned network: encoder, pooling, classifier. Start it with `start.fine_tuning`."""

    def __init__(self, config: SsastTaggerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = TwoTokenTransformer(
            size=(config.num_mels, config.num_frames),
            patch=config.patch,
            strides=config.strides,
            width=config.width,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            hidden=config.hidden,
        )
        self.head_norm = nn.LayerNorm(config.width, eps=HEAD_NORM_EPSILON)
        self.head = nn.Linear(config.width, config.num_classes)

    def forward(self, mel: Float[Tensor, "b t m"], *, recompute: bool = False) -> SsastTags:
        """Features and class scores; InputError for a spectrogram of another size."""
        tokens = self.encoder(mel, recompute=recompute)
        match self.config.pooling:
            case "patches":
                features = tokens[:, NUM_CLASS_TOKENS:].mean(dim=1)
            case "class_tokens":
                features = tokens[:, :NUM_CLASS_TOKENS].mean(dim=1)
        return SsastTags(features=features, logits=self.head(self.head_norm(features)))


def chosen(x: Float[Tensor, "b n d"], numbers: Int[Tensor, "b k"]) -> Float[Tensor, "b k d"]:
    """The numbered tokens of each clip, in the order of the numbers."""
    return x.gather(1, repeat(numbers, "b k -> b k d", d=x.shape[2]))


def _head(config: SsastConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(config.width, config.width),
        nn.ReLU(),
        nn.Linear(config.width, config.patch_values),
    )
