"""`earsight train`: trains a stage of a system by its recipe, resumes it, shows how it goes."""

import argparse
import json
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earsight.cli.report import print_table, progress, tell
from earsight.cli.train_clips import (
    Selection,
    all_folds,
    changes_of_fold,
    configure_selection,
    note_selection,
    open_corpora,
    select,
    warn_of_chosen_test,
    warn_of_drift,
)
from earsight.cli.train_folds import train_folds

if TYPE_CHECKING:
    from types import ModuleType

    from earsight.data.corpus import Corpus
    from earsight.training.rundir import RunDir

EXIT_INTERRUPTED = 130
LOOK_SECONDS = 1.0  # how often the bar looks at the log


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe's name, which is that of its module, and its line in the list."""

    name: str
    summary: str


RECIPES = (
    Recipe("specvqgan_codebook", "spectrogram codebook: encoder, codes, decoder"),
    Recipe("specvqgan_transformer", "code transformer: codes from pictures and classes"),
    Recipe("specvqgan_melgan", "vocoder: sound from spectrograms"),
    Recipe("specvqgan_vggishish", "sound classifier for the perceptual distance"),
    Recipe("specvqgan_melception", "sound classifier that judges generated sounds"),
    Recipe("foley_sight", "small image tower on rendered clips"),
    Recipe("audiomae_pretrain", "masked autoencoder of sounds without labels"),
    Recipe("ssast_pretrain", "transformer on hidden patches of sounds without labels"),
    Recipe("audiomae_finetune", "classes of sounds from a masked autoencoder's encoder"),
    Recipe("ast", "classes of sounds by a spectrogram transformer, from pictures or from nothing"),
    Recipe("ssast_finetune", "classes of sounds from a pre-trained SSAST"),
    Recipe("htsat", "classes of sounds by a window transformer, from pictures or from nothing"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "recipe",
        nargs="?",
        metavar="RECIPE.SETTING",
        help="for example specvqgan_codebook.foley_room; --list shows all",
    )
    parser.add_argument("--list", action="store_true", help="show all recipes and their settings")
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="prepared corpora, VGGSound or VAS as published, or folders of media, which are "
        "prepared first",
    )
    parser.add_argument("--run", type=Path, metavar="DIR", help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="changes",
        help="change a setting, for example --set num_steps=500 --set model.num_codes=128",
    )
    parser.add_argument(
        "--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, cuda:1"
    )
    parser.add_argument(
        "--keep", type=int, default=2, metavar="N", help="checkpoints to keep (default: 2)"
    )
    parser.add_argument(
        "--no-tensorboard",
        action="store_true",
        help="keep the log alone, without TensorBoard curves, pictures and sounds",
    )
    configure_selection(parser)


def run(args: argparse.Namespace) -> int:
    """Train, or list what can be trained."""
    from earsight.errors import InputError, TrainingStopped

    if args.list:
        return _list()
    if missing := [f"--{name}" for name in ("data", "run") if getattr(args, name) is None]:
        raise InputError(
            f"{'RECIPE.SETTING, ' if args.recipe is None else ''}{', '.join(missing)} missing: "
            "earsight train RECIPE.SETTING --data DIR --run DIR ('earsight train --list' shows "
            "recipes)"
        )
    try:
        _train(args)
    except TrainingStopped as stopped:
        tell(f"earsight: {stopped}")
        return EXIT_INTERRUPTED
    return 0


def choose(name: str, changes: Sequence[str]) -> "tuple[ModuleType, Any]":
    """A recipe's module, and its setting with changes. Raises InputError with the nearest names."""
    import difflib

    from earsight.errors import InputError
    from earsight.settings import override

    known = [recipe.name for recipe in RECIPES]
    recipe_name, _, setting = name.partition(".")
    if recipe_name not in known:
        near = difflib.get_close_matches(recipe_name, known, n=3, cutoff=0.4) or known
        raise InputError(f"no recipe '{recipe_name}', nearest: {', '.join(near)}")
    module = import_module(f"earsight.recipes.{recipe_name}")
    if setting not in module.SETTINGS:
        raise InputError(
            f"{recipe_name} has no setting '{setting}': choose one of "
            + ", ".join(f"{recipe_name}.{known}" for known in module.SETTINGS)
        )
    return module, override(module.SETTINGS[setting](), list(changes))


