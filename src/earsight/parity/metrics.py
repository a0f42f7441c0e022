"""Golden cases of the classifier behind SpecVQGAN's measures, and of the measures themselves.

Axes: n, s samples, d features, c classes.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.keymap import load_strict
from earsight.errors import InputError
from earsight.metrics import divergence, relevance
from earsight.metrics.frechet import frechet_distance, moments
from earsight.metrics.inception_score import InceptionScore, inception_score
from earsight.metrics.kernel import KernelConfig, KernelDistance, kernel_distance
from earsight.models.melception.model import Melception
from earsight.models.melception.published import KEYS, config_from_entries
from earsight.parity.cases import Case
from earsight.parity.compare import Row, Value, compare, equal, number
from earsight.parity.loading import account_row, filled, meta_entries
from earsight.parity.runners import Runner, must_be

Rows = Float[np.ndarray, "n d"]
KERNEL = re.compile(r"(kid\w*)_(mean|std)")
UNSHUFFLED = re.compile(r"isc_noshuffle_(\d+)splits_(mean|std)")
SINGULAR = re.compile(
    r"first (\d+) rows of features_1 against (?:the )?first (\d+) rows of features_2"
)


def run_melception(case: Case) -> Iterator[Row]:
    """Six features of the classifier, and activations on the way."""
    entries = case.entries()
    config = config_from_entries(entries)
    must_be(case.config, num_classes=config.num_classes)
    network = filled(on_meta(lambda: Melception(config)), entries, KEYS)
    with torch.inference_mode():
        maps = network.maps(case.input("spec"))
        found = network.read_out(maps)
    features = {
        "64": found.rows37,
        "192": found.stem,
        "768": found.rows17,
        "2048": found.features,
        "logits_unbiased": found.unbiased_scores,
        "logits": found.scores,
    }
    taps = {
        "Conv2d_2b": maps.rows37,
        "Conv2d_4a": maps.stem,
        "Mixed_5d": maps.rows35,
        "Mixed_6e": maps.rows17,
        "Mixed_7c": maps.rows8,
    }
    outputs: dict[str, Value] = {f"feat_{name}": value for name, value in features.items()}
    outputs |= features  # means and spreads are stored under these
    outputs |= {f"tap_{name}": value for name, value in taps.items()}
    yield from compare(case, outputs)


def run_melception_keys(case: Case) -> Iterator[Row]:
    """The Melception file's network."""
    entries = meta_entries(case)
    config = config_from_entries(entries)
    yield from account_row(case, [load_strict(on_meta(lambda: Melception(config)), entries, KEYS)])


def run_feature_metrics(case: Case) -> Iterator[Row]:
    """Every number that the case names, in its order; its JSON and its array are both compared."""
    names = [str(name) for name in case.spec["names"]]
    expected = dict(case.spec.get("values", {}))
    if "values" in case.stored:
        yield equal(case, "values (count)", len(names), len(case.stored["values"]))
        expected |= dict(zip(names, case.stored["values"].tolist(), strict=False))
    measures = _measures(case)
    for name in names:
        measure = measures.get(name) or _kernel_number(case, name) or _unshuffled(case, name)
        if measure is None:
            yield _unknown(case, name)
        elif name in expected:
            yield number(case, name, measure(), expected[name])


def _measures(case: Case) -> dict[str, Callable[[], float]]:
    """How each named number is made of the case's inputs."""

    def rows(name: str) -> Any:
        return case.input(name).numpy()

    def fid() -> float:
        return frechet_distance(moments(rows("features_1")), moments(rows("features_2")))

    def single() -> Any:
        return rows("pred_logits")[:, 0]

    def craft() -> divergence.AudiocraftKLD:
        return divergence.audiocraft_kld(rows("gt_logits"), single())

    measures: dict[str, Callable[[], float]] = {
        name: fid for name in ("specvqgan_fid", "av_bench_fd_float32", "audioldm_fd")
    }
    measures |= {
        "specvqgan_fid_singular": lambda: _singular(case),
        "isc_mean": lambda: _inception(case).mean,
        "isc_std": lambda: _inception(case).std,
        "specvqgan_mkl": lambda: divergence.mkl(rows("gt_logits"), rows("pred_logits")),
        "audiocraft_kld_pq": lambda: craft().real_generated,
        "audiocraft_kld_qp": lambda: craft().generated_real,
        "audiocraft_kld_both": lambda: craft().both,
        "cosine_score": lambda: relevance.cosine_score(rows("ib_video"), rows("ib_audio")),
    }
    tools = {"av_bench": divergence.av_benchmark_kl, "audioldm": divergence.audioldm_kl}
    for tool, measure in tools.items():
        measures[f"{tool}_kl_softmax"] = lambda m=measure: m(rows("gt_logits"), single())
        measures[f"{tool}_kl_sigmoid"] = lambda m=measure: m(
            rows("gt_logits"), single(), squash="sigmoid"
        )
    return measures


def _singular(case: Case) -> float:
    """Less samples than features: covariances without full rank."""
    told = SINGULAR.search(str(case.spec["inputs"].get("singular case")))
    if told is None:
        raise InputError("the case does not say which rows its singular sets hold")
    first, second = case.input("features_1").numpy(), case.input("features_2").numpy()
    return frechet_distance(moments(first[: int(told[1])]), moments(second[: int(told[2])]))


def _kernel_number(case: Case, name: str) -> Callable[[], float] | None:
    """KIDNAME_mean or KIDNAME_std, where the case has settings of that name."""
    told = KERNEL.fullmatch(name)
    if told is None or told[1] not in case.config:
        return None
    section, part = told[1], told[2]

    def measure() -> float:
        found = _kernel(case, section)
        return found.mean if part == "mean" else found.std

    return measure


def _kernel(case: Case, name: str) -> KernelDistance:
    """A kernel distance; what its own settings leave out is as in `kid`."""
    sizes = {**case.config.get("kid", {}), **case.config[name]}
    gamma = sizes.get("gamma", "1/D")
    config = KernelConfig(
        num_subsets=sizes["subsets"],
        subset_size=sizes["subset_size"],
        degree=sizes.get("degree", 3),
        gamma=None if gamma == "1/D" else float(gamma),
        offset=float(sizes.get("coef0", 1)),
        seed=sizes.get("rng_seed", 2020),
    )
    first, second = case.input("features_1").numpy(), case.input("features_2").numpy()
    return kernel_distance(first, second, config)


def _inception(case: Case) -> InceptionScore:
    sizes = case.config["isc"]
    return inception_score(
        case.input("isc_logits").numpy(),
        num_splits=sizes.get("splits", 10),
        shuffle_seed=sizes.get("rng_seed", 2020) if sizes.get("shuffle", True) else None,
    )


def _unshuffled(case: Case, name: str) -> Callable[[], float] | None:
    told = UNSHUFFLED.fullmatch(name)
    if told is None:
        return None
    splits, part = int(told[1]), told[2]

    def measure() -> float:
        scores = case.input("isc_logits").numpy()
        found = inception_score(scores, num_splits=splits, shuffle_seed=None)
        return found.mean if part == "mean" else found.std

    return measure


def _unknown(case: Case, name: str) -> Row:
    return Row(
        system=case.system,
        case=case.name,
        output=name,
        status="unknown",
        detail="no rule computes this number",
    )


KINDS: dict[str, Runner] = {
    "melception": run_melception,
    "melception.keys": run_melception_keys,
    "feature_metrics": run_feature_metrics,
}
