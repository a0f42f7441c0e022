"""Finding golden cases and rebuilding their inputs."""

import json
from pathlib import Path

import numpy as np
import pytest

from earsight.errors import InputError
from earsight.parity import fill
from earsight.parity.cases import Case, CaseFile, drawn, find_cases, kind_of, read_case


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sampler", "sampler"),
        ("sampler_feats", "sampler"),
        ("vqgan_2", "vqgan"),
        ("vqgan_train_x", "vqgan_train"),
        ("codebook_vas.keys", "codebook.keys"),
        ("samplers", None),
        ("codebook_vas", None),
        ("sampler.keys", None),
    ],
)
def test_a_name_is_its_kind_and_a_variant(name: str, kind: str | None) -> None:
    assert kind_of(name, ["sampler", "vqgan", "vqgan_train", "codebook.keys"]) == kind


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def test_cases_lie_in_system_folders_or_flat(tmp_path: Path) -> None:
    put(tmp_path / "all", "a/x.json", "a/x.npz", "held/b/deep/y.json", "new/z.json", "b/alone.npz")
    found = {(c.system, c.name) for c in find_cases(tmp_path / "all", known=["a", "b"])}
    assert found == {("a", "x"), ("b", "y"), ("new", "z"), ("b", "alone")}
    only = find_cases(tmp_path / "all", known=["a", "b"], system="new")
    assert [c.name for c in only] == ["z"]

    put(tmp_path / "flat", "x.json", "README.md")
    assert [c.system for c in find_cases(tmp_path / "flat", known=["a"])] == ["flat"]
    assert [c.system for c in find_cases(tmp_path / "flat", known=["a"], system="a")] == ["a"]
    put(tmp_path / "a", "x.json")
    assert [c.system for c in find_cases(tmp_path / "a", known=["a"])] == ["a"]


def test_arrays_without_a_description_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(2))
    with pytest.raises(InputError, match=r"no x\.json beside it"):
        read_case(CaseFile(system="s", name="x", path=tmp_path / "x.npz"))


@pytest.mark.parametrize(("text", "message"), [("{", "not readable JSON"), ("[1]", "holds a list")])
def test_an_unreadable_description_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_case(CaseFile(system="s", name="x", path=tmp_path / "x.json"))


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    np.savez(tmp_path / "x.npz", a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="not a readable array file"):
        read_case(CaseFile(system="s", name="x", path=tmp_path / "x.json"))


def test_inputs_are_scaled_shifted_made_absolute_and_clipped() -> None:
    noise = fill.normal(5, "x", [40])
    recipe = {"normal": [40], "scale": 2, "shift": 1, "then": "clip to [-0.5, 1.5]"}
    np.testing.assert_allclose(drawn(5, "x", recipe), (2 * noise + 1).clip(-0.5, 1.5), rtol=1e-6)
    absolute = drawn(5, "x", {"normal": [40], "note": "absolute value taken; any layout"})
    assert (absolute == np.abs(noise)).all()
    assert drawn(5, "x", {"tokens": [9], "high": 4}).max() < 4


@pytest.mark.parametrize("recipe", [{"uniform": [3]}, {"normal": [3], "then": "sorted"}])
def test_an_unknown_recipe_is_refused(recipe: dict[str, object]) -> None:
    with pytest.raises(InputError, match="input 'x'"):
        drawn(1, "x", recipe)


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("d2_6", "d{scale}_{layer}"),
        ("feats_class_logits", "<kind>_logits"),
        ("slice4", "slice1..5"),
        ("sampled_53", "sampled_N"),
        ("after_main.3.running_var", "after_main.N.*"),
        ("image_tail", "image_head/tail"),
        ("tap_conv1", "tap_*"),
    ],
)
def test_notes_of_numbered_outputs(output: str, name: str) -> None:
    case = Case(system="s", name="c", spec={"outputs": {"other": "no", name: "yes"}})
    assert case.note(output) == "yes"
    assert case.note("none of them") == ""


def test_shipped_cases_are_json_objects() -> None:
    golden = Path(__file__).parents[2] / "golden"
    for path in golden.rglob("*.json"):
        assert isinstance(json.loads(path.read_text()), dict), path
