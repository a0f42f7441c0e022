"""What the commands that hear sounds write: pictures, tables, and what an interruption leaves."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.e2e.hearing_models import NAMES, save_model

import earsight
from earsight.checkpoints.native import read_bundle
from earsight.cli.app import main
from earsight.cli.doctor import bundled_files
from earsight.generate import tagger as tagger_module
from earsight.generate.tagger import load_tagger
from earsight.media.audio import Waveform
from earsight.media.wave_write import write_audio


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def sound(path: Path, seconds: float) -> Path:
    rng = torch.Generator().manual_seed(len(path.name))
    write_audio(path, Waveform(0.1 * torch.randn(1, round(seconds * 16000), generator=rng), 16000),
                provenance=None)  # fmt: skip
    return path


@pytest.fixture(scope="module")
def ears(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two networks, as the bundled one is."""
    folder = tmp_path_factory.mktemp("models")
    tagger = save_model(
        folder / "t", "audiomae_tagger", class_names=list(NAMES), scores={"accuracy": 0.5}
    )
    masked = save_model(folder / "m", "audiomae", normalise_patches=True, held_out_loss=0.7)
    arguments = ["weights", "join", "--tagger", tagger, "--masked", masked, "--half"]
    assert main([str(word) for word in [*arguments, "--output", folder / "ears"]]) == 0
    return folder / "ears"


@pytest.fixture
def bundled(ears: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("earsight.generate.bundles.LISTENING_FOLDER", ears)
    return ears


def test_networks_joined_for_listening_are_half_as_large_and_described(ears: Path) -> None:
    bundle = read_bundle(ears)
    assert {name: part.family for name, part in bundle.parts.items()} == {
        "tagger": "audiomae_tagger", "masked": "audiomae",
    }  # fmt: skip
    stored = (ears / "masked" / "weights.safetensors").stat().st_size
    assert stored < 0.6 * (ears.parent / "m" / "weights.safetensors").stat().st_size
    card = (ears / "card.md").read_text()
    assert "accuracy 0.5" in card
    assert "held_out_loss 0.7" in card
    assert ", ".join(NAMES) in card
    assert [finding.status for finding in bundled_files(ears)] == ["ok"]


def test_bundled_networks_answer_where_no_model_is_named(
    capsys: pytest.CaptureFixture[str], bundled: Path, tmp_path: Path
) -> None:
    path = sound(tmp_path / "a.wav", 1.0)
    code, out, _ = run(capsys, "tag", path, "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["model"], told["has_class_names"]) == ("bundled", True)
    tags = earsight.load_tagger().tag(path)
    assert [tag.name for tag in tags] == [tag["name"] for tag in told["items"][0]["tags"]]
    vectors = tmp_path / "vectors"
    for part in ("tagger", "masked"):
        code, out, _ = run(capsys, "embed", path, "--output", vectors / part, "--part", part,
                           "--json")  # fmt: skip
        assert code == 0
        assert json.loads(out)["weights_sha256"] == read_bundle(bundled).parts[part].sha256
    code, _, err = run(capsys, "embed", path, "--output", vectors, "--part", "decoder")
    assert (code, "no part 'decoder' that hears: tagger, masked" in err) == (2, True)
    code, out, _ = run(capsys, "repair", path, "--output", tmp_path / "out", "--json")
    assert code == 0
    told = json.loads((tmp_path / "out" / "a.repaired.wav.json").read_text())
    assert told["provenance"]["settings"]["levels"] == "neighbours"
    assert told["shape_error"] > 0


@pytest.mark.parametrize("family", ["ast", "htsat"])
def test_a_picture_shows_spectrogram_and_tracks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, family: str
) -> None:
    model = save_model(tmp_path / "model", family)
    sound(tmp_path / "a.wav", 2.0)
    (tmp_path / "below").mkdir()
    sound(tmp_path / "below" / "a.wav", 0.1)
    pictures = tmp_path / "pictures"
    code, _, _ = run(capsys, "tag", tmp_path, "--model", model, "--picture", pictures, "--top", 3)
    assert code == 0
    sizes = set[tuple[int, int]]()
    for path in (pictures / "a.tags.png", pictures / "below" / "a.tags.png"):
        with Image.open(path) as picture:
            sizes.add(picture.size)
    ((width, height),) = sizes
    assert width > 1000
    assert height > 500
    code, _, err = run(capsys, "tag", tmp_path, "--model", model, "--picture", "one.png")
    assert (code, "is one file for 2 sounds: name a folder" in err) == (2, True)


def test_names_are_those_given_or_audioset_s(tmp_path: Path) -> None:
    from earsight.checkpoints.native import save_folder
    from earsight.models.ast.config import AstConfig
    from earsight.models.ast.model import Ast

    sizes = AstConfig(
        num_frames=64, num_classes=527, width=16, num_layers=1, num_heads=2, hidden=16
    )
    save_folder(tmp_path / "official", "ast", sizes, Ast(sizes).state_dict())
    tagger = load_tagger(tmp_path / "official")
    assert (tagger.class_name(0), tagger.class_name(526)) == ("Speech", "Field recording")
    model = save_model(tmp_path / "own", "ast", class_names=list(NAMES))
    assert load_tagger(model, class_names=list("abcd")).class_name(3) == "d"
    with pytest.raises(earsight.InputError, match="3 class names for 4 classes"):
        load_tagger(model, class_names=["a", "b", "c"])


@pytest.mark.parametrize("per", ["clip", "window"])
def test_tables_of_embeddings_say_what_every_row_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, per: str
) -> None:
    model = save_model(tmp_path / "model", "audiomae")
    paths = [sound(tmp_path / "a.wav", 1.5), sound(tmp_path / "bb.wav", 0.3)]
    target = tmp_path / "v.npy"
    base = ("embed", *paths, tmp_path / "none.wav", "--model", model, "--per", per, "--output")
    assert run(capsys, *base, target)[0] == 1
    matrix, told = np.load(target), json.loads((tmp_path / "v.npy.json").read_text())
    assert len(matrix) == len(told["rows"]) == (2 if per == "clip" else 3 + 1)
    assert [row["row"] for row in told["rows"]] == list(range(len(matrix)))
    heard = [load_tagger(model).hear(path) for path in paths]
    parts = [h.whole_features[None] if per == "clip" else h.features for h in heard]
    np.testing.assert_allclose(matrix, torch.cat(parts).numpy(), atol=1e-6)
    assert [row["sound"] for row in told["rows"]][-1] == str(paths[1])
    assert told["rows"][0]["end"] == pytest.approx(1.5 if per == "clip" else 0.655)
    code, _, err = run(capsys, *base, target)
    assert (code, "exists already" in err) == (2, True)
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    assert run(capsys, *base, tmp_path / "v.parquet")[0] == 1
    table = parquet.read_table(tmp_path / "v.parquet").to_pydict()
    assert list(table) == ["sound", "start", "end", "silent", "embedding"]
    np.testing.assert_allclose(np.array(table["embedding"]), matrix, atol=1e-6)
    assert table["end"] == [row["end"] for row in told["rows"]]


