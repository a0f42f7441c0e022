"""Training of the spectrogram codebook: encoder, codes, decoder, against a patch discriminator.

Commands: `earsight train specvqgan_codebook.published --data VGGSOUND --run DIR` (`vas` for VAS),
`earsight train specvqgan_codebook.foley_room --data ESC10 FOLEYROOM --run DIR`; many processes:
`torchrun --nproc-per-node 4 -m -- earsight train ...`. The official runs took 72 h (VGGSound,
300,000 steps) and 36 h (VAS, 95,000) on four 40 GB GPUs.
Every process draws its part of one global batch, norms of the discriminator see all of it, and
gradients are averaged: the number of processes changes results by rounding alone, but for dropout
and for an adaptive weight that is not fixed, which are each process's own, as officially.
Source: SpecVQGAN, sec. 3.1 and supplement; official repository v-iashin/SpecVQGAN.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from earsight.data.corpus import Corpus
from earsight.data.mel_crops import CropSettings, LevelChanges
from earsight.frontends.specvqgan_mel import to_model
from earsight.losses.codebook import CodebookLossWeights
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.discriminator import PatchDiscriminatorConfig
from earsight.models.mel_vqgan.perceptual import LPAPSConfig
from earsight.nn.code_usage import report_counts
from earsight.recipes.codebook_batches import CodebookBatches, MelBatch, open_stores, step_generator
from earsight.recipes.codebook_report import HeldOutClips, check, export, show
from earsight.recipes.codebook_settings import CodebookRecipe, CropBatch
from earsight.recipes.codebook_training import (
    CodebookTraining,
    Made,
    generator_step,
    is_judged,
    judge_step,
    mean_readings,
    revive_codes,
)
from earsight.recipes.perceptual_distance import DistanceSettings, calibrate
from earsight.training.distributed import ALONE, World
from earsight.training.optim import accumulate
from earsight.training.rundir import RunDir
from earsight.training.seeded import seeded_draws
from earsight.training.watch import check_finite


def published() -> CodebookRecipe:
    """The published VGGSound codebook: global batch of 32, which is four GPUs with 8 clips each.

    The official rule multiplies the base rate by clips, GPUs and accumulated batches. The length
    of the run fits about 21 clips a step, so that the batch of the published run is not certain.
    """
    return CodebookRecipe(
        model=MelVQGANConfig(),
        distance=DistanceSettings(kind="random"),
        crops=CropSettings(random=False),
        batches=(CropBatch(frames=848, clips=32),),
        num_steps=300_000,
        rate=4.5e-6,
        discriminator_rate=4.5e-6,
        rates_per_clip=True,
        log_every=100,
        check_every=5000,
        save_every=5000,
        seed=23,
    )


def vas() -> CodebookRecipe:
    """The published VAS codebook: 128 codes, since 1024 collapsed."""
    return replace(
        published(),
        model=MelVQGANConfig(num_codes=128),
        weights=CodebookLossWeights(discriminator_start=2001),
        num_steps=95_000,
        rate=1e-6,
        discriminator_rate=1e-6,
    )


def foley_room() -> CodebookRecipe:
    """The settings of the weights in the package: 2 M parameters, from scratch.

    The grid is the published one, so that everything built on it has the published shape. No
    attention, so that sounds of any length are coded alike; unused codes are revived; levels are
    changed at random; a trained distance keeps what tells classes apart; the end of the run trains
    the decoder alone, for texture.
    """
    return CodebookRecipe(
        model=MelVQGANConfig(
            channels=16,
            channel_multipliers=(1, 2, 3, 4, 6),
            blocks_per_level=1,
            latent_channels=64,
            code_dim=16,
            num_codes=512,
            attention_resolutions=(),
            middle_attention=False,
            norm_groups=8,
        ),
        discriminator=PatchDiscriminatorConfig(channels=24),
        weights=CodebookLossWeights(
            perceptual=1.0,
            adversarial=0.3,
            discriminator_start=4000,
            minimum_adaptive=0.0,
            maximum_adaptive=10.0,
        ),
        distance=DistanceSettings(kind="trained", network="bundled"),
        crops=CropSettings(candidates=2, join_short=True, changes=LevelChanges()),
        batches=tuple(
            CropBatch(frames=frames, clips=clips)
            for frames, clips in ((112, 8), (160, 6), (208, 4), (416, 2))
        ),
        decoder_batches=tuple(
            CropBatch(frames=frames, clips=clips)
            for frames, clips in ((208, 4), (416, 2), (832, 2))
        ),
        corpus_shares="even",
        num_steps=5600,
        rate=1e-3,
        discriminator_rate=3e-4,
        warmup_steps=100,
        final_share=0.05,
        clip=1.0,
        precision="bf16",
        decay=0.998,
        judge_from_start=False,
        revive_every=25,
        revive_until=3200,
        codes_fixed_from=4000,
        level_weight=1.0,
        part_share=0.5,
        check_frames=416,
        check_every=500,
        save_every=100,
    )


def tiny() -> CodebookRecipe:
    """Seconds on a CPU, every part of the loop in use, a random perceptual distance included."""
    return replace(
        foley_room(),
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
            dropout=0.1,
        ),
        discriminator=PatchDiscriminatorConfig(channels=4, num_layers=2),
        weights=replace(foley_room().weights, perceptual=0.1, discriminator_start=2),
        distance=DistanceSettings(
            kind="random",
            sizes=LPAPSConfig(widths=(4, 4), convs_per_slice=(1, 1)),
            num_clips=4,
            num_frames=32,
            num_steps=5,
        ),
        batches=(CropBatch(frames=32, clips=4), CropBatch(frames=48, clips=2)),
        decoder_batches=(CropBatch(frames=64, clips=2),),
        num_steps=8,
        warmup_steps=2,
        precision="fp32",
        revive_every=1,
        revive_until=4,
        codes_fixed_from=6,
        check_frames=64,
        check_clips=4,
        log_every=1,
        check_every=2,
        save_every=2,
    )


SETTINGS: Mapping[str, Callable[[], CodebookRecipe]] = {
    "published": published,
    "vas": vas,
    "foley_room": foley_room,
    "tiny": tiny,
}


@dataclass(frozen=True, slots=True)
class CodebookData:
    """The clips of a run."""

    batches: CodebookBatches
    held_out: HeldOutClips
    band_means: torch.Tensor
    told: str


def train(
    recipe: CodebookRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Train on the "train" clips of the corpora; scores of their "valid" clips go to the log.

    A killed run goes on with `resume` from the last saved state, to the same weights. Ends by
    writing RUN/model. Raises TrainingError where losses are no longer finite, nothing can be
    written or a stop was asked for; what was saved before stays whole.
    """
    run = run.seen_by(world)
    run.note_recipe(recipe, resume=resume)
    data = open_data(corpora, recipe, world)
    training = CodebookTraining(recipe, world)
    begin(training, run, data, resume=resume)
    while training.step < recipe.num_steps and training.watch.reason is None:
        parts, made = data.batches.draw(training.step), list[Made]()
        with seeded_draws(recipe.seed, training.step, world):
            norms = take_step(training, parts, made)
        if not all(map(math.isfinite, norms.values())):
            found = mean_readings(training, made) | norms
            check_finite(found, training.step + 1, checkpoint=run.newest)
        training.step += 1
        if training.step % recipe.log_every == 0:
            run.log(training.step, mean_readings(training, made) | norms)
        if training.step % recipe.check_every == 0:
            scores, _ = check(training, data.held_out, band_means=data.band_means)
            run.log(training.step, scores)
            show(run, training, data.held_out)
            if training.watch.update(scores["held_out_l1"], training.step):
                run.keep_best(training.state(), scores["held_out_l1"], name="held_out_l1")
        if run.save_due(training.step, every=recipe.save_every, last=recipe.num_steps):
            run.save_state(training.state())
    finish(training, run, data)


