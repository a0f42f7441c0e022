"""Training of the small spectrogram codebook that ships with the package.

Data: ESC-10, folds 1 to 4 (320 clips of 5 s); fold 5 is held out. The grid is the published one,
5 rows of codes and one column per 16 frames, so that everything built on it has the published
shape. First L1 and codebook losses alone, then a patch discriminator for texture.
Command: `earsight train bundled_codebook.bundled --run runs/codebook`; time and scores: the card.
Source: SpecVQGAN, sec. 3.1; differs from the paper: 2 M parameters, 256 codes, no attention (so
that sounds of any length are coded alike), unused codes are revived, levels are changed at random,
the exported weights are a moving average.

Axes: n clips, b crops, m bands, t frames.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.optim import Adam

from earsight.checkpoints.native import save_folder
from earsight.data.mel_crops import LevelChanges, draw, random_crops, whole
from earsight.errors import ConfigError
from earsight.frontends.specvqgan_mel import from_model, to_model
from earsight.losses.codebook import (
    CodebookLossWeights,
    DiscriminatorLosses,
    GeneratorLosses,
    discriminator_losses,
    generator_losses,
)
from earsight.losses.loudness import level_distance
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.discriminator import PatchDiscriminator, PatchDiscriminatorConfig
from earsight.models.mel_vqgan.model import MelVQGAN, Reconstruction
from earsight.nn.code_usage import CodeUsage
from earsight.nn.quantize import perplexity
from earsight.training.ema import MovingAverage
from earsight.training.optim import set_rate, update
from earsight.training.rundir import RunDir
from earsight.training.schedules import warmup_cosine

Scores = dict[str, float]
CHECK_BATCH = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class CodebookRecipe:
    """Everything that decides the outcome of a run.

    Every step draws one crop length from `crop_frames` and fills `frames_per_batch` with it.
    Codes unused for long are revived every `revive_every` steps until step `revive_until`.
    From step `codes_fixed_from` on only the decoder learns, so that codes keep their meaning. Crops
    are then of `decoder_crop_frames`, and levels of groups of `bands_per_group` bands are compared,
    too. In `part_share` of these steps only a part of the columns is decoded: norms see the whole
    input, and a decoder must bear other neighbours than the encoder saw.
    Rates rise over `warmup_steps`, then fall along a cosine to `final_share` of themselves.
    """

    model: MelVQGANConfig
    discriminator: PatchDiscriminatorConfig
    weights: CodebookLossWeights
    level_weight: float = 0.0
    bands_per_group: int = 16
    changes: LevelChanges = field(default_factory=LevelChanges)
    num_steps: int
    crop_frames: tuple[int, ...] = (112, 160, 208, 416)
    decoder_crop_frames: tuple[int, ...] = (208, 416, 832)
    part_share: float = 0.5
    frames_per_batch: int = 1040
    rate: float = 1e-3
    final_share: float = 0.05
    discriminator_rate: float = 3e-4
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.5, 0.9)
    clip: float = 1.0
    decay: float = 0.998
    revive_every: int = 25
    revive_until: int
    codes_fixed_from: int
    log_every: int = 50
    check_every: int = 500
    save_every: int = 100
    precision: Literal["fp32", "bf16"] = "bf16"
    seed: int = 0

    def __post_init__(self) -> None:
        step = self.model.downsample
        lengths = (*self.crop_frames, *self.decoder_crop_frames)
        if any(frames % step or frames > self.frames_per_batch for frames in lengths):
            raise ConfigError(
                f"crop_frames {self.crop_frames} and decoder_crop_frames "
                f"{self.decoder_crop_frames} must be multiples of {step} and at most "
                f"frames_per_batch ({self.frames_per_batch})"
            )
        if not 0 < self.revive_until <= self.codes_fixed_from <= self.num_steps:
            raise ConfigError(
                "expected 0 < revive_until <= codes_fixed_from <= num_steps, got "
                f"{self.revive_until}, {self.codes_fixed_from}, {self.num_steps}"
            )


def bundled() -> CodebookRecipe:
    """The settings of the weights in the package."""
    return CodebookRecipe(
        model=MelVQGANConfig(
            channels=16,
            channel_multipliers=(1, 2, 3, 4, 6),
            blocks_per_level=1,
            latent_channels=64,
            code_dim=16,
            num_codes=256,
            attention_resolutions=(),
            middle_attention=False,
            norm_groups=8,
        ),
        discriminator=PatchDiscriminatorConfig(channels=24),
        weights=CodebookLossWeights(
            perceptual=0.0,
            adversarial=0.3,
            discriminator_start=1700,
            minimum_adaptive=0.0,
            maximum_adaptive=10.0,
        ),
        level_weight=1.0,
        num_steps=3200,
        revive_until=1400,
        codes_fixed_from=1700,
    )


def tiny() -> CodebookRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    return replace(
        bundled(),
        model=MelVQGANConfig(
            channels=4,
            channel_multipliers=(1, 1, 2, 2, 2),
            blocks_per_level=1,
            latent_channels=8,
            code_dim=4,
            num_codes=16,
            attention_resolutions=(),
            middle_attention=False,
            norm_groups=2,
        ),
        discriminator=PatchDiscriminatorConfig(channels=4, num_layers=2),
        weights=replace(bundled().weights, discriminator_start=2),
        num_steps=6,
        crop_frames=(32, 48),
        decoder_crop_frames=(48, 64),
        frames_per_batch=96,
        warmup_steps=2,
        revive_every=1,
        revive_until=4,
        codes_fixed_from=5,
        log_every=1,
        check_every=3,
        save_every=3,
    )


class CodebookTraining:
    """Networks, optimisers, generator and step of a run: all that a resumed run needs."""

    def __init__(self, recipe: CodebookRecipe) -> None:
        self.generator = torch.Generator().manual_seed(recipe.seed)
        with torch.random.fork_rng(devices=[]):
            # network constructors draw from torch's global generator
            torch.manual_seed(recipe.seed)
            self.model = MelVQGAN(recipe.model)
            self.discriminator = PatchDiscriminator(recipe.discriminator)
        self.average = MovingAverage(self.model, decay=recipe.decay)
        self.usage = CodeUsage(num_codes=recipe.model.num_codes)
        self.optimizer = Adam(self.model.parameters(), recipe.rate, betas=recipe.betas)
        self.discriminator_optimizer = Adam(
            self.discriminator.parameters(), recipe.discriminator_rate, betas=recipe.betas
        )
        self.step = 0

    @torch.no_grad()
    def fix_codes(self) -> None:
        """Let encoder and codebook become their averages as float16 stores them, and stay so."""
        for name in ("encoder", "to_code", "codebook"):
            part, average = getattr(self.model, name), getattr(self.average.model, name)
            for own, mean in zip(part.parameters(), average.parameters(), strict=True):
                mean.copy_(mean.half().float())
                own.copy_(mean)
            part.requires_grad_(False)

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        return {
            "step": self.step,
            "generator": self.generator.get_state(),
            "model": self.model.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.model.state_dict(),
            "num_averaged": self.average.num_updates,
            "usage": self.usage.share,
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.step = state["step"]
        self.generator.set_state(state["generator"])
        self.model.load_state_dict(state["model"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.model.load_state_dict(state["average"])
        self.average.num_updates = state["num_averaged"]
        self.usage.share = state["usage"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])


def train(
    recipe: CodebookRecipe,
    run: RunDir,
    *,
    mels: Float[Tensor, "n m t"],
    held_out: Float[Tensor, "k m t"],
    resume: bool = False,
) -> CodebookTraining:
    """Train on spectrograms in [0, 1]; scores of `held_out` go to the log.

    A killed run goes on with `resume` from the last saved state, to the same weights.
    """
    training = CodebookTraining(recipe)
    run.note_recipe(recipe, resume=resume)
    if resume:
        training.restore(run.load_state())
        run.trim_log(training.step)
    while training.step < recipe.num_steps:
        if training.step >= recipe.codes_fixed_from:  # at every step, so that resuming is exact
            training.fix_codes()
        set_rates(training, recipe)
        mel, rebuilt = reconstruct(training, draw_batch(training, mels, recipe), recipe)
        losses = own_losses(training, mel, rebuilt, recipe)
        level = recipe.level_weight * level_loss(training, mel, rebuilt, recipe)
        gradient = update(training.optimizer, losses.total + level, clip=recipe.clip)
        judged = judge_losses(training, mel, rebuilt, recipe)
        if judged is not None:
            update(training.discriminator_optimizer, judged.total)
        training.average.update(training.model)
        revive_codes(training, rebuilt, recipe)
        training.step += 1
        if training.step % recipe.log_every == 0:
            run.log(
                training.step,
                readings(losses, judged) | {"level": float(level.detach()), "gradient": gradient},
            )
        if training.step % recipe.check_every == 0:
            run.log(training.step, scores(training.average.model, held_out, train=mels))
        if training.step % recipe.save_every == 0 or training.step == recipe.num_steps:
            run.save_state(training.state())
    return training


def set_rates(training: CodebookTraining, recipe: CodebookRecipe) -> None:
    """Learning rates of the coming step; both networks follow one curve."""
    share = warmup_cosine(
        training.step,
        peak=1.0,
        final=recipe.final_share,
        warmup_steps=recipe.warmup_steps,
        num_steps=recipe.num_steps,
    )
    set_rate(training.optimizer, recipe.rate * share)
    set_rate(training.discriminator_optimizer, recipe.discriminator_rate * share)


def draw_batch(
    training: CodebookTraining, mels: Float[Tensor, "n m t"], recipe: CodebookRecipe
) -> Float[Tensor, "b 1 m _"]:
    """Random crops of one random length, in the model's range."""
    fixed = training.step >= recipe.codes_fixed_from
    lengths = recipe.decoder_crop_frames if fixed else recipe.crop_frames
    frames = lengths[whole(0, len(lengths), training.generator)]
    crops = random_crops(
        mels,
        num_crops=recipe.frames_per_batch // frames,
        num_frames=frames,
        changes=recipe.changes,
        generator=training.generator,
    )
    return to_model(crops)[:, None]