def test_an_interruption_leaves_what_was_finished(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_model(tmp_path / "model", "ast", class_names=list(NAMES))
    paths = [sound(tmp_path / name, 1.5) for name in ("a.wav", "bb.wav", "ccc.wav")]
    opened: list[Any] = []

    def stopping(path: Any, **settings: Any) -> Any:
        opened.append(path)
        blocks = tagger_stream(path, **settings)
        yield next(blocks)
        if len(opened) == 3:
            raise KeyboardInterrupt

    tagger_stream = tagger_module.stream_audio
    monkeypatch.setattr(tagger_module, "stream_audio", stopping)
    lines = tmp_path / "lines"
    tags = tmp_path / "tags.csv"
    command = ("tag", *paths, "--model", model, "--timeline", lines, "--csv", tags)
    code, _, err = run(capsys, *command)
    assert (code, "interrupted" in err) == (130, True)
    assert sorted(path.name for path in lines.iterdir()) == [
        "a.timeline.csv", "bb.timeline.csv",
    ]  # fmt: skip
    rows = list(csv.DictReader(tags.read_text().splitlines()))
    assert {row["file"] for row in rows} == {str(path) for path in paths[:2]}
    opened.clear()
    code, _, _ = run(capsys, "embed", *paths, "--model", model, "--output", tmp_path / "v.npy")
    assert (code, len(np.load(tmp_path / "v.npy"))) == (130, 2)
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
