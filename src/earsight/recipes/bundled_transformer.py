"""Training of the small motion-and-class transformer that ships with the package.

No video is used. Windows of sound are put together from ESC-10 clips, folds 1 to 4 (fold 5 is
held out), and each gets a motion track made from its own loudness and onsets: delayed, smoothed,
scaled and noised at random, anew at every visit. The class says what sounds, the track when and
how strongly.
Command: `earsight train bundled_transformer.bundled --run runs/transformer`; time and scores: the
card. Source: SpecVQGAN, sec. 3.2. Differs from the paper: 3 M parameters, motion instead of image
features, dropout, class dropout, positions that begin as a clock shared by picture and sound.

Axes: n windows, b items, m mel bands, t frames, s slots, c code columns, q codes of a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW

from earsight.checkpoints.native import save_folder
from earsight.data.collages import CollageConfig, draw_window
from earsight.data.corpora.esc10 import CLASSES
from earsight.data.motion_pairs import TrackNoise, motion_from_strength, strength
from earsight.data.sound_events import ClipParts, find_parts
from earsight.errors import ConfigError, InputError
from earsight.frontends.specvqgan_mel import to_model
from earsight.generate.grid import to_sequence
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import TokenGPT
from earsight.recipes.clock_positions import start_clock
from earsight.training.ema import MovingAverage
from earsight.training.optim import decay_groups, set_rate, update
from earsight.training.rundir import RunDir
from earsight.training.schedules import warmup_cosine

NUM_CLASSES = len(CLASSES)
NO_CLASS = NUM_CLASSES


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerRecipe:
    """Everything that decides the outcome of a run.

    A pool of `num_windows` windows is put together and coded before the first step; a class is
    withheld in `class_dropout` of the visits.
    """

    model: TokenGPTConfig
    collages: CollageConfig
    noise: TrackNoise
    num_windows: int
    num_held_out: int
    num_steps: int
    batch: int = 16
    rate: float = 1.5e-3
    final_share: float = 0.05
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    clip: float = 1.0
    decay: float = 0.998
    class_dropout: float = 0.2
    precision: Literal["fp32", "bf16"] = "bf16"
    log_every: int = 20
    check_every: int = 250
    save_every: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a model without a row for "no class"."""
        if self.model.class_dropout_index != NO_CLASS:
            raise ConfigError(
                f"class_dropout_index is {self.model.class_dropout_index}, the row after the "
                f"{NUM_CLASSES} classes is {NO_CLASS}"
            )


