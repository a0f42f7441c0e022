"""Pre-training of Audio-MAE: most patches of a spectrogram are hidden and have to be rebuilt.

Commands: `earsight train audiomae_pretrain.published --data AUDIOSET --run DIR`,
`earsight train audiomae_pretrain.small --data FOLEYROOM ESC10 --run DIR`. Needs sounds alone, no
classes. RUN/model is what `audiomae_finetune` starts from; TensorBoard shows a held-out clip
whole, hidden and rebuilt.
Source: Huang et al., "Masked autoencoders that listen", 2022, sec. 3 and appendix; official
repository facebookresearch/AudioMAE. Differs from them: a batch may join two epochs; bfloat16 in
place of float16 with a scaler.

Axes: b clips, t frames, m mel bands, n tokens, v values of a patch.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.optim import AdamW

from earsight.checkpoints.native import save_folder
from earsight.data.corpus import Corpus
from earsight.data.fbank_clips import (
    WaveClips,
    WaveCut,
    cut_wave,
    fbanks,
    first_parts,
    samples_of,
)
from earsight.data.joined import JoinedCorpus
from earsight.errors import ConfigError
from earsight.files import write_json
from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.frontends.kaldi_fbank import PUBLISHED, FbankSettings, normalise
from earsight.losses.reconstruction import patch_statistics, reconstruction_loss
from earsight.models.audiomae.config import (
    DecoderConfig,
    EncoderConfig,
    MaskedAutoencoderConfig,
)
from earsight.models.audiomae.groups import pretraining_groups
from earsight.models.audiomae.masking import Masking, TokenMask
from earsight.models.audiomae.model import MaskedAutoencoder
from earsight.models.audiomae.patches import patchify, unpatchify, with_visible
from earsight.recipes.start_folder import check_start, input_statistics, load_whole, open_start
from earsight.settings import to_plain
from earsight.training.batches import BatchPlan, item_generator
from earsight.training.distributed import ALONE, World
from earsight.training.optim import set_rate, update
from earsight.training.precision import Precision, autocast
from earsight.training.resumable import restored_step, saved_state
from earsight.training.rundir import RunDir
from earsight.training.schedules import epoch_warmup_cosine
from earsight.training.watch import EarlyStopping, check_finite

FAMILIES = ("audiomae",)
RATE_BATCH = 256
"""Batch that `base_rate` is given for."""

# numbers that no position of a batch has, so that these draws are their own
HELD_OUT_DRAW, DROPOUT_DRAW = zlib.crc32(b"held out"), zlib.crc32(b"dropout")
PICTURE_GAP = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainRecipe:
    """Everything that decides the outcome of a run; the defaults are the paper's.

    `start` is the model folder of an earlier pre-training whose weights the run begins with; empty
    for random weights. The rate is `base_rate` for a batch of 256 and grows with the batch.
    `statistics` names published ones of `frontends.fbank_statistics`, "measured" those of the
    training clips, "start" those that the start was trained with.
    `normalise_patches` rebuilds each patch less its mean and over its spread. A check judges at
    most `num_held_out` valid clips, masked alike every time; `patience` checks in a row without a
    lower loss end the run, and the weights of the best check are exported, without a patience the
    last ones.
    """

    start: str = ""
    model: MaskedAutoencoderConfig = field(default_factory=MaskedAutoencoderConfig)
    masking: Masking = field(default_factory=Masking)
    cut: WaveCut = field(default_factory=WaveCut)
    statistics: str = "audioset"
    normalise_patches: bool = True
    num_epochs: int = 32
    warmup_epochs: float = 3.0
    batch: int = 512
    base_rate: float = 2e-4
    lowest_rate: float = 1e-6
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 1e-4
    clip: float | None = None
    precision: Precision = "bf16"
    recompute: bool = False
    memory_gb: float = 4.0
    num_held_out: int = 512
    check_batch: int = 32
    check_epochs: int = 1
    patience: int | None = None
    log_every: int = 50
    save_every: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse unknown statistics, and intervals and schedules that make no run."""
        check_start(self.start, self.statistics)
        counted = (self.batch, self.num_epochs, self.num_held_out, self.check_batch)
        if min(*counted, self.check_epochs, self.log_every, self.save_every) < 1:
            raise ConfigError("batch, epochs, held-out clips and intervals must be at least 1")
        if not 0 <= self.warmup_epochs < self.num_epochs:
            raise ConfigError(
                f"warmup_epochs ({self.warmup_epochs:g}) must lie in 0..num_epochs - 1 "
                f"({self.num_epochs - 1})"
            )

    @property
    def rate(self) -> float:
        """Highest learning rate."""
        return self.base_rate * self.batch / RATE_BATCH

    @property
    def fbank(self) -> FbankSettings:
        """Front end with the network's bands."""
        return replace(PUBLISHED, num_mels=self.model.encoder.num_mels)


