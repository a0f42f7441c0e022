"""Data, state and steps of a spectrogram classifier's training.

Axes: b clips, m mel bands, t frames, n classes.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Adam

from earsight.data.corpus import Corpus
from earsight.data.joined import JoinedCorpus
from earsight.data.labelled_clips import LabelledBatch, LabelledClips
from earsight.data.mel_crops import whole
from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import normalise_bands
from earsight.losses.classify import class_weights, classification_loss
from earsight.recipes.classifier_settings import FitSettings
from earsight.training.batches import BatchPlan, item_generator
from earsight.training.distributed import World
from earsight.training.ema import MovingAverage
from earsight.training.optim import set_rate, update
from earsight.training.precision import autocast
from earsight.training.resumable import restored_step, saved_state
from earsight.training.schedules import warmup_cosine
from earsight.training.seeded import seeded_draws
from earsight.training.synced_norm import synchronise_norms
from earsight.training.watch import EarlyStopping, check_finite

Network = TypeVar("Network", bound=nn.Module)
LENGTH_DRAW = zlib.crc32(b"length")  # no clip of a batch has this number


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassData:
    """The clips of a run. Classes that corpora share by name are one."""

    corpus: JoinedCorpus
    train: LabelledClips
    valid: LabelledClips
    plan: BatchPlan

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by index."""
        return self.corpus.class_names

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of an epoch, at least 1."""
        return max(1, self.plan.num_items // self.plan.batch)


def open_class_data(corpora: Sequence[Corpus], fit: FitSettings) -> ClassData:
    """Training and validation clips. Raises InputError for less than two classes or no clips."""
    joined = JoinedCorpus(corpora)
    if len(joined.class_names) < 2:
        raise InputError(
            f"{joined.name} has {len(joined.class_names)} classes: a classifier needs 2 at least"
        )
    limit = round(fit.memory_gb * 2**30)
    train = LabelledClips(joined, "train", limit_bytes=limit)
    return ClassData(
        corpus=joined,
        train=train,
        valid=LabelledClips(joined, "valid", limit_bytes=limit // 4),
        plan=BatchPlan(num_items=len(train), batch=fit.batch, seed=fit.seed),
    )


class ClassifierTraining(Generic[Network]):
    """Network, optimiser and bookkeeping of a run: all that a resumed run needs."""

    def __init__(
        self, build: Callable[[], Network], fit: FitSettings, data: ClassData, world: World
    ) -> None:
        self.fit, self.data, self.world = fit, data, world
        with torch.random.fork_rng(devices=[]):
            # network constructors draw from torch's global generator
            torch.manual_seed(fit.seed)
            model = build()
        synchronise_norms(model, world)
        self.model: Network = model.to(world.device).train()
        self.average: MovingAverage[Network] | None = None
        if fit.decay is not None:
            self.average = MovingAverage(self.model, decay=fit.decay)
        learning = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = Adam(learning, fit.rate, betas=fit.betas, weight_decay=fit.weight_decay)
        self.watch = EarlyStopping(
            patience=fit.patience, smallest_change=fit.smallest_change, name="valid_loss"
        )
        self.weights = class_weights(data.train.counts(), fit.class_weights).to(world.device)
        self.num_steps = fit.num_epochs * data.steps_per_epoch
        self.check_every = fit.check_epochs * data.steps_per_epoch
        self.step = 0

    @property
    def kept(self) -> Network:
        """The network that is checked and exported: the average, where there is one."""
        return self.model if self.average is None else self.average.model

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        return saved_state(self.step, self.model, self.optimizer, self.watch, self.average)

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.step = restored_step(state, self.model, self.optimizer, self.watch, self.average)

    def set_rate(self) -> None:
        """Learning rate of the coming step."""
        rate = warmup_cosine(
            self.step,
            peak=self.fit.rate,
            final=self.fit.final_share,
            warmup_steps=self.fit.warmup_steps,
            num_steps=max(self.num_steps, self.fit.warmup_steps + 1),
        )
        set_rate(self.optimizer, rate)


def take_step(
    training: ClassifierTraining[Any], *, checkpoint: Path | None = None
) -> dict[str, float]:
    """One step of the network and of its average; returns what is logged of it.

    Raises TrainingError, which names `checkpoint`, where the loss is not finite.
    """
    fit, world = training.fit, training.world
    training.set_rate()
    training.model.train()  # checks left it otherwise
    with seeded_draws(fit.seed, training.step, world):
        loss, readings = training_loss(training, draw_crops(training))
        check_finite(readings, training.step, checkpoint=checkpoint)
        norm = update(training.optimizer, loss, clip=fit.clip, world=world)
    if training.average is not None:
        training.average.update(training.model)
    training.step += 1
    found = {name: float(value) for name, value in readings.items()}
    return world.mean(found | {"gradient": norm})


def draw_crops(training: ClassifierTraining[Any]) -> LabelledBatch:
    """This process's crops of the coming step, known from seed and step alone."""
    fit, step = training.fit, training.step
    lengths = fit.crop_frames
    frames = lengths[whole(0, len(lengths), item_generator(fit.seed, step, LENGTH_DRAW))]
    indices = training.data.plan.indices(step)
    own = training.world.part(fit.batch)
    return training.data.train.crops(
        [indices[place] for place in own],
        num_frames=frames,
        settings=fit.crops,
        generators=[item_generator(fit.seed, step, place) for place in own],
    )


def class_scores(
    model: nn.Module, mel: Float[Tensor, "b m t"], training: ClassifierTraining[Any]
) -> Float[Tensor, "b n"]:
    """Scores of spectrograms in [0, 1], in the run's precision; float32."""
    with autocast(training.world.device, training.fit.precision):
        scores = model(normalise_bands(mel.to(training.world.device)))
    return scores.float()


def training_loss(
    training: ClassifierTraining[Any], batch: LabelledBatch
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """The loss of a step, and what is logged of it.

    With class weights each process divides by the weights of its own clips.
    """
    scores = class_scores(training.model, batch.mel, training)
    labels = batch.labels.to(scores.device)
    loss = classification_loss(
        scores, labels, weights=training.weights, smoothing=training.fit.label_smoothing
    )
    top_1 = (scores.argmax(dim=1) == labels).float().mean()
    return loss, {"loss": loss.detach(), "top_1": top_1}
