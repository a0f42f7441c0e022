"""SpecVQGAN's ablations in the Foley Room, at a size that a laptop bears.

    python benchmarks/specvqgan_ablations.py WORK [STAGE ...]

WORK is what docs/foley_room_from_nothing.sh filled. Stages, all of them without a name: `losses` of
the codebook, number of `features`, `top` codes drawn from, `class` told or not, `seconds` of
published sizes, and `plot`, which draws WORK/ablations/*.png from what is there and writes
results.json. A stopped stage goes on where it was; judge and settings are the same in all rows.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from earsight.data.corpus import Split
from earsight.data.prepared import PreparedCorpus
from earsight.data.prepared_layout import feature_path, save_array, write_manifest

CODEBOOK_STEPS = 400
TRANSFORMER_STEPS = 500
NUM_FEATURES = {"all": None, "0": 0, "1": 1, "5": 5}
TOP = (16, 64, 256, 512)
LIMIT = ("--limit", 200)  # test clips
FEW = ("--limit", 120)  # where two tables are made of every run
LOSSES: Mapping[str, tuple[str, ...]] = {
    "L1": ("weights.adversarial=0", "weights.perceptual=0", "distance.kind=none"),
    "L1, GAN": ("weights.perceptual=0", "distance.kind=none"),
    "L1, GAN, LPAPS": ("weights.perceptual=1", "distance.kind=trained"),
}
CLASS = {
    "nothing": ("--no-picture",),
    "class": ("--no-picture", "--class-known"),
    "picture": (),
    "picture and class": ("--class-known",),
}
INK, ACCENT, SECOND = "#3b3f46", "#c8553d", "#2f6690"


def earsight(*words: object) -> dict[str, Any]:
    """Run a command; its JSON, where it prints some."""
    command = [sys.executable, "-m", "earsight", *map(str, words)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    return json.loads(done.stdout) if "--json" in words else {}


def train(recipe: str, run: Path, *words: object) -> None:
    """Train, or go on with a run, or leave a finished one."""
    if (run / "model").is_dir():
        return
    again = ("--resume",) if (run / "recipe.json").is_file() else ()
    earsight("train", recipe, "--run", run, *words, *again)


def scores(card: Mapping[str, Any]) -> dict[str, float | None]:
    """Values of a card."""
    return {name: score["value"] for name, score in card["scores"].items()}


def judged(work: Path, output: Path, model: Path, *words: object) -> dict[str, float | None]:
    """FID, KID, ISC and MKL of a model's samples for the test clips."""
    if not (output / "card.json").is_file():
        earsight(
            *("evaluate", "specvqgan", "--data", work / "room", "--model", model),
            *(
                "--judge",
                work / "model",
                "--output",
                output,
                *(words if "--limit" in words else (*LIMIT, *words)),
            ),
        )
    return scores(json.loads((output / "card.json").read_text()))


def losses(work: Path) -> dict[str, Any]:
    """The same codes, three decoders: by which losses each was trained."""
    own = work / "ablations" / "losses"
    start = own / "codes"
    if not start.is_dir():
        train(
            *("specvqgan_codebook.foley_room", own / "codes_run"),
            *("--data", work / "room", work / "recordings"),
            *("--set", "distance.kind=none", "--set", "weights.perceptual=0"),
            *("--set", "codes_fixed_from=none", "--set", "num_steps=2000"),
        )
        shutil.copytree(own / "codes_run" / "model", start)
    found: dict[str, Any] = {}
    for name, settings in LOSSES.items():
        run = own / name.replace(", ", "_")
        network = f"distance.network={work / 'specvqgan_vggishish' / 'model'}"
        chosen = [*settings, network if "LPAPS" in name else "distance.network=none"]
        chosen += [f"start={start}", f"num_steps={CODEBOOK_STEPS}", "codes_fixed_from=0"]
        chosen += ["revive_until=0", "revive_every=0", "weights.discriminator_start=0"]
        words = [word for setting in chosen for word in ("--set", setting)]
        data = ("--data", work / "room", work / "recordings")
        train("specvqgan_codebook.foley_room", run, *data, *words)
        if not (run / "judged" / "card.json").is_file():
            earsight(
                *("evaluate", "codebook", "--data", work / "room", "--model", run / "model"),
                *("--judge", work / "model", "--output", run / "judged", *LIMIT),
            )
        found[name] = scores(json.loads((run / "judged" / "card.json").read_text()))
    return found


