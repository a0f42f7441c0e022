"""Training of Melception, whose features FID, KID, ISC and MKL of SpecVQGAN are computed on.

Commands: `earsight train specvqgan_melception.published --data VGGSOUND --run DIR`,
`earsight train specvqgan_melception.foley_room --data FOLEYROOM ESC10 --run DIR`. The official run
took 14 epochs; top-1 44.49, top-5 73.79, mAP 47.58, mAUC 96.66. RUN/scores.json and RUN/model are
written last. Its auxiliary classifier is never trained: the official code adds its loss and then
overwrites the sum, so what the published file holds of it is what it began with.
Source: SpecVQGAN, sec. 4.1; official repository v-iashin/SpecVQGAN, `evaluation`. Differs from it:
a batch may join two epochs; clips shorter than a crop are repeated; norms see the whole batch of
all processes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from earsight.data.corpus import Corpus
from earsight.models.melception.config import MelceptionConfig
from earsight.models.melception.model import Melception
from earsight.recipes.classifier_report import check, finish, go_on
from earsight.recipes.classifier_settings import FitSettings, small_fit, tiny_fit
from earsight.recipes.classifier_training import ClassifierTraining, open_class_data, take_step
from earsight.training.distributed import ALONE, World
from earsight.training.rundir import RunDir


@dataclass(frozen=True, kw_only=True, slots=True)
class MelceptionRecipe:
    """Sizes of the network, whose classes are those of the data, and its fit."""

    model: MelceptionConfig
    fit: FitSettings


def published() -> MelceptionRecipe:
    """As the official settings file has it: 8 clips a step, no weight decay."""
    return MelceptionRecipe(model=MelceptionConfig(), fit=FitSettings(batch=8, patience=3))


def paper() -> MelceptionRecipe:
    """As the paper tells it: 48 clips a step, and a longer patience."""
    return MelceptionRecipe(model=MelceptionConfig(), fit=FitSettings(batch=48, patience=5))


def foley_room() -> MelceptionRecipe:
    """The judge in the package, for the Foley Room's and ESC-10's classes: 0.8 M parameters."""
    fit = replace(small_fit(), num_epochs=8, rate=2e-3, crop_frames=(160, 208), precision="fp32")
    model = MelceptionConfig(unit=3, num_classes=19, dropout=0.3, auxiliary=False)
    return MelceptionRecipe(model=model, fit=fit)


def tiny() -> MelceptionRecipe:
    """A few steps on a CPU through all that the real settings go through."""
    return MelceptionRecipe(model=MelceptionConfig(unit=1, auxiliary=True), fit=tiny_fit())


SETTINGS: Mapping[str, Callable[[], MelceptionRecipe]] = {
    "published": published,
    "paper": paper,
    "foley_room": foley_room,
    "tiny": tiny,
}


def train(
    recipe: MelceptionRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Fit the network to the "train" clips with a class, and judge it on the "test" ones.

    The "valid" clips tell when to stop and which weights are kept. `resume` goes on with a killed
    run as if nothing had happened. Raises InputError where clips have no classes, TrainingError
    where the loss breaks or the disk is full.
    """
    run = run.seen_by(world)
    run.note_recipe(recipe, resume=resume)
    fit, data = recipe.fit, open_class_data(corpora, recipe.fit)
    training = ClassifierTraining(lambda: begin(recipe, len(data.class_names)), fit, data, world)
    if resume:
        go_on(run, training)
    while training.step < training.num_steps and not training.watch.reason:
        readings = take_step(training, checkpoint=run.newest)
        if training.step % fit.log_every == 0:
            run.log(training.step, readings)
        if training.step % training.check_every == 0:
            check(run, training)
        if run.save_due(training.step, every=fit.save_every, last=training.num_steps):
            run.save_state(training.state())
    shown = "InceptionV3 over log-mel spectrograms without the poolings of its stem"
    finish(run, training, family="melception", recipe_name="specvqgan_melception", shown=shown)


def begin(recipe: MelceptionRecipe, num_classes: int) -> Melception:
    """A new network for the data's classes, its auxiliary classifier frozen."""
    network = Melception(replace(recipe.model, num_classes=num_classes))
    network.auxiliary.requires_grad_(False)
    return network