@dataclass(frozen=True, slots=True)
class Pool:
    """Coded windows: codes in the transformer's order, strength per slot, class."""

    codes: Int[Tensor, "n q"]
    loud: Float[Tensor, "n s"]
    classes: Int[Tensor, " n"]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees."""

    codes: Int[Tensor, "b q"]
    features: Float[Tensor, "b c 8"]
    classes: Int[Tensor, " b"]


def bundled() -> TransformerRecipe:
    """The settings of the weights in the package."""
    return TransformerRecipe(
        model=TokenGPTConfig(
            num_codes=256,
            num_positions=53 + 1 + 265,
            width=160,
            num_layers=5,
            num_heads=5,
            condition="features+class",
            feature_width=8,
            num_classes=NUM_CLASSES + 1,
            class_dropout_index=NO_CLASS,
            dropout=0.0,
        ),
        collages=CollageConfig(),
        noise=TrackNoise(),
        num_windows=3000,
        num_held_out=128,
        num_steps=2000,
    )


def tiny() -> TransformerRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    return replace(
        bundled(),
        model=replace(
            bundled().model,
            num_codes=16,
            num_positions=6 + 1 + 30,
            grid_columns=6,
            width=48,
            num_layers=1,
            num_heads=2,
            dropout=0.1,
        ),
        collages=CollageConfig(num_frames=96),
        num_windows=12,
        num_held_out=4,
        num_steps=4,
        batch=2,
        warmup_steps=1,
        log_every=1,
        check_every=2,
        save_every=2,
    )


class TransformerTraining:
    """Network, optimiser and generators of a run: all that a resumed run needs."""

    def __init__(self, recipe: TransformerRecipe) -> None:
        self.rng = torch.Generator().manual_seed(recipe.seed)
        # dropout draws from torch's global generator: its state belongs to the run
        torch.manual_seed(recipe.seed)
        self.model = TokenGPT(recipe.model)
        start_clock(self.model)
        self.average = MovingAverage(self.model, decay=recipe.decay)
        self.optimizer = AdamW(
            decay_groups(self.model, weight_decay=recipe.weight_decay),
            recipe.rate,
            betas=recipe.betas,
        )
        self.step = 0

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        return {
            "step": self.step,
            "rng": self.rng.get_state(),
            "dropout_rng": torch.get_rng_state(),
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "num_averaged": self.average.num_updates,
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.step = state["step"]
        self.rng.set_state(state["rng"])
        torch.set_rng_state(state["dropout_rng"])
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.average.num_updates = state["num_averaged"]
        self.optimizer.load_state_dict(state["optimizer"])


def clip_parts(mels: Float[Tensor, "n m t"], classes: Int[Tensor, " n"]) -> list[list[ClipParts]]:
    """Events and steady stretches of the clips, class by class; silent clips are left out."""
    found: list[list[ClipParts]] = [[] for _ in range(NUM_CLASSES)]
    for mel, index in zip(mels, classes, strict=True):
        parts = find_parts(mel)
        if parts is not None:
            found[int(index)].append(parts)
    return found


@torch.inference_mode()
def make_pool(
    codebook: MelVQGAN,
    clips: Sequence[Sequence[ClipParts]],
    config: CollageConfig,
    *,
    num_windows: int,
    rng: torch.Generator,
    precision: Literal["fp32", "bf16"] = "bf16",
    batch: int = 2,
) -> Pool:
    """Windows of all classes in turn, coded; a class without clips is left out.

    Batches are small, since one that leaves the processor's cache is coded half as fast. Raises
    InputError where no class has clips.
    """
    present = [index for index, of_class in enumerate(clips) if of_class]
    if not present:
        raise InputError("no clips: every clip is silent, or the folder holds none")
    codes, loud, classes = list[Tensor](), list[Tensor](), list[int]()
    for first in range(0, num_windows, batch):
        chosen = [
            present[number % len(present)]
            for number in range(first, min(first + batch, num_windows))
        ]
        mel = torch.stack([draw_window(clips[index], config, rng) for index in chosen])
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            codes.append(to_sequence(codebook.encode(to_model(mel)[:, None]).codes))
        loud.append(strength(mel))
        classes += chosen
    return Pool(torch.cat(codes), torch.cat(loud), torch.tensor(classes))


def train(
    recipe: TransformerRecipe,
    run: RunDir,
    *,
    pool: Pool,
    held_out: Pool,
    resume: bool = False,
) -> TransformerTraining:
    """Train on coded windows; the loss on `held_out` goes to the log.

    A killed run goes on with `resume` from the last saved state, to the same weights.
    """
    run.note_recipe(recipe, resume=resume)
    training = TransformerTraining(recipe)
    if resume:
        training.restore(run.load_state())
        run.trim_log(training.step)
    while training.step < recipe.num_steps:
        rate = warmup_cosine(
            training.step,
            peak=recipe.rate,
            final=recipe.final_share,
            warmup_steps=recipe.warmup_steps,
            num_steps=recipe.num_steps,
        )
        set_rate(training.optimizer, rate)
        batch = draw_batch(pool, recipe, training.rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
            loss = code_loss(training.model, batch)
        gradient = update(training.optimizer, loss, clip=recipe.clip)
        training.average.update(training.model)
        training.step += 1
        if training.step % recipe.log_every == 0:
            values = {"loss": float(loss.detach()), "gradient": gradient, "rate": rate}
            run.log(training.step, values)
        if training.step % recipe.check_every == 0:
            run.log(training.step, held_out_losses(training.average.model, held_out, recipe))
        if training.step % recipe.save_every == 0 or training.step == recipe.num_steps:
            run.save_state(training.state())
    return training


def draw_batch(pool: Pool, recipe: TransformerRecipe, rng: torch.Generator) -> Batch:
    """Random windows with new tracks, the class withheld from some."""
    chosen = torch.randint(pool.codes.shape[0], (recipe.batch,), generator=rng)
    features = [
        motion_from_strength(loud, rng=rng, noise=recipe.noise) for loud in pool.loud[chosen]
    ]
    withheld = torch.rand(recipe.batch, generator=rng) < recipe.class_dropout
    classes = pool.classes[chosen].masked_fill(withheld, NO_CLASS)
    return Batch(pool.codes[chosen], torch.stack(features), classes)


def code_loss(model: TokenGPT, batch: Batch) -> Float[Tensor, ""]:
    """Mean cross-entropy of all codes of a window; the condition's own positions do not count.

    Source: SpecVQGAN, sec. 3.2, eq. 5.
    """
    num_condition = model.config.num_condition
    output = model(batch.codes[:, :-1], batch.features, batch.classes)
    logits = output.logits[:, num_condition - 1 :]
    return functional.cross_entropy(logits.flatten(0, 1).float(), batch.codes.flatten())


@torch.inference_mode()
def held_out_losses(model: TokenGPT, held_out: Pool, recipe: TransformerRecipe) -> dict[str, float]:
    """Loss per code with each window's own track, and with the track of another window."""
    rng = torch.Generator().manual_seed(recipe.seed + 1)
    own, other, parts = 0.0, 0.0, 0
    for first in range(0, held_out.codes.shape[0], recipe.batch):
        rows = slice(first, first + recipe.batch)
        features = torch.stack(
            [
                motion_from_strength(loud, rng=rng, noise=recipe.noise)
                for loud in held_out.loud[rows]
            ]
        )
        batch = Batch(held_out.codes[rows], features, held_out.classes[rows])
        own += float(code_loss(model, batch))
        other += float(code_loss(model, replace(batch, features=features.roll(1, 0))))
        parts += 1
    return {"held_out_loss": own / parts, "held_out_loss_other_track": other / parts}


def export(model: TokenGPT, folder: Path, *, card: str, overwrite: bool = False) -> None:
    """Write a transformer as a model folder with float16 weights and the names of its classes."""
    save_folder(
        folder,
        "token_gpt",
        model.config,
        model.state_dict(),
        extra={"visual": "motion", "class_names": CLASSES},
        card=card,
        half=True,
        overwrite=overwrite,
    )
