"""`earsight tag` and `earsight embed` as a user runs them."""

import csv
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.e2e.hearing_models import NAMES, save_model

from earsight.cli.app import main
from earsight.frontends.fbank_statistics import AUDIOSET, FbankStatistics
from earsight.frontends.kaldi_fbank import network_input
from earsight.generate.tagger import load_tagger
from earsight.media.audio import Waveform, read_audio, stream_audio
from earsight.media.wave_write import write_audio

TAGGERS = ("ast", "ssast_tagger", "audiomae_tagger", "htsat", "passt")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(autouse=True)
def without_bundled_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an installation without networks that hear."""
    monkeypatch.setattr("earsight.generate.bundles.LISTENING_FOLDER", tmp_path / "not there")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    found = {name: save_model(folder / name, name, class_names=list(NAMES)) for name in TAGGERS}
    found["audiomae"] = save_model(folder / "audiomae", "audiomae")
    return found


def sound(path: Path, seconds: float, *, rate_hz: int = 16000, channels: int = 1) -> Path:
    rng = torch.Generator().manual_seed(5)
    samples = 0.2 * torch.randn(channels, round(seconds * rate_hz), generator=rng)
    samples[:, : samples.shape[1] // 2] *= 0.05
    write_audio(path, Waveform(samples, rate_hz), provenance=None)
    return path


def items(out: str) -> list[dict[str, Any]]:
    return json.loads(out)["items"]


@pytest.mark.parametrize("family", TAGGERS)
def test_every_family_tags_any_sound(
    capsys: pytest.CaptureFixture[str], models: dict[str, Path], tmp_path: Path, family: str
) -> None:
    wide = sound(tmp_path / "wide.wav", 1.5, rate_hz=96000, channels=8)
    short = sound(tmp_path / "short.wav", 0.05)
    silent = tmp_path / "silent.wav"
    write_audio(silent, Waveform(torch.zeros(1, 16000), 16000), provenance=None)
    (tmp_path / "broken.wav").write_bytes(b"RIFF\x10\x00\x00\x00WAVEfmt ")
    code, out, _ = run(
        capsys, "tag", tmp_path, "--model", models[family], "--json", "--windows", "--top", 3
    )
    assert code == 1
    found = {Path(item["name"]).name: item for item in items(out)}
    assert found["broken.wav"]["outcome"] == "failed"
    if family == "passt":  # its smallest patch of frames lasts 0.15 s
        assert "lasts 0.050 s, passt needs at least 0.150 s" in found[short.name]["reason"]
    else:
        assert found[short.name]["seconds"] == pytest.approx(0.05)
    assert found[silent.name]["silent"]
    wide_item = found[wide.name]
    assert not wide_item["silent"]
    assert [tag["name"] for tag in wide_item["tags"]] == [
        NAMES[tag["index"]] for tag in wide_item["tags"]
    ]
    levels = [tag["probability"] for tag in wide_item["tags"]]
    assert levels == sorted(levels, reverse=True)
    assert len(levels) == 3
    assert wide_item["windows"][0]["start"] == 0
    assert wide_item["windows"][-1]["end"] == pytest.approx(1.5, abs=1e-3)


def test_a_clip_of_one_window_has_the_network_s_own_scores(
    models: dict[str, Path], tmp_path: Path
) -> None:
    path = sound(tmp_path / "a.wav", 0.5)
    tagger = load_tagger(models["ast"])
    heard = tagger.hear(path)
    wave = read_audio(path).samples
    statistics = FbankStatistics(mean=AUDIOSET.mean, spread=AUDIOSET.spread, num_frames=64)
    expected = tagger.listener.hear(wave)
    assert expected.logits is not None
    assert heard.whole is not None
    torch.testing.assert_close(heard.whole, expected.logits[0].sigmoid(), atol=1e-6, rtol=0)
    padded = network_input(wave, statistics)
    assert padded.shape == (1, 64, 128)


def test_windows_are_averaged_over_time(models: dict[str, Path], tmp_path: Path) -> None:
    path = sound(tmp_path / "long.wav", 2.0)
    tagger = load_tagger(models["audiomae_tagger"])
    heard = tagger.hear(path, batch=2)
    size = tagger.listener.window_samples / 16000
    assert heard.spans.tolist() == pytest.approx(
        np.array([[0, size], [size, 2 * size], [2 * size, 3 * size], [2 - size, 2]]), abs=1e-5
    )
    assert heard.probabilities is not None
    shared = (3 * size - (2 - size)) / 2  # the last two windows have this time in common, twice
    weights = torch.tensor([size, size, size - shared, size - shared]) / 2
    torch.testing.assert_close(heard.whole, weights @ heard.probabilities, atol=1e-6, rtol=0)
    alone = tagger.hear(path, batch=1)
    torch.testing.assert_close(heard.probabilities, alone.probabilities, atol=1e-6, rtol=0)


def test_one_label_is_softmax(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "words", "ast", statistics="speech_commands_v2")
    heard = load_tagger(folder).hear(sound(tmp_path / "a.wav", 0.5))
    assert heard.whole is not None
    assert float(heard.whole.sum()) == pytest.approx(1, abs=1e-6)


def test_htsat_writes_a_timeline_at_every_step(
    capsys: pytest.CaptureFixture[str], models: dict[str, Path], tmp_path: Path
) -> None:
    path = sound(tmp_path / "a.wav", 6.0, rate_hz=44100, channels=2)
    code, out, _ = run(
        capsys, "tag", path, "--model", models["htsat"], "--timeline", tmp_path / "lines",
        "--csv", tmp_path / "tags.csv", "--top", 2,
    )  # fmt: skip
    assert code == 0
    assert "bell" in out or "rain" in out or "engine" in out or "clock" in out
    rows = list(csv.reader((tmp_path / "lines" / "a.timeline.csv").read_text().splitlines()))
    times = [sum(map(float, row[:2])) / 2 for row in rows[1:]]
    step = load_tagger(models["htsat"]).listener.step_seconds
    assert step is not None
    assert rows[0][:2] == ["start", "end"]
    assert [row[0] for row in rows[2:]] == [row[1] for row in rows[1:-1]]
    assert len(rows[0]) == 4
    assert len(times) == pytest.approx(6.0 / step, abs=2)
    assert max(abs(b - a - step) for a, b in pairwise(times)) < step
    tags = list(csv.DictReader((tmp_path / "tags.csv").read_text().splitlines()))
    assert [tag["rank"] for tag in tags] == ["1", "2"]
    assert tags[0]["name"] == rows[0][2]
    assert run(capsys, "tag", path, "--model", models["htsat"], "--csv", tmp_path / "tags.csv")[
        0
    ] == 2  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "no weights for this come with the package: give --model"),
        (("--model", "nothing-like-it"), "no model 'nothing-like-it'"),
        (("--model", "bundled"), "no weights for this come with the package"),
        (("--top", "0"), "--top and --batch start at 1"),
        (("--window", "99"), "hears windows of 0.025 to 0.655 s, got 99"),
        (("--hop", "9"), "leaves gaps"),
        (("--device", "toaster"), "device 'toaster' cannot be used here"),
        (("--window", "nan"), "the window must be above 0 s"),
    ],
)
def test_wrong_arguments_are_refused(
    capsys: pytest.CaptureFixture[str],
    models: dict[str, Path],
    tmp_path: Path,
    arguments: tuple[str, ...],
    told: str,
) -> None:
    path = sound(tmp_path / "a.wav", 0.5)
    model = () if not arguments or arguments[0] == "--model" else ("--model", models["ast"])
    code, _, err = run(capsys, "tag", path, *model, *arguments)
    assert code == 2
    assert told in err


def test_a_network_without_classes_does_not_tag(
    capsys: pytest.CaptureFixture[str], models: dict[str, Path], tmp_path: Path
) -> None:
    path = sound(tmp_path / "a.wav", 0.5)
    code, _, err = run(capsys, "tag", path, "--model", models["audiomae"])
    assert code == 2
    assert "knows no classes" in err


def test_a_long_sound_is_never_whole_in_memory(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sound(tmp_path / "long.wav", 60.0, rate_hz=8000)
    taken: list[float] = []

    def counted(*args: Any, **settings: Any) -> Any:
        for piece in stream_audio(*args, **settings):
            taken.append(piece.seconds)
            yield piece

    heard_at: list[int] = []
    monkeypatch.setattr("earsight.generate.tagger.stream_audio", counted)
    load_tagger(models["ast"]).hear(path, on_seconds=lambda _: heard_at.append(len(taken)))
    assert max(taken) <= 10
    assert heard_at[0] == 1  # the first windows are heard before the second piece is read
    assert len(taken) == 6


@pytest.mark.parametrize("per", ["clip", "window"])
def test_embeddings_are_files_with_an_index(
    capsys: pytest.CaptureFixture[str], models: dict[str, Path], tmp_path: Path, per: str
) -> None:
    first = sound(tmp_path / "a.wav", 1.0)
    second = sound(tmp_path / "b.flac", 0.3, rate_hz=48000, channels=2)
    out = tmp_path / "vectors"
    code, told, _ = run(
        capsys, "embed", first, second, "--model", models["audiomae"], "--output", out,
        "--per", per, "--json",
    )  # fmt: skip
    assert code == 0
    assert [item["outcome"] for item in items(told)] == ["done", "done"]
    index = json.loads((out / "embeddings.json").read_text())
    vectors = [np.load(item["output"]) for item in index["items"]]
    heard = load_tagger(models["audiomae"]).hear(first)
    expected = heard.features if per == "window" else heard.whole_features
    np.testing.assert_allclose(vectors[0], expected.numpy(), atol=1e-6)
    assert [list(v.shape) for v in vectors] == [item["shape"] for item in index["items"]]
    assert vectors[0].dtype == np.float32
    assert (("spans" in index["items"][0]), index["per"]) == (per == "window", per)
    code, _, err = run(capsys, "embed", first, "--model", models["audiomae"], "--output", out)
    assert code == 2
    assert "exists already" in err


def test_embed_says_how_to_get_a_model_and_names_what_failed(
    capsys: pytest.CaptureFixture[str], models: dict[str, Path], tmp_path: Path
) -> None:
    path = sound(tmp_path / "a.wav", 0.5)
    code, _, err = run(capsys, "embed", path, "--output", tmp_path / "v")
    assert code == 2
    assert "earsight weights fetch" in err
    (tmp_path / "b.wav").write_bytes(b"no sound")
    code, out, _ = run(
        capsys, "embed", tmp_path / "b.wav", tmp_path / "none.wav", path, "--json",
        "--model", models["passt"], "--output", tmp_path / "v",
    )  # fmt: skip
    assert code == 1
    assert [item["outcome"] for item in items(out)] == ["failed", "failed", "done"]
