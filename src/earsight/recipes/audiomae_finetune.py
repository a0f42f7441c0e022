"""Fine-tuning of Audio-MAE: its encoder, a norm and a head learn the classes of clips.

Commands: `earsight train audiomae_finetune.small --data ESC10 --run DIR --set
start=PRETRAIN_RUN/model`, `earsight train audiomae_finetune.esc50 --data ESC50 --run DIR`.
RUN/scores.json and RUN/model are written last. The paper has mAP 47.3 on AudioSet and 37.0 from
its 20,000 balanced clips; accuracy 94.1 on ESC-50, 98.3 and 96.9 on Speech Commands 2 and 1, 94.8
on VoxCeleb speakers.
Source: Huang et al., "Masked autoencoders that listen", 2022, sec. 4 and appendix; official
repository facebookresearch/AudioMAE. Differs from them: a batch may join two epochs; bfloat16;
shorter clips keep the position codes the encoder was pre-trained with; noise is white, 20 dB below
the clip, which is all that the paper says of it.

Axes: b clips, t frames, m mel bands, k classes.
"""

import zlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import AdamW

from earsight.checkpoints.narrow import is_dict
from earsight.checkpoints.native import NativeFolder, save_folder
from earsight.data.corpus import Corpus
from earsight.data.fbank_clips import statistics_for
from earsight.errors import InputError
from earsight.files import write_json
from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.generate.bundles import build_network, open_bundle
from earsight.models.audiomae.config import (
    AudioTaggerConfig,
    MaskedAutoencoderConfig,
)
from earsight.models.audiomae.groups import layer_decay_groups
from earsight.models.audiomae.model import AudioTagger, MaskedAutoencoder
from earsight.models.audiomae.published import carried_encoder, carry_encoder
from earsight.recipes.audiomae_pretrain import preparation
from earsight.recipes.audiomae_tasks import OF_START, SETTINGS, FinetuneRecipe, tiny
from earsight.recipes.classifier_report import finite, score_table
from earsight.recipes.tagger_clips import (
    TaggedClips,
    TaggerData,
    draw_tagged,
    judged_batch,
    tag_loss,
)
from earsight.recipes.tagger_report import (
    all_scores,
    judged_on_test,
    tags_precision,
    valid_readings,
)
from earsight.settings import from_plain, to_plain
from earsight.training.batches import item_generator
from earsight.training.distributed import ALONE, World
from earsight.training.ema import MovingAverage
from earsight.training.optim import set_rate, update
from earsight.training.precision import autocast
from earsight.training.resumable import restored_step, saved_state
from earsight.training.rundir import RunDir
from earsight.training.schedules import epoch_warmup_cosine
from earsight.training.watch import EarlyStopping, check_finite

__all__ = ["SETTINGS", "FinetuneRecipe", "preparation", "tiny", "train"]

DEPTH_DRAW = zlib.crc32(b"depth")  # no position of a batch has this number


class FinetuneTraining:
    """Network, optimiser and bookkeeping of a run: all that a resumed run needs."""

    def __init__(self, recipe: FinetuneRecipe, data: TaggerData, world: World) -> None:
        self.recipe, self.data, self.world = recipe, data, world
        start = open_start(recipe.start)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)  # constructors draw from torch's global generator
            model = begin(recipe, start, num_classes=len(data.class_names))
        self.model = model.to(world.device).train()
        self.statistics = input_statistics(recipe, start, data)
        self.average: MovingAverage[AudioTagger] | None = None
        if recipe.decay is not None:
            self.average = MovingAverage(self.model, decay=recipe.decay)
        groups = layer_decay_groups(
            self.model, weight_decay=recipe.weight_decay, layer_decay=recipe.layer_decay
        )
        self.optimizer = AdamW(
            [group.for_optimizer() for group in groups], recipe.rate, betas=recipe.betas
        )
        self.watch = EarlyStopping(
            patience=recipe.patience, lower_is_better=False, name=f"valid_{recipe.judged_by}"
        )
        self.steps_per_epoch = data.draws.steps_per_epoch
        self.num_steps = recipe.num_epochs * self.steps_per_epoch
        self.check_every = recipe.check_epochs * self.steps_per_epoch
        self.step = 0

    @property
    def kept(self) -> AudioTagger:
        """The network that is checked and exported: the average, where there is one."""
        return self.model if self.average is None else self.average.model

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        return saved_state(self.step, self.model, self.optimizer, self.watch, self.average)

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.step = restored_step(state, self.model, self.optimizer, self.watch, self.average)


