"""CNN14: published files of small size become folders that run; both rates; parity runner."""

from pathlib import Path

import pytest
import torch

from earsight.checkpoints.convert import convert
from earsight.checkpoints.keymap import load_strict, untranslate
from earsight.checkpoints.native import read_folder
from earsight.errors import InputError, WeightsError
from earsight.frontends import cnn14_mel
from earsight.generate.bundles import build_network
from earsight.models.catalogue import find
from earsight.models.cnn14.config import Cnn14Config
from earsight.models.cnn14.model import Cnn14
from earsight.models.cnn14.published import cnn14_keys, config_from_entries
from earsight.parity import judges
from earsight.parity.cases import Case

SMALL = Cnn14Config(widths=(3, 4, 5), num_classes=7, rate_hz=32000)


def official(network: Cnn14) -> dict[str, torch.Tensor]:
    """Entries as the authors' code saves them, spectrogram matrices included."""
    half = network.config.rate_hz // 125 * 2 + 1
    counts = [f"conv_block{i + 1}.bn{n}" for i in range(3) for n in (1, 2)]
    return {
        "spectrogram_extractor.stft.conv_real.weight": torch.zeros(half, 1, 2 * half - 2),
        "spectrogram_extractor.stft.conv_imag.weight": torch.zeros(half, 1, 2 * half - 2),
        "logmel_extractor.melW": torch.zeros(half, 64),
        **{f"{name}.num_batches_tracked": torch.tensor(3) for name in ("bn0", *counts)},
        **untranslate(network.state_dict(), cnn14_keys(network.config)),
    }


def test_a_published_file_becomes_a_folder_that_runs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, source = Cnn14(SMALL), tmp_path / "cnn14.pth"
    torch.save({"iteration": 600_000, "model": official(network)}, source)
    done = convert(source, find("panns-cnn14-32k"), tmp_path / "out")
    assert done.parts[0].config == SMALL, "the stored mel matrix tells 32 kHz"
    folder = read_folder(tmp_path / "out")
    again = build_network(Cnn14, Cnn14Config, folder, "cnn14", torch.device("cpu"))
    mel = torch.randn(2, 37, 64)
    ours, theirs = again(mel), network(mel)
    torch.testing.assert_close(ours.logits, theirs.logits, atol=0, rtol=0)
    assert ours.features.shape == (2, 5)
    assert ours.features.min() >= 0


def test_short_sounds_and_other_files_are_refused() -> None:
    with pytest.raises(InputError, match="at least 4 frames, got 64 and 3"):
        Cnn14(SMALL)(torch.zeros(1, 3, 64))
    entries = official(Cnn14(SMALL))
    del entries["logmel_extractor.melW"]
    with pytest.raises(WeightsError, match=r"logmel_extractor\.melW is missing"):
        config_from_entries(entries)


def test_time_is_pooled_by_largest_plus_mean() -> None:
    network = Cnn14(SMALL)
    network.hidden = torch.nn.Identity()  # pyright: ignore
    network.head = torch.nn.Identity()  # pyright: ignore
    mel = torch.randn(1, 16, 64)
    twice = torch.cat([mel, mel], dim=1)
    last: list[torch.Tensor] = []
    network.blocks[-1].register_forward_hook(lambda *given: last.append(given[2]))
    features = network(twice).features
    rows = last[0].mean(dim=3)
    torch.testing.assert_close(features, rows.amax(2) + rows.mean(2), atol=1e-6, rtol=0)


def test_the_runner_takes_its_sizes_from_the_case() -> None:
    """A case at 32 kHz, small: its numbers are those of the network called by hand."""
    network = Cnn14(SMALL)
    shapes = {name: list(value.shape) for name, value in official(network).items()}
    spec = {
        "config": {
            "sample_rate": 32000,
            "window_size": 1024,
            "hop_size": 320,
            "mel_bins": 64,
            "fmin": 50,
            "fmax": 14000,
        },
        "seed": 5,
        "keys": shapes,
        "keep": [name for name in shapes if "extractor" in name],
        "inputs": {"wave": {"normal": [2, 9000], "scale": 0.3}},
        "tolerance": 1e-4,
    }
    case = Case(system="metrics", name="cnn14_32k", spec=spec)
    entries = case.entries(keep=lambda name, size: torch.zeros(size) if "extr" in name else None)
    load_strict(network, entries, cnn14_keys(SMALL))
    mel = cnn14_mel.log_mel(case.input("wave"), cnn14_mel.cnn14_32k())
    stored = {
        "logmel": torch.cat([mel[0, :2], mel[0, -2:]]).numpy(),
        "logits": network(mel).logits.detach().numpy(),
        "embedding_5": network(mel).features.detach().numpy(),
    }
    rows = list(judges.run_cnn14(Case(system="metrics", name="x", spec=spec, stored=stored)))
    assert [(row.output, row.status) for row in rows] == [(name, "pass") for name in stored]
