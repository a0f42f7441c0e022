"""The training that all taggers share: phases, checks, averages, exact resume, report.

What differs between families of networks comes as a `Tagging`.

Axes: b clips, w windows of a clip, n clips of a split, k classes.
"""

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from earsight.checkpoints.native import save_folder
from earsight.data.corpus import Corpus
from earsight.files import write_json
from earsight.frontends.kaldi_fbank import PUBLISHED
from earsight.recipes.classifier_report import finite, score_table
from earsight.recipes.tagger_clips import (
    TaggedBatch,
    TaggedClips,
    TaggerData,
    tag_loss,
)
from earsight.recipes.tagger_recipe import TaggerRecipe
from earsight.recipes.tagger_report import (
    all_scores,
    joined_windows,
    judged_on_test,
    tags_precision,
    valid_readings,
)
from earsight.training.averaging import BestMean, EpochMean
from earsight.training.batches import item_generator
from earsight.training.coarse_to_fine import Compression
from earsight.training.distributed import World
from earsight.training.ema import MovingAverage
from earsight.training.optim import accumulate, set_rate
from earsight.training.phase_clock import PhaseClock
from earsight.training.precision import autocast
from earsight.training.resumable import restored_step, saved_state
from earsight.training.rundir import RunDir
from earsight.training.watch import EarlyStopping, check_finite

NETWORK_DRAW = zlib.crc32(b"depth")  # no position of a batch has this number

Network = TypeVar("Network", bound=nn.Module)


@runtime_checkable
class Tagging(Protocol[Network]):
    """A family of networks in training: how they begin, go on, are fed and score.

    `family` is that of the exported folder and `title` what its card calls the network. `phase`
    is always the resolution of a phase.
    """

    family: str
    title: str

    def network(self, phase: Compression) -> Network:
        """A new network; constructors may draw from torch's global generator."""
        ...

    def carried(self, network: Network, before: Compression, phase: Compression) -> Network:
        """The network of the next phase, with the weights of the one before."""
        ...

    def optimizer(self, network: Network) -> Optimizer:
        """A new optimiser for a phase."""
        ...

    def rate(self, step: int, *, steps_per_epoch: int, num_epochs: int) -> float:
        """Learning rate of the update that follows `step` finished ones of a phase."""
        ...

    def draw(
        self,
        clips: TaggedClips,
        places: Sequence[int],
        generators: Sequence[torch.Generator],
        phase: Compression,
    ) -> TaggedBatch:
        """Training clips, each changed by its own generator."""
        ...

    def whole(self, clips: TaggedClips, places: Sequence[int], phase: Compression) -> Tensor:
        """Inputs to judge clips by, nothing changed: windows of a clip side by side."""
        ...

    def training_logits(
        self,
        network: Network,
        batch: TaggedBatch,
        generators: Sequence[torch.Generator],
        rng: torch.Generator,
    ) -> Float[Tensor, "b k"]:
        """Scores of changed clips; `rng` is on the network's device, `generators` are not."""
        ...

    def logits(self, network: Network, inputs: Tensor) -> Float[Tensor, "b k"]:
        """Scores of inputs to judge by."""
        ...

    def config(self, network: Network) -> Any:
        """Sizes for the exported folder."""
        ...

    def extra(self) -> Mapping[str, Any]:
        """What the exported folder tells of its front end."""
        ...

    def begun_from(self) -> str:
        """What the network started from, in words."""
        ...


