"""Training of the code transformer: the next code from a picture, a class and the codes before.

The published settings see frame features of the middle of VGGSound or VAS clips. `foley_room` is
the setting of the weights in the package: 3 M parameters that learn from three kinds of windows,
rendered clips with their pictures, such clips whose sounds come from recordings, and windows put
together from recordings with made motion tracks. `finetune` goes on from there with own clips.
Command: `earsight train specvqgan_transformer.foley_room --data FOLEY_ROOM FOLEY_ROOM_WITH_BANK
ESC-10 --run RUN`; time and scores: the card. Published: 18,000 steps, 4 h on four A100 for
VGGSound with 212 features (FID 9.6, MKL 6.8 on its test set), 3,000 steps for VAS.
Source: SpecVQGAN, sec. 3.2 and 4; official repository v-iashin/SpecVQGAN. `foley_room` differs:
size, dropout of picture and class, positions that begin as a clock, a moving average.

Axes: b visits, q codes of a window, f feature tokens, w feature width, k code vocabulary.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from earsight.data.code_windows import Visual
from earsight.data.collages import CollageConfig
from earsight.data.corpus import Corpus
from earsight.files import write_json
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.config import published as published_sizes
from earsight.models.token_gpt.model import TokenGPT
from earsight.recipes.code_batches import (
    Mixture,
    VisitDraws,
    draw_batch,
    held_out_losses,
    part_losses,
)
from earsight.recipes.transformer_recipe import TransformerRecipe
from earsight.recipes.transformer_setup import Setup, export, media_options, set_up
from earsight.training.distributed import ALONE, World
from earsight.training.ema import MovingAverage
from earsight.training.optim import accumulate, decay_groups, set_rate
from earsight.training.rundir import RunDir
from earsight.training.schedules import warmup_cosine
from earsight.training.seeded import seeded_draws
from earsight.training.watch import EarlyStopping, check_finite

VGGSOUND_STEPS_PER_EPOCH = 2445
VAS_STEPS_PER_EPOCH = 184


def published(*, num_features: int = 212, visual: Visual = "resnet50") -> TransformerRecipe:
    """VGGSound, frame features: 64 clips a step, rate 5e-6 per clip, two epochs of patience."""
    return TransformerRecipe(
        model=published_sizes(num_features=num_features),
        codebook="specvqgan-codebook-vggsound",
        visual=visual,
        no_class=False,
        crop="centre",
        num_steps=40 * VGGSOUND_STEPS_PER_EPOCH,
        batch=64,
        rate=64 * 5e-6,
        patience=2,
        check_every=VGGSOUND_STEPS_PER_EPOCH,
        save_every=VGGSOUND_STEPS_PER_EPOCH,
        store_half=False,
    )


def features_1() -> TransformerRecipe:
    """The published setting with one frame's features."""
    return published(num_features=1)


def features_5() -> TransformerRecipe:
    """The published setting with five frames' features."""
    return published(num_features=5)


def no_features() -> TransformerRecipe:
    """The published setting without a picture: one token of fresh noise."""
    return published(num_features=1, visual="noise")


def class_only() -> TransformerRecipe:
    """The published setting given a class alone."""
    return replace(published(), model=published_sizes(condition="class"), visual="none")


def features_and_class() -> TransformerRecipe:
    """The published setting with 212 features and a class (SpecVQGAN, table 4)."""
    return replace(published(), model=published_sizes(condition="features+class"))


def vas() -> TransformerRecipe:
    """VAS with its own codebook of 128 codes, 212 features, rate 1e-6 per clip."""
    return replace(
        published(),
        model=published_sizes(num_codes=128),
        codebook="specvqgan-codebook-vas",
        num_steps=80 * VAS_STEPS_PER_EPOCH,
        rate=64 * 1e-6,
        check_every=VAS_STEPS_PER_EPOCH,
        save_every=VAS_STEPS_PER_EPOCH,
    )


