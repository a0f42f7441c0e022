"""Scenes of strings, engines, sirens, rain, water and fireworks: what is heard is what is seen."""

from dataclasses import replace

import numpy as np
import pytest

from earsight.data.foley_room.bursts import SOUND_METRES_A_SECOND, choose_burst
from earsight.data.foley_room.canvas import Canvas
from earsight.data.foley_room.engine import PULSES_A_TURN, Engine, Running, perform_engine
from earsight.data.foley_room.fireworks import Fireworks, perform_fireworks
from earsight.data.foley_room.instruments import Wire
from earsight.data.foley_room.performance import Perform, Performance, Stage
from earsight.data.foley_room.pluck import perform_pluck
from earsight.data.foley_room.rain import FALL_SECONDS, perform_rain
from earsight.data.foley_room.room import Camera
from earsight.data.foley_room.siren import SOUND_METRES_A_SECOND as SLOW_SOUND
from earsight.data.foley_room.siren import Drive, Horn, Siren, perform_siren
from earsight.data.foley_room.tones import plucked_string
from earsight.data.foley_room.waves import perform_waves

RATE = 22050
STAGE = Stage(clip_seconds=4.0, rate_hz=RATE, x=0.0, z=4.0, width=2.4)
CAMERA = Camera(width=64, height=64)
SCENES: dict[str, Perform] = {
    "pluck": perform_pluck, "engine": perform_engine, "siren": perform_siren,
    "rain": perform_rain, "waves": perform_waves, "fireworks": perform_fireworks,
}  # fmt: skip
EVERY_SCENE = pytest.mark.parametrize("name", SCENES)


def perform(name: str, seed: int = 0, stage: Stage = STAGE) -> Performance:
    return SCENES[name](np.random.default_rng(seed), stage)


def painted(scene: Performance, time: float, camera: Camera = CAMERA) -> np.ndarray:
    canvas = Canvas(np.full((64, 64, 3), 0.3, np.float32))
    scene.paint(canvas, camera, time)
    return canvas.pixels


def rms(sound: np.ndarray, start: float, seconds: float) -> float:
    part = sound[max(0, round(start * RATE)) : round((start + seconds) * RATE)]
    return float(np.sqrt((part.astype(float) ** 2).mean()))


def loudest_hz(sound: np.ndarray, lowest: float, highest: float) -> float:
    """Frequency of the strongest line, found by parts of a bin."""
    size = 1 << 19
    spectrum = np.abs(np.fft.rfft((sound - sound.mean()) * np.hanning(len(sound)), size))
    hz = np.fft.rfftfreq(size, 1 / RATE)
    inside = (hz >= lowest) & (hz <= highest)
    return float(hz[inside][spectrum[inside].argmax()])


@EVERY_SCENE
def test_a_scene_is_decided_at_construction(name: str) -> None:
    scene, again, other = perform(name), perform(name), perform(name, 1)
    assert scene.class_name == name
    again.sound()
    assert np.array_equal(scene.sound(), again.sound())
    assert np.array_equal(painted(scene, 2.1), painted(again, 2.1))
    assert scene.happenings == again.happenings
    assert not np.array_equal(scene.sound(), other.sound())
    assert not np.array_equal(painted(scene, 2.1), painted(other, 2.1))


@EVERY_SCENE
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sound_fills_the_clip_at_its_level_and_does_not_click(name: str, seed: int) -> None:
    scene = perform(name, seed)
    sound, envelope = scene.sound(), scene.envelope()
    assert (sound.shape, sound.dtype) == ((4 * RATE,), np.float32)
    assert 0.2 < np.abs(sound).max() < 0.95
    assert np.abs(sound[[0, -1]]).max() < 0.01
    assert envelope.shape == (400,)
    assert 0 <= envelope.min() <= envelope.max() <= 1


@EVERY_SCENE
def test_nothing_is_seen_or_heard_before_the_entry(name: str) -> None:
    scene = perform(name, stage=replace(STAGE, enter_seconds=1.5))
    assert not scene.sound()[: int(1.5 * RATE)].any()
    assert scene.sound().any()
    assert not scene.envelope()[:150].any()
    assert (painted(scene, 1.49) == np.float32(0.3)).all()
    assert (painted(scene, 2.2) != np.float32(0.3)).any()
    assert scene.visible_part(CAMERA, 1.49) == 0
    assert scene.visible_part(CAMERA, 2.2) > 0.9
    assert scene.visible_part(replace(CAMERA, moved_right=200.0), 2.2) == 0


@EVERY_SCENE
def test_held_out_looks_are_never_seen_in_training(name: str) -> None:
    looks = {
        kind: {perform(name, seed, replace(STAGE, looks=kind)).look for seed in range(80)}
        for kind in ("seen", "held_out")
    }
    assert looks["held_out"]
    assert not looks["seen"] & looks["held_out"]
    for part in (0, 1):
        assert {look[part] for look in looks["held_out"]} <= {look[part] for look in looks["seen"]}


