"""What Audio-MAE's choices are worth on spoken digits with few labels, at a laptop's size.

    python benchmarks/audiomae_ablations.py train WORK --data FSDD [ARM ...]
    python benchmarks/audiomae_ablations.py report WORK

FSDD is a folder prepared with `--label speaker`. Every pre-training hears all training clips, no
labels; every fine-tuning has `--labels` clips a class and is repeated with `--seeds`, which draw
clips and all else. The last weights are judged on the official test clips, and nothing is chosen
by them. `report` writes WORK/audiomae_ablations.json and .png.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from earsight.data.few_labels import FewLabels
from earsight.data.open_corpus import open_corpus
from earsight.models.audiomae.config import DecoderBlock
from earsight.models.audiomae.masking import Masking, fine_tuning
from earsight.recipes import audiomae_finetune, audiomae_pretrain
from earsight.recipes.audiomae_pretrain import PretrainRecipe
from earsight.recipes.audiomae_tasks import FinetuneRecipe
from earsight.training.rundir import RunDir

NUM_FRAMES = 128
GLOBAL: tuple[DecoderBlock, ...] = ("global",) * 4
HYBRID: tuple[DecoderBlock, ...] = ("window", "shifted_window", "global", "global")
MASKS: Mapping[str, Masking] = {
    "random 50 %": Masking(ratio=0.5),
    "random 75 %": Masking(ratio=0.75),
    "random 90 %": Masking(ratio=0.9),
    "time 75 %": Masking(kind="time_frequency", time=0.75, frequency=0.0),
    "frequency 75 %": Masking(kind="time_frequency", time=0.0, frequency=0.75),
    "time and frequency 50 %": Masking(kind="time_frequency", time=0.5, frequency=0.5),
}
LOCAL = "random 75 %"
INK, ACCENT = "#3b3f46", "#c8553d"


def pretrainings(epochs: int) -> dict[str, PretrainRecipe]:
    """Arms of pre-training: kinds and shares of masks, and decoders."""
    small = audiomae_pretrain.small()
    model = replace(small.model, encoder=replace(small.model.encoder, num_frames=NUM_FRAMES))
    base = replace(
        small,
        model=model,
        num_epochs=epochs,
        warmup_epochs=1.0,
        check_epochs=epochs,
        precision="bf16",
        save_every=10_000,
    )
    found = {name: replace(base, masking=masking) for name, masking in MASKS.items()}
    for name, blocks in (("global decoder", GLOBAL), ("hybrid decoder", HYBRID)):
        decoder = replace(model.decoder, blocks=blocks)
        found[name] = replace(base, model=replace(model, decoder=decoder))
    return found


def finetuning(start: str, *, epochs: int, masks: bool, seed: int) -> FinetuneRecipe:
    """A fine-tuning, from random weights where `start` is empty."""
    small = audiomae_finetune.SETTINGS["small"]()
    stripes = replace(small.changes.stripes, time_width=24)
    scratch = {"layer_decay": 1.0, "base_rate": 8e-3}
    return replace(
        small,
        model=replace(small.model, encoder=replace(small.model.encoder, num_frames=NUM_FRAMES)),
        start=start,
        statistics="start" if start else "measured",
        changes=replace(small.changes, stripes=stripes),
        draws=replace(small.draws, batch=30),
        masking=fine_tuning() if masks else fine_tuning(time=0.0, frequency=0.0),
        num_windows=1,
        num_epochs=epochs,
        keep="last",
        check_epochs=epochs,
        precision="bf16",
        seed=seed,
        save_every=10_000,
        **({} if start else scratch),
    )


def train(args: argparse.Namespace) -> None:
    """Run what is not there yet."""
    corpus = open_corpus(args.data)
    arms = pretrainings(args.epochs)
    for name in args.arms or ["scratch", LOCAL, *(arm for arm in arms if arm != LOCAL)]:
        folder = args.work / name.replace(" ", "_")
        if name in arms and not (folder / "pretrained" / "model").is_dir():
            run = RunDir(folder / "pretrained", keep=1)
            audiomae_pretrain.train(
                arms[name], run, corpora=[corpus], resume=bool(run.checkpoints())
            )
        start = str(folder / "pretrained" / "model") if name in arms else ""
        for masks in (True, False) if name in ("scratch", LOCAL) else (True,):
            for seed in args.seeds:
                run = RunDir(folder / ("masked" if masks else "unmasked") / f"seed{seed}", keep=1)
                if (run.path / "model").is_dir():
                    continue
                recipe = finetuning(start, epochs=args.tuning_epochs, masks=masks, seed=seed)
                few = FewLabels(corpus, args.labels, seed=seed)
                audiomae_finetune.train(recipe, run, corpora=[few], resume=bool(run.checkpoints()))
                told = json.loads((run.path / "scores.json").read_text())
                print(f"{run.path}: {told['overall']['top_1']:.3f}", flush=True)


def report(work: Path) -> None:
    """Accuracies of what is there, as JSON and as a picture."""
    rows: list[dict[str, Any]] = []
    for folder in sorted(work.glob("*/*masked")):
        scores = [
            json.loads(path.read_text())["overall"]["top_1"]
            for path in sorted(folder.glob("*/scores.json"))
        ]
        if len(scores) < 2:
            continue
        masks = "" if folder.name == "masked" else ", no masks in fine-tuning"
        rows.append(
            {
                "arm": folder.parent.name.replace("_", " ") + masks,
                "num_runs": len(scores),
                "accuracy": float(np.mean(scores)),
                "error": float(np.std(scores, ddof=1) / np.sqrt(len(scores))),
            }
        )
    rows.sort(key=lambda row: row["accuracy"])
    (work / "audiomae_ablations.json").write_text(json.dumps(rows, indent=1))
    for row in rows:
        print(f"{row['arm']:<50} {row['accuracy']:.3f} +- {row['error']:.3f} ({row['num_runs']})")
    draw(rows, work / "audiomae_ablations.png")


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A point an arm, the best at the top."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(7, 0.34 * len(rows) + 1), layout="constrained")
    for place, row in enumerate(rows):
        panel.errorbar(
            100 * row["accuracy"],
            place,
            xerr=100 * row["error"],
            fmt="o",
            color=INK if row["arm"].startswith("scratch") else ACCENT,
            ecolor="#b9b9b9",
            capsize=2,
        )
    panel.set_yticks(range(len(rows)), [row["arm"] for row in rows])
    panel.set_xlabel("accuracy on the official test clips (%)")
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    print(path, file=sys.stderr)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    action = actions.add_parser("train")
    action.add_argument("work", type=Path)
    action.add_argument("arms", nargs="*")
    action.add_argument("--data", type=Path, required=True)
    action.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    action.add_argument("--labels", type=int, default=10)
    action.add_argument("--epochs", type=int, default=8)
    action.add_argument("--tuning-epochs", type=int, default=60)
    shown = actions.add_parser("report")
    shown.add_argument("work", type=Path)
    args = parser.parse_args()
    if args.action == "train":
        train(args)
    else:
        report(args.work)


if __name__ == "__main__":
    main()
