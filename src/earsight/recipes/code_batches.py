"""Batches of visits for a code transformer, and its loss on them and on held-out ones.

What a visit holds depends on (seed, step, place in the global batch) alone.
Axes: b visits, q codes of a window, f feature tokens, w feature width.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from earsight.errors import ConfigError, InputError
from earsight.losses.codes import code_loss
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import TokenGPT
from earsight.recipes.coded_visits import Role, Source, Visit
from earsight.training.batches import BatchPlan, item_generator
from earsight.training.distributed import World
from earsight.training.precision import Precision, autocast

CHECK_BATCH = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """Shares of the kinds of windows among the visits, as weights of those at hand."""

    pictures: float = 1.0
    sound_bank: float = 0.0
    sounds: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shares that draw nothing."""
        shares = (self.pictures, self.sound_bank, self.sounds)
        if min(shares) < 0 or sum(shares) <= 0:
            raise ConfigError(f"shares of the mixture must be positive, got {shares}")

    def share(self, role: Role) -> float:
        """Weight of one kind."""
        match role:
            case "pictures":
                return self.pictures
            case "sound_bank":
                return self.sound_bank
            case "sounds":
                return self.sounds


@dataclass(frozen=True, kw_only=True, slots=True)
class VisitDraws:
    """What is random about a visit.

    `class_dropout` and `picture_dropout` are the shares of windows with pictures from which the
    class and the whole picture are withheld, `sound_class_dropout` that of windows made from
    sounds; with a sound bank both are always there, since a picture does not tell its sound. Input
    codes are kept with the chance `keep_codes` and drawn at random otherwise.
    """

    mixture: Mixture = field(default_factory=Mixture)
    class_dropout: float = 0.0
    picture_dropout: float = 0.0
    sound_class_dropout: float = 0.0
    keep_codes: float = 1.0

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        shares = (self.class_dropout, self.picture_dropout, self.sound_class_dropout)
        if not all(0 <= share <= 1 for share in (*shares, self.keep_codes)):
            raise ConfigError(
                f"dropout shares {shares} and keep_codes ({self.keep_codes}) must be in 0..1"
            )

    @property
    def withholds_class(self) -> bool:
        """Whether a row for "no class" is needed."""
        return max(self.class_dropout, self.sound_class_dropout) > 0


@dataclass(frozen=True, slots=True)
class CodeBatch:
    """What one step sees. `inputs` are the codes as the model is told them."""

    codes: Int[Tensor, "b q"]
    inputs: Int[Tensor, "b q"]
    counted: Bool[Tensor, "b q"]
    features: Float[Tensor, "b f w"] | None
    classes: Int[Tensor, " b"] | None

    def rows(self, part: slice) -> "CodeBatch":
        """Some of the visits."""
        return CodeBatch(
            self.codes[part],
            self.inputs[part],
            self.counted[part],
            None if self.features is None else self.features[part],
            None if self.classes is None else self.classes[part],
        )

    def to(self, device: torch.device) -> "CodeBatch":
        """The batch on a device."""
        return CodeBatch(
            self.codes.to(device),
            self.inputs.to(device),
            self.counted.to(device),
            None if self.features is None else self.features.to(device),
            None if self.classes is None else self.classes.to(device),
        )


def draw_batch(
    sources: Sequence[Source],
    draws: VisitDraws,
    config: TokenGPTConfig,
    *,
    seed: int,
    step: int,
    batch: int,
    world: World,
) -> CodeBatch:
    """This process's part of a step's visits.

    Every source offers one of its items at every place of the batch, each once per epoch; which
    source is heard there is drawn by the shares. Raises InputError where no source has a share.
    """
    shares = torch.tensor([draws.mixture.share(source.role) for source in sources])
    if not float(shares.sum()) > 0:
        raise InputError(
            f"the corpora give {', '.join(s.role for s in sources) or 'nothing'}, of which the "
            "mixture wants nothing: set draws.mixture or give other corpora"
        )
    offers = [
        BatchPlan(num_items=source.num_items, batch=batch, seed=seed + number).indices(step)
        for number, source in enumerate(sources)
    ]
    visits: list[Visit] = []
    inputs: list[Tensor] = []
    for place in world.part(batch):
        rng = item_generator(seed, step, place)
        chosen = int(torch.multinomial(shares, 1, generator=rng))
        source = sources[chosen]
        visit = withheld(source.visit(offers[chosen][place], rng), source.role, draws, rng)
        visits.append(visit)
        inputs.append(corrupted(visit.codes, draws.keep_codes, config.num_codes, rng))
    return replace(collate(visits, config), inputs=torch.stack(inputs)).to(world.device)


def withheld(visit: Visit, role: Role, draws: VisitDraws, rng: torch.Generator) -> Visit:
    """The visit with its class or its picture withheld, or both."""
    drawn = torch.rand(2, generator=rng)
    class_share = {
        "pictures": draws.class_dropout,
        "sounds": draws.sound_class_dropout,
        "sound_bank": 0.0,
    }[role]
    if drawn[0] < class_share:
        visit = replace(visit, class_row=None)
    if role == "pictures" and drawn[1] < draws.picture_dropout and visit.features is not None:
        visit = replace(visit, features=torch.zeros_like(visit.features))
    return visit


