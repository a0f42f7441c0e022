"""Files of the official layouts, small, all the way from an archive to a model that runs."""

import hashlib
import io
import json
import tarfile
import threading
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import earsight
from earsight.checkpoints.convert import convert, fit
from earsight.checkpoints.keymap import untranslate
from earsight.checkpoints.native import read_bundle, read_folder
from earsight.cli.app import main
from earsight.errors import InputError, WeightsError
from earsight.models import catalogue
from earsight.models.catalogue import CATALOGUE, find
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.mel_vqgan.published import MODEL_KEYS
from earsight.models.melgan.config import MelGANConfig
from earsight.models.melgan.model import MelGANGenerator
from earsight.models.melgan.published import generator_keys
from earsight.models.token_gpt.config import ConditionKind, TokenGPTConfig
from earsight.models.token_gpt.model import TokenGPT
from earsight.models.token_gpt.published import transformer_keys

CODEBOOK = MelVQGANConfig(
    channels=32, channel_multipliers=(1, 1, 1, 1, 2), latent_channels=16, code_dim=16, num_codes=24
)


def transformer(condition: ConditionKind, num_classes: int = 8) -> TokenGPTConfig:
    return TokenGPTConfig(
        num_codes=24,
        num_positions=265 + (5 if condition == "features" else 1),
        width=32,
        num_layers=2,
        num_heads=16,
        condition=condition,
        feature_width=2048,
        num_classes=num_classes,
    )


def codebook_entries(seed: int = 1) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return untranslate(MelVQGAN(CODEBOOK).state_dict(), MODEL_KEYS)


def codebook_file() -> dict[str, Any]:
    """A whole codebook checkpoint: the networks of training lie beside the model."""
    extra = {
        "loss.perceptual_loss.scaling_layer.shift": torch.zeros(1, 1, 80, 1),
        "loss.perceptual_loss.lin0.model.1.weight": torch.zeros(1, 64, 1, 1),
        "loss.discriminator.main.0.weight": torch.zeros(64, 1, 4, 4),
    }
    return lightning({**codebook_entries(), **extra})


def transformer_file(condition: ConditionKind = "features") -> dict[str, Any]:
    config = transformer(condition)
    torch.manual_seed(2)
    own = TokenGPT(config).state_dict()
    length = config.num_positions
    masks = {f"transformer.blocks.{i}.attn.mask": torch.ones(1, 1, length, length) for i in (0, 1)}
    order = torch.arange(265)
    return lightning(
        {
            **{f"first_stage_model.{name}": value for name, value in codebook_entries().items()},
            "first_stage_permuter.forward_shuffle_idx": order,
            "first_stage_permuter.backward_shuffle_idx": order,
            **untranslate(own, transformer_keys(condition)),
            **masks,
        }
    )


def lightning(state: dict[str, Tensor]) -> dict[str, Any]:
    return {
        "epoch": 39,
        "global_step": 18_000,
        "pytorch-lightning_version": "1.2.10",
        "callbacks": {},
        "hparams": Namespace(ckpt_path="/home/someone/first_stage.ckpt"),
        "state_dict": OrderedDict(state),
    }


