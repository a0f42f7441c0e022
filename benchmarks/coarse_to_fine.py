"""Coarse-to-fine training against training at full resolution throughout, at a laptop's size.

    python benchmarks/coarse_to_fine.py train WORK --family ast --data ESC10 --folds 1 2 3 4 5
    python benchmarks/coarse_to_fine.py train WORK --family ssast_pretrain --data FSDD --seeds 0 1 2
    python benchmarks/coarse_to_fine.py report WORK

`train` runs every arm into WORK/FAMILY/CORPUS/ARM/REPEAT, leaves finished runs and goes on with
stopped ones. All arms of a repeat have one seed, the last weights are judged, and nothing is chosen
by the clips that judge. Of `ssast_pretrain` the arms pre-train on all training clips; one and the
same fine-tuning, with `--labels-per-class` where given, says what each is worth, and its own time
does not count. `report` writes WORK/coarse_to_fine.json and .png: accuracy, what the
network's operations and the measured CPU seconds save, each with standard errors over repeats. CPU
seconds of an epoch are the median over all runs of a family and corpus at its resolution, so that
what else a machine did while one arm ran does not count.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from earsight.cli.train import choose
from earsight.data.corpus import Corpus
from earsight.data.few_labels import FewLabels
from earsight.data.folds import FoldedCorpus
from earsight.data.open_corpus import open_corpus
from earsight.training.coarse_cost import TransformerSizes, cost_ratio
from earsight.training.coarse_to_fine import Compression, Method
from earsight.training.curriculum import Curriculum
from earsight.training.rundir import RunDir

METHODS: tuple[Method, ...] = (
    "frame_shift",
    "average_pool",
    "max_pool",
    "patch_bilinear",
    "patch_inverse",
)
SHORT = {
    "frame_shift": "Fshift",
    "average_pool": "Pool avg",
    "max_pool": "Pool max",
    "patch_bilinear": "Patch BL",
    "patch_inverse": "Patch PI",
}
PRETRAINING = "ssast_pretrain"
BASELINE, FLAT, QUARTER = "baseline", "until flat", "a quarter coarse"
INK, ACCENT, SECOND = "#3b3f46", "#c8553d", "#2f6690"


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """A way to train: its coarse phases, and epochs at full resolution."""

    name: str
    curriculum: Curriculum
    num_epochs: int


def arms(total: int, methods: Sequence[Method], factors: Sequence[str]) -> list[Arm]:
    """The baseline of `total` epochs, and the others: half of them coarse, half at the end.

    Two arms more ask when the coarse phase should end: after a quarter of the epochs, as published,
    or where its curve flattens.
    """
    half, third = total // 2, total // 4
    found = [Arm(name=BASELINE, curriculum=Curriculum(), num_epochs=total)]
    for method in methods:
        for way in factors:
            coarse = tuple(int(factor) for factor in way.split("-")[:-1])
            epochs = (half,) if len(coarse) == 1 else (half - third, third)
            curriculum = Curriculum(method=method, factors=coarse, epochs=epochs)
            name = f"{SHORT[method]} {way}"
            found.append(Arm(name=name, curriculum=curriculum, num_epochs=total - half))
    first = next(way for way in factors if way.count("-") == 1)
    factor = int(first.split("-")[0])
    quarter = Curriculum(method=methods[0], factors=(factor,), epochs=(total // 4,))
    found.append(Arm(name=QUARTER, curriculum=quarter, num_epochs=total - total // 4))
    flat = replace(quarter, epochs=(total,), plateau_patience=4, plateau_gain=0.01)
    found.append(Arm(name=FLAT, curriculum=flat, num_epochs=total - half))
    return found


def train(args: argparse.Namespace) -> None:
    """Run what is not there yet."""
    corpus = open_corpus(args.data)
    repeats = [("fold", fold) for fold in args.folds] + [("seed", seed) for seed in args.seeds]
    wanted = arms(args.epochs, args.methods, args.factors)
    for kind, number in repeats:
        for arm in wanted:
            place = args.work / args.family / args.name / arm.name.replace(" ", "_")
            run = RunDir(place / f"{kind}{number}", keep=1)
            if (args.arms and arm.name not in args.arms) or (run.path / "model").is_dir():
                continue
            begin_again(run)
            whole = FoldedCorpus(corpus, number) if kind == "fold" else corpus
            few = whole
            if args.labels_per_class is not None:
                few = FewLabels(whole, args.labels_per_class, seed=number)
            if args.family == PRETRAINING:
                pretrain(args, arm, run, whole, few, seed=number)
            else:
                module, recipe = choose(f"{args.family}.{args.setting}", args.set)
                flat = arm.curriculum.plateau_patience is not None
                chosen = replace(
                    recipe,
                    curriculum=arm.curriculum,
                    num_epochs=arm.num_epochs,
                    keep="last",
                    check_epochs=1 if flat else args.check_epochs,
                    seed=number,
                )
                module.train(chosen, run, corpora=[few], resume=bool(run.checkpoints()))
            found = outcome(run.path)
            seconds = sum(epoch["cpu_seconds"] for epoch in found["epochs"])
            print(f"{run.path}: {found['accuracy']:.3f}, {seconds:.0f} s", flush=True)


def pretrain(
    args: argparse.Namespace, arm: Arm, run: RunDir, whole: Corpus, few: Corpus, *, seed: int
) -> None:
    """Pre-train in the arm's phases on all clips, then fine-tune on those with labels."""
    module, recipe = choose(f"{PRETRAINING}.{args.setting}", args.set)
    first = RunDir(run.path / "pretrained", keep=1)
    if not (first.path / "model").is_dir():
        begin_again(first)
        chosen = replace(
            recipe, curriculum=arm.curriculum, num_epochs=arm.num_epochs, check_epochs=1, seed=seed
        )
        module.train(chosen, first, corpora=[whole], resume=bool(first.checkpoints()))
    start = [f"start={first.path / 'model'}", "statistics=start", "keep=last", f"seed={seed}"]
    tuning, tuned = choose("ssast_finetune.small", [*args.tuning, *start])
    tuning.train(tuned, run, corpora=[few], resume=bool(run.checkpoints()))


