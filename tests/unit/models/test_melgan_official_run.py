"""Going on with an official training: entries and Adam's memory in the official order."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from earsight.errors import InputError, WeightsError
from earsight.models.melgan.config import DiscriminatorConfig, MelGANConfig
from earsight.models.melgan.discriminator import MultiScaleDiscriminator
from earsight.models.melgan.model import MelGANGenerator
from earsight.models.melgan.official_run import read_official_run, take_moments
from earsight.models.melgan.published import discriminator_keys, generator_keys

CONFIG = MelGANConfig(num_mels=5, channels=2, num_residual_layers=1, ratios=(2, 2))
JUDGE = DiscriminatorConfig(num_scales=2, channels=4, num_layers=1, factor=2)


def official_order(name: str) -> tuple[object, ...]:
    """Registration order: layer by layer, a block's body before its shortcut, then b, g, v."""
    pieces = [int(p) if p.isdigit() else {"block": 0, "shortcut": 1}.get(p, p) for p in
              name.removeprefix("model.").split(".")]  # fmt: skip
    return tuple((isinstance(piece, str), piece) for piece in pieces)


def write_stand_in(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Four files whose memory of a parameter is filled with its first official value."""
    written: dict[str, dict[str, torch.Tensor]] = {}
    for letter, network, keys in (
        ("G", MelGANGenerator(CONFIG), generator_keys(CONFIG)),
        ("D", MultiScaleDiscriminator(JUDGE), discriminator_keys(JUDGE)),
    ):
        own = network.state_dict()
        entries = {name: own[str(keys[name])] for name in sorted(keys, key=official_order)}
        memory: dict[int, dict[str, Any]] = {
            number: {
                "step": 7,  # a plain number, as PyTorch 1 kept it
                "exp_avg": torch.full_like(value, float(value.flatten()[0])),
                "exp_avg_sq": torch.full_like(value, number),
            }
            for number, value in enumerate(entries.values())
        }
        group = {"lr": 1e-4, "betas": (0.5, 0.9), "eps": 1e-8, "weight_decay": 0,
                 "amsgrad": False, "params": list(range(len(entries)))}  # fmt: skip
        torch.save(entries, folder / f"net{letter}.pt")
        torch.save({"state": memory, "param_groups": [group]}, folder / f"opt{letter}.pt")
        written[letter] = entries
    return written


def test_networks_and_memory_come_back_under_our_names(tmp_path: Path) -> None:
    written = write_stand_in(tmp_path)
    run = read_official_run(tmp_path)
    assert (run.config, run.discriminator_config) == (CONFIG, JUDGE)
    network = MelGANGenerator(run.config)
    network.load_state_dict(run.generator.entries)
    optimizer = torch.optim.Adam(network.parameters(), 3e-4, betas=(0.5, 0.9))
    take_moments(optimizer, network, run.generator.moments)
    official = {own: name for name, own in generator_keys(CONFIG).items()}
    order = list(written["G"])
    for name, parameter in network.named_parameters():
        memory = optimizer.state[parameter]
        assert float(memory["step"]) == 7
        assert bool((memory["exp_avg"] == parameter.detach().flatten()[0]).all())
        assert bool((memory["exp_avg_sq"] == order.index(official[name])).all())
    assert optimizer.param_groups[0]["lr"] == 3e-4
    # the block's body comes before its shortcut there, and after it here
    assert order.index("model.4.block.2.bias") < order.index("model.4.shortcut.bias")


def test_discriminators_go_on_too(tmp_path: Path) -> None:
    write_stand_in(tmp_path)
    run = read_official_run(tmp_path)
    network = MultiScaleDiscriminator(run.discriminator_config)
    network.load_state_dict(run.discriminator.entries)
    take_moments(torch.optim.Adam(network.parameters()), network, run.discriminator.moments)


def test_files_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"netG\.pt, netD\.pt, optG\.pt, optD\.pt missing"):
        read_official_run(tmp_path)
    write_stand_in(tmp_path)
    run = read_official_run(tmp_path)
    network = MelGANGenerator(replace(CONFIG, num_mels=6))
    with pytest.raises(WeightsError, match=r"conv_in.*: memory \(8, 5, 7\), network \(8, 6, 7\)"):
        take_moments(torch.optim.Adam(network.parameters()), network, run.generator.moments)
    (tmp_path / "optG.pt").write_bytes((tmp_path / "optD.pt").read_bytes())
    with pytest.raises(WeightsError, match="its network has"):
        read_official_run(tmp_path)
