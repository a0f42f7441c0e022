"""`earsight repair` as a user runs it."""

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.e2e.hearing_models import save_model

from earsight.cli.app import main
from earsight.frontends.kaldi_fbank import normalise
from earsight.generate.repair import load_repairer
from earsight.generate.seeds import item_generator
from earsight.media.audio import Waveform, read_audio
from earsight.media.provenance import read_provenance
from earsight.media.wave_write import write_audio


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(autouse=True)
def without_bundled_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an installation without networks that hear."""
    monkeypatch.setattr("earsight.generate.bundles.LISTENING_FOLDER", tmp_path / "not there")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "mae", "audiomae")


def tone(path: Path, seconds: float, *, rate_hz: int = 16000, channels: int = 1) -> Path:
    time = torch.arange(round(seconds * rate_hz)) / rate_hz
    wave = 0.3 * torch.sin(2 * math.pi * 440 * time).repeat(channels, 1)
    write_audio(path, Waveform(wave, rate_hz), provenance=None)
    return path


def test_a_sound_comes_back_with_a_picture_and_its_error(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path
) -> None:
    path = tone(tmp_path / "a.wav", 0.75, rate_hz=96000, channels=8)
    base = ("repair", path, "--model", model, "--json", "--share", 0.6)
    code, out, _ = run(capsys, *base, "--output", tmp_path / "one", "--seed", 4)
    assert code == 0
    told = json.loads(out)["items"][0]
    wave = read_audio(told["wave"])
    assert (wave.rate_hz, wave.num_samples, wave.num_channels) == (16000, 12000, 1)
    assert told["hidden"] == pytest.approx(0.6, abs=0.1)
    assert told["error"] > 0
    with Image.open(told["picture"]) as picture:
        assert min(picture.size) > 500
    origin = read_provenance(told["wave"])
    assert origin is not None
    assert (origin.seed, origin.settings["kind"]) == (4, "random")
    first = (tmp_path / "one" / "a.repaired.wav").read_bytes()
    assert run(capsys, *base, "--output", tmp_path / "two", "--seed", 4)[0] == 0
    assert (tmp_path / "two" / "a.repaired.wav").read_bytes() == first
    assert run(capsys, *base, "--output", tmp_path / "three", "--seed", 5)[0] == 0
    assert (tmp_path / "three" / "a.repaired.wav").read_bytes() != first
    code, out, _ = run(capsys, *base, "--output", tmp_path / "one")
    assert code == 1
    assert "exists already" in json.loads(out)["items"][0]["reason"]


@pytest.mark.parametrize("kind", ["random", "time", "frequency", "both"])
def test_what_is_hidden_and_how_wrong_it_is(model: Path, tmp_path: Path, kind: str) -> None:
    repairer = load_repairer(model)
    sound = read_audio(tone(tmp_path / "a.wav", 1.3))
    found = repairer.repair(sound, rng=item_generator(0), share=0.5, kind=kind)
    hidden = found.hidden
    assert 0.35 < found.hidden_share < 0.7  # a grid of 4 x 8 patches cannot do better
    assert torch.equal(found.restored[~hidden], found.original[~hidden])
    statistics = repairer.statistics
    views = [normalise(x[None], statistics)[0] for x in (found.restored, found.original)]
    expected = float((views[0] - views[1])[hidden].square().mean())
    assert found.error == pytest.approx(expected, rel=1e-4)
    if kind == "time":
        assert torch.equal(hidden, hidden[:, :1].expand_as(hidden))
    if kind == "frequency":
        for part in hidden.split(64):  # each stretch of the network's length has its own bands
            assert torch.equal(part, part[:1].expand_as(part))


def test_silence_and_short_sounds_have_answers(model: Path, tmp_path: Path) -> None:
    repairer = load_repairer(model)
    silence = Waveform(torch.zeros(1, 16000), 16000)
    quiet = repairer.repair(silence, rng=item_generator(0))
    assert bool(torch.isfinite(quiet.wave.samples).all())
    short = repairer.repair(read_audio(tone(tmp_path / "s.wav", 0.05)), rng=item_generator(0))
    assert short.wave.num_samples == 800
    assert short.error is not None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--share", "1"), "--share must lie between 0 and 1"),
        (("--share", "nan"), "--share must lie between 0 and 1"),
        (("--share", "0.5", "--device", "toaster"), "device 'toaster' cannot be used here"),
        (("--model", "bundled"), "no weights for this come with the package"),
        ((), "'audiomae-pretrained'"),
    ],
)
def test_wrong_arguments_are_refused(
    capsys: pytest.CaptureFixture[str],
    model: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    told: str,
) -> None:
    path = tone(tmp_path / "a.wav", 0.5)
    given = ("--model", model) if "--share" in arguments else ()
    code, _, err = run(capsys, "repair", path, *given, *arguments)
    assert code == 2
    assert told in err


@pytest.mark.parametrize("kind", ["broken", "long", "tiny"])
def test_unfit_sounds_are_named(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "a.wav"
    match kind:
        case "broken":
            path.write_bytes(b"RIFF\x00\x00")
        case "long":
            tone(path, 61.0, rate_hz=8000)
        case _:
            tone(path, 0.01)
    code, out, _ = run(capsys, "repair", path, "--model", model, "--json")
    assert code == 1
    reason = json.loads(out)["items"][0]["reason"]
    assert reason
    if kind != "broken":
        assert "of 0.025 to 60 s can be restored" in reason
    assert not (Path("out") / "a.repaired.wav").exists()
