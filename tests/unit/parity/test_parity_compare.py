"""Tolerances as cases write them, crops as their notes tell them, and the rows that come out."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from earsight.parity.cases import Case
from earsight.parity.compare import Tolerance, compare, crop, tolerance

FLOATS, CODES = np.ones(3, np.float32), np.ones(3, np.int64)


@pytest.mark.parametrize(
    ("spec", "name", "stored", "expected"),
    [
        (1e-3, "x", FLOATS, Tolerance(absolute=1e-3)),
        (1e-3, "x", CODES, Tolerance()),
        ({"x": 2e-3, "arrays": 1}, "x", FLOATS, Tolerance(absolute=2e-3)),
        ({"tap_*": 2e-3, "features": 1}, "tap_a", FLOATS, Tolerance(absolute=2e-3)),
        ({"slices": 2e-3}, "slice4", FLOATS, Tolerance(absolute=2e-3)),
        ({"arrays": 2e-3, "indices": 0}, "logits", FLOATS, Tolerance(absolute=2e-3)),
        ({"arrays": 2e-3, "tokens": 0}, "greedy", CODES, Tolerance()),
        ({"absolute": 1e-4, "relative": 1e-3}, "y", FLOATS,
         Tolerance(absolute=1e-4, relative=1e-3)),
        ({"arrays": 1, "grad_norms_relative": 0.1}, "grad_norms", FLOATS,
         Tolerance(absolute=1e-6, relative=0.1)),
        ({"arrays": 1, "loss (relative)": 0.1}, "loss", FLOATS, Tolerance(relative=0.1)),
        ({"flow": "2.0 grey levels mean; iterative"}, "flow", FLOATS,
         Tolerance(absolute=2.0, average=True)),
        ({"other": 1}, "x", FLOATS, Tolerance(absolute=1e-4)),
        (None, "x", FLOATS, Tolerance(absolute=1e-4)),
    ],
)  # fmt: skip
def test_tolerance_forms(spec: Any, name: str, stored: Any, expected: Tolerance) -> None:
    found = tolerance(spec, name, stored)
    assert found.average == expected.average
    assert found.absolute == pytest.approx(expected.absolute)
    assert found.relative == pytest.approx(expected.relative)


FULL = np.arange(2 * 6 * 40).reshape(2, 6, 40)


@pytest.mark.parametrize(
    ("shape", "note", "expected"),
    [
        ((2, 6, 8), "first 8 frames", FULL[:, :, :8]),
        ((2, 6, 8), "last 8 frames", FULL[:, :, -8:]),
        ((2, 6, 4), "positions 0,10,20,... (batch, rows, 4)", FULL[:, :, ::10]),
        ((2, 2, 10), "every 4th row and column", FULL[:, ::4, ::4]),
        ((2, 2, 5), "every 3th row, every 8th column", FULL[:, ::3, ::8]),
        ((1, 4, 32), "first batch item, first 4 channels, first 32 steps", FULL[:1, :4, :32]),
        ((3, 5), "first item, top-left 3x5", FULL[0, :3, :5]),
        ((2, 2, 3), "activations, cropped [:, :2, :3]", FULL[:, :2, :3]),
    ],
)
def test_crops_follow_the_note(shape: tuple[int, ...], note: str, expected: Any) -> None:
    np.testing.assert_array_equal(crop(FULL, shape, note), expected)


def test_nothing_is_cropped_without_a_word_of_it() -> None:
    assert crop(FULL, (2, 6, 8), "full output").shape == FULL.shape


def rows(stored: dict[str, Any], made: Any, /, **spec: Any) -> dict[str, Any]:
    arrays = {name: np.asarray(value) for name, value in stored.items()}
    case = Case(system="s", name="c", spec={"tolerance": 0.1, **spec}, stored=arrays)
    return {row.output: row for row in compare(case, made)}


def test_rows_carry_error_and_tolerance() -> None:
    stored = {"a": [1.0, 2.0], "b": [1.0, 2.0]}
    found = rows(stored, {"a": torch.tensor([1.05, 2.0]), "b": [1.0, 2.2]})
    assert (found["a"].status, found["b"].status) == ("pass", "fail")
    assert found["a"].error == pytest.approx(0.05)
    assert (found["a"].tolerance, found["a"].shape) == ("0.1", (2,))


def test_a_wrong_shape_or_a_lost_number_fails() -> None:
    found = rows(
        {"a": np.zeros((2, 3)), "b": [np.nan, 1.0], "c": [1.0], "d": [np.inf]},
        {"a": np.zeros((3, 2)), "b": [np.nan, 1.0], "c": [np.nan], "d": [np.inf]},
    )
    assert [found[name].status for name in "abcd"] == ["fail", "pass", "fail", "pass"]
    assert "stored (2, 3)" in found["a"].detail
    assert math.isinf(found["c"].error)


def test_outputs_without_a_rule_and_broken_ones_have_their_own_rows() -> None:
    def broken() -> float:
        raise RuntimeError("no such layer")

    found = rows({"a": [1.0], "b": [1.0], "c": [1.0]}, {"a": broken, "c": lambda: [1.0]})
    assert [found[name].status for name in "abc"] == ["error", "unknown", "pass"]
    assert "no such layer" in found["a"].detail


def test_texts_must_be_equal() -> None:
    found = rows({"a": ["x", "y"], "b": ["x"]}, {"a": ["x", "y"], "b": ["z"]})
    assert [found[name].status for name in "ab"] == ["pass", "fail"]
    assert "'z', stored 'x'" in found["b"].detail


def test_whole_arrays_are_held_to_their_stored_mean_and_shape() -> None:
    full = np.linspace(0, 1, 101)
    stats = {"a": {"mean": 0.5, "std": float(full.std()), "shape": [101]}}
    spec = {"outputs": {"a": "first 4"}, "tolerance": 1e-6, "stats": stats}
    assert rows({"a": full[:4]}, {"a": full}, **spec)["a (mean, spread)"].status == "pass"
    moved = np.concatenate([full[:4], full[4:] + 0.01])
    assert rows({"a": full[:4]}, {"a": moved}, **spec)["a (mean, spread)"].status == "fail"
    longer = rows({"a": full[:4]}, {"a": np.append(full, 0)}, **spec)
    assert longer["a (whole)"].status == "fail"
