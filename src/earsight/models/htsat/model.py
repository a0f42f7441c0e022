"""HTS-AT: a window transformer on folded spectrograms that scores classes at every instant.

Axes: b clips, t frames, m mel bands, p picture side, r rows, c columns, d width, f steps in time,
k classes, n residual branches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from earsight.errors import InputError
from earsight.models.htsat.config import HtsatConfig
from earsight.models.htsat.image import crops, fold, repeated, stretched, unfold
from earsight.nn.attention import Feedforward
from earsight.nn.drop_path import Draws, branch_scales, linear_rates
from earsight.nn.recompute import run_block
from earsight.nn.windows import WindowAttention

NORM_EPSILON = 1e-5
WEIGHT_STD = 0.02
MLP_RATIO = 4
HEAD_FRAMES = 3  # steps in time that the token-semantic layer sees
STEP_REPEATS = 8  # times the stride over time; exact for the four published stages only
CROPS_AT_ONCE = 8  # bounds the memory of an hour of sound

Short = Literal["stretch", "repeat"]
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class HtsatOutput:
    """What HTS-AT says of a clip.

    `scores` are probabilities of each class where a clip has many, logits where it has one.
    `framewise` are probabilities at equal steps through the picture's time (10 s in 1024 steps as
    published). For a clip longer than a picture all four are means over overlapping parts.
    """

    scores: Float[Tensor, "b k"]
    logits: Float[Tensor, "b k"]
    framewise: Float[Tensor, "b f k"]
    latent: Float[Tensor, "b d"]


class WindowBlock(nn.Module):
    """Attention in windows, then a feedforward, each on normalised tokens and added to them."""

    def __init__(self, *, width: int, num_heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.attention = WindowAttention(
            width=width, num_heads=num_heads, window=(window, window), shift=(shift, shift)
        )
        self.norm_feedforward = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.feedforward = Feedforward(width=width, hidden=MLP_RATIO * width)

    def forward(
        self, x: Float[Tensor, "b r c d"], scales: Float[Tensor, "2 b"] | None
    ) -> Float[Tensor, "b r c d"]:
        """The next map; `scales` multiply the two branches of each clip."""
        branch = self.attention(self.norm_attention(x))
        x = x + (branch if scales is None else branch * _per_clip(scales[0], x))
        branch = self.feedforward(self.norm_feedforward(x))
        return x + (branch if scales is None else branch * _per_clip(scales[1], x))


class PatchMerging(nn.Module):
    """Every 2 x 2 tokens become one of twice the width. Source: Liu et al., 2021, sec. 3.1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width, eps=NORM_EPSILON)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Float[Tensor, "b r c d"]) -> Float[Tensor, "b r2 c2 d2"]:
        """The smaller map; of the four, the one below comes before the one to the right."""
        four = rearrange(x, "b (r i) (c j) d -> b r c (j i d)", i=2, j=2)
        return self.reduce(self.norm(four))


class Stage(nn.Module):
    """Blocks on maps of one size, and what leads to the next smaller map."""

    def __init__(self, config: HtsatConfig, index: int) -> None:
        super().__init__()
        width = config.width * 2**index
        self.blocks = nn.ModuleList(
            WindowBlock(
                width=width,
                num_heads=config.num_heads[index],
                window=config.stage_window(index),
                shift=config.shift(index, block),
            )
            for block in range(config.depths[index])
        )
        self.merge = PatchMerging(width) if index + 1 < config.num_stages else None

    def forward(
        self,
        x: Float[Tensor, "b r c d"],
        scales: Sequence[Float[Tensor, "2 b"] | None],
        *,
        recompute: bool = False,
    ) -> Float[Tensor, "b r2 c2 d2"]:
        """The next stage's map; `recompute` trades time for memory in training."""
        for block, own in zip(self.blocks, scales, strict=True):
            x = run_block(block, x, own, recompute=recompute)
        return x if self.merge is None else self.merge(x)