def foley_room() -> TransformerRecipe:
    """The settings of the weights in the package: windows of 21 columns (3.9 s)."""
    return TransformerRecipe(
        model=TokenGPTConfig(
            num_codes=512,
            num_positions=21 + 1 + 5 * 21,
            grid_columns=21,
            width=192,
            num_layers=6,
            num_heads=6,
            condition="features+class",
            feature_width=72,
        ),
        visual="sight",
        clock=True,
        draws=VisitDraws(
            mixture=Mixture(pictures=0.5, sound_bank=0.25, sounds=0.25),
            class_dropout=0.5,
            picture_dropout=0.1,
            sound_class_dropout=0.2,
        ),
        collages=CollageConfig(max_events=7),
        num_collages=1000,
        crops_per_clip=4,
        num_steps=4000,
        final_share=0.05,
        warmup_steps=100,
        weight_decay=0.05,
        clip=1.0,
        decay=0.998,
        precision="bf16",
        num_held_out=96,
    )


def finetune() -> TransformerRecipe:
    """Go on from the weights in the package with a folder of a few own clips.

    Rates of 3e-5 and 1e-4 came equally low on 16 clips of the wild, the lower one less steeply.
    """
    return TransformerRecipe(
        model=None,
        codebook=None,
        visual=None,
        start="bundled",
        num_steps=400,
        dropout=0.1,
        draws=VisitDraws(class_dropout=0.3),
        crops_per_clip=8,
        batch=8,
        rate=3e-5,
        final_share=0.1,
        warmup_steps=20,
        weight_decay=0.05,
        clip=1.0,
        decay=0.98,
        precision="bf16",
        patience=4,
        check_every=20,
        save_every=100,
        log_every=10,
    )


def tiny() -> TransformerRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    return replace(
        foley_room(),
        model=TokenGPTConfig(
            num_codes=512,
            num_positions=6 + 1 + 30,
            grid_columns=6,
            width=48,
            num_layers=1,
            num_heads=2,
            condition="features+class",
            feature_width=8,
        ),
        visual="motion",
        dropout=0.1,
        draws=replace(foley_room().draws, keep_codes=0.9),
        label_smoothing=0.05,
        num_collages=4,
        crops_per_clip=2,
        num_held_out=4,
        num_steps=4,
        batch=4,
        num_parts=2,
        warmup_steps=1,
        patience=3,
        log_every=1,
        check_every=2,
        save_every=2,
    )


preparation = media_options
"""What a folder of media is prepared with before this recipe trains on it."""

SETTINGS: Mapping[str, Callable[[], TransformerRecipe]] = {
    "published": published,
    "features_1": features_1,
    "features_5": features_5,
    "no_features": no_features,
    "class_only": class_only,
    "features_and_class": features_and_class,
    "vas": vas,
    "foley_room": foley_room,
    "finetune": finetune,
    "tiny": tiny,
}


