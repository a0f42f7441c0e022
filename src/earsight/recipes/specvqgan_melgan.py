"""Training of the vocoder: waves from spectrograms, against discriminators at three rates.

`published` is the training of SpecVQGAN's vocoder: hinge losses and feature matching alone. With
`start` a folder with the official netG.pt, netD.pt, optG.pt and optD.pt goes on where it ended.
`foley_room` is the setting of the weights in the package, for an hour on one processor core:
spectral losses; discriminators that joined for the last few hundred steps moved both held-out
distances the wrong way, with more time let them join at `discriminator_start`.
Command: `earsight train specvqgan_melgan.foley_room --data ESC-10 FOLEY_ROOM --run RUN`; time and
scores: the card. Published: 3,000,000 steps of 16 segments.
Source: Kumar et al., 2019 (MelGAN); SpecVQGAN, sec. 3.4; official repository v-iashin/SpecVQGAN;
spectral losses: Yamamoto et al., 2020.

Axes: b segments, s samples, m mel bands, t frames.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.optim import Adam

from earsight.checkpoints.keymap import load_strict
from earsight.checkpoints.native import save_folder
from earsight.data.corpus import Corpus
from earsight.data.wave_segments import (
    PUBLISHED,
    SegmentDraw,
    Segments,
    Waves,
    draw_segment,
    held_out_waves,
    with_spectrograms,
)
from earsight.errors import ConfigError, InputError
from earsight.files import write_json
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ, log_mel
from earsight.generate.bundles import open_bundle
from earsight.losses.spectral import stft_loss
from earsight.losses.vocoder import adversarial_loss, discriminator_loss, feature_matching_loss
from earsight.models.melgan.config import DiscriminatorConfig, MelGANConfig
from earsight.models.melgan.discriminator import Judgement, MultiScaleDiscriminator
from earsight.models.melgan.model import MelGANGenerator
from earsight.models.melgan.official_run import is_official_run, read_official_run, take_moments
from earsight.recipes.vocoder_scores import mel_error
from earsight.training.batches import BatchPlan, item_generator
from earsight.training.distributed import ALONE, World
from earsight.training.ema import MovingAverage
from earsight.training.optim import set_rate, update
from earsight.training.precision import Precision, autocast
from earsight.training.rundir import RunDir
from earsight.training.schedules import warmup_cosine
from earsight.training.watch import EarlyStopping, check_finite

VGGSOUND_STEPS_PER_EPOCH = 2445


@dataclass(frozen=True, kw_only=True, slots=True)
class VocoderWeights:
    """Factors of the generator's losses; the mel distance is on the [0, 1] scale of 100 dB."""

    stft: float = 1.0
    mel: float = 10.0
    adversarial: float = 0.05
    features: float = 5.0


