"""Training of the small image tower on rendered clips, whose truth is known.

The tower learns, per frame, which sounding things are in the picture, whether something strikes
now and how loud it is; a bottleneck of few values in front of these readings is what the code
transformer gets to see.
Data: a Foley Room folder. Command: `earsight train foley_sight.foley_room --data FOLDER --run
DIR`; time and scores: the card. Source: none of the papers, which use networks trained on ImageNet.

Axes: c clips, b clips of a batch, n frames, h w pixels, k classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW

from earsight.checkpoints.native import save_folder
from earsight.data.corpus import Corpus
from earsight.errors import ConfigError
from earsight.models.sight.config import SightConfig
from earsight.models.sight.model import Sight, SightTower
from earsight.recipes.sight_clips import SightClips, read_clips
from earsight.training.batches import BatchPlan, item_generator
from earsight.training.distributed import ALONE, World
from earsight.training.ema import MovingAverage
from earsight.training.optim import decay_groups, set_rate, update
from earsight.training.precision import autocast
from earsight.training.rundir import RunDir
from earsight.training.schedules import warmup_cosine
from earsight.training.watch import check_finite

CHECK_BATCH = 16
STRANGE_PIECES = 4
"""Pieces on each side into which an unrecognisable picture is cut."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SightRecipe:
    """Everything that decides the outcome of a run.

    Of every clip of a step `crop_frames` frames in a row are seen. Pictures are changed at random
    per clip: mirrored, moved by up to `shift` pixels, and their brightness and colours scaled by up
    to `light`. `stranger_share` of the clips are made unrecognisable, so that the tower can also
    say that it knows nothing of what it sees.
    """

    model: SightConfig
    num_steps: int
    batch: int = 24
    crop_frames: int = 24
    rate: float = 2e-3
    final_share: float = 0.02
    warmup_steps: int = 50
    weight_decay: float = 0.02
    clip: float = 1.0
    decay: float = 0.995
    class_weight: float = 4.0
    event_weight: float = 2.0
    loudness_weight: float = 2.0
    shift: int = 4
    light: float = 0.3
    stranger_share: float = 0.15
    precision: Literal["fp32", "bf16"] = "bf16"
    log_every: int = 20
    check_every: int = 200
    save_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse changes that are none or too much."""
        if not 0 <= self.light < 1 or not 0 <= self.shift < self.model.picture_size // 2:
            raise ConfigError(
                f"light ({self.light}) must be in 0..1 and shift ({self.shift}) less than half a "
                f"picture of {self.model.picture_size}"
            )


def foley_room() -> SightRecipe:
    """The settings of the weights in the package."""
    return SightRecipe(model=SightConfig(), num_steps=1600)


def tiny() -> SightRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    return replace(
        foley_room(),
        model=SightConfig(picture_size=16, channels=(8, 8), width=16, num_values=4),
        num_steps=4,
        batch=2,
        crop_frames=12,
        warmup_steps=1,
        shift=1,
        log_every=1,
        check_every=2,
        save_every=2,
    )


SETTINGS: Mapping[str, Callable[[], SightRecipe]] = {"foley_room": foley_room, "tiny": tiny}


@dataclass(frozen=True, slots=True)
class SightLosses:
    """`total` is minimised; the rest are its parts, unweighted."""

    total: Float[Tensor, ""]
    classes: Float[Tensor, ""]
    event: Float[Tensor, ""]
    loudness: Float[Tensor, ""]


class SightTraining:
    """Network, optimiser and average of a run: all that a resumed run needs."""

    def __init__(self, recipe: SightRecipe, world: World) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)  # constructors draw from torch's global generator
            self.model = SightTower(recipe.model).to(world.device)
        self.average = MovingAverage(self.model, decay=recipe.decay)
        self.optimizer = AdamW(
            decay_groups(self.model, weight_decay=recipe.weight_decay), recipe.rate
        )
        self.step = 0

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "num_averaged": self.average.num_updates,
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.average.num_updates = state["num_averaged"]
        self.optimizer.load_state_dict(state["optimizer"])


def train(
    recipe: SightRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Train on the rendered clips of the corpora; writes RUN/model.

    A killed run goes on with `resume` from the last saved state, to the same weights.
    """
    run = run.seen_by(world)
    names = corpora[0].class_names
    recipe = replace(recipe, model=replace(recipe.model, num_classes=len(names)))
    clips, held_out = (
        read_clips(
            [record for corpus in corpora for record in corpus.records(split)],
            class_names=names,
            picture_size=recipe.model.picture_size,
        )
        for split in ("train", "valid")
    )
    run.note_recipe(recipe, resume=resume)
    training = SightTraining(recipe, world)
    if resume:
        training.restore(run.load_state())
        run.trim_log(training.step)
    plan = BatchPlan(num_items=len(clips.pictures), batch=recipe.batch, seed=recipe.seed)
    model = world.wrap(training.model)
    while training.step < recipe.num_steps:
        rate = warmup_cosine(
            training.step,
            peak=recipe.rate,
            final=recipe.final_share,
            warmup_steps=recipe.warmup_steps,
            num_steps=recipe.num_steps,
        )
        set_rate(training.optimizer, rate)
        batch = draw_batch(clips, plan, training.step, recipe, world)
        with autocast(world.device, recipe.precision):
            losses = sight_losses(model(batch.pictures), batch, recipe)
        check_finite({"loss": losses.total}, training.step, checkpoint=run.newest)
        gradient = update(training.optimizer, losses.total, clip=recipe.clip)
        training.average.update(training.model)
        training.step += 1
        if training.step % recipe.log_every == 0:
            run.log(training.step, readings(losses) | {"gradient": gradient, "rate": rate})
        if training.step % recipe.check_every == 0 or training.step == recipe.num_steps:
            run.log(training.step, scores(training.average.model, held_out, recipe))
        if run.save_due(training.step, every=recipe.save_every, last=recipe.num_steps):
            run.save_state(training.state())
    if world.is_first:
        found = scores(training.average.model, held_out, recipe)
        export(training.average.model, run.path / "model", class_names=names, scores=found)