def held_frames(rows: np.ndarray, number: int | None) -> np.ndarray:
    """Rows of features of which only `number`, evenly spread, are seen; each is held till the next.

    None keeps all, 0 blanks all.
    """
    if number is None:
        return rows
    if number == 0:
        return np.zeros_like(rows)
    places = np.minimum(np.arange(len(rows)) * number // max(1, len(rows)), number - 1)
    middles = ((np.arange(number) + 0.5) * len(rows) / number).astype(int)
    return rows[middles[places]]


def seen_in_part(work: Path, folder: Path, number: int | None) -> None:
    """A copy of the room's prepared folder in which only some frames are seen."""
    if (folder / "COMPLETE").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    room = (work / "room").resolve()
    for path in room.iterdir():
        if (
            path.name not in ("features", "manifest.jsonl", "COMPLETE")
            and not (folder / path.name).exists()
        ):
            (folder / path.name).symlink_to(path)
    corpus = PreparedCorpus(room)
    splits: tuple[Split, ...] = ("train", "valid", "test")
    write_manifest(folder, [record for split in splits for record in corpus.records(split)])
    for split in splits:
        for record in corpus.records(split):
            rows = corpus.features(record, "sight").numpy()
            place = feature_path(folder, "sight", record.id)
            if not place.is_file():
                save_array(place, held_frames(rows, number).astype(np.float16))
    shutil.copy(room / "COMPLETE", folder / "COMPLETE")


def features(work: Path) -> dict[str, Any]:
    """Small transformers that see 0, 1, 5 or all frames of a clip, without a class."""
    own = work / "ablations" / "features"
    found: dict[str, Any] = {}
    for name, number in NUM_FEATURES.items():
        room, run = own / f"room_{name}", own / f"run_{name}"
        seen_in_part(work, room, number)
        settings = {
            "codebook": work / "specvqgan_codebook" / "model",
            "model.width": 128,
            "model.num_layers": 4,
            "model.num_heads": 4,
            "crops_per_clip": 2,
            "num_steps": TRANSFORMER_STEPS,
            "draws.class_dropout": 1.0,
        }
        words = [w for key, value in settings.items() for w in ("--set", f"{key}={value}")]
        train("specvqgan_transformer.foley_room", run, "--data", room, *words)
        joined = run / "joined"
        if not joined.is_dir():
            earsight(
                *("weights", "join", "--output", joined, "--transformer", run / "model"),
                *("--codebook", work / "specvqgan_codebook" / "model"),
                *("--sight", work / "foley_sight" / "model"),
            )
        asked = ("--model", joined, "--data", room, "--vocoder", "griffin-lim")
        if not (run / "timed" / "card.json").is_file():
            words = ("--judge", work / "model", "--output", run / "timed", *FEW)
            earsight("evaluate", "foley_room", *asked, *words)
        if not (run / "judged" / "card.json").is_file():
            shutil.copytree(run / "timed" / "samples", run / "judged" / "samples")
            words = ("--judge", work / "model", "--output", run / "judged", *FEW)
            earsight("evaluate", "specvqgan", *asked, *words)
        timed = scores(json.loads((run / "timed" / "card.json").read_text()))
        found[name] = scores(json.loads((run / "judged" / "card.json").read_text()))
        found[name] |= {"onset_f": timed["onset_f.model"]}
        found[name] |= {"class_accuracy": timed["class_accuracy.model"]}
        found[name]["held_out_loss"] = last_value(run / "log.jsonl", "held_out_loss")
    return {name: found[name] for name in ("0", "1", "5", "all")}


def last_value(log: Path, name: str) -> float:
    """The last reading of a name in a run's log."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line[name] for line in lines if name in line][-1]


def top(work: Path) -> dict[str, Any]:
    """The default model, drawn from the X best codes: fidelity, relevance, variety."""
    found: dict[str, Any] = {}
    for number in TOP:
        output = work / "ablations" / "top" / str(number)
        options = ("--samples", 2, "--top-k", number, "--guidance", 1, *FEW)
        found[str(number)] = judged(work, output, work / "model", *options)
        found[str(number)]["variety"] = variety(output / "samples")
    return found


def variety(samples: Path) -> float:
    """Mean absolute difference between the two spectrograms of a clip, in [0, 1] units."""
    firsts = sorted(samples.rglob("*_sample_0.npy"))
    both = [(path, path.with_name(path.name.replace("sample_0", "sample_1"))) for path in firsts]
    pairs = [(np.load(one), np.load(other)) for one, other in both if other.is_file()]
    return float(np.mean([np.abs(first - second).mean() for first, second in pairs]))


def told_class(work: Path) -> dict[str, Any]:
    """The default model with picture and class, one of them, or neither; as trained."""
    own = work / "ablations" / "class"
    return {
        name: judged(work, own / name.replace(" ", "_"), work / "model", "--guidance", 1, *words)
        for name, words in CLASS.items()
    }


def seconds(work: Path) -> dict[str, Any]:
    """Seconds per 9.85 s sound of the published sizes (random weights), by number of features."""
    from earsight.generate.logits import SamplingConfig
    from earsight.generate.sampler import Condition, item_uniforms, sample_codes
    from earsight.models.token_gpt.config import published
    from earsight.models.token_gpt.engine import TokenEngine
    from earsight.models.token_gpt.model import TokenGPT

    del work
    found: dict[str, Any] = {}
    for number in (1, 5, 212):
        config = published(num_features=number)
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(0)
            engine = TokenEngine(TokenGPT(config).eval(), precision="bf16")
            rows = torch.rand(1, number, config.feature_width)
        generator = torch.Generator().manual_seed(0)
        uniforms = item_uniforms([generator], config.num_grid_codes)
        began = time.perf_counter()
        sample_codes(
            engine, Condition(rows, None), uniforms=uniforms, sampling=SamplingConfig(top_k=512)
        )
        found[str(number)] = {"seconds": time.perf_counter() - began}
    return found


STAGES: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "losses": losses,
    "features": features,
    "top": top,
    "class": told_class,
    "seconds": seconds,
}


def plot(results: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """One picture per stage at hand."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = {
        "losses": ("FID", "MKL", "what the decoder was trained by"),
        "features": ("FID", "MKL", "frames seen"),
        "top": ("FID", "variety", "codes drawn from"),
        "class": ("FID", "MKL", "what the model is told"),
    }
    at_hand = [stage for stage in shown if stage in results]
    figure, grid = pyplot.subplots(
        1, len(at_hand), figsize=(3.6 * len(at_hand), 3.1), layout="constrained", squeeze=False
    )
    for axes, stage in zip(grid[0], at_hand, strict=True):
        first, second, label = shown[stage]
        names = list(results[stage])
        places = np.arange(len(names))
        for values, colour, offset, side in (
            ([results[stage][n][first] for n in names], ACCENT, -0.2, axes),
            ([results[stage][n][second] for n in names], SECOND, 0.2, axes.twinx()),
        ):
            side.bar(places + offset, values, 0.38, color=colour)
            side.tick_params(axis="y", colors=colour, labelsize=8)
            side.spines[["top"]].set_visible(False)
        axes.set_xticks(places, [name.replace(", ", "\n") for name in names], fontsize=7)
        axes.set_xlabel(label, fontsize=8, color=INK)
        axes.set_title(f"{first} (red), {second} (blue)", fontsize=9, color=INK)
    figure.savefig(folder / "specvqgan_ablations.png", dpi=110)


def main() -> None:
    """Run the stages and keep what they found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=", ".join([*STAGES, "plot"]))
    args = parser.parse_args()
    folder = args.work / "ablations"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "results.json"
    results: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    for stage in args.stages or [*STAGES, "plot"]:
        if stage == "plot":
            plot(results, folder)
            continue
        results[stage] = STAGES[stage](args.work)
        kept.write_text(json.dumps(results, indent=1) + "\n")
        print(stage, json.dumps(results[stage], indent=1))


main()
