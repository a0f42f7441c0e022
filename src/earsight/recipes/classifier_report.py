"""What a classifier's run reports: checks on valid clips, scores on test clips, a model folder.

Axes: k clips, n classes.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.checkpoints.native import save_folder
from earsight.data.labelled_clips import LabelledClips
from earsight.files import write_json
from earsight.losses.classify import classification_loss
from earsight.metrics.classification import ClassificationScores, classification_scores
from earsight.recipes.classifier_training import ClassifierTraining, class_scores
from earsight.training.rundir import RunDir

FRONTEND = "specvqgan_mel, normalised by VGGSound's statistics"


def go_on(run: RunDir, training: ClassifierTraining[Any]) -> None:
    """Take a killed run up at its newest saved state."""
    training.restore(run.load_state())
    run.trim_log(training.step)


def check(run: RunDir, training: ClassifierTraining[Any]) -> None:
    """Judge the valid clips; log it, and keep the state where the loss was never lower."""
    found = valid_scores(training)
    run.log(training.step, found)
    if training.watch.update(found["valid_loss"], training.step):
        run.keep_best(training.state(), found["valid_loss"], name="valid_loss")


@torch.no_grad()
def valid_scores(training: ClassifierTraining[Any]) -> dict[str, float]:
    """Plain cross-entropy, top-1 and top-5 on all valid clips; each process judges its share."""
    clips, world = training.data.valid, training.world
    sums = torch.zeros(4, dtype=torch.float64)
    for labels, scores in _judged(training, clips, range(world.rank, len(clips), world.size)):
        own = scores.gather(1, labels[:, None])
        rivals = (scores >= own).sum(dim=1) - 1
        loss = classification_loss(scores, labels) * len(labels)
        hits = [(rivals < k).sum().double() for k in (1, 5)]
        sums += torch.stack([loss.double(), *hits, torch.tensor(len(labels)).double()])
    joined = world.gather(sums[None].to(world.device)).sum(0)
    means = joined[:3] / joined[3]
    names = ("valid_loss", "valid_top_1", "valid_top_5")
    return {name: float(value) for name, value in zip(names, means, strict=True)}


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOutReport:
    """Scores on held-out clips, of all and of each corpus; `recall` is top-1 by class.

    Clips are of the split "test", or of "valid", which the run was stopped by, where there are no
    labelled test clips.
    """

    split: str
    overall: ClassificationScores
    by_corpus: Mapping[str, ClassificationScores]
    recall: Mapping[str, float]

    def plain(self) -> dict[str, Any]:
        """Values for JSON; what is not finite becomes None."""
        return finite(asdict(self))


@torch.no_grad()
def judge_test(training: ClassifierTraining[Any]) -> HeldOutReport:
    """Judge the test clips with the network that is kept."""
    data = training.data
    has_test = any(r.class_index is not None for r in data.corpus.records("test"))
    clips = LabelledClips(data.corpus, "test") if has_test else data.valid
    labels, probabilities = torch.empty(0, dtype=torch.int64), list[Tensor]()
    order: list[int] = []
    for batch in clips.whole(range(len(clips)), **_sizes(training)):
        scores = class_scores(_judge(training), batch.mel, training)
        probabilities.append(scores.softmax(dim=1).cpu().double())
        labels = torch.cat([labels, batch.labels])
        order += batch.places
    owners = [data.corpus.origin(clips.records[place])[0].name for place in order]
    return held_out_report(
        torch.cat(probabilities).numpy(),
        labels.numpy(),
        class_names=data.class_names,
        owners=owners,
        split=clips.split,
    )


def held_out_report(
    found: Float[np.ndarray, "k n"],
    truth: Int[np.ndarray, " k"],
    *,
    class_names: Sequence[str],
    owners: Sequence[str],
    split: str,
) -> HeldOutReport:
    """Scores of class probabilities; `owners` names the corpus of every clip."""
    masks = {owner: [own == owner for own in owners] for owner in dict.fromkeys(owners)}
    hits = found.argmax(axis=1) == truth
    return HeldOutReport(
        split=split,
        overall=classification_scores(found, truth, class_names=class_names),
        by_corpus={
            owner: classification_scores(found[mask], truth[mask], class_names=class_names)
            for owner, mask in masks.items()
        },
        recall={
            name: float(hits[truth == index].mean())
            for index, name in enumerate(class_names)
            if (truth == index).any()
        },
    )


def score_table(report: HeldOutReport) -> str:
    """Scores of all clips and of each corpus, as a section of a card."""
    rows = "\n".join(
        f"| {name} | {s.num_clips} | {s.top_1:.1%} | {s.top_5:.1%} | "
        f"{s.mean_average_precision:.1%} | {s.mean_auc:.1%} | {s.d_prime:.2f} |"
        for name, s in {"all": report.overall, **report.by_corpus}.items()
    )
    left_out = ", ".join(report.overall.left_out) or "none"
    return f"""## Scores on {report.split} clips
