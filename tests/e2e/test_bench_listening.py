"""`earsight bench` of the networks that listen: small tables, right in their arithmetic."""

import json
import os
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from earsight.cli.app import main
from earsight.errors import EarsightError, InputError
from earsight.evaluate import filterbank_speed, tagging_memory
from earsight.evaluate.arms import Measured, Work, in_turns
from earsight.evaluate.network_sizes import NETWORKS
from earsight.evaluate.pretraining_speed import forward_macs, pretraining_arms
from earsight.frontends.fbank_statistics import AUDIOSET
from earsight.frontends.kaldi_fbank import network_input


def bench(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    assert main(["bench", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["rows"]


def test_both_ways_of_pretraining_stand_in_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    rows = bench(
        capsys, "pretraining", "--size", "tiny", "--batch", 2, "--repeats", 1, "--threads", 1,
        "--precision", "bf16", "--peak-tflops", 1,
    )  # fmt: skip
    visible, whole = rows
    assert (visible["encoded"], whole["encoded"]) == ("visible", "all")
    assert whole["speedup"] == 1
    assert visible["speedup"] == pytest.approx(whole["seconds"] / visible["seconds"], abs=0.02)
    assert visible["mfu"] == visible["tflops"]
    assert visible["peak_memory_mib"] > 50


def test_work_of_the_published_step_is_counted() -> None:
    base = pretraining_arms(size="base", decoder="local", precisions=("fp32",))[0].model
    # the paper has 48.6 G for its encoder on all patches
    decoder = forward_macs(base, num_encoded=0) - 12 * 768 * (12 * 768 + 2) - 768 * 512
    assert forward_macs(base, num_encoded=512) - decoder == pytest.approx(48.6e9, rel=0.01)
    assert forward_macs(base, num_encoded=102) / 1e9 == pytest.approx(34.98, abs=0.01)


class _Numpy:
    """Stands in for the extractor of transformers: earsight's values, moved by 0.5."""

    mel_filters = 0

    def __call__(self, clips: list[np.ndarray], **_: object) -> dict[str, np.ndarray]:
        waves = torch.from_numpy(np.stack(clips))
        return {"input_values": (network_input(waves, AUDIOSET) + 0.5).numpy()}


@pytest.mark.parametrize("extractor", [_Numpy, object], ids=["with NumPy", "with torchaudio"])
def test_filterbanks_are_compared_with_the_numpy_path_alone(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    extractor: Callable[[], object],
) -> None:
    found = SimpleNamespace(ASTFeatureExtractor=extractor)
    monkeypatch.setattr(filterbank_speed, "require", lambda *_, **__: found)
    arguments = ("filterbank", "--batch", 2, "--seconds", 0.1, "--repeats", 1)
    if extractor is object:
        with pytest.raises(InputError, match="without torchaudio"):
            filterbank_speed.filterbank_speeds(batch=1)
        return
    own, theirs = bench(capsys, *arguments)
    assert theirs["speedup"] == 1
    assert own["speedup"] == pytest.approx(
        theirs["clip_milliseconds"] / own["clip_milliseconds"], rel=0.1
    )
    assert theirs["deviation"] == pytest.approx(0.5, abs=1e-3)


def in_this_process(arms: dict[str, Callable[[], Work]], **_: object) -> dict[str, Measured]:
    for prepare in arms.values():
        prepare()()
    peaks = {"0.1 minutes": 100, "0.2 minutes": 103}
    return {
        name: Measured(
            seconds=(2.0,), loaded_mib=90, peak_memory_mib=peaks[name], peak_device_mib=None
        )
        for name in arms
    }


def test_memory_of_tagging_is_told_by_length(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tagging_memory, "in_turns", in_this_process)
    short, longer = bench(capsys, "tagging", "--minutes", 0.2, 0.1, "--batch", 2)
    assert [row["growth_mib"] for row in (short, longer)] == [0, 3]
    assert [row["real_time_factor"] for row in (short, longer)] == [3, 6]


def test_every_size_is_counted_without_its_weights() -> None:
    with torch.device("meta"):
        found = {
            name: sum(own.numel() for own in build(1).network.parameters())
            for name, build in NETWORKS.items()
        }
    assert found["audiomae-base-tagger"] == 85_659_407  # as the official training log prints
    assert found["passt"] > 85e6
    assert found["audiomae-large"] > 300e6


def _dies() -> Callable[[], object]:
    return partial(os._exit, 3)


def _fails() -> Callable[[], object]:
    raise InputError("no clips")


@pytest.mark.parametrize(
    ("arm", "message"), [(_dies, "'arm' ended with exit code 3"), (_fails, "no clips")]
)
def test_an_arm_that_fails_is_told(arm: Callable[[], Any], message: str) -> None:
    with pytest.raises(EarsightError, match=message):
        in_turns({"arm": arm}, repeats=1, num_threads=1)
