"""Steps of Audio-MAE's pre-training, whose encoder sees visible patches, beside the plain way.

The plain way sends all patches through the same encoder; decoder, loss, backward pass and
optimiser are the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch.optim import AdamW

from earsight.evaluate.arms import Measured, in_turns
from earsight.losses.reconstruction import reconstruction_loss
from earsight.models.audiomae.config import (
    DecoderBlock,
    DecoderConfig,
    EncoderConfig,
    Grid,
    MaskedAutoencoderConfig,
    global_decoder,
    hybrid_decoder,
    local_decoder,
    vit_base,
    vit_large,
    vit_small,
)
from earsight.models.audiomae.groups import pretraining_groups
from earsight.models.audiomae.masking import Masking, TokenMask, num_kept
from earsight.models.audiomae.model import MaskedAutoencoder
from earsight.models.audiomae.patches import patchify
from earsight.training.optim import update
from earsight.training.precision import Precision, autocast

Encoded = Literal["visible", "all"]
PASSES = 3  # operations of forward and backward pass over those of a forward pass


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSettings:
    """A step: the network, what its encoder sees, the number format, and the batch."""

    model: MaskedAutoencoderConfig
    encoded: Encoded
    precision: Precision
    ratio: float = 0.8
    batch: int = 8
    device: str = "cpu"
    recompute: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSpeed:
    """One row of the table.

    `speedup` compares clips per second with the plain arm of the same precision, `over_slowest`
    with the slowest arm of all. `gmacs` are billions of multiplications of a clip's forward
    pass; their quotient bounds `speedup` where matrix products take all the time. `mfu` is the
    share of the processor's peak that the step's multiplications reach.
    """

    encoded: Encoded
    precision: Precision
    batch: int
    seconds: float
    clips_per_second: float
    speedup: float | None
    over_slowest: float
    gmacs: float
    tflops: float
    mfu: float | None
    peak_memory_mib: int
    peak_device_mib: int | None


Size = Literal["small", "base", "large", "tiny"]
Decoder = Literal["local", "global", "hybrid"]


def pretraining_arms(
    *,
    size: Size,
    decoder: Decoder,
    precisions: Sequence[Precision],
    ratio: float = 0.8,
    batch: int = 8,
    device: str = "cpu",
    recompute: bool = False,
) -> list[StepSettings]:
    """Both ways in every precision; "tiny" takes no time, for trying out."""
    encoders: dict[Size, EncoderConfig] = {
        "small": vit_small(),
        "base": vit_base(),
        "large": vit_large(),
        "tiny": EncoderConfig(num_frames=64, width=16, num_layers=1, num_heads=2, hidden=32),
    }
    decoders: dict[Decoder, DecoderConfig] = {
        "local": local_decoder(),
        "global": global_decoder(),
        "hybrid": hybrid_decoder(),
    }
    own = decoders[decoder]
    if size == "tiny":
        own = replace(own, width=32, hidden=32, distance_hidden=8)
    model = MaskedAutoencoderConfig(encoder=encoders[size], decoder=own)
    ways: tuple[Encoded, ...] = ("visible", "all")
    return [
        StepSettings(
            model=model,
            encoded=encoded,
            precision=precision,
            ratio=ratio,
            batch=batch,
            device=device,
            recompute=recompute,
        )
        for precision in precisions
        for encoded in ways
    ]


def pretraining_speeds(
    arms: Sequence[StepSettings],
    *,
    repeats: int,
    num_threads: int | None = None,
    peak_tflops: float | None = None,
) -> list[StepSpeed]:
    """Measure steps in turns, each arm in a process of its own; weights and clips are random.

    `peak_tflops` is the processor's peak in the arms' precision.
    """
    work = {f"{arm.encoded} {arm.precision}": partial(pretraining_step, arm) for arm in arms}
    found = in_turns(work, repeats=repeats, num_threads=num_threads)
    measured = list(zip(arms, found.values(), strict=True))
    plain = {arm.precision: own.middle for arm, own in measured if arm.encoded == "all"}
    slowest = max(own.middle for _, own in measured)
    return [_row(arm, own, plain.get(arm.precision), slowest, peak_tflops) for arm, own in measured]


def pretraining_step(settings: StepSettings) -> Callable[[], object]:
    """The work of one step: draw a mask, forward, loss, backward, AdamW."""
    device = torch.device(settings.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MaskedAutoencoder(settings.model).to(device).train()
    groups = pretraining_groups(model, weight_decay=1e-4)
    optimizer = AdamW([g.for_optimizer() for g in groups], 1e-5, betas=(0.9, 0.95), fused=True)
    encoder = settings.model.encoder
    draws = torch.Generator().manual_seed(0)
    rng = torch.Generator(device).manual_seed(0)
    size = (settings.batch, encoder.num_frames, encoder.num_mels)
    fbank = torch.randn(size, generator=draws).to(device)
    masking = Masking(ratio=settings.ratio)

    def step() -> None:
        mask = masking.draw(encoder.grid, batch=settings.batch, rng=draws).to(device)
        shown = mask if settings.encoded == "visible" else all_shown(mask)
        with autocast(device, settings.precision):
            found = model(fbank, shown, rng=rng, recompute=settings.recompute)
        loss = reconstruction_loss(found.patches, patchify(fbank, encoder), mask.masked)
        update(optimizer, loss)

    return step


def all_shown(mask: TokenMask) -> TokenMask:
    """A mask that shows every token in its place, and counts the loss on the same ones."""
    places = torch.arange(mask.order.shape[1], device=mask.order.device)
    return TokenMask(places.expand_as(mask.order), len(places), mask.masked)


def forward_macs(config: MaskedAutoencoderConfig, *, num_encoded: int) -> int:
    """Multiplications of one clip's forward pass whose encoder sees so many patches.

    Norms, the distances of windows and other work without matrices are left out.
    """
    encoder, decoder = config.encoder, config.decoder
    grid, num_seen = encoder.grid, num_encoded + 1
    num_tokens = grid[0] * grid[1]
    layer = _block_macs(encoder.width, encoder.hidden, num_seen, reach=num_seen)
    macs = encoder.patch_values * encoder.width * num_encoded + encoder.num_layers * layer
    macs += encoder.width * decoder.width * num_seen
    for block in decoder.blocks:
        reach = _reach(block, decoder.window, num_tokens)
        macs += _block_macs(decoder.width, decoder.hidden, num_tokens, reach=reach)
    return macs + decoder.width * encoder.patch_values * num_tokens


def _block_macs(width: int, hidden: int, num_tokens: int, *, reach: int) -> int:
    """A transformer block in which each token attends to `reach` tokens."""
    return num_tokens * width * (4 * width + 2 * hidden + 2 * reach)


def _reach(block: DecoderBlock, window: Grid, num_tokens: int) -> int:
    return num_tokens if block == "global" else window[0] * window[1]


def _row(
    arm: StepSettings,
    measured: Measured,
    plain: float | None,
    slowest: float,
    peak_tflops: float | None,
) -> StepSpeed:
    num_tokens = arm.model.encoder.grid[0] * arm.model.encoder.grid[1]
    seen = num_tokens if arm.encoded == "all" else num_kept(num_tokens, arm.ratio)
    macs = forward_macs(arm.model, num_encoded=seen)
    tflops = 2 * PASSES * macs * arm.batch / measured.middle / 1e12
    return StepSpeed(
        encoded=arm.encoded,
        precision=arm.precision,
        batch=arm.batch,
        seconds=round(measured.middle, 4),
        clips_per_second=round(arm.batch / measured.middle, 3),
        speedup=None if plain is None else round(plain / measured.middle, 2),
        over_slowest=round(slowest / measured.middle, 2),
        gmacs=round(macs / 1e9, 2),
        tflops=round(tflops, 4),
        mfu=None if peak_tflops is None else round(tflops / peak_tflops, 4),
        peak_memory_mib=measured.peak_memory_mib,
        peak_device_mib=measured.peak_device_mib,
    )