def reconstruct(
    training: CodebookTraining, mel: Float[Tensor, "b 1 m t"], recipe: CodebookRecipe
) -> tuple[Float[Tensor, "b 1 m _"], Reconstruction]:
    """Encode and decode in the recipe's precision: what was to be rebuilt, and what was.

    Results are float32.
    """
    part = slice(0, mel.shape[3] // recipe.model.downsample)
    if training.step >= recipe.codes_fixed_from:
        part = column_part(training, part.stop, recipe)
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
        quantized = training.model.encode(mel)
        rebuilt = training.model.decode(quantized.quantized[..., part])
    step = recipe.model.downsample
    wanted = mel[..., part.start * step : part.stop * step]
    return wanted, Reconstruction(mel=rebuilt.float(), quantized=quantized)


def column_part(training: CodebookTraining, num_columns: int, recipe: CodebookRecipe) -> slice:
    """All columns, or at least half of them in `part_share` of the draws."""
    if draw(training.generator) >= recipe.part_share:
        return slice(0, num_columns)
    length = whole((num_columns + 1) // 2, num_columns + 1, training.generator)
    start = whole(0, num_columns - length + 1, training.generator)
    return slice(start, start + length)


def own_losses(
    training: CodebookTraining,
    mel: Float[Tensor, "b 1 m t"],
    rebuilt: Reconstruction,
    recipe: CodebookRecipe,
) -> GeneratorLosses:
    """Losses of the autoencoder; the discriminator is not asked before its time."""
    judged = training.step >= recipe.weights.discriminator_start
    training.discriminator.requires_grad_(False)  # saves the gradients that nobody uses
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
        return generator_losses(
            mel,
            rebuilt.mel,
            rebuilt.quantized.loss,
            judge=training.discriminator,
            distance=None,
            last_layer=training.model.decoder.conv_out.weight,
            weights=recipe.weights if judged else replace(recipe.weights, adversarial=0.0),
            step=training.step,
        )


def level_loss(
    training: CodebookTraining,
    mel: Float[Tensor, "b 1 m t"],
    rebuilt: Reconstruction,
    recipe: CodebookRecipe,
) -> Float[Tensor, ""]:
    """Distance of levels in the model's range, zero until the codes are fixed."""
    if training.step < recipe.codes_fixed_from or recipe.level_weight == 0:
        return mel.new_zeros(())
    own, other = (from_model(x)[:, 0] for x in (mel, rebuilt.mel))
    return 2 * level_distance(own, other, bands_per_group=recipe.bands_per_group)


def judge_losses(
    training: CodebookTraining,
    mel: Float[Tensor, "b 1 m t"],
    rebuilt: Reconstruction,
    recipe: CodebookRecipe,
) -> DiscriminatorLosses | None:
    """Losses of the discriminator, None before its time."""
    if training.step < recipe.weights.discriminator_start:
        return None
    training.discriminator.requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
        return discriminator_losses(
            mel,
            rebuilt.mel,
            judge=training.discriminator,
            weights=recipe.weights,
            step=training.step,
        )


def revive_codes(
    training: CodebookTraining, rebuilt: Reconstruction, recipe: CodebookRecipe
) -> None:
    """Count codes, and move unused ones when it is time."""
    training.usage.count(rebuilt.quantized.codes)
    if training.step < recipe.revive_until and training.step % recipe.revive_every == 0:
        latents = rearrange(rebuilt.quantized.latent.detach(), "b d h w -> (b h w) d")
        training.usage.revive(training.model.codebook, latents, generator=training.generator)


def readings(losses: GeneratorLosses, judged: DiscriminatorLosses | None) -> Scores:
    """What the log keeps of one step."""
    values = {name: float(getattr(losses, name).detach()) for name in GeneratorLosses.__slots__}
    if judged is not None:
        values |= {
            f"judge_{n}": float(getattr(judged, n).detach()) for n in DiscriminatorLosses.__slots__
        }
    return values


@torch.no_grad()
def scores(
    model: MelVQGAN, held_out: Float[Tensor, "k m t"], *, train: Float[Tensor, "n m t"]
) -> Scores:
    """Mean absolute error on the [0, 1] scale, and the perplexity of the codes.

    `band_mean_l1` is the error of predicting every band's mean over the training clips.
    """
    step = model.config.downsample
    reference = held_out[:, :, : held_out.shape[2] // step * step].float()
    error, codes = 0.0, list[Tensor]()
    for first in range(0, reference.shape[0], CHECK_BATCH):
        mel = reference[first : first + CHECK_BATCH]
        rebuilt = model(to_model(mel)[:, None])
        error += float((from_model(rebuilt.mel).clamp(0, 1)[:, 0] - mel).abs().sum())
        codes.append(rebuilt.quantized.codes.flatten())
    means = train.float().mean(dim=(0, 2))[:, None]
    return {
        "held_out_l1": error / reference.numel(),
        "band_mean_l1": float((reference - means).abs().mean()),
        "held_out_perplexity": float(
            perplexity(torch.cat(codes), num_codes=model.config.num_codes)
        ),
    }


def export(training: CodebookTraining, folder: Path, *, card: str, overwrite: bool = False) -> None:
    """Write the average as a model folder in float16."""
    save_folder(
        folder,
        "mel_vqgan",
        training.model.config,
        training.average.model.state_dict(),
        extra={"frontend": "specvqgan_mel", "num_steps": training.step},
        card=card,
        half=True,
        overwrite=overwrite,
    )


def card(recipe: CodebookRecipe, scores: Scores, *, credit: str, notes: str) -> str:
    """Model card: what it is, what it was trained on, what it reaches and what it does not."""
    model = recipe.model
    rows, band_share = model.latent_shape[0], 1 - scores["held_out_l1"] / scores["band_mean_l1"]
    return f"""# Small spectrogram codebook

Codes log-mel spectrograms of 22,050 Hz mono sound: {rows} codes of {model.num_codes} for every
{model.downsample} frames (0.186 s), 0.21 kbit/s. Meant for environmental sounds, together with the
transformer and the vocoder beside it. Front end: `specvqgan_mel`, spectrograms in [-1, 1].

## Training
Recipe `recipes/bundled_codebook.py`, `bundled()`: {recipe.num_steps} steps of
{recipe.frames_per_batch} frames; encoder and codebook fixed from step {recipe.codes_fixed_from},
then only the decoder, against a patch discriminator from step {recipe.weights.discriminator_start}.
Data: ESC-10, folds 1 to 4, nothing else; levels changed at random.
{notes}

## Scores on fold 5 (80 clips, none of whose recordings were trained on)
| what | value |
| --- | --- |
| mean absolute log-mel error, [0, 1] scale (1 is 100 dB) | {scores["held_out_l1"]:.4f} |
| the same when every band's training mean is predicted | {scores["band_mean_l1"]:.4f} |
| share of that error removed | {band_share:.0%} |
| perplexity of the codes, of {model.num_codes} | {scores["held_out_perplexity"]:.0f} |

## Limits
At 8 bits for 16 frames by 16 bands, onsets, levels and spectral shape survive; pitch and harmonics
do not: voices and music come out as noise of the right shape. Ten classes of sound were heard.
As in the published model, norms see the whole input: codes depend on what else the encoder was
given, and mean most when decoded over the same stretch of time.

## Credit
{credit}
"""
