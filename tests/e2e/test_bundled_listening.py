"""The networks that hear and come with the package: small, whole, and able to do what they say."""

import math
from pathlib import Path

import pytest
import torch

import earsight
from earsight.checkpoints.native import read_bundle
from earsight.cli.doctor import bundled_files
from earsight.generate.bundles import LISTENING_FOLDER
from earsight.media.wave_write import write_audio

pytestmark = pytest.mark.skipif(
    not LISTENING_FOLDER.is_dir(), reason="no networks that hear come with this tree"
)
MOST_BYTES = 12_000_000


def test_they_are_small_and_whole() -> None:
    files = [path for path in LISTENING_FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    assert [finding.status for finding in bundled_files(LISTENING_FOLDER)] == ["ok"]
    assert set(read_bundle(LISTENING_FOLDER).parts) == {"tagger"}


def test_they_tag_and_embed_without_a_name(tmp_path: Path) -> None:
    seconds = torch.arange(16000 * 2) / 16000
    tone = 0.3 * torch.sin(2 * math.pi * 440 * seconds)[None]
    write_audio(tmp_path / "a.wav", earsight.Waveform(tone, 16000), provenance=None)
    tagger = earsight.load_tagger()
    tags = tagger.tag(tmp_path / "a.wav", top=3)
    assert all(tag.name for tag in tags)
    assert tagger.embed(tmp_path / "a.wav").isfinite().all()
    with pytest.raises(earsight.InputError, match="holds audiomae_tagger"):
        earsight.load_repairer()


def test_a_real_recording_of_the_fold_left_out_is_recognised(data_root: Path) -> None:
    tagger = earsight.load_tagger()
    recordings = sorted((data_root / "esc10").glob("*/5-*.ogg"))
    crowing = [path for path in recordings if "Rooster" in path.parent.name]
    best = [tagger.tag(path, top=1)[0].name for path in crowing]
    assert best.count("rooster") >= len(crowing) - 1