def published() -> PretrainRecipe:
    """As the paper's appendix has it for AudioSet: ViT-B, shifted windows, 80 % hidden."""
    return PretrainRecipe()


def script() -> PretrainRecipe:
    """As the official script runs it: 33 epochs down to a rate of 0, and no roll of mono clips."""
    return replace(
        published(), num_epochs=33, lowest_rate=0.0, cut=WaveCut(start="first", gain="beta")
    )


def small() -> PretrainRecipe:
    """A network of 3.5 M parameters for a few hundred or thousand clips, on a CPU.

    Pieces of 2.56 s. Position codes have rows of as many tokens as there are bands, so that they
    go on in longer clips.
    """
    encoder = EncoderConfig(
        num_frames=256, width=192, num_layers=6, num_heads=3, hidden=768, tokens_per_row=8
    )
    decoder = DecoderConfig(
        blocks=("window", "shifted_window") * 2,
        width=128,
        num_heads=4,
        window_heads=4,
        hidden=512,
        distance_hidden=64,
    )
    return replace(
        published(),
        model=MaskedAutoencoderConfig(encoder=encoder, decoder=decoder),
        masking=Masking(ratio=0.75),
        cut=WaveCut(fill="repeat"),
        statistics="measured",
        num_epochs=100,
        warmup_epochs=5.0,
        batch=32,
        base_rate=4e-3,
        weight_decay=0.05,
        clip=1.0,
        patience=None,
        precision="fp32",
        num_held_out=128,
        check_epochs=5,
        log_every=20,
        save_every=200,
    )


def tiny() -> PretrainRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    encoder = EncoderConfig(
        num_frames=64, width=16, num_layers=1, num_heads=2, hidden=32, tokens_per_row=8
    )
    decoder = DecoderConfig(
        blocks=("window", "shifted_window"),
        width=16,
        num_heads=2,
        window_heads=2,
        window=(2, 4),
        shift=(1, 0),
        hidden=32,
        distance_hidden=8,
    )
    return replace(
        small(),
        model=MaskedAutoencoderConfig(encoder=encoder, decoder=decoder),
        num_epochs=2,
        warmup_epochs=0.5,
        batch=2,
        num_held_out=3,
        check_batch=2,
        check_epochs=1,
        log_every=1,
        save_every=2,
    )


SETTINGS: Mapping[str, Callable[[], PretrainRecipe]] = {
    "published": published,
    "script": script,
    "small": small,
    "tiny": tiny,
}


def preparation(recipe: object) -> Mapping[str, Any]:
    """How folders of media are prepared for this: no picture features, so sounds alone count too.

    The same for every recipe that hears only.
    """
    del recipe
    return {"features": ()}