@pytest.mark.parametrize("name", ["pluck", "fireworks"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_sound_rises_at_every_happening(name: str, seed: int) -> None:
    scene = perform(name, seed)
    sound, happenings = scene.sound(), scene.happenings
    assert len(happenings) >= 2
    assert [h.time_seconds for h in happenings] == sorted(h.time_seconds for h in happenings)
    for happening in happenings:
        before = rms(sound, happening.time_seconds - 0.012, 0.01)
        after = rms(sound, happening.time_seconds, 0.01)
        assert after > 2 * before
        assert after > 0.05 * happening.strength


def test_pitch_follows_the_length_of_a_string() -> None:
    wire = Wire(start=(0.0, 0.2), end=(0.0, 1.1))
    half = Wire(start=(0.0, 0.2), end=(0.0, 0.65))
    assert half.frequency_hz == pytest.approx(2 * wire.frequency_hz)
    for string in (wire, half):
        pitch = string.frequency_hz
        sound = plucked_string(
            np.random.default_rng(0), pitch, 1.0, RATE, decay_seconds=0.5, softness=0.5
        )
        assert loudest_hz(sound, 0.7 * pitch, 1.4 * pitch) == pytest.approx(pitch, rel=0.004)


def test_a_string_is_pulled_aside_before_its_release_and_swings_after() -> None:
    scene = perform("pluck")
    release = scene.happenings[0].time_seconds
    rest = painted(scene, release - 0.5)
    held, swinging = painted(scene, release - 0.02), painted(scene, release + 0.05)
    assert np.abs(held - rest).max() > 0.1
    assert np.abs(swinging - rest).max() > 0.1
    assert np.abs(swinging - held).max() > 0.1


@pytest.mark.parametrize("turns_a_second", [1.5, 2.5])
def test_pulses_come_at_a_fixed_number_a_turn(turns_a_second: float) -> None:
    speed = np.full(400, turns_a_second)
    engine = Engine(STAGE, (0, 1), Running(speed, np.cumsum(speed) / 100), 5)
    # the wheel looks as before after a whole turn, not sooner
    turn = 1 / turns_a_second
    rows = slice(30, 64)  # without the smoke
    first, half, whole = (painted(engine, 1.5 + part * turn)[rows] for part in (0.0, 0.5, 1.0))
    assert np.abs(whole - first).max() < 0.02
    assert np.abs(half - first).max() > 0.2
    strength = np.abs(np.diff(engine.sound().astype(float)))
    pulses = PULSES_A_TURN * turns_a_second
    assert loudest_hz(strength, 0.7 * pulses, 1.3 * pulses) == pytest.approx(pulses, rel=0.01)


def test_the_siren_falls_in_pitch_as_it_passes() -> None:
    # nearest in the middle of the clip; one tone only
    drive = Drive(first_turn=-0.5, lap_seconds=4.0, aside=0.1)
    horn = Horn(
        low_hz=500.0,
        high_hz=500.0,
        tone_seconds=0.5,
        lamp=(1.0, 0.0, 0.0),
        lamp_turns_a_second=1.5,
    )
    sound = Siren(STAGE, (0, 1), drive, horn).sound()
    near, far = drive.distance(STAGE, np.array([2.0, 0.5]))
    assert near < 0.7 * far
    assert rms(sound, 1.9, 0.2) > 1.5 * rms(sound, 0.5, 0.2)
    for time in (1.0, 3.0):
        heard = loudest_hz(
            sound[round((time - 0.05) * RATE) : round((time + 0.05) * RATE)], 400, 600
        )
        before, after = drive.distance(STAGE, np.array([time - 0.001, time + 0.001]))
        leaving = (after - before) / 0.002
        assert abs(leaving) > 1.5
        assert heard == pytest.approx(500 * SLOW_SOUND / (SLOW_SOUND + leaving), rel=0.01)


def test_rain_is_as_loud_as_its_streaks_are_many() -> None:
    rain = perform_rain(np.random.default_rng(6), replace(STAGE, clip_seconds=8.0))
    sound = rain.sound()
    times = np.arange(0.5, 7.4, 0.2)
    # those in the air at a time land, on the average, half a fall later
    streaks = np.array([rain.num_streaks(float(time)) for time in times])
    loud = np.array([rms(sound, float(time), FALL_SECONDS) for time in times])
    assert streaks.max() > 4 * streaks.min()
    assert np.corrcoef(np.sqrt(streaks), loud)[0, 1] > 0.9


def test_waves_are_as_loud_as_the_water_is_high() -> None:
    waves = perform_waves(np.random.default_rng(1), replace(STAGE, clip_seconds=8.0))
    sound = waves.sound()
    times = np.arange(0.1, 7.8, 0.1)
    heights = np.array([waves.height(float(time)) for time in times])
    loud = np.array([rms(sound, float(time) - 0.04, 0.08) for time in times])
    assert np.corrcoef(heights**1.5, loud)[0, 1] > 0.9


def test_a_far_burst_is_heard_later_and_less() -> None:
    drawn = choose_burst(np.random.default_rng(0), "ring", 1.0, (0.0, 1.6))
    onsets: list[float] = []
    for distance in (10.0, 60.0):
        scene = Fireworks(STAGE, (0, 1), (replace(drawn, distance=distance),), 3)
        sound, happening = np.abs(scene.sound()), scene.happenings[0]
        onsets.append(float(np.argmax(sound > 0.02)) / RATE)
        assert happening.time_seconds == pytest.approx(1.0 + distance / SOUND_METRES_A_SECOND)
        assert onsets[-1] == pytest.approx(happening.time_seconds, abs=0.003)
        # the light comes at once
        assert painted(scene, 1.02).max() > painted(scene, 0.99).max() + 0.1
    assert onsets[1] - onsets[0] == pytest.approx(50 / 343, abs=0.004)


@EVERY_SCENE
@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_a_clip_too_short_for_anything_to_happen_is_drawn_and_heard(
    name: str, seconds: float
) -> None:
    scene = perform(name, stage=replace(STAGE, clip_seconds=seconds))
    assert len(scene.sound()) == round(seconds * RATE)
    assert np.isfinite(painted(scene, 0.8 * seconds)).all()