class TaggerTraining(Generic[Network]):
    """Network, optimiser and bookkeeping of a run: all that a resumed run needs."""

    def __init__(
        self,
        recipe: TaggerRecipe,
        tagging: Tagging[Network],
        data: TaggerData,
        run: RunDir,
        world: World,
    ) -> None:
        self.recipe, self.tagging, self.data, self.world = recipe, tagging, data, world
        self.clock = PhaseClock(
            recipe.curriculum.phases(fine_epochs=recipe.num_epochs),
            steps_per_epoch=data.draws.steps_per_epoch,
        )
        self.watch = EarlyStopping(
            patience=recipe.patience, lower_is_better=False, name=f"valid_{recipe.judged_by}"
        )
        self.mean = EpochMean()
        self.best_mean = BestMean(run, count=recipe.average_best)
        self.reached: float | None = None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            network = tagging.network(self.clock.compression)
        self._begin(network)

    def _begin(self, network: Network) -> None:
        """Start a phase: optimiser and average anew."""
        self.model = network.to(self.world.device).train()
        decay = self.recipe.decay
        self.average = None if decay is None else MovingAverage(self.model, decay=decay)
        self.optimizer = self.tagging.optimizer(self.model)

    def next_phase(self, before: Compression) -> None:
        """Go on at the clock's resolution with the weights of the one before."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            carried = self.tagging.carried(self.kept, before, self.clock.compression)
        self._begin(carried.requires_grad_(True))

    @property
    def kept(self) -> Network:
        """The network that is checked and exported: the average, where there is one."""
        return self.model if self.average is None else self.average.model

    @property
    def reason(self) -> str | None:
        """Why the run should end before its last step."""
        if self.reached is not None:
            return f"{self.watch.name} of {self.reached:.4g} beats {self.recipe.curriculum.beat:g}"
        return self.watch.reason

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        saved = saved_state(self.clock.step, self.model, self.optimizer, self.watch, self.average)
        return {
            **saved,
            "clock": self.clock.state(),
            "mean": self.mean.state(),
            "best_mean": self.best_mean.state(),
            "reached": self.reached,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        before = self.clock.compression
        self.clock.restore(state["clock"])
        if self.clock.compression != before:
            self.next_phase(before)
        restored_step(state, self.model, self.optimizer, self.watch, self.average)
        self.mean.restore(state["mean"])
        self.best_mean.restore(state["best_mean"])
        self.reached = state["reached"]


def train_tagger(
    recipe: TaggerRecipe,
    run: RunDir,
    begin: Callable[[TaggerData], Tagging[Network]],
    *,
    corpora: Sequence[Corpus],
    world: World,
    resume: bool,
    rate_hz: int = PUBLISHED.rate_hz,
    min_samples: int = PUBLISHED.window_samples,
) -> None:
    """Fit to the "train" clips with a class, check the "valid" ones, judge on the "test" ones.

    `begin` makes the tagging for these clips, which have `rate_hz`. `resume` goes on with a killed
    run to the same weights. Raises InputError where clips have no classes, TrainingError where the
    loss breaks or the disk is full.
    """
    run = run.seen_by(world)
    run.note_recipe(recipe, resume=resume)
    data = TaggerData(
        corpora,
        recipe.draws,
        memory_gb=recipe.memory_gb,
        seed=recipe.seed,
        rate_hz=rate_hz,
        min_samples=min_samples,
    )
    tagging = begin(data)
    training = TaggerTraining(recipe, tagging, data, run, world)
    clock = training.clock
    if resume:
        training.restore(run.load_state())
        run.trim_log(clock.step)
    while not clock.finished and not training.reason:
        rate = tagging.rate(
            clock.step_in_phase,
            steps_per_epoch=clock.steps_per_epoch,
            num_epochs=clock.phase.max_epochs,
        )
        set_rate(training.optimizer, rate)
        with clock.timed():
            loss, gradient = _step(run, training)
        clock.advance()
        if clock.step % recipe.log_every == 0:
            run.log(clock.step, world.mean({"loss": loss, "gradient": gradient, "rate": rate}))
        if clock.epoch_is_over:
            _end_epoch(run, training)
        if run.save_due(clock.step, every=recipe.save_every, last=clock.num_steps):
            run.save_state(training.state())
            training.best_mean.drop_others()
    _finish(run, training)


def _step(run: RunDir, training: TaggerTraining[Network]) -> tuple[float, float]:
    """One update; mean loss of this process's part of the batch, and the gradient's norm."""
    told: list[Tensor] = []

    def losses() -> Iterator[Tensor]:
        for loss in _losses(training):
            check_finite({"loss": loss}, training.clock.step, checkpoint=run.newest)
            told.append(loss.detach())
            yield loss

    gradient = accumulate(
        training.optimizer,
        losses(),
        num_parts=training.recipe.num_parts,
        clip=training.recipe.clip,
        world=training.world,
    )
    if training.average is not None:
        training.average.update(training.model)
    return float(torch.stack(told).mean()), gradient


def _losses(training: TaggerTraining[Network]) -> Iterator[Float[Tensor, ""]]:
    """The losses of the coming step's parts, known from seed and step alone."""
    recipe, data, world = training.recipe, training.data, training.world
    step, tagging = training.clock.step, training.tagging
    places, part = data.places(step), list(world.part(recipe.draws.batch))
    training.model.train()
    per_part = max(1, len(part) // recipe.num_parts)
    drawn = item_generator(recipe.seed, step, NETWORK_DRAW + world.rank)
    on_device = torch.Generator(world.device).manual_seed(drawn.initial_seed())
    for first in range(0, len(part), per_part):
        some = part[first : first + per_part]
        generators = [item_generator(recipe.seed, step, place) for place in some]
        batch = tagging.draw(
            data.train, [places[place] for place in some], generators, training.clock.compression
        )
        with autocast(world.device, recipe.precision):
            logits = tagging.training_logits(training.model, batch, generators, on_device)
        yield tag_loss(logits, batch.targets, kind=recipe.loss, smoothing=recipe.label_smoothing)


def scores_of(training: TaggerTraining[Network], clips: TaggedClips) -> Float[Tensor, "n k"]:
    """Scores of all clips of a split by the kept network, windows of a clip taken together."""
    recipe, tagging, world = training.recipe, training.tagging, training.world

    def judge(part: TaggedClips, places: list[int]) -> Tensor:
        inputs = tagging.whole(part, places, training.clock.compression)
        with autocast(world.device, recipe.precision):
            logits = tagging.logits(training.kept.eval(), inputs)
        by_clip = rearrange(logits.float(), "(b w) k -> b w k", b=len(places))
        return joined_windows(by_clip, kind=recipe.loss)

    return all_scores(judge, clips, batch=recipe.check_batch, world=world)


def _end_epoch(run: RunDir, training: TaggerTraining[Network]) -> None:
    """Check where that is due, and go on to the next epoch or phase."""
    recipe, clock = training.recipe, training.clock
    epoch, before = round(clock.epoch_in_phase), clock.compression
    last = clock.in_last_phase
    if last and recipe.average_epochs is not None:
        first, final = recipe.average_epochs
        if first <= epoch <= final:
            training.mean.add(training.model)
    score: float | None = None
    if epoch % recipe.check_epochs == 0 or clock.phase_may_end:
        score = _check(run, training)
    if clock.close_epoch(score) and not clock.finished:
        training.next_phase(before)


def _check(run: RunDir, training: TaggerTraining[Network]) -> float:
    """Judge the valid clips; keep the state where the score at full resolution was never higher."""
    clock, recipe = training.clock, training.recipe
    scores = scores_of(training, training.data.valid)
    found = valid_readings(scores, training.data.valid, kind=recipe.loss)
    run.log(clock.step, {**found, "factor": float(clock.compression.factor)})
    score = found[f"valid_{recipe.judged_by}"]
    if not clock.in_last_phase:
        return score
    training.best_mean.offer(training.model, score, clock.step)
    if training.watch.update(score, clock.step) and recipe.keep == "best":
        run.keep_best(training.state(), score, name=training.watch.name)
    if recipe.curriculum.beat is not None and score > recipe.curriculum.beat:
        training.reached = score
    return score


def _finish(run: RunDir, training: TaggerTraining[Network]) -> None:
    """Take the weights to keep, judge the test clips, write RUN/scores.json and RUN/model."""
    recipe, data, tagging = training.recipe, training.data, training.tagging
    reason, last_step = training.reason, training.clock.step
    epochs = [asdict(epoch) for epoch in training.clock.epochs]
    run.save_state(training.state())
    if recipe.average_epochs is not None:
        training.mean.load_into(training.model)
    elif recipe.average_best:
        training.best_mean.load_into(training.model)
    elif recipe.keep == "best" and training.watch.best is not None:
        training.restore(run.load_best())
    scores = scores_of(training, data.test)  # every process judges its share
    if not run.world.is_first:
        return
    report = judged_on_test(scores, data, kind=recipe.loss)
    tags = tags_precision(scores, data.test, kind=recipe.loss)
    ended = f"Stopped early: {reason}." if reason else f"Ran to its end at step {last_step}."
    told = {
        "step": training.clock.step,
        training.watch.name: training.watch.best,
        "ended": ended,
        "tags_mean_average_precision": tags,
        **report.plain(),
        "epochs": epochs,
    }
    write_json(run.path / "scores.json", finite(told), overwrite=True)
    parameters = sum(parameter.numel() for parameter in training.kept.parameters())
    labels: Literal["many", "one"] = "many" if recipe.loss == "binary" else "one"
    all_tags = "" if math.isnan(tags) else f"mAP of all tags of a clip: {tags:.1%}.\n"
    card = f"""# {tagging.title}

{parameters / 1e6:.1f} M parameters, {len(data.class_names)} classes: {", ".join(data.class_names)}.
Start: {tagging.begun_from()}. Weights of step {training.clock.step}. {ended}
Data: {data.name}, {len(data.train)} clips to train on, {len(data.valid)} to check with.
{all_tags}
{score_table(report)}"""
    save_folder(
        run.path / "model",
        tagging.family,
        tagging.config(training.kept),
        training.kept.state_dict(),
        extra={
            **tagging.extra(),
            "labels": labels,
            "class_names": list(data.class_names),
            "scores": finite(asdict(report.overall)),
        },
        card=card,
        overwrite=True,
    )
