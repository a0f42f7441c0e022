"""Recordings instead of synthesis: cut where they are loud, played when it happens."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earsight.data.foley_room.cuts import event_sound, find_events, steady_sound
from earsight.data.foley_room.sound_bank import (
    ESC10_SCENES,
    SoundBank,
    bank_of_folder,
    bank_of_records,
    bank_of_waves,
)
from earsight.data.foley_room.world import CLASS_NAMES, FoleyRoomSettings, foley_clip
from earsight.data.records import Record
from earsight.errors import InputError

RATE = 16000
SETTINGS = FoleyRoomSettings(rate_hz=RATE)


def blip(frequency_hz: float, *, starts: tuple[float, ...] = (0.4,)) -> np.ndarray:
    """Two seconds with dying tones that start at given times."""
    wave = np.zeros(2 * RATE)
    for start in starts:
        since = np.arange(len(wave)) / RATE - start
        tone = np.exp(-since / 0.03) * np.cos(2 * np.pi * frequency_hz * since)
        wave += np.where(since >= 0, tone, 0.0)
    return wave.astype(np.float32)


def hum(frequency_hz: float) -> np.ndarray:
    """Two seconds of a steady tone."""
    return np.sin(2 * np.pi * frequency_hz * np.arange(2 * RATE) / RATE).astype(np.float32)


def tones() -> SoundBank:
    return bank_of_waves(
        {"low": [blip(500.0)], "high": [blip(3000.0)]},
        RATE,
        scenes={"low": "clock", "high": "engine"},
    )


def loudest_hz(wave: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(wave))) * RATE / len(wave))


def test_events_are_cut_from_attack_to_end() -> None:
    first, second = find_events(blip(700.0, starts=(0.4, 1.1)), RATE)
    for cut, start in ((first, 0.4), (second, 1.1)):
        assert cut.start / RATE == pytest.approx(start - 0.002, abs=0.0005)
        # -35 dB is 4.03 times 1/e
        assert cut.stop / RATE == pytest.approx(start + 4.03 * 0.03, abs=0.02)
    assert len(find_events(hum(300.0), RATE)) == 1


def test_an_event_has_soft_edges_and_the_wanted_level() -> None:
    wave = blip(700.0)
    (cut,) = find_events(wave, RATE)
    sound = event_sound(wave, cut, 0.5, RATE, RATE)
    assert np.abs(sound).max() == pytest.approx(0.35, abs=1e-6)
    assert sound[0] == sound[-1] == 0
    # loud at once: fading in takes less than 5 ms
    assert np.abs(sound[: round(0.008 * RATE)]).max() > 0.3
    assert len(event_sound(wave, cut, 0.5, RATE, 100)) == 100


def test_a_steady_stretch_takes_the_shape_asked_for() -> None:
    envelope = np.concatenate([np.zeros(150), np.ones(150)])
    rng = np.random.default_rng(1)
    sound = steady_sound(rng, hum(400.0), envelope, RATE, 3 * RATE)
    assert np.abs(sound[: round(1.4 * RATE)]).max() == 0
    seconds = sound[round(1.6 * RATE) :].reshape(-1, RATE // 10)
    levels = np.sqrt((seconds.astype(float) ** 2).mean(1))
    assert levels.min() > 0.7 * levels.max()
    assert loudest_hz(sound) == pytest.approx(400, abs=2)


def test_a_clip_plays_the_recording_of_its_label() -> None:
    bank = tones()
    for index, (label, scene, frequency_hz) in enumerate(
        [("low", "clock", 500.0), ("high", "engine", 3000.0)]
    ):
        clip = foley_clip(1, "train", index, SETTINGS, bank)
        again = foley_clip(1, "train", index, SETTINGS, tones())
        assert np.array_equal(clip.sound, again.sound)
        truth = clip.truth
        assert (truth.class_name, truth.classes, truth.scene_name) == (label, (label,), scene)
        assert loudest_hz(clip.sound) == pytest.approx(frequency_hz, abs=30)
        plain = replace(SETTINGS, classes=(scene,))
        silent = foley_clip(1, "train", index, plain).truth
        assert [e.time_seconds for e in truth.events] == [e.time_seconds for e in silent.events]
        assert {event.sound_class for event in truth.events} <= {label}


def test_recordings_start_when_it_happens() -> None:
    clip = foley_clip(1, "train", 0, SETTINGS, tones())
    for event in clip.truth.events:
        at = round(event.time_seconds * RATE)
        assert np.abs(clip.sound[at - 200 : at]).max() < 0.02
        after = np.abs(clip.sound[at : at + 160]).max(initial=0)
        assert after == pytest.approx(0.7 * event.strength, rel=0.1)


def test_some_recordings_are_kept_for_test() -> None:
    waves = [blip(300.0 + 200 * number) for number in range(10)]
    bank = bank_of_waves({"tone": waves}, RATE, scenes={"tone": "clock"})
    heard = {
        split: {
            round(loudest_hz(foley_clip(1, split, index, SETTINGS, bank).sound), -2)
            for index in range(12)
        }
        for split in ("train", "test")
    }
    assert len(heard["train"]) > 3
    assert heard["test"] == {2100.0}
    assert 2100.0 not in heard["train"]


def test_a_folder_of_folders_is_a_bank(tmp_path: Path) -> None:
    for name in ("gong", "clock"):
        (tmp_path / name).mkdir()
        # at another rate, in stereo
        soundfile.write(tmp_path / name / "one.wav", np.stack([blip(400.0)] * 2, 1), 44100)
    bank = bank_of_folder(tmp_path, RATE)
    assert bank.class_names == ("clock", "gong")
    rng = np.random.default_rng(0)
    assert bank.scene(rng, "clock", CLASS_NAMES) == "clock"
    assert len({bank.scene(rng, "gong", CLASS_NAMES) for _ in range(20)}) > 3
    assert bank.digest == bank_of_folder(tmp_path, RATE).digest != tones().digest
    with pytest.raises(InputError, match="holds no recordings: expected a folder for each class"):
        bank_of_folder(tmp_path / "gong", RATE)


def test_records_of_the_last_fold_are_for_test(tmp_path: Path) -> None:
    records: list[Record] = []
    for fold in (1, 5):
        path = tmp_path / f"{fold}.wav"
        soundfile.write(path, blip(400.0 * fold), RATE)
        records.append(
            Record(
                id=str(fold), path=path, class_index=0, class_name="rain", fold=fold,
                source_id=str(fold),
            )
        )  # fmt: skip
    kept = bank_of_records(records, RATE, scenes=ESC10_SCENES).recordings["rain"]
    assert [one.splits for one in kept] == [("train", "valid"), ("test",)]
    assert sorted(ESC10_SCENES.values()) == sorted(CLASS_NAMES)


def test_refusals() -> None:
    with pytest.raises(InputError, match="recording 0 of quiet is silent"):
        bank_of_waves({"quiet": [np.zeros(RATE, np.float32)]}, RATE)
    with pytest.raises(InputError, match="needs a recording or more of each class; none of: none"):
        bank_of_waves({"none": []}, RATE)
    with pytest.raises(InputError, match="bank is at 16000 Hz, the clips at 22050 Hz"):
        foley_clip(1, "train", 0, FoleyRoomSettings(), tones())
