"""PaSST on sounds longer than its time positions: overlapping windows, averaged.

Source: official repository kkoutini/passt_hear21, scene embeddings.
Axes: b clips, s samples, n windows.
"""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import InputError
from earsight.frontends import passt_mel
from earsight.models.passt.model import Passt, PasstOutput

SCENE_HOP_SAMPLES = 5 * passt_mel.RATE_HZ // 2


def scene_output(
    network: Passt,
    wave: Float[Tensor, "b s"],
    *,
    window_samples: int = passt_mel.CLIP_SAMPLES,
    hop_samples: int = SCENE_HOP_SAMPLES,
) -> PasstOutput:
    """Features and class scores of mono sounds at 32 kHz of any length.

    Up to one window (10 s) the network sees the sound as it is; a longer one is mirrored by half
    a window at both ends and the outputs of a window every 2.5 s are averaged. Raises InputError
    for a window or hop below one sample.
    """
    if min(window_samples, hop_samples) < 1:
        raise InputError(
            f"window ({window_samples}) and hop ({hop_samples}) must be at least one sample"
        )
    if wave.shape[1] <= window_samples:
        return network(passt_mel.log_mel(wave))
    half = window_samples // 2
    padded = functional.pad(wave[:, None], (half, half), mode="reflect")[:, 0]
    windows = padded.unfold(1, window_samples, hop_samples)
    num_windows = windows.shape[1]
    whole: PasstOutput = network(passt_mel.log_mel(rearrange(windows, "b n s -> (b n) s")))
    return PasstOutput(
        features=rearrange(whole.features, "(b n) d -> b n d", n=num_windows).mean(dim=1),
        logits=rearrange(whole.logits, "(b n) k -> b n k", n=num_windows).mean(dim=1),
    )
