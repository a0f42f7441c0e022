"""What a codebook run reports: scores on held-out clips, pictures, and a model folder with a card.

Axes: b clips, m bands, t frames.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.checkpoints.native import save_folder
from earsight.data.batching import column_mask, crop_or_pad, crop_start
from earsight.data.mel_store import MelStore
from earsight.frontends.griffin_lim import mel_to_wave
from earsight.frontends.specvqgan_mel import MEL_RATE_HZ, from_model, to_model
from earsight.nn.code_usage import CodeUseReport, report_counts
from earsight.recipes.codebook_training import CodebookTraining
from earsight.training.rundir import RunDir

Scores = dict[str, float]
CHECK_BATCH = 4
NUM_PICTURES = 2


class HeldOutClips:
    """Middle crops of held-out clips, evenly taken from the corpora's lists."""

    def __init__(self, stores: Sequence[MelStore], *, num_clips: int, num_frames: int) -> None:
        places = [(store, index) for store in stores for index in range(len(store))]
        step = max(1.0, len(places) / num_clips)
        kept = [places[int(i * step)] for i in range(min(num_clips, len(places)))]
        crops = [_middle(store.mel(index), num_frames) for store, index in kept]
        self.mel: Float[Tensor, "b m t"] = torch.stack([mel for mel, _ in crops])
        self.frame_mask = torch.stack([mask for _, mask in crops])

    def __len__(self) -> int:
        return self.mel.shape[0]


@torch.no_grad()
def check(
    training: CodebookTraining, clips: HeldOutClips, *, band_means: Float[Tensor, " m"]
) -> tuple[Scores, Int[Tensor, " k"]]:
    """Scores of the exported network, and how often every code was used.

    `held_out_l1` is the mean absolute error on the [0, 1] scale, `band_mean_l1` that of predicting
    every band's mean over the training clips. Each process checks its share of the clips.
    """
    model, world = training.exported, training.world
    was_training = model.training
    model.eval()
    counts = torch.zeros(model.config.num_codes, dtype=torch.int64, device=world.device)
    sums = torch.zeros(3, dtype=torch.float64)
    own = range(world.rank, len(clips), world.size)
    for first in range(0, len(own), CHECK_BATCH):
        chosen = list(own[first : first + CHECK_BATCH])
        mel, mask = clips.mel[chosen], clips.frame_mask[chosen]
        rebuilt = model(to_model(mel)[:, None].to(world.device))
        error = (from_model(rebuilt.mel).clamp(0, 1)[:, 0].cpu() - mel).abs().mean(dim=1)
        plain = (mel - band_means[:, None]).abs().mean(dim=1)
        sums += torch.stack([error[mask].sum(), plain[mask].sum(), mask.sum()])
        real = column_mask(mask, model.config.downsample).to(world.device)
        codes = rebuilt.quantized.codes.transpose(1, 2)[real]
        counts += torch.bincount(codes.flatten(), minlength=counts.numel())
    model.train(was_training)
    totals = world.gather(sums[None].to(world.device)).sum(0)
    joined = world.gather(counts[None]).sum(0).cpu()
    scores = {
        "held_out_l1": float(totals[0] / totals[2]),
        "band_mean_l1": float(totals[1] / totals[2]),
    }
    use = report_counts(joined).numbers()
    return scores | {f"held_out_{name}": value for name, value in use.items()}, joined


@torch.no_grad()
def show(run: RunDir, training: CodebookTraining, clips: HeldOutClips) -> None:
    """Pictures, a sound and a histogram of codes for TensorBoard, where it is wanted."""
    if not (run.tensorboard and run.world.is_first):
        return
    model = training.exported
    was_training = model.training
    model.eval()
    step = training.step
    for place in range(min(NUM_PICTURES, len(clips))):
        mel = clips.mel[place]
        rebuilt = model(to_model(mel)[None, None].to(training.world.device))
        heard = from_model(rebuilt.mel).clamp(0, 1)[0, 0].cpu()
        run.log_picture(step, f"clip {place}", torch.cat([mel, torch.ones(2, mel.shape[1]), heard]))
        run.log_codes(step, f"codes of clip {place}", rebuilt.quantized.codes)
        if place == 0:
            phases = torch.Generator().manual_seed(training.recipe.seed)
            wave = mel_to_wave(heard[None], generators=[phases])[0]
            run.log_sound(step, "clip 0", wave, rate_hz=MEL_RATE_HZ)
    model.train(was_training)


def export(
    run: RunDir,
    training: CodebookTraining,
    *,
    scores: Scores,
    use: CodeUseReport,
    data: str,
) -> None:
    """Write RUN/model: the network in float16, and a card that says what it is and is not."""
    if not run.world.is_first:
        return
    model = training.exported
    save_folder(
        run.path / "model",
        "mel_vqgan",
        model.config,
        model.state_dict(),
        extra={"frontend": "specvqgan_mel", "num_steps": training.step, "scores": scores},
        card=card(training, scores=scores, use=use, data=data),
        half=True,
        overwrite=True,
    )


def card(
    training: CodebookTraining,
    *,
    scores: Scores,
    use: CodeUseReport,
    data: str,
) -> str:
    """Model card: what it is, what it was trained on, what it reaches and what it does not."""
    recipe, model = training.recipe, training.exported.config
    rows = model.latent_shape[0]
    fixed = recipe.codes_fixed_from
    phases = f"; encoder and codebook fixed from step {fixed}" if fixed is not None else ""
    removed = 1 - scores["held_out_l1"] / scores["band_mean_l1"]
    values = sum(p.numel() for p in training.exported.parameters()) / 1e6
    told = "".join(f"- {note}\n" for note in training.notes)
    return f"""# Spectrogram codebook

Codes log-mel spectrograms of 22,050 Hz mono sound: {rows} codes of {model.num_codes} for every
{model.downsample} frames; {values:.1f} M parameters. Front end: `specvqgan_mel`, spectrograms in
[-1, 1].

## Training
Recipe `specvqgan_codebook`, {training.step} steps, {training.started_from}{phases}.
Discriminator from step {recipe.weights.discriminator_start}; perceptual distance:
{recipe.distance.kind}. Data: {data}.
{told}

## Scores on held-out clips
| what | value |
| --- | --- |
| mean absolute log-mel error, [0, 1] scale (1 is 100 dB) | {scores["held_out_l1"]:.4f} |
| the same when every band's training mean is predicted | {scores["band_mean_l1"]:.4f} |
| share of that error removed | {removed:.0%} |
| codes used, of {use.num_codes} | {use.share_used:.0%} |
| perplexity of the codes | {use.perplexity:.0f} |
| codes never used | {len(use.dead)} |

## Limits
What was not among the training sounds may come out as something that was. As in the published
model, norms see the whole input: codes depend on what else the encoder was given, and mean most
when decoded over the same stretch of time.
"""


def _middle(mel: Float[Tensor, "m _"], num_frames: int) -> tuple[Tensor, Tensor]:
    return crop_or_pad(mel, num_frames, crop_start(mel.shape[1], num_frames))