def take_step(
    training: CodebookTraining, parts: Sequence[MelBatch], made: list[Made]
) -> dict[str, float]:
    """One step of both networks, the average and the codes; returns the gradients' norms."""
    recipe, world = training.recipe, training.world
    if recipe.are_codes_fixed(training.step):  # at every step, so that resuming is exact
        training.fix_codes()
    training.set_rates()
    norms = {
        "gradient": accumulate(
            training.optimizer,
            generator_step(training, parts, made),
            num_parts=recipe.accumulate,
            clip=recipe.clip,
            world=world,
        )
    }
    if is_judged(training):
        norms["judge_gradient"] = accumulate(
            training.discriminator_optimizer,
            judge_step(training, made),
            num_parts=recipe.accumulate,
            world=world,
        )
    if training.average is not None:
        training.average.update(training.model)
    revive_codes(training, made)
    return norms


def open_data(corpora: Sequence[Corpus], recipe: CodebookRecipe, world: World) -> CodebookData:
    """The clips of a run. Raises InputError where a split has none or a clip cannot be read."""
    batches = CodebookBatches(corpora, recipe, world)
    held_out = open_stores(corpora, "valid", memory_gb=0.0)
    clips = HeldOutClips(held_out, num_clips=recipe.check_clips, num_frames=recipe.check_frames)
    told = ", ".join(f"{store.corpus.name} ({len(store)} clips)" for store in batches.stores)
    return CodebookData(batches, clips, batches.means(), told)


def begin(training: CodebookTraining, run: RunDir, data: CodebookData, *, resume: bool) -> None:
    """Go back to the saved state, or calibrate the distance of a new run."""
    recipe = training.recipe
    if resume:
        training.restore(run.load_state())
        run.trim_log(training.step)
    elif recipe.distance.kind == "trained" and training.distance is not None:
        sample = HeldOutClips(
            data.batches.stores,
            num_clips=recipe.distance.num_clips,
            num_frames=recipe.distance.num_frames,
        )
        found = calibrate(
            training.distance,
            to_model(sample.mel)[:, None].to(training.world.device),
            recipe.distance,
            generator=step_generator(recipe.seed, 0, "calibration"),
        )
        training.notes.append(
            f"The distance puts {found.after:.1%} of pairs of distorted clips in order "
            f"({found.before:.1%} with equal channel weights)."
        )


def finish(training: CodebookTraining, run: RunDir, data: CodebookData) -> None:
    """Write the model, the best one where the run watches for it; say why the run ended."""
    if (reason := training.watch.reason) is not None:
        run.save_state(training.state())
    step = training.step
    if training.recipe.patience is not None and training.watch.best is not None:
        training.restore(run.load_best())
        training.notes.append(f"Weights of step {training.step}, the best of the checks.")
    if reason is not None:
        training.notes.append(f"Stopped early at step {step}: {reason}.")
    scores, counts = check(training, data.held_out, band_means=data.band_means)
    export(run, training, scores=scores, use=report_counts(counts), data=data.told)
