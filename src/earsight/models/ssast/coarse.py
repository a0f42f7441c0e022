"""SSAST in pre-training at another time resolution: sizes, and weights carried over.

Source: Feng et al., "From coarse to fine: efficient training for audio spectrogram transformers",
2024, sec. 4, which pre-trains with longer frame shifts. Longer patches are not in the paper.

Axes: v and u values of a patch, d width.
"""

from collections.abc import Mapping
from dataclasses import replace

from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from earsight.models.ssast.config import SsastConfig
from earsight.models.ssast.model import Ssast
from earsight.nn.patch_kernels import bilinear_kernel
from earsight.nn.position_tables import Grid
from earsight.training.coarse_to_fine import Compression, PatchPlan, carried_over
from earsight.training.warm_start import warm_start

KERNEL, POSITIONS = "encoder.patches.weight", "encoder.positions"
HEADS = ("match_head.2", "rebuild_head.2")


def sizes_at(full: SsastConfig, phase: Compression) -> SsastConfig:
    """Sizes in a phase of training."""
    return replace(
        full, num_frames=phase.network_frames(full.num_frames), patch=phase.patch(full.patch)
    )


def carried_network(network: Ssast, after: SsastConfig, phase: Compression) -> Ssast:
    """A network of sizes `after` with the weights of another phase's one.

    Positions are stretched, patch kernels resized by the rule of `phase`; values that the heads
    predict are resized like a picture. Raises ConfigError where no such patches fit.
    """
    before = network.config
    entries: Mapping[str, Tensor] = {
        name: value.detach() for name, value in network.state_dict().items()
    }
    entries = carried_over(
        entries,
        kernel=KERNEL,
        positions=POSITIONS,
        before=PatchPlan(patch=before.patch, grid=before.grid),
        after=PatchPlan(patch=after.patch, grid=after.grid),
        kernel_rule=phase.kernel_rule,
    )
    if before.patch != after.patch:
        for name in HEADS:
            weight, bias = entries[f"{name}.weight"], entries[f"{name}.bias"]
            entries[f"{name}.weight"] = resized_values(weight, before.patch, after.patch)
            entries[f"{name}.bias"] = resized_values(bias[:, None], before.patch, after.patch)[:, 0]
    following = Ssast(after)
    warm_start(following, entries)
    return following


def resized_values(x: Float[Tensor, "v d"], before: Grid, after: Grid) -> Float[Tensor, "u d"]:
    """What predicts the values of patches, for patches of another size."""
    pictures = rearrange(x, "(p q) d -> d 1 p q", p=before[0])
    return rearrange(bilinear_kernel(pictures, after), "d 1 p q -> (p q) d")