def _train(args: argparse.Namespace) -> None:
    from earsight.training.board import board_installed
    from earsight.training.distributed import join_world
    from earsight.training.interrupt import StopRequest
    from earsight.training.rundir import RunDir

    # a wrong name or setting ends the command before any data is read
    module, recipe = _chosen(args, 1 if args.folds else args.fold)
    with StopRequest().on_signals() as stop, join_world(args.device) as world:
        board = board_installed() and not args.no_tensorboard
        run_dir = RunDir(args.run, keep=args.keep, tensorboard=board, world=world, stop=stop)
        wanted = getattr(module, "preparation", None)
        corpora = open_corpora(args.data, run_dir, {} if wanted is None else wanted(recipe))
        if world.is_first and not args.resume:
            warn_of_drift(recipe, corpora)
        if not args.folds:
            _train_one(args, run_dir, corpora, args.fold, resume=args.resume)
            return

        def train(own: "RunDir", fold: int, resume: bool) -> None:
            _train_one(args, own, corpora, fold, resume=resume)

        told = {"recipe": args.recipe, "changes": args.changes, "data": [c.name for c in corpora]}
        told |= {"fold_valid": args.fold_valid, "labels_per_class": args.labels_per_class}
        train_folds(run_dir, all_folds(corpora), train, resume=args.resume, settings=told)


def _train_one(
    args: argparse.Namespace,
    run_dir: "RunDir",
    corpora: "Sequence[Corpus]",
    fold: int | None,
    *,
    resume: bool,
) -> None:
    """One training, of a fold or of all clips, in its folder."""
    module, recipe = _chosen(args, fold)
    selection = Selection(
        fold=fold,
        fold_valid=args.fold_valid,
        labels_per_class=args.labels_per_class,
        check_on_test=args.check_on_test,
    )
    taken = select(corpora, selection, seed=getattr(recipe, "seed", 0))
    note_selection(run_dir, selection)
    if run_dir.world.is_first:
        warn_of_chosen_test(recipe, selection)
    with _followed(run_dir, getattr(recipe, "num_steps", None)):
        module.train(recipe, run_dir, corpora=taken, world=run_dir.world, resume=resume)
    if run_dir.world.is_first:
        _draw(run_dir)
        _tell_end(run_dir.path)


def _chosen(args: argparse.Namespace, fold: int | None) -> "tuple[ModuleType, Any]":
    """The recipe of a fold."""
    return choose(args.recipe or "", changes_of_fold(args.changes, fold))


def _tell_end(run: Path) -> None:
    """Where the result lies and, where the recipe says so, why the run ended at which step."""
    ended = run / "ended.json"
    if ended.is_file():
        told = json.loads(ended.read_text())
        tell(f"ended at step {told['step']}: {told['reason']}")
        if told.get("exported_step") not in (None, told["step"]):
            first = " (before any training: nothing got better)" * (told["exported_step"] == 0)
            tell(f"weights of step {told['exported_step']}{first}, the best on held-out clips")
    for name in ("model", "pipeline"):
        if (run / name).is_dir():
            tell(f"wrote {run / name}")


def _list() -> int:
    rows: list[tuple[str, str]] = []
    for recipe in RECIPES:
        settings = import_module(f"earsight.recipes.{recipe.name}").SETTINGS
        rows += [(f"{recipe.name}.{setting}", recipe.summary) for setting in settings]
    print_table(("recipe", "trains"), rows)
    return 0


@contextmanager
def _followed(run_dir: "RunDir", total: int | None) -> Generator[None]:
    """Show in the meantime how far the log is; only the first process does."""
    if not run_dir.world.is_first:
        yield
        return
    ended = threading.Event()

    def follow() -> None:
        shown = 0
        with progress("training", total=total) as advance:
            last = False
            while not last:
                last = ended.wait(LOOK_SECONDS)
                lines = run_dir.read_log()
                step = int(lines[-1]["step"]) if lines else 0
                if step > shown:
                    advance(step - shown)
                shown = max(shown, step)

    watcher = threading.Thread(target=follow, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _draw(run_dir: "RunDir") -> None:
    """Draw the curves where matplotlib is there, and say where they are."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        return
    from earsight.training.curves import draw_curves

    draw_curves(run_dir, run_dir.path / "curves.png")
    print(run_dir.path / "curves.png", file=sys.stderr)