def begin_again(run: RunDir) -> None:
    """Clear away a run that was stopped before its first checkpoint."""
    if (run.path / "log.jsonl").is_file() and not run.checkpoints():
        (run.path / "recipe.json").unlink()
        (run.path / "log.jsonl").unlink()


def outcome(run: Path) -> dict[str, Any]:
    """Accuracy of a run, and epochs and recipe of what its arm differs in."""
    scores = json.loads((run / "scores.json").read_text())
    first = run / "pretrained"
    if first.is_dir():
        scores["epochs"] = json.loads((first / "ended.json").read_text())["epochs"]
    recipe = json.loads(((first if first.is_dir() else run) / "recipe.json").read_text())
    accuracy = scores["overall"]["top_1"]
    return {"accuracy": accuracy, "epochs": scores["epochs"], "recipe": recipe}


def report(work: Path) -> None:
    """Tables of what is there, as JSON and as a picture."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for folder in sorted(path for path in work.glob("*/*") if path.is_dir()):
        runs = {
            arm.name.replace("_", " "): {
                run.parent.name: outcome(run.parent) for run in sorted(arm.glob("*/scores.json"))
            }
            for arm in sorted(folder.iterdir())
        }
        if runs.get(BASELINE):
            tables[f"{folder.parent.name}, {folder.name}"] = table(runs)
    (work / "coarse_to_fine.json").write_text(json.dumps(tables, indent=1))
    for name, rows in tables.items():
        print(f"\n{name}")
        for row in rows:
            print(
                f"  {row['arm']:<22} n={row['num_runs']} accuracy {row['accuracy']:.3f} "
                f"+- {row['accuracy_error']:.3f}  difference {row['difference']:+.3f} +- "
                f"{row['difference_error']:.3f}  operations saved {row['operations_saved']:.1%}  "
                f"time saved {row['time_saved']:.1%} (as run {row['time_saved_as_run']:.1%})"
            )
    draw(tables, work / "coarse_to_fine.png")


def table(runs: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row an arm, over the repeats that the baseline has as well."""
    epochs = [e for arm in runs.values() for told in arm.values() for e in told["epochs"]]
    factors = sorted({(epoch["factor"]) for epoch in epochs})
    cost = {f: median(e["cpu_seconds"] for e in epochs if e["factor"] == f) for f in factors}
    base = runs[BASELINE]
    rows: list[dict[str, Any]] = []
    for name, arm in runs.items():
        both = [repeat for repeat in arm if repeat in base]
        if not both:
            continue
        accuracy = np.array([arm[r]["accuracy"] for r in both])
        plain = np.array([base[r]["accuracy"] for r in both])
        recipe = arm[both[0]]["recipe"]
        told = [arm[r]["epochs"] for r in both]
        spent = [sum(cost[e["factor"]] for e in each) for each in told]
        baseline = [sum(cost[e["factor"]] for e in base[r]["epochs"]) for r in both]
        real = [sum(e["cpu_seconds"] for e in each) for each in told]
        real_base = [sum(e["cpu_seconds"] for e in base[r]["epochs"]) for r in both]
        work = [sum(operations(recipe, e["factor"]) for e in each) for each in told]
        whole = [sum(operations(recipe, e["factor"]) for e in base[r]["epochs"]) for r in both]
        rows.append(
            {
                "arm": name,
                "num_runs": len(both),
                "accuracy": float(accuracy.mean()),
                "accuracy_error": error(accuracy),
                "difference": float((accuracy - plain).mean()),
                "difference_error": error(accuracy - plain),
                "operations_saved": 1 - sum(work) / sum(whole),
                "time_saved": 1 - sum(spent) / sum(baseline),
                "time_saved_as_run": 1 - sum(real) / sum(real_base),
                "cpu_seconds": float(np.mean(spent)),
                "epochs": [len(each) for each in told],
                "seconds_of_an_epoch": cost,
            }
        )
    return rows


