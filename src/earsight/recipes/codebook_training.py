"""State and steps of a codebook training.

Axes: b clips of a process (or of a part of its batch), m bands, t frames, d code width, h code
rows, w code columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.optim import Adam

from earsight.data.mel_crops import draw, whole
from earsight.errors import WeightsError
from earsight.frontends.specvqgan_mel import from_model
from earsight.generate.bundles import open_bundle
from earsight.losses.codebook import (
    DiscriminatorLosses,
    GeneratorLosses,
    discriminator_losses,
    generator_losses,
)
from earsight.losses.loudness import level_distance
from earsight.models.mel_vqgan.discriminator import PatchDiscriminator
from earsight.models.mel_vqgan.model import MelVQGAN, Reconstruction
from earsight.models.mel_vqgan.perceptual import LPAPS
from earsight.nn.code_usage import CodeUsage, effective_number
from earsight.nn.quantize import CODEBOOK_TERM_WEIGHT
from earsight.recipes.codebook_batches import MelBatch, step_generator
from earsight.recipes.codebook_settings import CodebookRecipe
from earsight.recipes.perceptual_distance import random_distance, trained_distance
from earsight.training.distributed import World
from earsight.training.ema import MovingAverage
from earsight.training.optim import set_rate
from earsight.training.precision import autocast
from earsight.training.schedules import warmup_cosine
from earsight.training.synced_norm import synchronise_norms
from earsight.training.warm_start import warm_start
from earsight.training.watch import EarlyStopping


@dataclass(frozen=True, slots=True)
class Made:
    """What the generator step leaves for the rest of a step; nothing carries a gradient."""

    wanted: Float[Tensor, "b 1 m t"]
    rebuilt: Float[Tensor, "b 1 m t"]
    rows: Float[Tensor, "n d"]
    codes: Tensor
    readings: dict[str, Tensor]


class CodebookTraining:
    """Networks, optimisers and bookkeeping of a run: all that a resumed run needs."""

    def __init__(self, recipe: CodebookRecipe, world: World) -> None:
        self.recipe, self.world = recipe, world
        with torch.random.fork_rng(devices=[]):
            # network constructors draw from torch's global generator
            torch.manual_seed(recipe.seed)
            model, judge = MelVQGAN(recipe.model), PatchDiscriminator(recipe.discriminator)
            self.distance = _new_distance(recipe)
        self.started_from = _start(model, recipe.start)
        self.model = model.to(world.device).train()
        synchronise_norms(judge, world)
        self.discriminator = judge.to(world.device).train()
        if self.distance is not None:
            self.distance.to(world.device)
        self.average: MovingAverage[MelVQGAN] | None = None
        if recipe.decay is not None:
            self.average = MovingAverage(self.model, decay=recipe.decay)
        self.usage = CodeUsage(num_codes=recipe.model.num_codes)
        self.optimizer = Adam(self.model.parameters(), recipe.rate, betas=recipe.betas)
        self.discriminator_optimizer = Adam(
            self.discriminator.parameters(), recipe.discriminator_rate, betas=recipe.betas
        )
        self.watch = EarlyStopping(
            patience=recipe.patience, smallest_change=recipe.smallest_change, name="held_out_l1"
        )
        self.notes: list[str] = []  # for the card
        self.step = 0

    @property
    def exported(self) -> MelVQGAN:
        """The network that is checked and exported: the average, where there is one."""
        return self.model if self.average is None else self.average.model

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        networks: dict[str, Any] = {
            "model": self.model.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
        }
        if self.average is not None:
            networks["average"] = self.average.model.state_dict()
            networks["num_averaged"] = self.average.num_updates
        if self.distance is not None:
            networks["distance"] = self.distance.state_dict()
        kept = {"usage": self.usage.share, "watch": self.watch.state(), "notes": list(self.notes)}
        return {"step": self.step, **kept, **networks}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.step = state["step"]
        self.usage.share, self.notes = state["usage"], list(state["notes"])
        self.watch.restore(state["watch"])
        self.model.load_state_dict(state["model"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        if self.average is not None:
            self.average.model.load_state_dict(state["average"])
            self.average.num_updates = state["num_averaged"]
        if self.distance is not None:
            self.distance.load_state_dict(state["distance"])

    @torch.no_grad()
    def fix_codes(self) -> None:
        """Let encoder and codebook become their averages as float16 stores them, and stay so."""
        assert self.average is not None
        for name in ("encoder", "to_code", "codebook"):
            part, average = getattr(self.model, name), getattr(self.average.model, name)
            for own, mean in zip(part.parameters(), average.parameters(), strict=True):
                mean.copy_(mean.half().float())
                own.copy_(mean)
            part.requires_grad_(False)

    def set_rates(self) -> None:
        """Learning rates of the coming step; both networks follow one curve."""
        recipe = self.recipe
        share = recipe.rate_factor * warmup_cosine(
            self.step,
            peak=1.0,
            final=recipe.final_share,
            warmup_steps=recipe.warmup_steps,
            num_steps=recipe.num_steps,
        )
        set_rate(self.optimizer, recipe.rate * share)
        set_rate(self.discriminator_optimizer, recipe.discriminator_rate * share)


def generator_step(
    training: CodebookTraining, parts: Sequence[MelBatch], made: list[Made]
) -> Iterator[Float[Tensor, ""]]:
    """Loss of the autoencoder for each part of a batch; what was made is appended to `made`."""
    columns = decoded_columns(training, parts[0].mel.shape[3])
    training.discriminator.requires_grad_(False)  # saves the gradients that nobody uses
    for part in parts:
        wanted, rebuilt = reconstruct(training, part, columns)
        losses = own_losses(training, wanted, rebuilt)
        level = level_loss(training, wanted, rebuilt.mel)
        total = losses.total + training.recipe.level_weight * level
        readings = {n: getattr(losses, n).detach() for n in GeneratorLosses.__slots__}
        readings |= {"total": total.detach(), "level": level.detach()}
        rows = rearrange(rebuilt.quantized.latent.detach(), "b d h w -> (b h w) d")
        made.append(
            Made(wanted, rebuilt.mel.detach(), rows, rebuilt.quantized.codes.flatten(), readings)
        )
        yield total


def judge_step(training: CodebookTraining, made: Sequence[Made]) -> Iterator[Float[Tensor, ""]]:
    """Loss of the discriminator for each part of a batch; its readings join those of `made`."""
    training.discriminator.requires_grad_(True)
    for part in made:
        with autocast(training.world.device, training.recipe.precision):
            losses = discriminator_losses(
                part.wanted,
                part.rebuilt,
                judge=training.discriminator,
                weights=training.recipe.weights,
                step=training.step,
            )
        names = DiscriminatorLosses.__slots__
        part.readings.update({f"judge_{n}": getattr(losses, n).detach() for n in names})
        yield losses.total


def is_judged(training: CodebookTraining) -> bool:
    """Whether the discriminator is shown anything in the coming step."""
    recipe = training.recipe
    started = training.step >= recipe.weights.discriminator_start or recipe.judge_from_start
    return started and recipe.weights.adversarial > 0


def decoded_columns(training: CodebookTraining, num_frames: int) -> slice:
    """All code columns, or in some steps with fixed codes at least half of them."""
    recipe, num_columns = training.recipe, num_frames // training.recipe.model.downsample
    generator = step_generator(recipe.seed, training.step, "columns")
    if not recipe.are_codes_fixed(training.step) or draw(generator) >= recipe.part_share:
        return slice(0, num_columns)
    length = whole((num_columns + 1) // 2, num_columns + 1, generator)
    start = whole(0, num_columns - length + 1, generator)
    return slice(start, start + length)


def reconstruct(
    training: CodebookTraining, part: MelBatch, columns: slice
) -> tuple[Float[Tensor, "b 1 m _"], Reconstruction]:
    """Encode and decode in the recipe's precision: what was to be rebuilt, and what was.

    Results are float32. Where a clip has no frame, both are alike.
    """
    with autocast(training.world.device, training.recipe.precision):
        quantized = training.model.encode(part.mel)
        rebuilt = training.model.decode(quantized.quantized[..., columns])
    step = training.recipe.model.downsample
    frames = slice(columns.start * step, columns.stop * step)
    wanted, mask = part.mel[..., frames], part.frame_mask[:, None, None, frames]
    return wanted, Reconstruction(torch.where(mask, rebuilt.float(), wanted), quantized)


def own_losses(
    training: CodebookTraining, wanted: Float[Tensor, "b 1 m t"], rebuilt: Reconstruction
) -> GeneratorLosses:
    """Losses of the autoencoder; the discriminator is not asked before its time."""
    weights = training.recipe.weights
    with autocast(training.world.device, training.recipe.precision):
        return generator_losses(
            wanted,
            rebuilt.mel,
            codebook_loss(training, rebuilt),
            judge=training.discriminator,
            distance=training.distance if weights.perceptual else None,
            last_layer=training.model.decoder.conv_out.weight,
            weights=weights if is_judged(training) else replace(weights, adversarial=0.0),
            step=training.step,
        )


def codebook_loss(training: CodebookTraining, rebuilt: Reconstruction) -> Float[Tensor, ""]:
    """Codebook and commitment term, with the factor where the recipe wants it."""
    quantized = rebuilt.quantized
    if not training.recipe.corrected_beta:
        return quantized.loss
    chosen = training.model.codebook.look_up(quantized.codes)
    commitment = F.mse_loss(quantized.latent, chosen.detach())
    return CODEBOOK_TERM_WEIGHT * commitment + F.mse_loss(chosen, quantized.latent.detach())


def level_loss(
    training: CodebookTraining, wanted: Float[Tensor, "b 1 m t"], rebuilt: Float[Tensor, "b 1 m t"]
) -> Float[Tensor, ""]:
    """Distance of levels in the model's range, zero until the codes are fixed."""
    recipe = training.recipe
    if not recipe.are_codes_fixed(training.step) or recipe.level_weight == 0:
        return wanted.new_zeros(())
    own, other = (from_model(x)[:, 0] for x in (wanted, rebuilt))
    return 2 * level_distance(own, other, bands_per_group=recipe.bands_per_group)