def corrupted(
    codes: Int[Tensor, " q"], keep: float, num_codes: int, rng: torch.Generator
) -> Int[Tensor, " q"]:
    """Codes of which some are replaced by random ones."""
    if keep >= 1:
        return codes
    others = torch.randint(num_codes, codes.shape, generator=rng)
    return torch.where(torch.rand(codes.shape, generator=rng) < keep, codes, others)


def collate(visits: Sequence[Visit], config: TokenGPTConfig) -> CodeBatch:
    """Visits as tensors; those without a class get the row for "no class".

    Raises InputError where the model has no such row.
    """
    nobody = config.class_dropout_index
    rows = [nobody if visit.class_row is None else visit.class_row for visit in visits]
    if config.has_class and None in rows:
        raise InputError(
            "a clip has no class and the model no row for 'no class': label all clips or set "
            "no_class"
        )
    features = [visit.features for visit in visits if visit.features is not None]
    classes = [row for row in rows if row is not None]
    codes = torch.stack([visit.codes for visit in visits])
    return CodeBatch(
        codes=codes,
        inputs=codes,
        counted=torch.stack([visit.counted for visit in visits]),
        features=torch.stack(features) if features else None,
        classes=torch.tensor(classes) if config.has_class else None,
    )


def batch_loss(
    model: TokenGPT,
    batch: CodeBatch,
    *,
    label_smoothing: float = 0.0,
    num_counted: float | None = None,
) -> Float[Tensor, ""]:
    """Mean cross-entropy of the codes that count; the condition's own positions do not.

    Source: SpecVQGAN, sec. 3.2, eq. 5.
    """
    output = model(batch.inputs[:, :-1], batch.features, batch.classes)
    return code_loss(
        output.logits[:, model.config.num_condition - 1 :],
        batch.codes,
        counted=batch.counted,
        label_smoothing=label_smoothing,
        num_counted=num_counted,
    )


def part_losses(
    model: TokenGPT,
    batch: CodeBatch,
    *,
    num_parts: int,
    label_smoothing: float,
    precision: Precision,
    world: World,
) -> Generator[Float[Tensor, ""]]:
    """Losses of parts of a batch whose mean over parts and processes is that of the whole batch.

    Every code of the whole batch weighs the same, however many a part holds.
    """
    counted = world.mean({"codes": float(batch.counted.sum())})["codes"] / num_parts
    size = len(batch.codes) // num_parts
    for first in range(0, num_parts * size, size):
        with autocast(world.device, precision):
            part = batch.rows(slice(first, first + size))
            yield batch_loss(model, part, label_smoothing=label_smoothing, num_counted=counted)


@torch.no_grad()
def held_out_losses(
    model: TokenGPT,
    sources: Sequence[Source],
    *,
    limit: int | None,
    seed: int,
    precision: Precision,
    world: World,
) -> dict[str, float]:
    """Loss per code of held-out windows, over all and by role; with other pictures, too.

    At most `limit` windows of every source, the same at every check. "Other" pictures are those of
    the window before in the same small batch: what they cost more is what is taken from a picture.
    """
    was_training = model.training
    model.eval()
    sums: dict[str, float] = {}
    for source in sources:
        number = source.num_items if limit is None else min(limit, source.num_items)
        for batch_number, first in enumerate(range(0, number, CHECK_BATCH)):
            if batch_number % world.size != world.rank:
                continue
            visits = [
                source.visit(index, item_generator(seed, index, 0))
                for index in range(first, min(first + CHECK_BATCH, number))
            ]
            batch = collate(visits, model.config).to(world.device)
            with autocast(world.device, precision):
                own = float(batch_loss(model, batch, num_counted=1.0))
                other = own
                if batch.features is not None:
                    rolled = replace(batch, features=batch.features.roll(1, 0))
                    other = float(batch_loss(model, rolled, num_counted=1.0))
            for name, value in (
                ("all", own),
                ("other", other),
                ("codes", float(batch.counted.sum())),
                (source.role, own),
                (f"{source.role} codes", float(batch.counted.sum())),
            ):
                sums[name] = sums.get(name, 0.0) + value
    model.train(was_training)
    return _means(sums, sources, model.config, world)


def _means(
    sums: dict[str, float], sources: Sequence[Source], config: TokenGPTConfig, world: World
) -> dict[str, float]:
    roles = [source.role for source in sources]
    names = ["all", "other", "codes", *roles, *(f"{role} codes" for role in roles)]
    joined = world.mean({name: sums.get(name, 0.0) for name in names})
    found = {"held_out_loss": joined["all"] / max(joined["codes"], 1e-9)}
    if config.has_features:
        found["held_out_loss_other_picture"] = joined["other"] / max(joined["codes"], 1e-9)
    if len(roles) > 1:
        for role in roles:
            found[f"held_out_loss_{role}"] = joined[role] / max(joined[f"{role} codes"], 1e-9)
    return found
