"""Training of the small vocoder that ships with the package.

Data: ESC-10, folds 1 to 4 (320 clips of 5 s); fold 5 is held out. The bundled settings use
spectral losses alone: discriminators that joined for the last few hundred steps of an hour on one
processor core moved both held-out distances the wrong way. With more time let them join at
`discriminator_start`.
Command: `earsight train bundled_vocoder.bundled --run runs/vocoder`; time and scores: the card.
Source: Kumar et al., 2019 (MelGAN); spectral losses: Yamamoto et al., 2020. Differs from MelGAN:
half the channels, spectral losses, smaller discriminators, a moving average is exported.

Axes: n clips, b segments, s samples, m mel bands, t frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.optim import Adam

from earsight.checkpoints.native import save_folder
from earsight.data.wave_segments import SegmentDraw, Segments, draw_segments
from earsight.errors import ConfigError
from earsight.frontends.griffin_lim import mel_to_wave
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, log_mel
from earsight.losses.spectral import stft_loss
from earsight.losses.vocoder import adversarial_loss, discriminator_loss, feature_matching_loss
from earsight.models.melgan.config import DiscriminatorConfig, MelGANConfig
from earsight.models.melgan.discriminator import MultiScaleDiscriminator
from earsight.models.melgan.model import MelGANGenerator
from earsight.training.ema import MovingAverage
from earsight.training.optim import set_rate, update
from earsight.training.rundir import RunDir
from earsight.training.schedules import warmup_cosine


@dataclass(frozen=True, kw_only=True, slots=True)
class VocoderWeights:
    """Factors of the generator's losses; the mel distance is on the [0, 1] scale of 100 dB."""

    stft: float = 1.0
    mel: float = 10.0
    adversarial: float = 0.05
    features: float = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class VocoderRecipe:
    """Everything that decides the outcome of a run.

    The discriminators join at `discriminator_start`; at `num_steps` or later, never.
    """

    model: MelGANConfig
    discriminator: DiscriminatorConfig
    segments: SegmentDraw
    weights: VocoderWeights
    num_steps: int
    discriminator_start: int
    batch: int = 8
    rate: float = 1e-3
    discriminator_rate: float = 2e-4
    final_share: float = 0.05
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.8, 0.99)
    clip: float = 3.0
    decay: float = 0.999
    precision: Literal["fp32", "bf16"] = "bf16"
    log_every: int = 25
    check_every: int = 500
    save_every: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse another hop than the front end's."""
        if self.model.hop_samples != MEL_HOP_SAMPLES:
            raise ConfigError(
                f"ratios {self.model.ratios} give {self.model.hop_samples} samples per frame, the "
                f"spectrogram has {MEL_HOP_SAMPLES}"
            )


@dataclass(frozen=True, slots=True)
class GeneratorLosses:
    """Parts, unweighted, and their weighted sum; parts that were not asked for are 0."""

    stft: Float[Tensor, ""]
    mel: Float[Tensor, ""]
    adversarial: Float[Tensor, ""]
    features: Float[Tensor, ""]
    total: Float[Tensor, ""]


def bundled() -> VocoderRecipe:
    """The settings of the weights in the package."""
    return VocoderRecipe(
        model=MelGANConfig(channels=16),
        discriminator=DiscriminatorConfig(channels=16, max_channels=256),
        segments=SegmentDraw(),
        weights=VocoderWeights(),
        num_steps=3500,
        discriminator_start=3500,
    )


