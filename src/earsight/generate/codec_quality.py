"""How near coded sound comes to the original, beside what phases alone would lose."""

import torch

from earsight.frontends.specvqgan_mel import from_model, log_mel, to_model
from earsight.generate.codec import Codec
from earsight.generate.decode import GriffinLimVocoder
from earsight.media.audio import Waveform


@torch.inference_mode()
def measure(codec: Codec, wave: Waveform) -> dict[str, float]:
    """Bit rate (kbit/s) and mean absolute errors of the [0, 1] log-mel (0.01 = 1 dB).

    `mel_l1_decoded`: decoder output against the true spectrogram. `mel_l1_codec`: spectrogram of
    the coded sound. `mel_l1_vocoder`: of the true spectrogram through the codec's vocoder.
    `mel_l1_griffin_lim`: of the true spectrogram through Griffin-Lim, without any coding.
    """
    coded = codec.encode(wave)
    true = log_mel(wave.samples, num_frames=None)
    frames = true.shape[2] // codec.codebook.config.downsample * codec.codebook.config.downsample
    true = true[:, :, :frames]
    decoded = from_model(codec.codebook(to_model(true)[:, None]).mel[:, 0])

    def error(samples: torch.Tensor) -> float:
        rebuilt = log_mel(samples.cpu(), num_frames=None)[:, :, :frames]
        shared = min(rebuilt.shape[2], frames)
        return round(float((rebuilt[:, :, :shared] - true[:, :, :shared]).abs().mean()), 5)

    return {
        "kbps": round(coded.payload_bits_per_second / 1000, 4),
        "mel_l1_decoded": round(float((decoded - true).abs().mean()), 5),
        "mel_l1_codec": error(codec.decode(coded).samples),
        "mel_l1_vocoder": error(codec.vocoder(true)),
        "mel_l1_griffin_lim": error(GriffinLimVocoder()(true)),
    }