def draw_batch(
    clips: SightClips, plan: BatchPlan, step: int, recipe: SightRecipe, world: World
) -> SightClips:
    """This process's part of the step's clips, changed at random."""
    chosen, part = plan.indices(step), world.part(plan.batch)
    generators = [item_generator(plan.seed, step, position) for position in part]
    batch = clips.pick([chosen[position] for position in part]).crop(recipe.crop_frames, generators)
    changed = [
        change(pictures, generator, recipe)
        for pictures, generator in zip(batch.pictures, generators, strict=True)
    ]
    is_known = [
        float(torch.rand((), generator=generator)) >= recipe.stranger_share
        for generator in generators
    ]
    changed = [
        pictures if known else made_strange(pictures, generator)
        for pictures, known, generator in zip(changed, is_known, generators, strict=True)
    ]
    known = torch.tensor(is_known).float()
    batch = replace(
        batch,
        pictures=torch.stack(changed),
        classes=batch.classes * known[:, None],
        judged=torch.maximum(batch.judged, 1 - known[:, None]),
        known=known,
    )
    return SightClips(*(getattr(batch, field.name).to(world.device) for field in fields(batch)))


def made_strange(
    pictures: UInt8[Tensor, "n 3 h w"], generator: torch.Generator
) -> UInt8[Tensor, "n 3 h w"]:
    """Pictures cut into pieces that change places, with colours exchanged and perhaps inverted."""
    size = pictures.shape[2]
    pieces = STRANGE_PIECES if size % STRANGE_PIECES == 0 else 1
    cut = rearrange(pictures, "n c (a h) (b w) -> n c (a b) h w", a=pieces, b=pieces)
    places = torch.randperm(pieces * pieces, generator=generator)
    colours = torch.randperm(3, generator=generator)
    moved = cut[:, colours][:, :, places]
    joined = rearrange(moved, "n c (a b) h w -> n c (a h) (b w)", a=pieces, b=pieces)
    return 255 - joined if torch.rand((), generator=generator) < 0.5 else joined


def change(
    pictures: UInt8[Tensor, "n 3 h w"], generator: torch.Generator, recipe: SightRecipe
) -> UInt8[Tensor, "n 3 h w"]:
    """A clip mirrored or not, moved, and lit otherwise."""
    draws = torch.rand(6, generator=generator)
    if draws[0] < 0.5:
        pictures = pictures.flip(3)
    down, right = (round(float(draw * 2 - 1) * recipe.shift) for draw in draws[1:3])
    reach = recipe.shift
    padded = functional.pad(pictures.float(), (reach, reach, reach, reach), mode="replicate")
    height, width = pictures.shape[2:]
    moved = padded[:, :, reach + down :, reach + right :][:, :, :height, :width]
    gains = 1 + (draws[3:6] * 2 - 1) * recipe.light
    overall = 0.5 * gains + 0.5 * gains.mean()  # colours differ by half as much as the light
    return (moved * overall[:, None, None]).clamp(0, 255).to(torch.uint8)


