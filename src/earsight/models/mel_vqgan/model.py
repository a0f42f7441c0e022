"""Spectrogram codebook model: mel spectrograms to a grid of codes and back.

Axes: b clips, m mel bands, t frames, d code width, h code rows (low to high), w code columns.
Spectrograms are in the model's range, 2 * mel - 1 of the stored [0, 1]; outputs are not clamped.
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from earsight.errors import InputError
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.nn.conv_stacks import ConvDecoder, ConvEncoder
from earsight.nn.quantize import Codebook, Quantized


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """A decoded spectrogram and the codes it came from."""

    mel: Float[Tensor, "b 1 m t"]
    quantized: Quantized


class MelVQGAN(nn.Module):
    """Convolutional encoder, codebook and decoder for log-mel spectrograms.

    Source: SpecVQGAN, sec. 3.1; official repository v-iashin/SpecVQGAN.
    """

    def __init__(self, config: MelVQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ConvEncoder(
            channels_in=1,
            stem=config.channels,
            widths=config.widths,
            num_blocks=config.blocks_per_level,
            attention_levels=config.attention_levels,
            middle_attention=config.middle_attention,
            channels_out=config.latent_channels,
            groups=config.norm_groups,
            dropout=config.dropout,
        )
        self.to_code = nn.Conv2d(config.latent_channels, config.code_dim, 1)
        self.codebook = Codebook(num_codes=config.num_codes, dim=config.code_dim)
        self.from_code = nn.Conv2d(config.code_dim, config.latent_channels, 1)
        self.decoder = ConvDecoder(
            channels_in=config.latent_channels,
            widths=config.widths,
            num_blocks=config.blocks_per_level,
            attention_levels=config.attention_levels,
            middle_attention=config.middle_attention,
            channels_out=1,
            groups=config.norm_groups,
            dropout=config.dropout,
        )

    def encode(self, mel: Float[Tensor, "b 1 m t"]) -> Quantized:
        """Codes of spectrograms in [-1, 1]; frames beyond the last full column are dropped.

        Raises InputError when the bands do not fill whole code rows or there is no full column.
        """
        self._refuse_misfit(mel.shape[2], mel.shape[3])
        return self.codebook(self.to_code(self.encoder(mel)))

    def decode(self, quantized: Float[Tensor, "b d h w"]) -> Float[Tensor, "b 1 m t"]:
        """Spectrograms of quantised latents."""
        return self.decoder(self.from_code(quantized))

    def decode_codes(self, codes: Int[Tensor, "b h w"]) -> Float[Tensor, "b 1 m t"]:
        """Spectrograms of code grids.

        Raises InputError when a code is not in the codebook.
        """
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.config.num_codes:
            raise InputError(
                f"codes must be in 0..{self.config.num_codes - 1}, got "
                f"{int(codes.min())}..{int(codes.max())}: use codes made by this codebook"
            )
        return self.decode(self.codebook.look_up(codes))

    def forward(self, mel: Float[Tensor, "b 1 m t"]) -> Reconstruction:
        """Encode, quantise and decode."""
        quantized = self.encode(mel)
        return Reconstruction(mel=self.decode(quantized.quantized), quantized=quantized)

    def _refuse_misfit(self, num_mels: int, num_frames: int) -> None:
        step = self.config.downsample
        if num_mels % step or num_frames < step:
            raise InputError(
                f"expected a spectrogram of {self.config.num_mels} bands and at least {step} "
                f"frames, got {num_mels} x {num_frames}: bands must be a multiple of {step}"
            )