def tiny() -> VocoderRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    return replace(
        bundled(),
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


class VocoderTraining:
    """Networks, optimisers and generator of a run: all that a resumed run needs."""

    def __init__(self, recipe: VocoderRecipe) -> None:
        self.rng = torch.Generator().manual_seed(recipe.seed)
        with torch.random.fork_rng(devices=[]):
            # network constructors draw from torch's global generator
            torch.manual_seed(recipe.seed)
            self.model = MelGANGenerator(recipe.model)
            self.discriminator = MultiScaleDiscriminator(recipe.discriminator)
        self.average = MovingAverage(self.model, decay=recipe.decay)
        self.optimizer = Adam(self.model.parameters(), recipe.rate, betas=recipe.betas)
        self.discriminator_optimizer = Adam(
            self.discriminator.parameters(), recipe.discriminator_rate, betas=recipe.betas
        )
        self.step = 0

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        return {
            "step": self.step,
            "rng": self.rng.get_state(),
            "model": self.model.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.model.state_dict(),
            "num_averaged": self.average.num_updates,
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.step = state["step"]
        self.rng.set_state(state["rng"])
        self.model.load_state_dict(state["model"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.model.load_state_dict(state["average"])
        self.average.num_updates = state["num_averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])


def train(
    recipe: VocoderRecipe,
    run: RunDir,
    *,
    waves: Float[Tensor, "n s"],
    held_out: Float[Tensor, "k s"],
    resume: bool = False,
) -> VocoderTraining:
    """Train on mono clips at 22050 Hz; scores of `held_out` go to the log.

    A killed run goes on with `resume` from the last saved state, to the same weights.
    """
    run.note_recipe(recipe, resume=resume)
    training = VocoderTraining(recipe)
    if resume:
        training.restore(run.load_state())
        run.trim_log(training.step)
    while training.step < recipe.num_steps:
        rate = set_rates(training, recipe)
        batch = draw_segments(waves, recipe.segments, count=recipe.batch, rng=training.rng)
        wave = synthesise(training, batch, recipe)
        readings = {"rate": rate}
        if training.step >= recipe.discriminator_start:
            judged = judge_loss(training, batch, wave.detach(), recipe)
            update(training.discriminator_optimizer, judged, clip=recipe.clip)
            readings["judge"] = float(judged.detach())
        losses = generator_losses(training, batch, wave, recipe)
        readings["gradient"] = update(training.optimizer, losses.total, clip=recipe.clip)
        training.average.update(training.model)
        training.step += 1
        if training.step % recipe.log_every == 0:
            run.log(training.step, readings | read(losses))
        if training.step % recipe.check_every == 0:
            run.log(training.step, {"held_out_mel": mel_error(training.average.model, held_out)})
        if training.step % recipe.save_every == 0 or training.step == recipe.num_steps:
            run.save_state(training.state())
    return training


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
    training: VocoderTraining, batch: Segments, recipe: VocoderRecipe
) -> Float[Tensor, "b s"]:
    """The generator's waves in float32; its last layer never runs in less."""
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
        features = training.model.features(batch.mel)
    return training.model.wave_of(features.float())[:, 0]


def judge_loss(
    training: VocoderTraining,
    batch: Segments,
    wave: Float[Tensor, "b s"],
    recipe: VocoderRecipe,
) -> Float[Tensor, ""]:
    """Loss of the discriminators on real and generated waves."""
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
        real = training.discriminator(batch.wave[:, None])
        fake = training.discriminator(wave[:, None])
        return discriminator_loss(real.logits, fake.logits)


def generator_losses(
    training: VocoderTraining,
    batch: Segments,
    wave: Float[Tensor, "b s"],
    recipe: VocoderRecipe,
) -> GeneratorLosses:
    """Losses of the generator; the discriminators are not asked before their time."""
    stft = stft_loss(wave, batch.wave)
    mel = functional.l1_loss(log_mel(wave, num_frames=None), log_mel(batch.wave, num_frames=None))
    adversarial = features = torch.zeros(())
    if training.step >= recipe.discriminator_start:
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
            with torch.no_grad():
                real = training.discriminator(batch.wave[:, None])
            fake = training.discriminator(wave[:, None])
            adversarial = adversarial_loss(fake.logits).float()
            features = feature_matching_loss(real.features, fake.features).float()
    weights = recipe.weights
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


@torch.inference_mode()
def mel_error(model: MelGANGenerator, held_out: Float[Tensor, "k s"]) -> float:
    """Mean absolute log-mel error, on the [0, 1] scale, of waves made from their true mel."""
    errors: list[float] = []
    for wave in held_out:
        mel = log_mel(wave[None], num_frames=None)
        errors.append(_distance(model(mel)[:, 0], mel))
    return sum(errors) / len(errors)


@torch.inference_mode()
def griffin_lim_error(held_out: Float[Tensor, "k s"], *, seeds: Sequence[int]) -> float:
    """`mel_error` of Griffin-Lim with 32 iterations; one seed per clip draws its start phases."""
    errors: list[float] = []
    for wave, seed in zip(held_out, seeds, strict=True):
        mel = log_mel(wave[None], num_frames=None)
        rebuilt = mel_to_wave(mel, generators=[torch.Generator().manual_seed(seed)])
        errors.append(_distance(rebuilt, mel))
    return sum(errors) / len(errors)


def _distance(wave: Float[Tensor, "b s"], mel: Float[Tensor, "b m t"]) -> float:
    found = log_mel(wave, num_frames=None)[:, :, : mel.shape[2]]
    return float((found - mel).abs().mean())


def export(model: MelGANGenerator, folder: Path, *, card: str, overwrite: bool = False) -> None:
    """Write a generator as a model folder with float16 weights, weight norm kept apart."""
    save_folder(
        folder,
        "melgan",
        model.config,
        model.state_dict(),
        card=card,
        half=True,
        overwrite=overwrite,
    )
