"""The training that networks without classes share: clips, phases, checks, exact resume.

What differs between kinds of pre-training comes as a `Pretext`.

Axes: b clips, t frames, m mel bands.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Generic

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from earsight.checkpoints.native import save_folder
from earsight.data.corpus import Corpus
from earsight.data.fbank_clips import WaveClips, cut_wave, fbanks, samples_of, spread_parts
from earsight.data.joined import JoinedCorpus
from earsight.files import write_json
from earsight.frontends.kaldi_fbank import FbankSettings, compressed, normalise
from earsight.recipes.pretext import Network, Pretext
from earsight.recipes.pretraining_recipe import PretrainingRecipe
from earsight.recipes.start_folder import input_statistics, load_whole, open_start
from earsight.settings import to_plain
from earsight.training.batches import BatchPlan, item_generator
from earsight.training.coarse_to_fine import compressed_input
from earsight.training.distributed import World
from earsight.training.halving import RateHalving
from earsight.training.optim import accumulate, set_rate
from earsight.training.phase_clock import PhaseClock
from earsight.training.resumable import restored_step, saved_state
from earsight.training.rundir import RunDir
from earsight.training.watch import EarlyStopping, check_finite

# numbers that no position of a batch has, so that these draws are their own
HELD_OUT_DRAW, DROPOUT_DRAW = zlib.crc32(b"held out"), zlib.crc32(b"dropout")
PICTURE_GAP = 4


class PretrainingData:
    """Clips to train on and to judge by, and the order they are trained in.

    Raises InputError where a split has no clips.
    """

    def __init__(
        self, corpora: Sequence[Corpus], recipe: PretrainingRecipe, *, settings: FbankSettings
    ) -> None:
        corpus = JoinedCorpus(corpora)
        self.name = corpus.name
        valid = corpus.records("valid")
        count = min(len(valid), recipe.num_held_out)
        chosen = [valid[number * len(valid) // count] for number in range(count)]
        self.train, self.valid = (
            WaveClips(
                corpus,
                records,
                memory_gb=memory_gb,
                rate_hz=settings.rate_hz,
                min_samples=settings.window_samples,
            )
            for records, memory_gb in (
                (corpus.records("train"), recipe.memory_gb),
                (chosen, recipe.memory_gb / 4),
            )
        )
        self.plan = BatchPlan(num_items=len(self.train), batch=recipe.batch, seed=recipe.seed)
        self.steps_per_epoch = max(1, len(self.train) // recipe.batch)


class Pretraining(Generic[Network]):
    """Network, optimiser and bookkeeping of a run: all that a resumed run needs."""

    def __init__(
        self,
        recipe: PretrainingRecipe,
        pretext: Pretext[Network],
        data: PretrainingData,
        world: World,
    ) -> None:
        self.recipe, self.pretext, self.data, self.world = recipe, pretext, data, world
        phases = recipe.curriculum.phases(
            fine_epochs=recipe.num_epochs, higher_is_better=pretext.higher_is_better
        )
        self.clock = PhaseClock(phases, steps_per_epoch=data.steps_per_epoch)
        self.check_steps = recipe.check_every or recipe.check_epochs * data.steps_per_epoch
        self.watch = EarlyStopping(
            patience=recipe.patience,
            lower_is_better=not pretext.higher_is_better,
            name=f"held_out_{pretext.score}",
        )
        self.reached: float | None = None
        start = open_start(recipe.start, (pretext.family,), system=pretext.title)
        self.statistics = input_statistics(
            recipe.statistics,
            start,
            data.train,
            num_frames=pretext.num_frames,
            fill=recipe.cut.fill,
            settings=pretext.fbank,
        )
        full, first = replace(self.clock.compression, factor=1), self.clock.compression
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)  # constructors draw from torch's global generator
            network = pretext.network(first if start is None else full)
            if start is not None:
                load_whole(network, pretext.sizes(), start)
                network = network if first == full else pretext.carried(network, first)
        self._begin(network)

    def _begin(self, network: Network) -> None:
        """Start a phase: optimiser and rate anew."""
        self.model = network.to(self.world.device).train()
        self.optimizer = self.pretext.optimizer(self.model)
        self.halving = RateHalving(
            patience=self.pretext.halve_patience, higher_is_better=self.pretext.higher_is_better
        )

    def next_phase(self) -> None:
        """Go on at the clock's resolution with the weights of the phase before."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            network = self.pretext.carried(self.model, self.clock.compression)
        self._begin(network)

    @property
    def rate(self) -> float:
        """Learning rate of the coming step."""
        clock = self.clock
        rate = self.pretext.rate(
            clock.step_in_phase,
            steps_per_epoch=clock.steps_per_epoch,
            num_epochs=clock.phase.max_epochs,
        )
        return rate * self.halving.factor

    @property
    def reason(self) -> str | None:
        """Why the run should end before its last step."""
        if self.reached is not None:
            beaten = self.recipe.curriculum.beat
            return f"{self.watch.name} of {self.reached:.4g} beats {beaten:g}"
        return self.watch.reason

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        saved = saved_state(self.clock.step, self.model, self.optimizer, self.watch)
        return {
            **saved,
            "clock": self.clock.state(),
            "halving": self.halving.state(),
            "reached": self.reached,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        before = self.clock.compression
        self.clock.restore(state["clock"])
        if self.clock.compression != before:
            self.next_phase()
        restored_step(state, self.model, self.optimizer, self.watch)
        self.halving.restore(state["halving"])
        self.reached = state["reached"]

    def drawn(
        self, places: Sequence[int], generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "b t m"]:
        """Inputs of training clips, each cut by its own generator."""
        recipe, phase = self.recipe, self.clock.compression
        settings = compressed(phase.hop_factor, self.pretext.fbank)
        num_frames = phase.spectrogram_frames(self.pretext.num_frames)
        wanted = samples_of(num_frames, settings)
        waves = [
            cut_wave(self.data.train.wave(place), recipe.cut, num_samples=wanted, rng=rng)
            for place, rng in zip(places, generators, strict=True)
        ]
        found = fbanks(waves, num_frames=num_frames, settings=settings, device=self.world.device)
        return compressed_input(normalise(found, self.statistics), phase)

    def held_out(self, places: Sequence[int]) -> tuple[Tensor, list[torch.Generator]]:
        """Inputs of the first parts of valid clips, and what draws the patches hidden of each."""
        phase = self.clock.compression
        frames = phase.spectrogram_frames(self.pretext.num_frames)
        found = spread_parts(
            self.data.valid,
            places,
            replace(self.statistics, num_frames=frames),
            num_parts=1,
            fill=self.recipe.cut.fill,
            settings=compressed(phase.hop_factor, self.pretext.fbank),
            device=self.world.device,
        )
        generators = [item_generator(self.recipe.seed, HELD_OUT_DRAW, place) for place in places]
        return compressed_input(found, phase), generators


def pretrain(
    recipe: PretrainingRecipe,
    run: RunDir,
    pretext: Pretext[Network],
    *,
    corpora: Sequence[Corpus],
    world: World,
    resume: bool,
) -> None:
    """Train on the "train" clips and judge on the "valid" ones; writes RUN/model.

    `resume` goes on with a killed run to the same weights. Raises InputError where a split is
    empty, TrainingError where the loss breaks or the disk is full.
    """
    run = run.seen_by(world)
    run.note_recipe(recipe, resume=resume)
    data = PretrainingData(corpora, recipe, settings=pretext.fbank)
    training = Pretraining(recipe, pretext, data, world)
    clock = training.clock
    if resume:
        training.restore(run.load_state())
        run.trim_log(clock.step)
    while not clock.finished and not training.reason:
        rate = training.rate
        set_rate(training.optimizer, rate)
        with clock.timed():
            told = _step(run, training)
        clock.advance()
        if clock.step % recipe.log_every == 0:
            run.log(clock.step, world.mean({**told, "rate": rate}))
        score: float | None = None
        if _check_due(training):
            score = _check(run, training)
        if clock.epoch_is_over and clock.close_epoch(score) and not clock.finished:
            training.next_phase()
        if run.save_due(clock.step, every=recipe.save_every, last=clock.num_steps):
            run.save_state(training.state())
    _finish(run, training)


def _step(run: RunDir, training: Pretraining[Network]) -> dict[str, float]:
    """One update; means over this process's part of the batch, and the gradient's norm."""
    told: list[dict[str, Tensor]] = []

    def losses() -> Iterator[Tensor]:
        for found in training_losses(training):
            check_finite(found, training.clock.step, checkpoint=run.newest)
            told.append({name: value.detach() for name, value in found.items()})
            yield found["loss"]

    recipe = training.recipe
    gradient = accumulate(
        training.optimizer,
        losses(),
        num_parts=recipe.num_parts,
        clip=recipe.clip,
        world=training.world,
    )
    means = {name: float(torch.stack([part[name] for part in told]).mean()) for name in told[0]}
    return {**means, "gradient": gradient}


def training_losses(training: Pretraining[Network]) -> Iterator[dict[str, Tensor]]:
    """The losses of the coming step's parts, known from seed and step alone.

    What a network draws beside the hidden patches is the same in all parts and processes, as it
    would be in a whole batch.
    """
    recipe, world, step = training.recipe, training.world, training.clock.step
    indices, part = training.data.plan.indices(step), world.part(recipe.batch)
    seed = item_generator(recipe.seed, step, DROPOUT_DRAW).initial_seed()
    per_part = len(part) // recipe.num_parts
    training.model.train()
    for first in range(0, len(part), per_part):
        places = part[first : first + per_part]
        generators = [item_generator(recipe.seed, step, place) for place in places]
        fbank = training.drawn([indices[place] for place in places], generators)
        rng = torch.Generator(world.device).manual_seed(seed)
        yield training.pretext.losses(training.model, fbank, generators, rng=rng)


@torch.no_grad()
def held_out_means(training: Pretraining[Network]) -> dict[str, float]:
    """Losses on valid clips with hidden patches that are the same every time.

    Processes share the clips; one that has none judges the first without counting it.
    """
    recipe, world, model = training.recipe, training.world, training.model
    model.eval()
    own = range(world.rank, len(training.data.valid), world.size)
    sums: dict[str, float] = {}
    for first in range(0, max(1, len(own)), recipe.check_batch):
        part = own[first : first + recipe.check_batch]
        fbank, generators = training.held_out(part or [0])
        found = training.pretext.losses(model, fbank, generators, rng=None)
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(part)
    total = world.mean({**sums, "clips": float(len(own))})
    return {f"held_out_{name}": total[name] / total["clips"] for name in sums}


def _check_due(training: Pretraining[Network]) -> bool:
    """Whether to judge after the step just counted."""
    clock = training.clock
    in_time = clock.step_in_phase % training.check_steps == 0
    for_phase = clock.epoch_is_over and clock.phase.plateau is not None
    return in_time or for_phase or clock.phase_may_end


def _check(run: RunDir, training: Pretraining[Network]) -> float:
    """Judge the valid clips, show one; keep the state where the last phase was never better."""
    clock, recipe = training.clock, training.recipe
    found = held_out_means(training)
    factor = {"factor": float(clock.compression.factor)} if recipe.curriculum.factors else {}
    run.log(clock.step, found | factor)
    if run.tensorboard and run.world.is_first:
        run.log_picture(clock.step, "whole_hidden_rebuilt", picture(training))
    score = found[training.watch.name]
    training.halving.update(score)
    if not clock.in_last_phase:
        return score
    if training.watch.update(score, clock.step) and recipe.patience is not None:
        run.keep_best(training.state(), score, name=training.watch.name)
    if (beat := recipe.curriculum.beat) is not None:
        better = score > beat if training.pretext.higher_is_better else score < beat
        training.reached = score if better else None
    return score


@torch.no_grad()
def picture(training: Pretraining[Network]) -> Float[Tensor, "m t"]:
    """The first valid clip, in [0, 1]: at the top whole, below it what is seen, then rebuilt."""
    training.model.eval()
    fbank, generators = training.held_out([0])
    shown = training.pretext.shown(training.model, fbank, generators[0])
    lowest, highest = float(fbank.min()), float(fbank.max())
    rows = (shown.rebuilt, shown.seen, shown.whole)  # low bands come first
    bands = [rearrange(row, "t m -> m t") for row in rows]
    gap = torch.full_like(bands[0][:PICTURE_GAP], highest)
    stacked = torch.cat([bands[0], gap, bands[1], gap, bands[2]])
    return ((stacked - lowest) / max(highest - lowest, 1e-6)).clamp(0, 1)


def _finish(run: RunDir, training: Pretraining[Network]) -> None:
    """Write RUN/ended.json and RUN/model: the best check's weights with a patience, else the last.

    The model folder says which statistics its input needs.
    """
    clock, recipe, pretext = training.clock, training.recipe, training.pretext
    last_step, reason = clock.step, training.reason
    epochs = [asdict(epoch) for epoch in clock.epochs]
    run.save_state(training.state())
    if recipe.patience is not None and training.watch.best is not None:
        training.restore(run.load_best())
    found = held_out_means(training)  # every process judges its share
    if not run.world.is_first:
        return
    ended = {
        "step": last_step,
        "reason": reason or "all epochs are done",
        "exported_step": clock.step,
        **found,
        "epochs": epochs,
    }
    write_json(run.path / "ended.json", ended, overwrite=True)
    save_folder(
        run.path / "model",
        pretext.family,
        pretext.sizes(),
        training.model.state_dict(),
        extra={
            "frontend": "kaldi_fbank",
            "statistics": to_plain(training.statistics),
            "short_clips": recipe.cut.fill,
            **pretext.extra(),
            **found,
        },
        card=_card(training, found, last_step=last_step),
        overwrite=True,
    )


def _card(training: Pretraining[Network], found: Mapping[str, float], *, last_step: int) -> str:
    recipe, pretext, data = training.recipe, training.pretext, training.data
    parameters = sum(parameter.numel() for parameter in training.model.parameters())
    numbers = ", ".join(
        f"{name.removeprefix('held_out_')} {value:.4f}" for name, value in found.items()
    )
    statistics = training.statistics
    return f"""# {pretext.title}, pre-trained

{parameters / 1e6:.1f} M parameters. {pretext.described()}
Start: {recipe.start or "random weights"}. Data: {data.name}, {len(data.train)} clips.
Weights of step {training.clock.step} of {last_step}.
On {len(data.valid)} held-out clips: {numbers}.
Input: Kaldi log filterbanks, (x - {statistics.mean:.6g}) / (2 * {statistics.spread:.6g}),
{statistics.num_frames} frames.
"""