def error(values: np.ndarray) -> float:
    """Standard error of the mean; nan for one value."""
    if len(values) < 2:
        return float("nan")
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def operations(recipe: Mapping[str, Any], factor: int) -> float:
    """Operations of an epoch's clips in the network, as a share of full resolution."""
    compression = Compression(method=recipe["curriculum"]["method"], factor=factor)
    model = recipe["model"]
    if "depths" in model:
        from earsight.models.htsat.config import HtsatConfig, coarse
        from earsight.models.htsat.transfer import network_macs
        from earsight.settings import from_plain

        full = from_plain(HtsatConfig, model)
        return network_macs(coarse(full, factor)) / network_macs(full) if factor > 1 else 1.0
    rows = model["num_mels"] // model["patch"][0]
    sizes = TransformerSizes(
        width=model["width"],
        num_layers=model["num_layers"],
        num_heads=model["num_heads"],
        num_patches=rows * (model["num_frames"] // model["patch"][1]),
        patch_values=model["patch"][0] * model["patch"][1],
    )
    return cost_ratio(compression, sizes)


def draw(tables: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Accuracy over time saved, an arm a point, a table a panel."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(
        1, len(tables), figsize=(5.2 * len(tables), 4.4), squeeze=False, layout="constrained"
    )
    for panel, (name, rows) in zip(panels[0], tables.items(), strict=True):
        for row in rows:
            is_base = row["arm"] == BASELINE
            panel.errorbar(
                100 * row["time_saved"],
                100 * row["accuracy"],
                yerr=100 * row["accuracy_error"],
                fmt="s" if is_base else "o",
                color=INK if is_base else ACCENT if row["difference"] >= 0 else SECOND,
                ecolor="#c9c9c9",
                capsize=2,
            )
            panel.annotate(
                row["arm"],
                (100 * row["time_saved"], 100 * row["accuracy"]),
                xytext=(4, 4),
                textcoords="offset points",
                fontsize=7,
                color=INK,
            )
        panel.set_title(name, loc="left", fontsize=11)
        panel.set_xlabel("training time saved (%)")
        panel.set_ylabel("accuracy (%)")
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    print(path, file=sys.stderr)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    action = actions.add_parser("train")
    action.add_argument("work", type=Path)
    action.add_argument("--family", required=True, choices=("ast", "htsat", PRETRAINING))
    action.add_argument("--setting", default="small")
    action.add_argument("--data", type=Path, required=True)
    action.add_argument("--name", required=True, help="what the corpus is called in the report")
    action.add_argument("--folds", type=int, nargs="*", default=[])
    action.add_argument("--seeds", type=int, nargs="*", default=[])
    action.add_argument("--epochs", type=int, default=30)
    action.add_argument("--check-epochs", type=int, default=3)
    action.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    action.add_argument("--factors", nargs="*", default=["4-1", "2-1", "4-2-1"])
    action.add_argument("--arms", nargs="*", default=[], help="these alone")
    action.add_argument("--labels-per-class", type=int)
    action.add_argument("--set", action="append", default=[])
    action.add_argument("--tuning", action="append", default=[], help="of the fine-tuning")
    shown = actions.add_parser("report")
    shown.add_argument("work", type=Path)
    args = parser.parse_args()
    if args.action == "train":
        train(args)
    else:
        report(args.work)


if __name__ == "__main__":
    main()