| clips of | number | top-1 | top-5 | mAP | mAUC | d' |
| --- | --- | --- | --- | --- | --- | --- |
{rows}

Classes without a clip there, left out of the means: {left_out}.
"""


def finish(
    run: RunDir, training: ClassifierTraining[Any], *, family: str, recipe_name: str, shown: str
) -> None:
    """Go back to the best check, judge the test clips, write RUN/scores.json and RUN/model.

    `shown` says in a few words what the network is. A run without any check is checked now.
    """
    reason, last_step = training.watch.reason, training.step
    run.save_state(training.state())
    if training.watch.best is None:
        check(run, training)
    if not run.world.is_first:
        return
    training.restore(run.load_best())
    report = judge_test(training)
    ended = f"Stopped early: {reason}." if reason else f"Ran to its end at step {last_step}."
    told = {
        "step": training.step,
        "valid_loss": training.watch.best,
        "ended": ended,
        **report.plain(),
    }
    write_json(run.path / "scores.json", finite(told), overwrite=True)
    save_folder(
        run.path / "model",
        family,
        training.kept.config,
        training.kept.state_dict(),
        extra={
            "frontend": FRONTEND,
            "class_names": list(training.data.class_names),
            "scores": finite(asdict(report.overall)),
        },
        card=_card(training, report, recipe_name=recipe_name, shown=shown, ended=ended),
        half=training.fit.half,
        overwrite=True,
    )


def _judged(
    training: ClassifierTraining[Any], clips: LabelledClips, places: range
) -> Iterator[tuple[Tensor, Tensor]]:
    network = _judge(training)
    for batch in clips.whole(places, **_sizes(training)):
        yield batch.labels, class_scores(network, batch.mel, training).cpu()


def _judge(training: ClassifierTraining[Any]) -> torch.nn.Module:
    """The kept network in evaluation mode; a training step sets its own mode."""
    return training.kept.eval()


def _sizes(training: ClassifierTraining[Any]) -> dict[str, int]:
    fit = training.fit
    return {
        "shortest": min(fit.crop_frames),
        "longest": fit.longest_frames,
        "batch": fit.check_batch,
    }


def finite(value: Any) -> Any:
    """The value for JSON: numbers that are not finite become None, at any depth."""
    if isinstance(value, Mapping):
        named = cast(Mapping[str, Any], value)
        return {key: finite(item) for key, item in named.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in cast(Sequence[Any], value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _card(
    training: ClassifierTraining[Any],
    report: HeldOutReport,
    *,
    recipe_name: str,
    shown: str,
    ended: str,
) -> str:
    data, parameters = training.data, sum(p.numel() for p in training.kept.parameters())
    return f"""# Sound classifier

{shown}; {parameters / 1e6:.1f} M parameters, {len(data.class_names)} classes:
{", ".join(data.class_names)}.
Front end: {FRONTEND}.

## Training
Recipe `{recipe_name}`, weights of step {training.step}. {ended}
Data: {data.corpus.name}, {len(data.train)} clips to train on, {len(data.valid)} to stop by.

{score_table(report)}"""
