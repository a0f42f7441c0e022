"""Synchformer: how far sound and picture are apart, out of short segments of both.

Axes: b clips, n segments, f instants of a picture segment, g instants of a sound segment,
m mel bands, t frames, c colours, y, x picture, d width, k offsets.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from earsight.errors import InputError
from earsight.models.synchformer.config import SynchformerConfig
from earsight.models.synchformer.video import NORM_EPSILON, VideoEncoder
from earsight.nn.attention import ClassTokenPooling, PreNormBlock, SplitAttention

SPECTROGRAM_EPSILON = 1e-12  # the published spectrogram transformer's, unlike all others here
COMPARE_EPSILON = 1e-5


def _blocks(config: SynchformerConfig, *, count: int, heads: int, epsilon: float) -> nn.ModuleList:
    return nn.ModuleList(
        PreNormBlock(
            SplitAttention(width=config.width, num_heads=heads),
            width=config.width,
            hidden=config.hidden,
            epsilon=epsilon,
        )
        for _ in range(count)
    )


class SoundEncoder(nn.Module):
    """One vector for every patch column of a segment's spectrogram.

    Source: Synchformer, sec. 3.1; Gong et al., "AST: audio spectrogram transformer", 2021.
    """

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.grid = config.mel_grid
        rows, columns = self.grid
        self.patches = nn.Conv2d(1, config.width, config.patch, stride=config.mel_stride)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.positions = nn.Parameter(torch.zeros(1, 2 + rows * columns, config.width))
        self.blocks = _blocks(
            config, count=config.num_layers, heads=config.num_heads, epsilon=SPECTROGRAM_EPSILON
        )
        self.norm = nn.LayerNorm(config.width, eps=SPECTROGRAM_EPSILON)
        self.pool = ClassTokenPooling(
            width=config.width,
            num_heads=config.num_heads,
            hidden=config.hidden,
            epsilon=NORM_EPSILON,
        )

    def forward(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b g d"]:
        """Features of scaled segments (`frontends.synchformer_inputs.audio_input`)."""
        grid = self.patches(rearrange(mel, "b m t -> b 1 m t"))
        own = torch.cat([self.class_token, self.distillation_token], dim=1)
        patches = rearrange(grid, "b d r g -> b (r g) d")
        x = torch.cat([own.expand(mel.shape[0], -1, -1), patches], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        x = rearrange(self.norm(x)[:, 2:], "b (r g) d -> (b g) r d", r=self.grid[0])
        return rearrange(self.pool(x), "(b g) d -> b g d", g=self.grid[1])


class OffsetComparison(nn.Module):
    """Class scores of the offset, out of the features of both streams.

    Source: Synchformer, sec. 3.2.
    """

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        width = config.width
        self.offset_token = nn.Parameter(torch.zeros(1, 1, width))
        self.between_token = nn.Parameter(torch.zeros(1, 1, width))
        self.norm_video = nn.LayerNorm(width, eps=COMPARE_EPSILON)
        self.norm_sound = nn.LayerNorm(width, eps=COMPARE_EPSILON)
        self.positions = nn.Parameter(torch.zeros(1, config.num_compared, width))
        self.blocks = _blocks(
            config, count=config.compare_layers, heads=config.compare_heads, epsilon=COMPARE_EPSILON
        )
        self.norm = nn.LayerNorm(width, eps=COMPARE_EPSILON)
        self.head = nn.Linear(width, config.num_offsets)

    def forward(
        self, video: Float[Tensor, "b v d"], sound: Float[Tensor, "b a d"]
    ) -> Float[Tensor, "b k"]:
        """Scores before any softmax."""
        offset, between = (
            token.expand(len(video), -1, -1) for token in (self.offset_token, self.between_token)
        )
        x = torch.cat([offset, self.norm_video(video), between, self.norm_sound(sound)], dim=1)
        x = x + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0]))


class Synchformer(nn.Module):
    """Offset of sound against picture. Source: Iashin et al., 2024, sec. 3."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        self.video = VideoEncoder(config)
        self.sound = SoundEncoder(config)
        self.project_video = nn.Linear(config.width, config.width)
        self.project_sound = nn.Linear(config.width, config.width)
        self.comparison = OffsetComparison(config)

    def video_features(self, segments: Float[Tensor, "b n t c y x"]) -> Float[Tensor, "b n f d"]:
        """Features of picture segments; InputError for segments of another size."""
        size = self.config.picture_size
        expected = (self.config.segment_frames, 3, size, size)
        if tuple(segments.shape[2:]) != expected:
            raise InputError(
                f"expected segments of {expected}, got {tuple(segments.shape[2:])}: make them with "
                "picture_input and video_segments"
            )
        features = self.video(rearrange(segments, "b n t c y x -> (b n) t c y x"))
        return rearrange(features, "(b n) f d -> b n f d", b=len(segments))

    def sound_features(self, mels: Float[Tensor, "b n m t"]) -> Float[Tensor, "b n g d"]:
        """Features of sound segments; InputError for segments of another size."""
        expected = (self.config.num_mels, self.config.mel_frames)
        if tuple(mels.shape[2:]) != expected:
            raise InputError(
                f"expected segments of {expected}, got {tuple(mels.shape[2:])}: make them with "
                "segment_log_mel and audio_input"
            )
        features = self.sound(rearrange(mels, "b n m t -> (b n) m t"))
        return rearrange(features, "(b n) g d -> b n g d", b=len(mels))

    def compare(
        self, video: Float[Tensor, "b n f d"], sound: Float[Tensor, "b n2 g d"]
    ) -> Float[Tensor, "b k"]:
        """Offset scores of exactly `num_segments` segments; InputError for another number."""
        wanted = self.config.num_segments
        if video.shape[1] != wanted or sound.shape[1] != wanted:
            raise InputError(
                f"the comparison takes {wanted} segments of each stream, got {video.shape[1]} and "
                f"{sound.shape[1]}"
            )
        video_row, sound_row = (rearrange(x, "b n f d -> b (n f) d") for x in (video, sound))
        return self.comparison(self.project_video(video_row), self.project_sound(sound_row))

    def offset_seconds(self, logits: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        """Size of the likeliest offset."""
        limit = self.config.max_offset_seconds
        grid = torch.linspace(-limit, limit, self.config.num_offsets, device=logits.device)
        return grid[logits.argmax(dim=1)].abs()

    def desync_seconds(
        self, video: Float[Tensor, "b n f d"], sound: Float[Tensor, "b n2 g d"]
    ) -> Float[Tensor, " b"]:
        """The DeSync score: mean offset of two readings, at the first and last segments.

        Segments beyond those that both streams have are left out. Raises InputError for a clip
        with fewer than `num_segments`. Source: official repository hkchengrex/av-benchmark.
        """
        wanted = self.config.num_segments
        shared = min(video.shape[1], sound.shape[1])
        if shared < wanted:
            raise InputError(
                f"clip has {shared} segments that both streams cover, DeSync needs {wanted} "
                "(4.8 s): use a longer clip"
            )
        video, sound = video[:, :shared], sound[:, :shared]
        first = self.compare(video[:, :wanted], sound[:, :wanted])
        last = self.compare(video[:, -wanted:], sound[:, -wanted:])
        return (self.offset_seconds(first) + self.offset_seconds(last)) / 2
