"""An archive in the official layout becomes a model that makes sound, with nothing loosened."""

import json
import tarfile
from pathlib import Path

import pytest
import torch

import earsight
from earsight.cli.app import main
from earsight.errors import InputError, WeightsError
from earsight.media.audio import read_audio
from earsight.parity.fill import entries

GOLDEN = Path(__file__).parents[1] / "golden" / "specvqgan" / "sampler_class.json"
NAME = "specvqgan-vas-class"


def make_archive(folder: Path, *, without: str = "") -> Path:
    """A class transformer of 8 classes with its codebook, laid out as published."""
    spec = json.loads(GOLDEN.read_text())

    def constant(name: str, shape: tuple[int, ...]) -> torch.Tensor | None:
        if name.endswith("attn.mask"):
            return torch.ones(shape).tril()
        return torch.zeros(shape, dtype=torch.int64) if "shuffle_idx" in name else None

    state = {
        name: value
        for name, value in entries(spec, spec["keys"], keep=constant).items()
        if name != without
    }
    checkpoint = folder / "epoch_000012.ckpt"
    torch.save({"state_dict": state, "global_step": 7, "epoch": 12, "callbacks": {}}, checkpoint)
    (folder / "project.yaml").write_text("model:\n  params: {ckpt_path: /somebody/elses/path}\n")
    archive = folder / "run.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(checkpoint, "2021_run/checkpoints/epoch_000012.ckpt")
        tar.add(folder / "project.yaml", "2021_run/configs/project.yaml")
    return archive


def test_from_archive_to_sound(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, clip: Path
) -> None:
    archive, model = make_archive(tmp_path), tmp_path / "model"
    assert main(["weights", "convert", str(archive), "--as", NAME, "--output", str(model)]) == 0
    capsys.readouterr()
    base = ["sound", str(clip), "--model", str(model), "--output", str(tmp_path / "out")]
    assert main([*base, "--class", "fireworks", "--top-k", "20", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["done"] == 1
    wave = read_audio(tmp_path / "out" / "square.wav")
    assert wave.num_samples == 3 * 22050
    assert 0 < wave.samples.abs().max().item() < 1
    assert main(base) == 2
    assert "needs a class: baby, cough, dog, drum" in capsys.readouterr().err
    loaded = earsight.load(model)
    assert loaded.class_names[4] == "fireworks"
    assert loaded.pipeline.lead_frames == 6


def test_a_missing_entry_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    archive = make_archive(tmp_path, without="transformer.blocks.1.mlp.2.bias")
    arguments = ["weights", "convert", str(archive), "--as", NAME]
    assert main([*arguments, "--output", str(tmp_path / "model")]) == 1
    assert "blocks.1.mlp" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_folders_that_do_not_fit_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    config = json.loads((broken / "transformer" / "config.json").read_text())
    config["config"]["num_codes"] = 65
    (broken / "transformer" / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        WeightsError, match=r"code_embedding.weight file \(64, 32\) model \(65, 32\)"
    ):
        earsight.load(broken)
    config["config"]["num_kodes"] = config["config"].pop("num_codes")
    (broken / "transformer" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="num_kodes: unknown field, did you mean num_codes"):
        earsight.load(broken)
    with pytest.raises(InputError, match="no model 'nothing-like-it'"):
        earsight.load("nothing-like-it")
    lone = tmp_path / "lone"
    shutil.copytree(tiny_model / "codebook", lone)
    with pytest.raises(InputError, match="no transformer: it can code sound"):
        earsight.load(lone)


def test_without_network_the_hub_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="cannot open 'someone/model@main' from the hub"):
        earsight.load("someone/model@main")
