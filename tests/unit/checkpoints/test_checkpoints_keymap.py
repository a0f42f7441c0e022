"""Tables between published names and ours: total, reversible, and strict when loading."""

import pytest
import torch
from torch import Tensor, nn

from earsight.checkpoints.keymap import (
    Dropped,
    KeyMap,
    Moved,
    Stacked,
    load_strict,
    translate,
    untranslate,
)
from earsight.errors import WeightsError

KEYS: KeyMap = {
    "up.{i}.block.{j}.conv.{p}": "stages.{i}.blocks.{j}.conv.{p}",
    "head.weight": Moved("head.weight", lambda t: t[:, :, 0], lambda t: t[:, :, None]),
    "norm.bias": Dropped("always zero"),
    "norm.*": "normalise.*",
    "loss.*": Dropped("used in training only"),
}


def entries() -> dict[str, Tensor]:
    return {
        "up.0.block.11.conv.weight": torch.ones(2, 3),
        "head.weight": torch.arange(6.0).reshape(2, 3, 1),
        "norm.bias": torch.zeros(2),
        "norm.a.b": torch.ones(4),
        "loss.net.0.weight": torch.ones(1),
    }


def test_patterns_carry_their_marks_over() -> None:
    done = translate(entries(), KEYS)
    assert list(done.entries) == ["stages.0.blocks.11.conv.weight", "head.weight", "normalise.a.b"]
    assert done.entries["head.weight"].shape == (2, 3)
    rows = [(row.published, row.own, row.reason) for row in done.account.rows]
    assert rows[2:] == [
        ("norm.bias", None, "always zero"),
        ("norm.a.b", "normalise.a.b", None),
        ("loss.net.0.weight", None, "used in training only"),
    ]
    assert done.account.rows[1].shape == (2, 3, 1)
    assert (len(done.account.used), len(done.account.dropped)) == (3, 2)


def test_the_way_back_gives_the_published_entries() -> None:
    given = entries()
    back = untranslate(translate(given, KEYS).entries, KEYS)
    kept = [name for name in given if not name.startswith(("loss", "norm.bias"))]
    assert list(back) == kept
    assert all(torch.equal(back[name], given[name]) for name in kept)
    with pytest.raises(WeightsError, match=r"1 of 1 entries have no published name: other\.weight"):
        untranslate({"other.weight": torch.ones(1)}, KEYS)


def test_a_mark_never_swallows_a_dot_or_differs_from_itself() -> None:
    keys: KeyMap = {"a.{i}.b.{i}": "c.{i}"}
    assert list(translate({"a.1.b.1": torch.ones(1)}, keys).entries) == ["c.1"]
    for name in ("a.1.b.2", "a.1.2.b.1", "a..b.", "xa.1.b.1", "a.1.b.1x.y"):
        with pytest.raises(WeightsError, match="not in the table"):
            translate({name: torch.ones(1)}, keys)


def test_all_unknown_and_clashing_entries_are_named() -> None:
    given = {**entries(), "new.weight": torch.ones(3, 1), "other": torch.ones(1)}
    with pytest.raises(WeightsError, match=r"2 of 7 .*new\.weight \(3, 1\).*other") as caught:
        translate(given, KEYS)
    assert "not in the table" in str(caught.value)
    keys: KeyMap = {"a.{i}": "same", "b": "same"}
    with pytest.raises(WeightsError, match=r"a\.2: same is filled already; b: same is filled"):
        translate({"a.1": torch.ones(1), "a.2": torch.ones(1), "b": torch.ones(1)}, keys)


def test_pieces_become_one_tensor_and_come_apart_again() -> None:
    keys: KeyMap = {
        f"layer.{{i}}.{name}.{{p}}": Stacked("blocks.{i}.qkv.{p}", place, 3)
        for place, name in enumerate("qkv")
    }
    given = {f"layer.0.{name}.weight": torch.randn(2, 4) for name in "vqk"}
    done = translate(given, keys)
    expected = torch.cat([given[f"layer.0.{name}.weight"] for name in "qkv"])
    assert torch.equal(done.entries["blocks.0.qkv.weight"], expected)
    assert [row.own for row in done.account.rows] == 3 * ["blocks.0.qkv.weight"]
    back = untranslate(done.entries, keys)
    assert set(back) == set(given)
    assert all(torch.equal(back[name], given[name]) for name in given)
    del given["layer.0.k.weight"]
    with pytest.raises(WeightsError, match=r"blocks\.0\.qkv\.weight: 2 of its 3 pieces"):
        translate(given, keys)
    given["layer.0.k.weight"] = torch.ones(2, 5)
    with pytest.raises(WeightsError, match=r"pieces of one shape expected, got .*\(2, 5\)"):
        translate(given, keys)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_strict_loading_fills_everything_in_the_networks_precision() -> None:
    source = network()
    state = {
        name: value.half() if value.is_floating_point() else value + 7
        for name, value in source.state_dict().items()
    }
    for target in (network(), network().to("meta")):
        account = load_strict(target, state)
        assert len(account.rows) == 7
        loaded = target.state_dict()
        assert {value.dtype for value in loaded.values()} == {torch.float32, torch.int64}
        assert all(torch.equal(loaded[name], state[name].to(loaded[name].dtype)) for name in state)
        assert all(parameter.requires_grad for parameter in target.parameters())


def test_all_misfits_are_named_and_nothing_is_changed() -> None:
    target = network()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    del state["0.bias"]
    state["0.weight"] = torch.ones(2, 4)
    state["1.num_batches_tracked"] = torch.tensor(1.5)
    state["2.weight"] = torch.ones(1)
    with pytest.raises(WeightsError, match=r"4 of 7 entries do not fit") as caught:
        load_strict(target, state)
    for problem in (
        "0.bias: missing in the file",
        "0.weight: file (2, 4), network (2, 3)",
        "1.num_batches_tracked: file torch.float32, network torch.int64",
        "2.weight: the network has no such entry",
    ):
        assert problem in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_a_check_needs_no_memory_on_either_side() -> None:
    target = network().to("meta")
    load_strict(target, {name: value.to("meta") for name, value in network().state_dict().items()})


def test_buffers_that_no_file_holds_are_named_on_the_meta_device() -> None:
    target = network()
    target.register_buffer("window", torch.ones(4), persistent=False)
    state = target.state_dict()
    load_strict(target, state)
    with pytest.raises(WeightsError, match="window: a buffer that no file holds"):
        load_strict(target.to("meta"), state)
