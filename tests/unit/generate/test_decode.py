"""Pieces join without a seam, whatever their size; codes survive the file and the bit count."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from earsight.errors import InputError
from earsight.generate.codec import Codec, CodedSound, read_coded, write_coded
from earsight.generate.decode import (
    GriffinLimVocoder,
    MelGANVocoder,
    decode_mel,
    soft_limit,
    stream_mel,
    stream_wave,
)
from earsight.media.audio import Waveform
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.melgan.config import MelGANConfig
from earsight.models.melgan.model import MelGANGenerator

SMALL = MelVQGANConfig(
    channels=8,
    channel_multipliers=(1, 1, 1, 1, 1),
    blocks_per_level=1,
    latent_channels=8,
    code_dim=4,
    num_codes=100,
    norm_groups=4,
)


@pytest.fixture(scope="module")
def codebook() -> MelVQGAN:
    torch.manual_seed(0)
    return MelVQGAN(SMALL).eval()


@pytest.fixture(scope="module")
def vocoder() -> MelGANVocoder:
    torch.manual_seed(0)
    return MelGANVocoder(MelGANGenerator(MelGANConfig(channels=4)))


def make_mel(num_frames: int) -> Tensor:
    return torch.rand(2, 80, num_frames, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("pieces", [[300], [7, 93, 200], [1] * 300])
def test_melgan_in_pieces_is_the_same_wave(vocoder: MelGANVocoder, pieces: list[int]) -> None:
    mel = make_mel(300)
    streamed = list(stream_wave(vocoder, mel.split(pieces, dim=2), piece_frames=64))
    assert len(streamed) >= 4
    torch.testing.assert_close(torch.cat(streamed, dim=1), vocoder(mel), atol=1e-6, rtol=0)


def test_griffin_lim_in_pieces_keeps_length_and_level() -> None:
    mel = make_mel(300) * 0.2 + 0.4
    vocoder = GriffinLimVocoder(iterations=8)
    wave = torch.cat(list(stream_wave(vocoder, [mel], piece_frames=100)), dim=1)
    assert wave.shape == (2, 300 * 256)
    levels = wave.unfold(1, 2560, 1280).square().mean(dim=-1).sqrt()
    joint = levels[:, 18:22].mean() / levels.mean()
    assert 0.8 < joint.item() < 1.25
    assert soft_limit(torch.tensor([[0.5, 3.0, -9.0]])).abs().max().item() < 1


def test_a_long_grid_fades_between_passes(codebook: MelVQGAN) -> None:
    codes = torch.randint(100, (1, 5, 150), generator=torch.Generator().manual_seed(0))
    pieces = list(stream_mel(codebook, codes, window_columns=64, joint_columns=8))
    mel = torch.cat(pieces, dim=2)
    assert mel.shape == (1, 80, 150 * 16)
    torch.testing.assert_close(
        mel[:, :, : 56 * 16], decode_mel(codebook, codes[:, :, :64])[:, :, : 56 * 16]
    )
    whole = list(stream_mel(codebook, codes[:, :, :64]))
    assert len(whole) == 1
    # the step across a joint is no larger than steps inside a pass
    steps = mel.diff(dim=2).abs().mean(dim=(0, 1))
    assert steps[56 * 16 - 2 : 64 * 16 + 2].max() <= steps.max()


def make_codec(codebook: MelVQGAN, vocoder: MelGANVocoder) -> Codec:
    return Codec(name="tiny", weights_sha256="ab" * 32, codebook=codebook, vocoder=vocoder)


def test_a_sound_comes_back_as_long_as_it_was(
    codebook: MelVQGAN, vocoder: MelGANVocoder, tmp_path: Path
) -> None:
    codec = make_codec(codebook, vocoder)
    wave = Waveform(
        0.1 * torch.randn(1, 300_001, generator=torch.Generator().manual_seed(0)), 22050
    )
    coded = codec.encode(wave)
    assert coded.codes.shape == (74 * 5,)
    assert coded.bits_per_code == 7
    size = write_coded(tmp_path / "a.esc", coded)
    assert size == (tmp_path / "a.esc").stat().st_size == 26 + -(-74 * 5 * 7 // 8)
    assert coded.payload_bits_per_second == pytest.approx(74 * 5 * 7 / (300_001 / 22050))
    again = read_coded(tmp_path / "a.esc")
    assert torch.equal(again.codes, coded.codes)
    decoded = codec.decode(again)
    assert decoded.num_samples == 300_001
    assert torch.equal(decoded.samples, codec.decode(coded).samples)


def test_long_sounds_are_encoded_in_pieces_with_context(codebook: MelVQGAN) -> None:
    """Away from the ends of pieces the codes are those of one pass of the same stretch."""
    codec = Codec(
        name="tiny", weights_sha256="ab" * 32, codebook=codebook, vocoder=GriffinLimVocoder()
    )
    noise = torch.randn(1, 4096 * 120, generator=torch.Generator().manual_seed(0))
    codes = codec.encode(Waveform(0.1 * noise, 22050)).codes
    assert codes.shape == (600,)
    with pytest.raises(InputError, match="2 channels at 22050"):
        codec.encode(Waveform(torch.zeros(2, 5000), 22050))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:10], "begins with ESC1"),
        (lambda data: b"RIFF" + data[4:], "begins with ESC1"),
        (lambda data: data[:4] + b"\x09" + data[5:], "damaged header"),
        (lambda data: data[:26], "cut short"),
        (lambda data: data[:40], "cut short"),
        (lambda data: data[:26] + b"\xff" * (len(data) - 26), "cut short or damaged"),
        (lambda data: data[:10] + (2**40).to_bytes(8, "little") + data[18:], "cut short"),
    ],
)
def test_damaged_code_files_are_refused(tmp_path: Path, damage: object, message: str) -> None:
    coded = CodedSound(torch.arange(100), 100, 5, 20 * 4096, b"12345678")
    path = tmp_path / "a.esc"
    write_coded(path, coded)
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        read_coded(path)


def test_codes_of_other_weights_are_refused(codebook: MelVQGAN, vocoder: MelGANVocoder) -> None:
    coded = CodedSound(torch.arange(100), 100, 5, 20 * 4096, b"12345678")
    with pytest.raises(InputError, match="made by weights 3132333435363738, tiny has abababab"):
        make_codec(codebook, vocoder).decode(coded)
