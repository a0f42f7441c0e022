"""Segments of sound and picture as Synchformer takes them for the DeSync score.

Sound: 0.64 s every 0.32 s at 16 kHz, as log-mel. Picture: 16 frames every 8 at 25 fps, so that
segment i of both begins at the same instant.
Source: Iashin et al., "Synchformer: efficient synchronization from sparse cues", 2024, sec. 4;
official repositories v-iashin/Synchformer and hkchengrex/av-benchmark.

Axes: b clips, s samples, n segments, m mel bands, t frames, c colours, h, w picture.
"""

from functools import cache

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from earsight.errors import InputError
from earsight.frontends.stored_tables import load_table

TABLE = "synchformer_mel.npz"
TABLE_SHA256 = "9f4115b13b86b397363458f2cbc2d24254ed7a4a2c631f795814f986ce96d1ca"

RATE_HZ = 16000
SEGMENT_SAMPLES = 10240
STEP_SAMPLES = 5120
HOP_SAMPLES = 160
WINDOW_SAMPLES = 400
FFT_SAMPLES = 1024
NUM_MELS = 128
SEGMENT_MEL_FRAMES = 66  # one more than the hop gives; the last one is filled
MEL_OFFSET = 1e-6
MEL_MEAN, MEL_STD = -4.2677393, 4.5689974

FPS = 25.0
SEGMENT_FRAMES = 16
STEP_FRAMES = 8
PICTURE_SIZE = 224


@cache
def mel_filters(device: torch.device) -> Float[Tensor, "m f"]:
    """The stored filter matrix: 128 HTK bands from 0 to 8 kHz, straight in Hz, no area norm."""
    return load_table(TABLE, sha256=TABLE_SHA256)["filters"].to(device)


def audio_segments(
    wave: Float[Tensor, "b s"],
    *,
    segment_samples: int = SEGMENT_SAMPLES,
    step_samples: int = STEP_SAMPLES,
) -> Float[Tensor, "b n s2"]:
    """Overlapping pieces of mono sound at 16 kHz; what is left at the end is dropped.

    Raises InputError for a wave shorter than one piece.
    """
    if wave.shape[1] < segment_samples:
        raise InputError(
            f"wave has {wave.shape[1]} samples, a segment needs {segment_samples}: "
            "use a longer sound"
        )
    return wave.unfold(1, segment_samples, step_samples)


def segment_log_mel(segments: Float[Tensor, "b n s"]) -> Float[Tensor, "b n m t"]:
    """Natural log of each segment's mel power, 1 + s // 160 frames, not yet scaled."""
    num_clips = segments.shape[0]
    spectrum = torch.stft(
        rearrange(segments, "b n s -> (b n) s").float(),
        FFT_SAMPLES,
        hop_length=HOP_SAMPLES,
        win_length=WINDOW_SAMPLES,
        window=torch.hann_window(WINDOW_SAMPLES, periodic=True, device=segments.device),
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    mel = torch.log(mel_filters(segments.device) @ power + MEL_OFFSET)
    return rearrange(mel, "(b n) m t -> b n m t", b=num_clips)


def audio_input(log_mel: Float[Tensor, "b n m t"]) -> Float[Tensor, "b n m t2"]:
    """Network input: filled with zeros to 66 frames, then scaled.

    The order is the published one: a filled frame holds the value of log-mel 0, not of silence.
    Raises InputError for segments longer than published.
    """
    missing = SEGMENT_MEL_FRAMES - log_mel.shape[3]
    if missing < 0:
        raise InputError(
            f"segments have {log_mel.shape[3]} frames, the network takes {SEGMENT_MEL_FRAMES}: "
            f"cut the sound into segments of {SEGMENT_SAMPLES} samples"
        )
    return (functional.pad(log_mel, (0, missing)) - MEL_MEAN) / (2 * MEL_STD)


def video_segments(
    frames: Float[Tensor, "b t c h w"],
    *,
    segment_frames: int = SEGMENT_FRAMES,
    step_frames: int = STEP_FRAMES,
) -> Float[Tensor, "b n t2 c h w"]:
    """Overlapping pieces of prepared frames at 25 fps; what is left at the end is dropped.

    Raises InputError for fewer frames than one piece.
    """
    if frames.shape[1] < segment_frames:
        raise InputError(
            f"clip has {frames.shape[1]} frames, a segment needs {segment_frames} at {FPS:g} fps: "
            "use a longer clip"
        )
    pieces = frames.unfold(1, segment_frames, step_frames)
    return rearrange(pieces, "b n c h w t -> b n t c h w")


def picture_input(
    frames: UInt8[Tensor, "t h w 3"], *, size: int = PICTURE_SIZE
) -> Float[Tensor, "t 3 h2 w2"]:
    """Frames with the shorter side at `size`, the middle square of it, from -1 to 1.

    Resized values are rounded to whole ones, as they are where pictures are resized as bytes.
    """
    pictures = rearrange(frames, "t h w c -> t c h w").float()
    height, width = pictures.shape[2:]
    shorter = min(height, width)
    target = (int(size * height / shorter), int(size * width / shorter))
    if target != (height, width):
        resized = functional.interpolate(
            pictures, target, mode="bicubic", align_corners=False, antialias=True
        )
        pictures = resized.round().clamp(0, 255)
    top, left = (round((side - size) / 2) for side in target)
    return pictures[:, :, top : top + size, left : left + size] / 127.5 - 1