def sight_losses(sight: Sight, clips: SightClips, recipe: SightRecipe) -> SightLosses:
    """Cross-entropies of classes (where something is seen) and events, L1 of the loudness."""
    wanted = clips.classes[:, None].expand_as(sight.classes)
    by_frame = functional.binary_cross_entropy_with_logits(
        sight.classes.float(), wanted, reduction="none"
    ).mean(2)
    classes = (by_frame * clips.judged).sum() / clips.judged.sum().clamp(min=1)
    known = clips.known[:, None].expand_as(clips.event)
    num_known = known.sum().clamp(min=1)
    by_frame = functional.binary_cross_entropy_with_logits(
        sight.event.float(), clips.event, reduction="none"
    )
    event = (by_frame * known).sum() / num_known
    loudness = ((sight.loudness.float() - clips.loudness).abs() * known).sum() / num_known
    total = (
        recipe.class_weight * classes
        + recipe.event_weight * event
        + recipe.loudness_weight * loudness
    )
    return SightLosses(total, classes, event, loudness)


def readings(losses: SightLosses) -> dict[str, float]:
    """What the log keeps of one step."""
    return {field.name: float(getattr(losses, field.name).detach()) for field in fields(losses)}


@torch.inference_mode()
def scores(model: SightTower, held_out: SightClips, recipe: SightRecipe) -> dict[str, float]:
    """Losses on held-out clips, and how often the strongest class of a clip is one of its own."""
    device = next(model.parameters()).device
    sums: dict[str, float] = {}
    right, events_found = 0.0, list[Tensor]()
    for first in range(0, len(held_out.pictures), CHECK_BATCH):
        chosen = range(first, min(first + CHECK_BATCH, len(held_out.pictures)))
        batch = held_out.pick(chosen)
        sight = model(batch.pictures.to(device))
        cpu = Sight(*(getattr(sight, field.name).float().cpu() for field in fields(sight)))
        for name, value in readings(sight_losses(cpu, batch, recipe)).items():
            sums[name] = sums.get(name, 0.0) + value * len(chosen)
        strongest = (cpu.classes * batch.judged[..., None]).sum(1).argmax(1)
        right += float(batch.classes.gather(1, strongest[:, None]).sum())
        events_found.append(_correlations(cpu.event.sigmoid(), batch.event))
    count = len(held_out.pictures)
    found = {f"held_out_{name}": value / count for name, value in sums.items()}
    with_events = torch.cat(events_found)
    kept = with_events[with_events.isfinite()]
    return found | {
        "held_out_class_accuracy": right / count,
        "held_out_event_correlation": float(kept.mean()) if len(kept) else 0.0,
    }


def _correlations(own: Float[Tensor, "b n"], true: Float[Tensor, "b n"]) -> Float[Tensor, " b"]:
    """Correlation over time of every clip; not a number where nothing happens."""
    own, true = own - own.mean(1, keepdim=True), true - true.mean(1, keepdim=True)
    power = (own.square().sum(1) * true.square().sum(1)).sqrt()
    return torch.where(true.abs().amax(1) > 0, (own * true).sum(1) / power, torch.nan)


def export(
    model: SightTower, folder: Path, *, class_names: Sequence[str], scores: Mapping[str, float]
) -> None:
    """Write the tower as a model folder with float16 weights."""
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in scores.items())
    card = f"""# Small image tower

Describes every frame of a video (21.5 a second) by {model.config.num_values} values in [-1, 1],
learned from rendered clips of the Foley Room: classes {", ".join(class_names)}.
It knows nothing of real pictures: on those its values mean little, and motion has to do.

| on held-out rendered clips | value |
| --- | --- |
{rows}
"""
    save_folder(
        folder,
        "sight",
        model.config,
        model.state_dict(),
        extra={"class_names": list(class_names)},
        card=card,
        half=True,
        overwrite=True,
    )
