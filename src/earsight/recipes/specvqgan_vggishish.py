"""Training of VGGish-ish, the sound classifier behind SpecVQGAN's perceptual distance.

Commands: `earsight train specvqgan_vggishish.published --data VGGSOUND --run DIR`,
`earsight train specvqgan_vggishish.foley_room --data FOLEYROOM ESC10 --run DIR`. The official run
stopped after 4 epochs, 2 h on one RTX 2080 Ti; top-1 34.70, top-5 63.71, mAP 36.63, mAUC 95.70.
Ends by writing RUN/scores.json and RUN/model.
Source: SpecVQGAN, sec. 3.4 and supplement; official repository v-iashin/SpecVQGAN,
`specvqgan/modules/losses/vggishish`. Differs from it: a batch may join two epochs, where the
official loader drops what is left of one; clips shorter than a crop are repeated.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from earsight.data.corpus import Corpus
from earsight.models.vggishish.config import VGGishishConfig
from earsight.models.vggishish.model import VGGishish
from earsight.recipes.classifier_report import check, finish, go_on
from earsight.recipes.classifier_settings import FitSettings, small_fit, tiny_fit
from earsight.recipes.classifier_training import ClassifierTraining, open_class_data, take_step
from earsight.training.distributed import ALONE, World
from earsight.training.rundir import RunDir


@dataclass(frozen=True, kw_only=True, slots=True)
class VGGishishRecipe:
    """Sizes of the network (the number of classes follows the data) and how it is fitted."""

    model: VGGishishConfig
    fit: FitSettings


def published() -> VGGishishRecipe:
    """The settings file of the official repository."""
    return VGGishishRecipe(
        model=VGGishishConfig(), fit=FitSettings(batch=32, weight_decay=1e-4, patience=3)
    )


def paper() -> VGGishishRecipe:
    """What the paper says where the official settings file differs."""
    recipe = published()
    return replace(recipe, fit=replace(recipe.fit, weight_decay=1e-3, patience=5))


def foley_room() -> VGGishishRecipe:
    """The settings of a small judge of the Foley Room's and ESC-10's classes: 1.2 M parameters."""
    return VGGishishRecipe(
        model=VGGishishConfig(
            levels=((16, 16), (32, 32), (64, 64), (96, 96)), hidden=192, num_classes=19
        ),
        fit=replace(small_fit(), batch=24, num_epochs=8, crop_frames=(160, 208, 320), patience=15),
    )


def tiny() -> VGGishishRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    return VGGishishRecipe(
        model=VGGishishConfig(levels=((4,), (8,)), pooled_shape=(5, 2), hidden=8), fit=tiny_fit()
    )


SETTINGS: Mapping[str, Callable[[], VGGishishRecipe]] = {
    "published": published,
    "paper": paper,
    "foley_room": foley_room,
    "tiny": tiny,
}


def train(
    recipe: VGGishishRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Train on the labelled "train" clips, stop by the "valid" ones, report on the "test" ones.

    A killed run goes on with `resume`, to the same weights. Raises InputError without labelled
    clips, TrainingError where the loss is no longer finite or nothing can be written.
    """
    run = run.seen_by(world)
    run.note_recipe(recipe, resume=resume)
    data = open_class_data(corpora, recipe.fit)
    sizes = replace(recipe.model, num_classes=len(data.class_names))
    training = ClassifierTraining(lambda: VGGishish(sizes), recipe.fit, data, world)
    if resume:
        go_on(run, training)
    while training.step < training.num_steps and training.watch.reason is None:
        readings = take_step(training, checkpoint=run.newest)
        if training.step % recipe.fit.log_every == 0:
            run.log(training.step, readings)
        if training.step % training.check_every == 0:
            check(run, training)
        if run.save_due(training.step, every=recipe.fit.save_every, last=training.num_steps):
            run.save_state(training.state())
    shown = "VGG-16 over log-mel spectrograms without norms and dropout"
    finish(run, training, family="vggishish", recipe_name="specvqgan_vggishish", shown=shown)