PUBLISHED_WEIGHTS = VocoderWeights(stft=0.0, mel=0.0, adversarial=1.0, features=10.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class VocoderRecipe:
    """Everything that decides the outcome of a run.

    The discriminators join at `discriminator_start`; at `num_steps` or later, never. `start` is a
    model folder or name, or a folder with the four files of an official training. `patience`
    counts checks without a better held-out distance; `export_best` takes the weights of the best
    check instead of the last ones. Waves are kept in memory up to `memory_gb`.
    """

    model: MelGANConfig
    discriminator: DiscriminatorConfig
    segments: SegmentDraw
    weights: VocoderWeights
    num_steps: int
    discriminator_start: int = 0
    start: str | None = None
    batch: int = 8
    rate: float = 1e-3
    discriminator_rate: float = 2e-4
    final_share: float = 1.0
    warmup_steps: int = 0
    betas: tuple[float, float] = (0.8, 0.99)
    clip: float | None = None
    decay: float | None = None
    precision: Precision = "fp32"
    patience: int | None = None
    export_best: bool = False
    num_held_out: int = 80
    memory_gb: float = 2.0
    log_every: int = 25
    check_every: int = 500
    save_every: int = 250
    store_half: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse another hop than the front end's."""
        if self.model.hop_samples != MEL_HOP_SAMPLES:
            raise ConfigError(
                f"ratios {self.model.ratios} give {self.model.hop_samples} samples per frame, the "
                f"spectrogram has {MEL_HOP_SAMPLES}"
            )


def published() -> VocoderRecipe:
    """SpecVQGAN's vocoder as its stored arguments say: 64 segments a step, 3,000 epochs."""
    return VocoderRecipe(
        model=MelGANConfig(),
        discriminator=DiscriminatorConfig(),
        segments=PUBLISHED,
        weights=PUBLISHED_WEIGHTS,
        num_steps=3000 * VGGSOUND_STEPS_PER_EPOCH,
        batch=64,
        rate=1e-4,
        discriminator_rate=1e-4,
        betas=(0.5, 0.9),
        export_best=True,
        log_every=100,
        check_every=1000,
        save_every=1000,
        store_half=False,
    )


def paper() -> VocoderRecipe:
    """SpecVQGAN's vocoder as the paper says: 16 segments a step, 3,000,000 steps."""
    return replace(published(), batch=16, num_steps=3_000_000)


def foley_room() -> VocoderRecipe:
    """The settings of the weights in the package."""
    return VocoderRecipe(
        model=MelGANConfig(channels=16),
        discriminator=DiscriminatorConfig(channels=16, max_channels=256),
        segments=SegmentDraw(),
        weights=VocoderWeights(),
        num_steps=3500,
        discriminator_start=3500,
        final_share=0.05,
        warmup_steps=100,
        clip=3.0,
        decay=0.999,
        precision="bf16",
    )


def tiny() -> VocoderRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    return replace(
        foley_room(),
        model=MelGANConfig(channels=2, num_residual_layers=1),
        discriminator=DiscriminatorConfig(channels=4, max_channels=16, num_scales=2, num_layers=2),
        segments=SegmentDraw(num_frames=12),
        num_steps=4,
        discriminator_start=2,
        batch=2,
        warmup_steps=1,
        log_every=1,
        check_every=2,
        save_every=2,
    )


SETTINGS: Mapping[str, Callable[[], VocoderRecipe]] = {
    "published": published,
    "paper": paper,
    "foley_room": foley_room,
    "tiny": tiny,
}


@dataclass(frozen=True, slots=True)
class GeneratorLosses:
    """Parts, unweighted, and their weighted sum; parts that were not asked for are 0."""

    stft: Float[Tensor, ""]
    mel: Float[Tensor, ""]
    adversarial: Float[Tensor, ""]
    features: Float[Tensor, ""]
    total: Float[Tensor, ""]


class VocoderTraining:
    """Networks, average, optimisers and early stopping: all that a resumed run needs."""

    def __init__(self, recipe: VocoderRecipe, world: World) -> None:
        with torch.random.fork_rng(devices=[]):
            # network constructors draw from torch's global generator
            torch.manual_seed(recipe.seed)
            self.model = MelGANGenerator(recipe.model).to(world.device)
            self.discriminator = MultiScaleDiscriminator(recipe.discriminator).to(world.device)
        self.optimizer = Adam(self.model.parameters(), recipe.rate, betas=recipe.betas)
        self.discriminator_optimizer = Adam(
            self.discriminator.parameters(), recipe.discriminator_rate, betas=recipe.betas
        )
        self.told = "" if recipe.start is None else begin(self, recipe)
        self.average = (
            None if recipe.decay is None else MovingAverage(self.model, decay=recipe.decay)
        )
        self.stopping = EarlyStopping(patience=recipe.patience, name="held-out mel distance")
        self.step = 0

    @property
    def judged(self) -> MelGANGenerator:
        """The generator that is checked and exported."""
        return self.model if self.average is None else self.average.model

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.judged.state_dict(),
            "num_averaged": 0 if self.average is None else self.average.num_updates,
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "stopping": self.stopping.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.discriminator.load_state_dict(state["discriminator"])
        if self.average is not None:
            self.average.model.load_state_dict(state["average"])
            self.average.num_updates = state["num_averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        self.stopping.restore(state["stopping"])


def begin(training: VocoderTraining, recipe: VocoderRecipe) -> str:
    """Fill the networks from `start`, and in words what was taken.

    Raises ConfigError for networks of other sizes.
    """
    folder = Path(str(recipe.start))
    if is_official_run(folder):
        found = read_official_run(folder)
        _refuse_sizes(found.config, recipe.model)
        _refuse_sizes(found.discriminator_config, recipe.discriminator)
        load_strict(training.model, found.generator.entries)
        load_strict(training.discriminator, found.discriminator.entries)
        take_moments(training.optimizer, training.model, found.generator.moments)
        take_moments(
            training.discriminator_optimizer, training.discriminator, found.discriminator.moments
        )
        return "both networks and their optimisers go on from an official training"
    parts = open_bundle(str(recipe.start)).parts
    part = parts.get("vocoder", parts.get("melgan"))
    if part is None:
        raise InputError(f"{recipe.start} holds {', '.join(parts)} and no vocoder to start at")
    load_strict(training.model, part.tensors)
    return f"generator from {part.path.name}, discriminators freshly initialised"


def _refuse_sizes(found: object, wanted: object) -> None:
    if found != wanted:
        raise ConfigError(f"the start is a network of {found}, the recipe wants {wanted}")


def train(
    recipe: VocoderRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Train on the corpora's sounds; writes RUN/model and, in RUN/ended.json, why it ended.

    A killed run goes on with `resume` from the last saved state, to the same weights. Raises
    InputError where there is nothing to train on or to judge by.
    """
    run = run.seen_by(world)
    waves = Waves(corpora, "train", memory_gb=recipe.memory_gb)
    held_out = held_out_waves(corpora, recipe.num_held_out)
    if not len(waves) or not held_out:
        raise InputError(
            f"{len(waves)} clips to train on and {len(held_out)} held out: the corpora need both "
            "a training and a validation split"
        )
    run.note_recipe(recipe, resume=resume)
    training = VocoderTraining(recipe, world)
    if resume:
        training.restore(run.load_state())
        run.trim_log(training.step)
    plan = BatchPlan(num_items=len(waves), batch=recipe.batch, seed=recipe.seed)
    while training.step < recipe.num_steps and training.stopping.reason is None:
        rate = set_rates(training, recipe)
        batch = draw_batch(waves, plan, training.step, recipe, world)
        wave = synthesise(training, batch, recipe, world)
        readings, real = {"rate": rate}, None
        if training.step >= recipe.discriminator_start:
            # the real features are those from before the update, as published
            real, judged = judge(training, batch, wave.detach(), recipe, world)
            readings["judge"] = float(judged.detach())
            update(training.discriminator_optimizer, judged, clip=recipe.clip, world=world)
        losses = generator_losses(training, batch, wave, real, recipe, world)
        check_finite(read(losses), training.step, checkpoint=run.newest)
        gradient = update(training.optimizer, losses.total, clip=recipe.clip, world=world)
        readings["gradient"] = gradient
        if training.average is not None:
            training.average.update(training.model)
        training.step += 1
        if training.step % recipe.log_every == 0:
            run.log(training.step, world.mean(readings | read(losses)))
        if training.step % recipe.check_every == 0 or training.step == recipe.num_steps:
            check(training, held_out, run)
        if run.save_due(training.step, every=recipe.save_every, last=recipe.num_steps):
            run.save_state(training.state())
    finish(training, recipe, run)


def draw_batch(
    waves: Waves, plan: BatchPlan, step: int, recipe: VocoderRecipe, world: World
) -> Segments:
    """This process's part of a step's segments."""
    clips = plan.indices(step)
    pieces = [
        draw_segment(
            waves.wave(clips[place]), recipe.segments, item_generator(plan.seed, step, place)
        )
        for place in world.part(plan.batch)
    ]
    found = with_spectrograms(pieces, recipe.segments)
    return Segments(found.wave.to(world.device), found.mel.to(world.device))


def set_rates(training: VocoderTraining, recipe: VocoderRecipe) -> float:
    """Learning rate of the coming step; the discriminators' stays constant, they start late."""
    rate = warmup_cosine(
        training.step,
        peak=recipe.rate,
        final=recipe.final_share,
        warmup_steps=recipe.warmup_steps,
        num_steps=recipe.num_steps,
    )
    set_rate(training.optimizer, rate)
    set_rate(training.discriminator_optimizer, recipe.discriminator_rate)
    return rate


def synthesise(
    training: VocoderTraining, batch: Segments, recipe: VocoderRecipe, world: World
) -> Float[Tensor, "b s"]:
    """The generator's waves in float32; its last layer never runs in less."""
    with autocast(world.device, recipe.precision):
        features = training.model.features(batch.mel)
    return training.model.wave_of(features.float())[:, 0]


def judge(
    training: VocoderTraining,
    batch: Segments,
    wave: Float[Tensor, "b s"],
    recipe: VocoderRecipe,
    world: World,
) -> tuple[Judgement, Float[Tensor, ""]]:
    """What the discriminators say of real waves, and their loss on real and generated ones."""
    with autocast(world.device, recipe.precision):
        real = training.discriminator(batch.wave[:, None])
        fake = training.discriminator(wave[:, None])
        return real, discriminator_loss(real.logits, fake.logits)


def generator_losses(
    training: VocoderTraining,
    batch: Segments,
    wave: Float[Tensor, "b s"],
    real: Judgement | None,
    recipe: VocoderRecipe,
    world: World,
) -> GeneratorLosses:
    """Losses of the generator; the discriminators are not asked before their time."""
    weights = recipe.weights
    stft = mel = adversarial = features = torch.zeros((), device=wave.device)
    if weights.stft:
        stft = stft_loss(wave, batch.wave)
    if weights.mel:
        found, wanted = (log_mel(each, num_frames=None) for each in (wave, batch.wave))
        mel = functional.l1_loss(found, wanted)
    if real is not None:
        with autocast(world.device, recipe.precision):
            fake = training.discriminator(wave[:, None])
            adversarial = adversarial_loss(fake.logits).float()
            features = feature_matching_loss(real.features, fake.features).float()
    total = (
        weights.stft * stft
        + weights.mel * mel
        + weights.adversarial * adversarial
        + weights.features * features
    )
    return GeneratorLosses(stft, mel, adversarial, features, total)


def read(losses: GeneratorLosses) -> dict[str, float]:
    """What the log keeps of one step."""
    return {
        "stft": float(losses.stft.detach()),
        "mel": float(losses.mel.detach()),
        "adversarial": float(losses.adversarial.detach()),
        "features": float(losses.features.detach()),
        "total": float(losses.total.detach()),
    }


def check(training: VocoderTraining, held_out: Sequence[Float[Tensor, " _"]], run: RunDir) -> None:
    """Log the held-out distance, keep the weights if it is the lowest, let one clip be heard."""
    found = mel_error(training.judged, held_out)
    run.log(training.step, {"held_out_mel": found})
    if training.stopping.update(found, training.step):
        run.keep_best(training.state(), found, name="held_out_mel")
    with torch.inference_mode():
        device = next(training.judged.parameters()).device
        mel = log_mel(held_out[0][None], num_frames=None).to(device)
        wave = training.judged(mel)[0, 0].cpu()
    run.log_sound(training.step, "held_out", wave, rate_hz=MEL_RATE_HZ)


def finish(training: VocoderTraining, recipe: VocoderRecipe, run: RunDir) -> None:
    """Write RUN/model, and why the run ended."""
    early = training.stopping.reason
    if early is not None:
        run.save_state(training.state())
    if not run.world.is_first:
        return
    reason = early or f"all {recipe.num_steps} steps are done"
    model, step = training.judged, training.step
    if recipe.export_best or early is not None:
        best = run.load_best()
        model.load_state_dict(best["average"])
        step = best["step"]
    ended = {"step": training.step, "reason": reason, "exported_step": step, "start": training.told}
    write_json(run.path / "ended.json", ended, overwrite=True)
    text = f"# Vocoder\n\nStep {step}; {reason}. {training.told}\n"
    export(model, run.path / "model", card=text, half=recipe.store_half, overwrite=True)


def export(
    model: MelGANGenerator, folder: Path, *, card: str, half: bool = True, overwrite: bool = False
) -> None:
    """Write a generator as a model folder, weight norm kept apart."""
    save_folder(
        folder,
        "melgan",
        model.config,
        model.state_dict(),
        card=card,
        half=half,
        overwrite=overwrite,
    )