class PretrainData:
    """Clips to train on and to judge by, the start, the statistics that normalise the input.

    Raises InputError where a split has no clips, or the start no masked autoencoder.
    """

    def __init__(self, corpora: Sequence[Corpus], recipe: PretrainRecipe) -> None:
        corpus = JoinedCorpus(corpora)
        self.name = corpus.name
        self.train = WaveClips(
            corpus, corpus.records("train"), memory_gb=recipe.memory_gb, settings=recipe.fbank
        )
        valid = corpus.records("valid")
        count = min(len(valid), recipe.num_held_out)
        chosen = [valid[number * len(valid) // count] for number in range(count)]
        self.valid = WaveClips(
            corpus, chosen, memory_gb=recipe.memory_gb / 4, settings=recipe.fbank
        )
        self.start = open_start(recipe.start, FAMILIES, system="masked autoencoder")
        self.statistics: FbankStatistics = input_statistics(
            recipe.statistics,
            self.start,
            self.train,
            num_frames=recipe.model.encoder.num_frames,
            fill=recipe.cut.fill,
        )
        self.plan = BatchPlan(num_items=len(self.train), batch=recipe.batch, seed=recipe.seed)
        self.steps_per_epoch = max(1, len(self.train) // recipe.batch)


class PretrainTraining:
    """Network, optimiser and bookkeeping of a run: all that a resumed run needs."""

    def __init__(self, recipe: PretrainRecipe, data: PretrainData, world: World) -> None:
        self.recipe, self.data, self.world = recipe, data, world
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)  # constructors draw from torch's global generator
            self.model = MaskedAutoencoder(recipe.model)
        if data.start is not None:
            load_whole(self.model, recipe.model, data.start)
        self.model.to(world.device).train()
        groups = pretraining_groups(self.model, weight_decay=recipe.weight_decay)
        self.optimizer = AdamW(
            [group.for_optimizer() for group in groups], recipe.rate, betas=recipe.betas
        )
        self.watch = EarlyStopping(patience=recipe.patience, name="held_out_loss")
        self.num_steps = recipe.num_epochs * data.steps_per_epoch
        self.check_every = recipe.check_epochs * data.steps_per_epoch
        self.step = 0

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        return saved_state(self.step, self.model, self.optimizer, self.watch)

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.step = restored_step(state, self.model, self.optimizer, self.watch)


def train(
    recipe: PretrainRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Pre-train on the "train" clips and judge on the "valid" ones; writes RUN/model.

    `resume` goes on with a killed run to the same weights. Raises InputError where a split is
    empty, TrainingError where the loss breaks or the disk is full.
    """
    run = run.seen_by(world)
    run.note_recipe(recipe, resume=resume)
    training = PretrainTraining(recipe, PretrainData(corpora, recipe), world)
    if resume:
        training.restore(run.load_state())
        run.trim_log(training.step)
    while training.step < training.num_steps and not training.watch.reason:
        rate = epoch_warmup_cosine(
            training.step / training.data.steps_per_epoch,
            peak=recipe.rate,
            lowest=recipe.lowest_rate,
            warmup_epochs=recipe.warmup_epochs,
            num_epochs=float(recipe.num_epochs),
        )
        set_rate(training.optimizer, rate)
        loss = training_loss(training)
        check_finite({"loss": loss}, training.step, checkpoint=run.newest)
        gradient = update(training.optimizer, loss, clip=recipe.clip, world=world)
        training.step += 1
        if training.step % recipe.log_every == 0:
            told = {"loss": float(loss.detach()), "gradient": gradient, "rate": rate}
            run.log(training.step, world.mean(told))
        if training.step % training.check_every == 0 or training.step == training.num_steps:
            check(run, training)
        if run.save_due(training.step, every=recipe.save_every, last=training.num_steps):
            run.save_state(training.state())
    finish(run, training)


def training_loss(training: PretrainTraining) -> Float[Tensor, ""]:
    """The loss of this process's part of the coming step, known from seed and step alone."""
    recipe, data, world = training.recipe, training.data, training.world
    indices, part = data.plan.indices(training.step), world.part(recipe.batch)
    generators = [item_generator(recipe.seed, training.step, place) for place in part]
    wanted = samples_of(recipe.model.encoder.num_frames, recipe.fbank)
    waves = [
        cut_wave(data.train.wave(indices[place]), recipe.cut, num_samples=wanted, rng=generator)
        for place, generator in zip(part, generators, strict=True)
    ]
    found = fbanks(
        waves,
        num_frames=recipe.model.encoder.num_frames,
        settings=recipe.fbank,
        device=world.device,
    )
    dropout = item_generator(recipe.seed, training.step, DROPOUT_DRAW + world.rank)
    on_device = torch.Generator(world.device).manual_seed(dropout.initial_seed())
    training.model.train()
    mask = recipe.masking.draw_each(recipe.model.encoder.grid, generators).to(world.device)
    return masked_loss(training, normalise(found, data.statistics), mask, rng=on_device)


def masked_loss(
    training: PretrainTraining,
    fbank: Float[Tensor, "b t m"],
    mask: TokenMask,
    *,
    rng: torch.Generator | None = None,
) -> Float[Tensor, ""]:
    """Squared difference on hidden patches, in the run's precision."""
    recipe = training.recipe
    with autocast(training.world.device, recipe.precision):
        found = training.model(fbank, mask, rng=rng, recompute=recipe.recompute)
    patches = patchify(fbank, recipe.model.encoder)
    return reconstruction_loss(
        found.patches, patches, mask.masked, normalise=recipe.normalise_patches
    )


@torch.no_grad()
def held_out_loss(training: PretrainTraining) -> float:
    """Loss on valid clips with masks that are the same every time; processes share them."""
    recipe, clips, world = training.recipe, training.data.valid, training.world
    training.model.eval()
    sums = torch.zeros(1, 2, dtype=torch.float64, device=world.device)
    places = range(world.rank, len(clips), world.size)
    for first in range(0, len(places), recipe.check_batch):
        part = places[first : first + recipe.check_batch]
        fbank, mask = held_out_batch(training, part)
        sums[0, 0] += masked_loss(training, fbank, mask).double() * len(part)
        sums[0, 1] += len(part)
    total = world.gather(sums).sum(0)
    return float(total[0] / total[1])


def held_out_batch(
    training: PretrainTraining, places: Sequence[int]
) -> tuple[Float[Tensor, "b t m"], TokenMask]:
    """First parts of valid clips, and their masks."""
    recipe, data, world = training.recipe, training.data, training.world
    fbank = first_parts(
        data.valid, places, data.statistics, fill=recipe.cut.fill, device=world.device
    )
    generators = [item_generator(recipe.seed, HELD_OUT_DRAW, place) for place in places]
    mask = recipe.masking.draw_each(recipe.model.encoder.grid, generators)
    return fbank, mask.to(world.device)


def check(run: RunDir, training: PretrainTraining) -> None:
    """Judge the valid clips, show one of them, keep the state where the loss was never lower."""
    found = held_out_loss(training)
    run.log(training.step, {"held_out_loss": found})
    if run.tensorboard and run.world.is_first:
        run.log_picture(training.step, "whole_hidden_rebuilt", picture(training))
    if training.watch.update(found, training.step) and training.recipe.patience is not None:
        run.keep_best(training.state(), found, name="held_out_loss")


@torch.no_grad()
def picture(training: PretrainTraining) -> Float[Tensor, "m t"]:
    """The first valid clip: at the top whole, below it what is seen, below that rebuilt; in [0, 1].

    Patches that were normalised get back their true mean and spread, which the network never says.
    """
    recipe, config = training.recipe, training.recipe.model.encoder
    training.model.eval()
    fbank, mask = held_out_batch(training, [0])
    rebuilt = training.model(fbank, mask).patches.float()
    patches = patchify(fbank, config)
    if recipe.normalise_patches:
        own = patch_statistics(patches)
        rebuilt = rebuilt * own.spread + own.mean
    lowest, highest = float(fbank.min()), float(fbank.max())
    hidden = with_visible(torch.full_like(patches, lowest), patches, mask.masked)
    rows = [patches, hidden, with_visible(rebuilt, patches, mask.masked)]
    shown = [unpatchify(row, config, num_frames=fbank.shape[1])[0] for row in rows]
    bands = [rearrange(each, "t m -> m t") for each in shown]
    gap = torch.full_like(bands[0][:PICTURE_GAP], highest)
    stacked = torch.cat([bands[2], gap, bands[1], gap, bands[0]])  # low bands come first
    return ((stacked - lowest) / max(highest - lowest, 1e-6)).clamp(0, 1)


def finish(run: RunDir, training: PretrainTraining) -> None:
    """Write RUN/ended.json and RUN/model: the best check's weights with a patience, else the last.

    The model folder says which statistics its input needs.
    """
    last_step, reason = training.step, training.watch.reason
    run.save_state(training.state())
    if training.recipe.patience is not None and training.watch.best is not None:
        training.restore(run.load_best())
    found = held_out_loss(training)  # every process judges its share
    if not run.world.is_first:
        return
    ended = {
        "step": last_step,
        "reason": reason or "all epochs are done",
        "exported_step": training.step,
        "held_out_loss": found,
    }
    write_json(run.path / "ended.json", ended, overwrite=True)
    data, model = training.data, training.model
    parameters = sum(parameter.numel() for parameter in model.parameters())
    card = f"""# Audio-MAE, pre-trained

Encoder and decoder, {parameters / 1e6:.1f} M parameters; rebuilds hidden patches of Kaldi log
filterbanks. Start of `audiomae_finetune`.
Data: {data.name}, {len(data.train)} clips. Weights of step {training.step} of {last_step}; loss on
{len(data.valid)} held-out clips {found:.4f}.
Input: (x - {data.statistics.mean:.6g}) / (2 * {data.statistics.spread:.6g}),
{data.statistics.num_frames} frames.
"""
    save_folder(
        run.path / "model",
        "audiomae",
        model.config,
        model.state_dict(),
        extra={
            "frontend": "kaldi_fbank",
            "statistics": to_plain(data.statistics),
            "normalise_patches": training.recipe.normalise_patches,
            "held_out_loss": found,
        },
        card=card,
        overwrite=True,
    )
