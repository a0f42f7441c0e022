"""PaSST: a transformer over patches of a log-mel spectrogram, with 527 AudioSet classes.

Axes: b clips, m mel bands, t frames, r patch rows (bands), c patch columns (time), n tokens,
d width, k classes.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from earsight.errors import InputError
from earsight.models.passt.config import PasstConfig
from earsight.nn.attention import JointAttention, PreNormBlock

NORM_EPSILON = 1e-6
HEAD_NORM_EPSILON = 1e-5
POSITION_STD = 0.02


@dataclass(frozen=True, slots=True)
class PasstOutput:
    """Mean of the two class tokens, and class scores before any softmax or sigmoid."""

    features: Float[Tensor, "b d"]
    logits: Float[Tensor, "b k"]


class Passt(nn.Module):
    """Sound tagger on `frontends.passt_mel.log_mel`, of any length its time positions cover.

    Without patchout, as in evaluation. The published files' second head (for distillation) is not
    part of it, since nothing uses it. Source: Koutini et al., 2022, sec. 3; official repository
    kkoutini/PaSST.
    """

    def __init__(self, config: PasstConfig) -> None:
        super().__init__()
        self.config = config
        width, epsilon = config.width, NORM_EPSILON
        self.patches = nn.Conv2d(1, width, config.patch, stride=config.strides)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, width))
        self.token_positions = nn.Parameter(torch.zeros(1, 2, width))
        self.band_positions = nn.Parameter(torch.zeros(1, width, config.num_rows, 1))
        self.time_positions = nn.Parameter(torch.zeros(1, width, 1, config.max_columns))
        self.blocks = nn.ModuleList(
            PreNormBlock(
                JointAttention(width=width, num_heads=config.num_heads),
                width=width,
                hidden=config.hidden,
                epsilon=epsilon,
            )
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(width, eps=epsilon)
        self.head_norm = nn.LayerNorm(width, eps=HEAD_NORM_EPSILON)
        self.head = nn.Linear(width, config.num_classes)
        for own in (self.class_token, self.distillation_token, self.token_positions):
            nn.init.trunc_normal_(own, std=POSITION_STD)
        for table in (self.band_positions, self.time_positions):
            nn.init.trunc_normal_(table, std=POSITION_STD)

    def forward(self, mel: Float[Tensor, "b m t"]) -> PasstOutput:
        """Features and class scores; raises as `tokens` does."""
        x = self.tokens(mel)
        for block in self.blocks:
            x = block(x)
        features = self.norm(x[:, :2]).mean(dim=1)
        return PasstOutput(features=features, logits=self.head(self.head_norm(features)))

    def tokens(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b n d"]:
        """Class token, distillation token, then patches row by row, all with their positions.

        Raises InputError for other bands, and for a sound that is shorter than a patch or longer
        than the time positions.
        """
        self._check(mel.shape[1], mel.shape[2])
        grid = self.patches(rearrange(mel, "b m t -> b 1 m t"))  # (b, d, r, c)
        grid = grid + self.time_positions[..., : grid.shape[3]] + self.band_positions
        own = torch.cat([self.class_token, self.distillation_token], dim=1) + self.token_positions
        patches = rearrange(grid, "b d r c -> b (r c) d")
        return torch.cat([own.expand(mel.shape[0], -1, -1), patches], dim=1)

    def _check(self, num_mels: int, num_frames: int) -> None:
        config = self.config
        if num_mels != config.num_mels:
            raise InputError(f"expected {config.num_mels} mel bands, got {num_mels}")
        if num_frames < config.patch:
            raise InputError(
                f"sound has {num_frames} frames, one patch needs {config.patch}: use a longer one"
            )
        if num_frames > config.max_frames:
            raise InputError(
                f"sound has {num_frames} frames, this network's time positions cover "
                f"{config.max_frames} (10 ms each): cut it, use `scene_output` which averages "
                "windows, or weights for longer sounds"
            )