def revive_codes(training: CodebookTraining, made: Sequence[Made]) -> None:
    """Count the codes of all processes, and move unused ones when it is time."""
    recipe, world = training.recipe, training.world
    training.usage.count(world.gather(torch.cat([part.codes for part in made])))
    due = recipe.revive_every and training.step % recipe.revive_every == 0
    if due and training.step < recipe.revive_until:
        rows = world.gather(torch.cat([part.rows for part in made]))
        generator = step_generator(recipe.seed, training.step, "revival")
        training.usage.revive(training.model.codebook, rows, generator=generator)


def mean_readings(training: CodebookTraining, made: Sequence[Made]) -> dict[str, float]:
    """Readings of a step, averaged over parts and processes; effective number of codes of late."""
    names = made[0].readings
    found = {n: float(torch.stack([part.readings[n] for part in made]).mean()) for n in names}
    return training.world.mean(found) | {"perplexity": effective_number(training.usage.share)}


def _new_distance(recipe: CodebookRecipe) -> LPAPS | None:
    match recipe.distance.kind:
        case "none":
            return None
        case "random":
            return random_distance(recipe.distance.sizes)
        case "trained":
            assert recipe.distance.network is not None
            return trained_distance(recipe.distance.network)


def _start(model: MelVQGAN, source: str | None) -> str:
    """Load the weights to start from; says what was taken from where."""
    if source is None:
        return "from random weights"
    parts = open_bundle(source).parts
    names = [name for name in ("codebook", "mel_vqgan") if name in parts]
    if not names:
        raise WeightsError(
            f"{source}: expected a spectrogram codebook to start from, found {', '.join(parts)}"
        )
    taken = warm_start(model, parts[names[0]].tensors)
    return f"from {source}: {taken.told()}; the discriminator starts from random weights"