def archive(path: Path, content: dict[str, Any], *, run: str = "2021-07-30T21-34-25_x") -> Path:
    """An official archive; the yaml inside names paths that must be ignored."""
    stored = io.BytesIO()
    torch.save(content, stored)
    members = {
        f"{run}/configs/2021-07-30T21-34-25-project.yaml": b"n_embed: 9999\nckpt_path: /nowhere",
        f"{run}/checkpoints/epoch_39.ckpt": stored.getvalue(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as opened:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            opened.addfile(info, io.BytesIO(data))
    return path


def same(module: nn.Module, tensors: dict[str, Tensor]) -> bool:
    state = module.state_dict()
    return sorted(state) == sorted(tensors) and all(
        torch.equal(state[k], tensors[k]) for k in state
    )


def test_a_codebook_archive_becomes_a_folder(tmp_path: Path) -> None:
    source = archive(tmp_path / "codebook.tar.gz", codebook_file())
    done = convert(source, find("specvqgan-codebook-vas"), tmp_path / "out")
    folder = read_folder(tmp_path / "out")
    assert folder.family == "mel_vqgan"
    assert folder.config["num_codes"] == 24, "sizes come from shapes, not from the yaml or name"
    torch.manual_seed(1)
    expected = MelVQGAN(CODEBOOK).state_dict()
    assert sorted(folder.tensors) == sorted(expected)
    assert all(torch.equal(folder.tensors[name], expected[name]) for name in expected)
    account = done.parts[0].account
    assert len(account.rows) == len(codebook_file()["state_dict"])
    assert {row.reason for row in account.dropped} == {
        "perceptual distance, used in training only",
        "discriminator, used in training only",
    }
    published = folder.extra["published"]
    assert published["source_is_published"] is False
    assert (published["epoch"], published["global_step"]) == (39, 18_000)
    assert published["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert published["member"].endswith("checkpoints/epoch_39.ckpt")
    card = (tmp_path / "out" / "card.md").read_text()
    assert "MIT" in card
    assert "| codebook |" in card
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_transformer_archive_becomes_a_pipeline_that_runs(tmp_path: Path) -> None:
    source = archive(tmp_path / "transformer.tar.gz", transformer_file())
    done = convert(source, find("specvqgan-vas-5-resnet50"), tmp_path / "out")
    bundle = read_bundle(tmp_path / "out")
    assert bundle.family == "specvqgan"
    assert list(bundle.parts) == ["codebook", "transformer"]
    assert bundle.extra["visual"] == "resnet50"
    config = bundle.parts["transformer"].config
    assert (config["num_positions"], config["condition"], config["num_codes"]) == (
        270,
        "features",
        24,
    )
    rows = [row for part in done.parts for row in part.account.rows]
    assert sorted(row.published for row in rows) == sorted(transformer_file()["state_dict"])
    torch.manual_seed(1)
    assert same(MelVQGAN(CODEBOOK), bundle.parts["codebook"].tensors)
    torch.manual_seed(2)
    assert same(TokenGPT(transformer("features")), bundle.parts["transformer"].tensors)
    assert earsight.load(tmp_path / "out", vocoder="griffin-lim")


def test_a_vocoder_file_becomes_a_folder_of_half_the_size(tmp_path: Path) -> None:
    config = MelGANConfig(channels=4)
    torch.manual_seed(1)
    generator = MelGANGenerator(config)
    entries = untranslate(generator.state_dict(), generator_keys(config))
    assert "model.1.weight_g" in entries
    torch.save(OrderedDict(entries), tmp_path / "best_netG.pt")
    record = find("melgan-vggsound")
    convert(tmp_path / "best_netG.pt", record, tmp_path / "full")
    convert(tmp_path / "best_netG.pt", record, tmp_path / "half", half=True)
    assert same(generator, read_folder(tmp_path / "full").tensors)
    sizes = [(tmp_path / n / "weights.safetensors").stat().st_size for n in ("half", "full")]
    assert sizes[0] < 0.65 * sizes[1]
    with pytest.raises(InputError, match="exists already"):
        convert(tmp_path / "best_netG.pt", record, tmp_path / "full")


def test_left_over_missing_and_ill_shaped_entries_refuse_the_file() -> None:
    record = find("specvqgan-vas-5-resnet50")
    state = transformer_file()["state_dict"]
    fit(record, state)
    state["transformer.extra"] = torch.ones(1)
    with pytest.raises(WeightsError, match=r"5-resnet50, transformer: .*extra \(1,\)"):
        fit(record, state)
    del state["transformer.extra"]
    del state["first_stage_model.quant_conv.bias"]
    with pytest.raises(WeightsError, match=r"codebook: 1 of .*to_code\.bias: missing in the file"):
        fit(record, state)
    with pytest.raises(WeightsError, match="codebook: expected a codebook model"):
        fit(record, {"transformer.pos_emb": torch.ones(1)})
    codebook_only = catalogue.PublishedWeights(**{**vars(record), "parts": record.parts[:1]})
    with pytest.raises(WeightsError, match="belong to no network"):
        fit(codebook_only, state)


@pytest.mark.parametrize("shape", [(), (24,), (0, 0), (3, 4, 5)])
def test_shapes_of_no_network_are_named_errors(shape: tuple[int, ...]) -> None:
    state = codebook_entries()
    for name in ("quantize.embedding.weight", "encoder.conv_in.weight", "quant_conv.weight"):
        with pytest.raises(WeightsError, match="specvqgan-codebook-vas, codebook"):
            fit(find("specvqgan-codebook-vas"), {**state, name: torch.zeros(shape)})


def test_what_cannot_be_converted_yet_says_so() -> None:
    with pytest.raises(WeightsError, match="state of an optimiser"):
        fit(find("melgan-vggsound-generator-optimiser"), {})


def test_the_catalogue_is_complete_and_unambiguous() -> None:
    transformers = [record for record in CATALOGUE.values() if record.family == "specvqgan"]
    assert len(transformers) == 24
    assert len({record.md5 for record in transformers}) == 24
    assert len({record.url for record in CATALOGUE.values()}) == len(CATALOGUE)
    for record in CATALOGUE.values():
        assert record.url.startswith("https://")
        assert record.licence
        assert record.parts or record.notes
        assert not record.commercial, "no licence of these allows it for certain"
    assert find("melgan-vggsound").family == "melgan"
    with pytest.raises(InputError, match=r"nearest: .*specvqgan-codebook-vas"):
        find("codebook-vas")


# ---------------------------------------------------------------- the command


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Serves the files of a folder on loopback."""
    root = tmp_path / "site"
    root.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = (root / self.path.lstrip("/")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    class Quick(HTTPServer):
        def server_bind(self) -> None:
            self.socket.bind(self.server_address)
            self.server_address = self.socket.getsockname()
            self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    with Quick(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def known(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """A small class transformer in the catalogue, served with its hash."""
    monkeypatch.setenv("EARSIGHT_CACHE", str(tmp_path / "cache"))
    source = archive(tmp_path / "site" / "small.tar.gz", transformer_file("class"))
    base = find("specvqgan-vas-class")
    small = {
        **vars(base),
        "name": "small",
        "url": f"{site}/small.tar.gz",
        "md5": hashlib.md5(source.read_bytes()).hexdigest(),
    }
    monkeypatch.setitem(CATALOGUE, "small", catalogue.PublishedWeights(**small))
    return "small", source


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_from_a_name_to_a_model(
    known: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, source = known
    assert main(["weights", "fetch", name, "--json"]) == 0
    fetched = said(capsys)["items"][0]
    assert fetched["hash"] == "as published"
    assert Path(fetched["output"]).read_bytes() == source.read_bytes()
    assert main(["weights", "convert", name, "--json"]) == 0
    item = said(capsys)["items"][0]
    assert item["entries"] == item["used"] + item["left_out"]
    assert item["left_out"] == 4, "two masks and two lists of the code order"
    assert (
        len(item["accounts"]["transformer"]) + len(item["accounts"]["codebook"])
        == (item["entries"])
    )
    classes = ["baby", "cough", "dog", "drum", "fireworks", "gun", "hammer", "sneeze"]
    assert read_bundle(Path(item["output"])).extra["class_names"] == classes
    assert earsight.load(name, vocoder="griffin-lim")
    assert main(["weights", "verify", name, item["output"], "--json"]) == 0
    checked = said(capsys)["items"]
    assert checked[0]["classes_left_inert"] == ["argparse.Namespace", "collections.OrderedDict"]
    assert checked[1]["hash"] == "as recorded"
    assert main(["weights", "list", "--json"]) == 0
    listed = {entry["name"]: entry for entry in said(capsys)["weights"]}
    assert listed[name]["converted"] is True
    assert listed["specvqgan-codebook-vas"]["fetched"] is False


def test_files_are_told_by_hash_never_by_name(
    known: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, source = known
    renamed = tmp_path / "2021-05-19T22-16-54_vggsound_codebook.tar.gz"
    renamed.write_bytes(source.read_bytes())
    assert main(["weights", "report", str(renamed), "--json"]) == 0
    report = said(capsys)["items"][0]
    assert report["weights"] == name
    rows = {row["published"]: row for row in report["accounts"]["transformer"]}
    assert rows["transformer.tok_emb.weight"]["own"] == "code_embedding.weight"
    assert "causal mask" in rows["transformer.blocks.0.attn.mask"]["left_out"]
    other = archive(tmp_path / "other.tar.gz", transformer_file("features"))
    assert main(["weights", "convert", str(other), "--output", str(tmp_path / "x")]) == 1
    assert "--as NAME" in capsys.readouterr().out
    arguments = ["weights", "convert", str(other), "--as", name, "--output", str(tmp_path / "x")]
    assert main(arguments) == 0
    assert "left_out" in capsys.readouterr().out
    assert main(["weights", "verify", str(other), "--as", name]) == 1
    assert "hashes differ" in capsys.readouterr().out


def test_commercial_use_must_be_known_to_be_allowed(
    known: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for action in ("fetch", "convert", "verify", "report"):
        assert main(["weights", action, known[0], "--commercial"]) == 1
        assert "not known to allow commercial use (code MIT" in capsys.readouterr().out
    assert main(["weights", "list", "--commercial", "--json"]) == 0
    assert said(capsys)["weights"] == []


def test_failures_are_named_and_counted(
    known: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "fetch", "smal", known[0], "--json"]) == 1
    items = said(capsys)["items"]
    assert [item["outcome"] for item in items] == ["failed", "done"]
    assert "nearest: small" in items[0]["reason"]
    assert main(["weights", "convert", "a", "b", "--output", str(tmp_path / "x")]) == 2
    damaged = tmp_path / "damaged.tar.gz"
    damaged.write_bytes(known[1].read_bytes()[:5000])
    assert main(["weights", "convert", str(damaged), "--as", known[0], "--json"]) == 1
    assert "fetch it again" in said(capsys)["items"][0]["reason"]