def train(
    recipe: FinetuneRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Fit to the "train" clips with a class, stop by the "valid" ones, judge on the "test" ones.

    `resume` goes on with a killed run to the same weights. Raises InputError where clips have no
    classes, TrainingError where the loss breaks or the disk is full.
    """
    run = run.seen_by(world)
    run.note_recipe(recipe, resume=resume)
    data = TaggerData(corpora, recipe.draws, memory_gb=recipe.memory_gb, seed=recipe.seed)
    training = FinetuneTraining(recipe, data, world)
    if resume:
        training.restore(run.load_state())
        run.trim_log(training.step)
    while training.step < training.num_steps and not training.watch.reason:
        rate = epoch_warmup_cosine(
            training.step / training.steps_per_epoch,
            peak=recipe.rate,
            lowest=recipe.lowest_rate,
            warmup_epochs=recipe.warmup_epochs,
            num_epochs=float(recipe.num_epochs),
        )
        set_rate(training.optimizer, rate)
        loss = training_loss(training)
        check_finite({"loss": loss}, training.step, checkpoint=run.newest)
        gradient = update(training.optimizer, loss, clip=recipe.clip, world=world)
        if training.average is not None:
            training.average.update(training.model)
        training.step += 1
        if training.step % recipe.log_every == 0:
            told = {"loss": float(loss.detach()), "gradient": gradient, "rate": rate}
            run.log(training.step, world.mean(told))
        if training.step % training.check_every == 0 or training.step == training.num_steps:
            check(run, training)
        if run.save_due(training.step, every=recipe.save_every, last=training.num_steps):
            run.save_state(training.state())
    finish(run, training)


def open_start(source: str) -> NativeFolder | None:
    """The folder of the network to start from; None for none.

    Raises InputError for a folder that holds no Audio-MAE.
    """
    if not source:
        return None
    bundle = open_bundle(source)
    for part in bundle.parts.values():
        if part.family in ("audiomae", "audiomae_tagger"):
            return part
    raise InputError(
        f"start: {source} holds {', '.join(p.family for p in bundle.parts.values())} and no "
        "Audio-MAE: name the model folder of a pre-training"
    )


def begin(recipe: FinetuneRecipe, start: NativeFolder | None, *, num_classes: int) -> AudioTagger:
    """A new tagger, with the encoder of the start where there is one."""
    config = replace(recipe.model, num_classes=num_classes)
    if start is None:
        return AudioTagger(config)
    cpu = torch.device("cpu")
    network: MaskedAutoencoder | AudioTagger
    if start.family == "audiomae":
        network = build_network(MaskedAutoencoder, MaskedAutoencoderConfig, start, "audiomae", cpu)
    else:
        network = build_network(AudioTagger, AudioTaggerConfig, start, "audiomae_tagger", cpu)
    encoder = carried_encoder(network.config.encoder, num_frames=config.encoder.num_frames)
    tagger = AudioTagger(replace(config, encoder=encoder))
    carry_encoder(network, tagger)
    return tagger


def input_statistics(
    recipe: FinetuneRecipe, start: NativeFolder | None, data: TaggerData
) -> FbankStatistics:
    """What normalises the input. Raises InputError where the start does not tell its own."""
    num_frames, fill = recipe.model.encoder.num_frames, recipe.changes.cut.fill
    if recipe.statistics != OF_START or start is None:
        return statistics_for(recipe.statistics, data.train.waves, num_frames=num_frames, fill=fill)
    told = start.extra.get("statistics")
    if isinstance(told, str):
        return statistics_for(told, data.train.waves, num_frames=num_frames, fill=fill)
    if not is_dict(told):
        raise InputError(f"{start.path} tells no statistics: name published ones, or 'measured'")
    return replace(from_plain(FbankStatistics, told), num_frames=num_frames)


def training_loss(training: FinetuneTraining) -> Float[Tensor, ""]:
    """The loss of this process's part of the coming step, known from seed and step alone."""
    recipe, data, world = training.recipe, training.data, training.world
    places, part = data.places(training.step), world.part(recipe.draws.batch)
    generators = [item_generator(recipe.seed, training.step, place) for place in part]
    batch = draw_tagged(
        data.train,
        [places[place] for place in part],
        recipe.changes,
        training.statistics,
        generators=generators,
        device=world.device,
    )
    mask = None
    if recipe.masking.time or recipe.masking.frequency:
        grid = training.model.config.encoder.grid
        mask = recipe.masking.draw_each(grid, generators).to(world.device)
    depth = item_generator(recipe.seed, training.step, DEPTH_DRAW + world.rank)
    on_device = torch.Generator(world.device).manual_seed(depth.initial_seed())
    training.model.train()
    with autocast(world.device, recipe.precision):
        logits = training.model(batch.fbank, mask, rng=on_device, recompute=recipe.recompute).logits
    return tag_loss(logits, batch.targets, kind=recipe.loss, smoothing=recipe.label_smoothing)


def judge(training: FinetuneTraining, clips: TaggedClips, places: list[int]) -> Tensor:
    """Scores of whole, unmasked clips by the kept network."""
    recipe, device = training.recipe, training.world.device
    batch = judged_batch(clips, places, recipe.changes, training.statistics, device=device)
    with autocast(device, recipe.precision):
        return training.kept.eval()(batch.fbank).logits


def scores_of(training: FinetuneTraining, clips: TaggedClips) -> Float[Tensor, "n k"]:
    """Scores of all clips of a split."""
    return all_scores(
        lambda part, places: judge(training, part, places),
        clips,
        batch=training.recipe.check_batch,
        world=training.world,
    )


def check(run: RunDir, training: FinetuneTraining) -> None:
    """Judge the valid clips; log it, and keep the state where the score was never higher."""
    data = training.data
    found = valid_readings(scores_of(training, data.valid), data.valid, kind=training.recipe.loss)
    run.log(training.step, found)
    score = found[f"valid_{training.recipe.judged_by}"]
    if training.watch.update(score, training.step):
        run.keep_best(training.state(), score, name=training.watch.name)


def finish(run: RunDir, training: FinetuneTraining) -> None:
    """Go back to the best check, judge the test clips, write RUN/scores.json and RUN/model."""
    recipe, data = training.recipe, training.data
    reason, last_step = training.watch.reason, training.step
    run.save_state(training.state())
    if training.watch.best is not None:
        training.restore(run.load_best())
    scores = scores_of(training, data.test)  # every process judges its share
    if not run.world.is_first:
        return
    report = judged_on_test(scores, data, kind=recipe.loss)
    ended = f"Stopped early: {reason}." if reason else f"Ran to its end at step {last_step}."
    told = {
        "step": training.step,
        training.watch.name: training.watch.best,
        "ended": ended,
        "tags_mean_average_precision": tags_precision(scores, data.test, kind=recipe.loss),
        **report.plain(),
    }
    write_json(run.path / "scores.json", finite(told), overwrite=True)
    parameters = sum(parameter.numel() for parameter in training.kept.parameters())
    labels: Literal["many", "one"] = "many" if recipe.loss == "binary" else "one"
    card = f"""# Audio-MAE, fine-tuned

{parameters / 1e6:.1f} M parameters, {len(data.class_names)} classes: {", ".join(data.class_names)}.
Start: {recipe.start or "random weights"}. Weights of step {training.step}. {ended}
Data: {data.name}, {len(data.train)} clips to train on, {len(data.valid)} to stop by.
mAP of all tags of a clip: {told["tags_mean_average_precision"]:.1%}.

{score_table(report)}"""
    save_folder(
        run.path / "model",
        "audiomae_tagger",
        training.kept.config,
        training.kept.state_dict(),
        extra={
            "frontend": "kaldi_fbank",
            "statistics": to_plain(training.statistics),
            "labels": labels,
            "class_names": list(data.class_names),
            "scores": finite(asdict(report.overall)),
        },
        card=card,
        overwrite=True,
    )