class Htsat(nn.Module):
    """Sound tagger on `frontends.htsat_mel.log_mel`, for clips of any length.

    The published files' last linear layer is not part of it, since nothing uses it. Source: Chen
    et al., 2022, sec. 2; official repository RetroCirce/HTS-Audio-Transformer.
    """

    def __init__(self, config: HtsatConfig) -> None:
        super().__init__()
        self.config = config
        self.band_norm = nn.BatchNorm2d(config.num_mels)
        rows, columns = config.strides
        self.patches = nn.Conv2d(
            1,
            config.width,
            config.patch,
            stride=config.strides,
            padding=((config.patch - rows) // 2, (config.patch - columns) // 2),
        )
        self.patch_norm = nn.LayerNorm(config.width, eps=NORM_EPSILON)
        self.stages = nn.ModuleList(Stage(config, i) for i in range(config.num_stages))
        self.norm = nn.LayerNorm(config.last_width, eps=NORM_EPSILON)
        band_rows = config.grid(config.num_stages - 1)[0] // config.num_chunks
        self.token_head = nn.Conv2d(
            config.last_width,
            config.num_classes,
            (band_rows, HEAD_FRAMES),
            padding=(0, HEAD_FRAMES // 2),
        )
        self.apply(_initialise)

    def forward(
        self,
        mel: Float[Tensor, "b t m"],
        *,
        short: Short = "stretch",
        change: Change | None = None,
        rng: Draws | None = None,
        recompute: bool = False,
    ) -> HtsatOutput:
        """Scores of clips of one length.

        A clip that does not fill the picture is stretched to it, or (`short`) first repeated as
        often as it fits. `change` acts on the spectrogram after its bands were normalised, the
        place of SpecAugment and mixup. `rng` draws stochastic depth in training, where it must be
        given unless the rate is 0; `recompute` saves memory there. Raises InputError for another
        number of bands.
        """
        x = self.normalised(mel)
        x = x if change is None else change(x)
        limit = self.config.max_frames
        if x.shape[1] <= limit:
            x = repeated(x, max_frames=limit) if short == "repeat" else x
            return self.score_picture(self.picture(x), rng=rng, recompute=recompute)
        parts = crops(x, max_frames=limit)
        outputs: list[HtsatOutput] = []
        for start in range(0, len(parts), CROPS_AT_ONCE):
            some = [self.picture(part) for part in parts[start : start + CROPS_AT_ONCE]]
            outputs.append(self.score_picture(torch.cat(some), rng=rng, recompute=recompute))
        return _mean_over_parts(outputs, num_clips=len(mel))

    def normalised(self, mel: Float[Tensor, "b t m"]) -> Float[Tensor, "b t m"]:
        """The spectrogram after the batch norm of its bands."""
        if mel.shape[2] != self.config.num_mels:
            raise InputError(f"expected {self.config.num_mels} mel bands, got {mel.shape[2]}")
        bands = self.band_norm(rearrange(mel, "b t m -> b m t 1"))
        return rearrange(bands, "b m t 1 -> b t m")

    def picture(self, x: Float[Tensor, "b t m"]) -> Float[Tensor, "b p p"]:
        """A normalised spectrogram of at most `max_frames` as the square picture."""
        config = self.config
        full = stretched(x, num_frames=config.max_frames, num_bands=config.image_bands)
        return fold(full, num_chunks=config.num_chunks)

    def score_picture(
        self,
        picture: Float[Tensor, "b p p"],
        *,
        rng: Draws | None = None,
        recompute: bool = False,
    ) -> HtsatOutput:
        """Scores of square pictures; the token-semantic layer keeps their order in time."""
        config = self.config
        x = self.patches(rearrange(picture, "b r c -> b 1 r c"))
        x = self.patch_norm(rearrange(x, "b d r c -> b r c d"))
        scales = self._scales(x, rng)
        for index, stage in enumerate(self.stages):
            first = sum(config.depths[:index])
            own = scales[first : first + config.depths[index]]
            x = stage(x, own, recompute=recompute)
        grouped = unfold(self.norm(x), num_chunks=config.num_chunks)  # (b, d, bands, time)
        tokens = self.token_head(grouped).squeeze(2)  # (b, k, steps)
        logits = tokens.mean(dim=2)
        steps = torch.sigmoid(rearrange(tokens, "b k f -> b f k"))
        return HtsatOutput(
            scores=torch.sigmoid(logits) if config.labels == "many" else logits,
            logits=logits,
            framewise=steps.repeat_interleave(STEP_REPEATS * config.strides[1], dim=1),
            latent=grouped.mean(dim=(2, 3)),
        )

    def _scales(
        self, x: Float[Tensor, "b r c d"], rng: Draws | None
    ) -> list[Float[Tensor, "2 b"] | None]:
        num_blocks = sum(self.config.depths)
        if not self.training or not self.config.drop_path:
            return [None] * num_blocks
        if rng is None:
            raise InputError(
                f"drop_path is {self.config.drop_path}: in training pass a generator (rng=...)"
            )
        rates = linear_rates(self.config.drop_path, num_blocks)
        both = [rate for rate in rates for _ in range(2)]
        drawn = branch_scales(both, len(x), rng=rng).to(x)
        return list(rearrange(drawn, "(n s) b -> n s b", s=2))


def _per_clip(scale: Float[Tensor, " b"], x: Float[Tensor, "b r c d"]) -> Float[Tensor, "b 1 1 1"]:
    return scale.to(x.dtype)[:, None, None, None]


def _mean_over_parts(outputs: list[HtsatOutput], *, num_clips: int) -> HtsatOutput:
    """Means over the parts of each clip; the outputs hold all clips part by part."""

    def mean(pieces: list[Tensor]) -> Tensor:
        return rearrange(torch.cat(pieces), "(n b) ... -> n b ...", b=num_clips).mean(dim=0)

    return HtsatOutput(
        scores=mean([output.scores for output in outputs]),
        logits=mean([output.logits for output in outputs]),
        framewise=mean([output.framewise for output in outputs]),
        latent=mean([output.latent for output in outputs]),
    )


def _initialise(module: nn.Module) -> None:
    """Truncated normal weights of linear layers; convolutions keep PyTorch's own."""
    if isinstance(module, nn.Linear):
        for name, values in module.named_parameters(recurse=False):
            if name == "bias":
                nn.init.zeros_(values)
            else:
                nn.init.trunc_normal_(values, std=WEIGHT_STD)