class TransformerTraining:
    """Network, average, optimiser and early stopping: all that a resumed run needs."""

    def __init__(self, recipe: TransformerRecipe, model: TokenGPT, world: World) -> None:
        self.model = model.to(world.device).train()
        self.average = None if recipe.decay is None else MovingAverage(model, decay=recipe.decay)
        self.optimizer = AdamW(
            decay_groups(model, weight_decay=recipe.weight_decay), recipe.rate, betas=recipe.betas
        )
        self.stopping = EarlyStopping(patience=recipe.patience, name="held-out loss")
        self.step = 0

    @property
    def judged(self) -> TokenGPT:
        """The network that is checked and exported."""
        return self.model if self.average is None else self.average.model

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.judged.state_dict(),
            "num_averaged": 0 if self.average is None else self.average.num_updates,
            "optimizer": self.optimizer.state_dict(),
            "stopping": self.stopping.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.model.load_state_dict(state["average"])
            self.average.num_updates = state["num_averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.stopping.restore(state["stopping"])


def train(
    recipe: TransformerRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Train on the corpora, whose part in the mixture is worked out; writes RUN/model.

    A killed run goes on with `resume` from the last saved state, to the same weights.
    RUN/ended.json says when and why it ended; RUN/pipeline holds the model with its codebook and
    what lies beside that, ready to use.
    """
    run = run.seen_by(world)
    setup = set_up(recipe, corpora, world)
    run.note_recipe(recipe, resume=resume)
    training = TransformerTraining(recipe, setup.model, world)
    if resume:
        training.restore(run.load_state())
        run.trim_log(training.step)
    elif recipe.start is not None:
        check(training, recipe, setup, run, world)
    while training.step < recipe.num_steps and training.stopping.reason is None:
        set_rate(training.optimizer, rate := rate_at(training.step, recipe))
        loss, gradient = one_step(training, recipe, setup, world)
        check_finite({"loss": loss}, training.step, checkpoint=run.newest)
        if training.average is not None:
            training.average.update(training.model)
        training.step += 1
        if training.step % recipe.log_every == 0:
            values = world.mean({"loss": loss, "gradient": gradient, "rate": rate})
            run.log(training.step, values)
        if training.step % recipe.check_every == 0 or training.step == recipe.num_steps:
            check(training, recipe, setup, run, world)
        if run.save_due(training.step, every=recipe.save_every, last=recipe.num_steps):
            run.save_state(training.state())
    if training.stopping.reason is not None:
        run.save_state(training.state())
    if world.is_first:
        finish(training, recipe, setup, run)


def rate_at(step: int, recipe: TransformerRecipe) -> float:
    """Learning rate of the coming step."""
    return warmup_cosine(
        step,
        peak=recipe.rate,
        final=recipe.final_share,
        warmup_steps=recipe.warmup_steps,
        num_steps=recipe.num_steps,
    )


def one_step(
    training: TransformerTraining, recipe: TransformerRecipe, setup: Setup, world: World
) -> tuple[float, float]:
    """Move the weights by one batch; its loss and its gradient's norm."""
    step, seed = training.step, recipe.seed
    batch = draw_batch(
        setup.sources, recipe.draws, setup.model.config,
        seed=seed, step=step, batch=recipe.batch, world=world,
    )  # fmt: skip
    losses: list[Tensor] = []

    def kept() -> Generator[Tensor]:
        for loss in part_losses(
            training.model, batch, num_parts=recipe.num_parts,
            label_smoothing=recipe.label_smoothing, precision=recipe.precision, world=world,
        ):  # fmt: skip
            losses.append(loss.detach())
            yield loss

    with seeded_draws(seed, step, world):
        gradient = accumulate(
            training.optimizer, kept(), num_parts=recipe.num_parts, clip=recipe.clip, world=world
        )
    return float(torch.stack(losses).mean()), gradient


def check(
    training: TransformerTraining,
    recipe: TransformerRecipe,
    setup: Setup,
    run: RunDir,
    world: World,
) -> None:
    """Log the held-out loss and keep the weights if it is the lowest."""
    if not setup.held_out:
        return
    found = held_out_losses(
        training.judged,
        setup.held_out,
        limit=recipe.num_held_out,
        seed=recipe.seed + 1,
        precision=recipe.precision,
        world=world,
    )
    run.log(training.step, found)
    loss = found["held_out_loss"]
    if training.stopping.update(loss, training.step) and recipe.patience is not None:
        run.keep_best(training.state(), loss, name="held_out_loss")


def finish(
    training: TransformerTraining, recipe: TransformerRecipe, setup: Setup, run: RunDir
) -> None:
    """Write RUN/model and RUN/pipeline, and why the run ended."""
    reason = training.stopping.reason or f"all {recipe.num_steps} steps are done"
    model, step = training.judged, training.step
    if recipe.patience is not None:
        best = run.load_best()
        model.load_state_dict(best["average"])
        step = best["step"]
    ended = {"step": training.step, "reason": reason, "exported_step": step, "start": setup.told}
    write_json(run.path / "ended.json", ended, overwrite=True)
    export(model, run.path, setup=setup, half=recipe.store_half, told=f"Step {step}; {reason}.")
