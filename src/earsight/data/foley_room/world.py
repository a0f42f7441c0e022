"""The Foley Room: ten classes of things that move and are heard, rendered with exact truth.

A clip is a pure function of (seed, split, index, settings). The world paints the room, lets the
performances paint themselves, mixes their sounds and writes down what is true.
Axes: t frames, h w pixels, s samples.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from earsight.data.foley_room.bell import perform_bell
from earsight.data.foley_room.canvas import Canvas, displayed, shifted
from earsight.data.foley_room.clip import ClipTruth, PictureSettings, SoundEvent
from earsight.data.foley_room.clock import perform_clock
from earsight.data.foley_room.difficulties import (
    Difficulties,
    DifficultyShares,
    background_noise,
    choose_difficulties,
)
from earsight.data.foley_room.drop import perform_drop
from earsight.data.foley_room.drum import perform_drum
from earsight.data.foley_room.engine import perform_engine
from earsight.data.foley_room.fireworks import perform_fireworks
from earsight.data.foley_room.performance import Perform, Performance, Stage
from earsight.data.foley_room.pluck import perform_pluck
from earsight.data.foley_room.rain import perform_rain
from earsight.data.foley_room.room import Camera, RoomLook, choose_look, paint_room
from earsight.data.foley_room.shake import Shake, choose_shake, shake_margin
from earsight.data.foley_room.siren import perform_siren
from earsight.data.foley_room.sound_bank import SoundBank
from earsight.data.foley_room.waves import perform_waves
from earsight.errors import ConfigError, InputError

Split = Literal["train", "valid", "test"]
SPLIT_NUMBERS: dict[Split, int] = {"train": 0, "valid": 1, "test": 2}
CLASS_NAMES = (
    "drop", "drum", "clock", "bell", "pluck", "engine", "siren", "rain", "waves", "fireworks",
)  # fmt: skip
EVENT_CLASSES = ("drop", "drum", "clock", "bell", "pluck", "fireworks")
CLASSES: Mapping[str, Perform] = {
    "drop": perform_drop,
    "drum": perform_drum,
    "clock": perform_clock,
    "bell": perform_bell,
    "pluck": perform_pluck,
    "engine": perform_engine,
    "siren": perform_siren,
    "rain": perform_rain,
    "waves": perform_waves,
    "fireworks": perform_fireworks,
}
RATES_HZ = (16000, 22050)
LARGEST_SEED = 2**32 - 1
NEAREST_Z, FARTHEST_Z = 3.8, 4.5
LOUDEST = 0.95  # a mixture that would peak higher is turned down to this
SECOND_SOURCE_DB = (-8.0, 0.0)
SLIDE_WIDTHS = 2.0  # a source slides by so many widths of the picture, its light included


@dataclass(frozen=True, kw_only=True, slots=True)
class FoleyRoomSettings:
    """How clips of the world are filmed and recorded, and what makes them hard.

    Clip number i shows class i modulo the number of `classes`. Of the test clips
    `held_out_share` have a combination of colour and shape that no other split has.
    """

    picture: PictureSettings = field(
        default_factory=lambda: PictureSettings(clip_seconds=4.0, exposures=2)
    )
    rate_hz: int = 22050
    classes: tuple[str, ...] = tuple(CLASSES)
    difficulties: DifficultyShares = field(default_factory=DifficultyShares)
    held_out_share: float = 0.5

    def __post_init__(self) -> None:
        if self.rate_hz not in RATES_HZ:
            raise ConfigError(f"rate_hz must be 16000 or 22050, got {self.rate_hz}")
        unknown = [name for name in self.classes if name not in CLASSES]
        if unknown or not self.classes:
            raise ConfigError(
                f"classes must be some of {', '.join(CLASSES)}; "
                f"got {', '.join(unknown) if unknown else 'none'}"
            )
        if len(set(self.classes)) < len(self.classes):
            raise ConfigError(f"classes names one twice: {', '.join(self.classes)}")
        if not 0 <= self.held_out_share <= 1:
            raise ConfigError(f"held_out_share must be from 0 to 1, got {self.held_out_share:g}")


@dataclass(frozen=True, slots=True)
class FoleyClip:
    """A clip whose frames are drawn when asked for; `sound` is float32 mono."""

    split: Split
    index: int
    picture: PictureSettings
    sound: Float[np.ndarray, " s"]
    rate_hz: int
    truth: ClipTruth
    draw: Callable[[int], UInt8[np.ndarray, "h w 3"]]

    @property
    def id(self) -> str:
        """Name of the clip, unique in its world."""
        return clip_id(self.split, self.index)

    def frames(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Every frame in order, RGB."""
        return (self.draw(index) for index in range(self.picture.num_frames))


def clip_id(split: Split, index: int) -> str:
    """Name of a clip, unique in its world."""
    return f"{split}_{index:06d}"


def hard() -> FoleyRoomSettings:
    """Settings in which a part of the clips has each difficulty."""
    shares = DifficultyShares(
        off_screen=0.25, distractor=0.25, late_entry=0.25, two_sources=0.15, noise=0.3
    )
    return FoleyRoomSettings(difficulties=shares)


def foley_clip(
    seed: int,
    split: Split,
    index: int,
    settings: FoleyRoomSettings,
    bank: SoundBank | None = None,
) -> FoleyClip:
    """Clip number `index` of a split of the world `seed`; with a bank its recordings are heard.

    With a bank, clip number i has the bank's class i modulo their number.
    Raises InputError for a negative or too large seed or index, or a bank at another rate.
    """
    if bank is not None and bank.rate_hz != settings.rate_hz:
        raise InputError(
            f"the bank is at {bank.rate_hz} Hz, the clips at {settings.rate_hz} Hz: make it anew"
        )
    if not 0 <= seed <= LARGEST_SEED or not 0 <= index <= LARGEST_SEED:
        raise InputError(f"seed and index go from 0 to {LARGEST_SEED}, got {seed} and {index}")
    cast = _choose_cast(seed, split, index, settings, bank)
    return FoleyClip(
        split=split,
        index=index,
        picture=settings.picture,
        sound=_with_noise(cast, settings),
        rate_hz=settings.rate_hz,
        truth=_truth(cast, settings),
        draw=_painter(cast, settings.picture),
    )


@dataclass(frozen=True, slots=True)
class _Role:
    """What is seen, and under which label it is heard, if it is."""

    scene: str
    label: str
    is_heard: bool


@dataclass(frozen=True, slots=True)
class _Source:
    performance: Performance
    role: _Role
    z: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cast:
    """All that a clip consists of; the first source is the main one."""

    sources: tuple[_Source, ...]
    difficulties: Difficulties
    held_out_look: bool
    sound: Float[np.ndarray, " s"]
    room_look: RoomLook
    camera: Camera
    shake: Shake
    noise_rng: np.random.Generator


def _choose_cast(
    seed: int, split: Split, index: int, settings: FoleyRoomSettings, bank: SoundBank | None
) -> _Cast:
    def stream(number: int) -> np.random.Generator:
        return np.random.default_rng([SPLIT_NUMBERS[split], seed, index, number])

    picture = settings.picture
    length = picture.num_frames / picture.fps
    hard = choose_difficulties(stream(0), settings.difficulties, length)
    room_rng, company_rng = stream(1), stream(2)
    held_out = split == "test" and bool(room_rng.random() < settings.held_out_share)
    camera = Camera(width=picture.width, height=picture.height)
    look, shake = choose_look(room_rng), choose_shake(room_rng, picture)
    roles = _choose_roles(company_rng, index, settings, hard, bank)
    stages = _choose_stages(stream(3), len(roles), camera, settings, length, held_out)
    stages[0] = replace(stages[0], enter_seconds=hard.enters_seconds or 0.0)
    performances = [
        CLASSES[role.scene](stream(4 + place), stage)
        for place, (role, stage) in enumerate(zip(roles, stages, strict=True))
    ]
    bank_rng = stream(8)
    heard = [
        one.sound() if bank is None else bank.play(bank_rng, role.label, one, split)
        for role, one in zip(roles, performances, strict=True)
        if role.is_heard
    ]
    sounds = _mixed(heard, float(company_rng.uniform(*SECOND_SOURCE_DB)))
    return _Cast(
        sources=tuple(map(_Source, performances, roles, [stage.z for stage in stages])),
        difficulties=hard,
        held_out_look=held_out,
        sound=sounds,
        room_look=look,
        camera=camera,
        shake=shake,
        noise_rng=stream(9),
    )


def _choose_roles(
    rng: np.random.Generator,
    index: int,
    settings: FoleyRoomSettings,
    hard: Difficulties,
    bank: SoundBank | None,
) -> list[_Role]:
    """The main class, then another one that is heard, then one that is not, where wanted."""
    labels = settings.classes if bank is None else bank.class_names
    main = labels[index % len(labels)]
    scene = main if bank is None else bank.scene(rng, main, settings.classes)
    roles = [_Role(scene, main, is_heard=True)]
    others = [name for name in CLASSES if name != scene]
    company = [others[int(place)] for place in rng.permutation(len(others))]
    if hard.two_sources:
        other_labels = [name for name in labels if name != main] or [main]
        label = other_labels[int(rng.integers(len(other_labels)))]
        roles.append(_Role(company[0], company[0] if bank is None else label, is_heard=True))
    if hard.distractor:
        roles.append(_Role(company[1], company[1], is_heard=False))
    return roles


def _mixed(sounds: list[Float[np.ndarray, " s"]], second_db: float) -> Float[np.ndarray, " s"]:
    """The sum, the second one `second_db` louder than it is; turned down where it is too loud."""
    gains = (1.0, 10 ** (second_db / 20))
    total = np.sum([one * gain for one, gain in zip(sounds, gains, strict=False)], axis=0)
    too_loud = max(1.0, float(np.abs(total).max()) / LOUDEST)
    return (total / too_loud).astype(np.float32)


def _choose_stages(
    rng: np.random.Generator,
    count: int,
    camera: Camera,
    settings: FoleyRoomSettings,
    length: float,
    held_out: bool,
) -> list[Stage]:
    """A stretch of the floor for each performance, side by side, dealt out by chance."""
    stages: list[Stage] = []
    for place in rng.permutation(count):
        z = float(rng.uniform(NEAREST_Z, FARTHEST_Z))
        width = 2 * camera.half_width(z) / count
        middle = (float(place) - (count - 1) / 2) * width
        freedom = 0.08 * width
        stages.append(
            Stage(
                clip_seconds=length,
                rate_hz=settings.rate_hz,
                x=middle + float(rng.uniform(-freedom, freedom)),
                z=z,
                width=0.9 * width,
                looks="held_out" if held_out else "seen",
            )
        )
    return stages


def _painter(cast: _Cast, picture: PictureSettings) -> Callable[[int], UInt8[np.ndarray, "h w 3"]]:
    margin = shake_margin(picture)
    far_first = sorted(cast.sources, key=lambda source: -source.z)

    @cache
    def room() -> Float[np.ndarray, "h w 3"]:
        return paint_room(cast.room_look, cast.camera, margin)

    def draw(frame: int) -> UInt8[np.ndarray, "h w 3"]:
        total = np.zeros((picture.height, picture.width, 3), np.float32)
        for exposure in range(picture.exposures):
            offset = ((exposure + 0.5) / picture.exposures - 0.5) / 2
            time = (frame + offset) / picture.fps
            right, down = cast.shake.offset(time)
            canvas = Canvas(shifted(room(), right, down, margin))
            seen_from = replace(cast.camera, moved_right=right, moved_down=down)
            for source in far_first:
                camera = _seen_from(cast, source, seen_from, time)
                source.performance.paint(canvas, camera, time)
            total += canvas.pixels
        return displayed(total / picture.exposures)

    return draw


def _seen_from(cast: _Cast, source: _Source, camera: Camera, time_seconds: float) -> Camera:
    """The camera for one source: the main one may slide out of the picture or into it."""
    if source is not cast.sources[0]:
        return camera
    slide = cast.difficulties.slide(time_seconds) * SLIDE_WIDTHS * camera.width
    return replace(camera, moved_right=camera.moved_right + slide)


def _with_noise(cast: _Cast, settings: FoleyRoomSettings) -> Float[np.ndarray, " s"]:
    level_db = cast.difficulties.noise_db
    if level_db is None:
        return cast.sound
    noise = background_noise(cast.noise_rng, len(cast.sound), level_db)
    return np.clip(cast.sound + noise, -1, 1)


def _truth(cast: _Cast, settings: FoleyRoomSettings) -> ClipTruth:
    picture = settings.picture
    heard = [source for source in cast.sources if source.role.is_heard]
    events = [
        SoundEvent(
            time_seconds=one.time_seconds, sound_class=source.role.label, strength=one.strength
        )
        for source in heard
        for one in source.performance.happenings
    ]
    times = np.arange(picture.num_frames) / picture.fps
    main = cast.sources[0]
    seen = [
        main.performance.visible_part(_seen_from(cast, main, cast.camera, float(time)), float(time))
        for time in times
    ]
    return ClipTruth(
        classes=tuple(dict.fromkeys(source.role.label for source in heard)),
        fps=picture.fps,
        events=tuple(sorted(events, key=lambda event: event.time_seconds)),
        visibility=tuple(min(1.0, float(part)) for part in seen),
        loudness=tuple(map(float, frame_loudness(cast.sound, settings))),
        class_name=main.role.label,
        scene_name=main.role.scene,
        difficulties=cast.difficulties.names,
        held_out_look=cast.held_out_look,
    )


def frame_loudness(
    sound: Float[np.ndarray, " s"], settings: FoleyRoomSettings
) -> Float[np.ndarray, " t"]:
    """Rms amplitude of a clip's sound during each of its frames."""
    picture = settings.picture
    edges = np.round(np.arange(picture.num_frames + 1) * settings.rate_hz / picture.fps).astype(int)
    energy = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    edges = np.minimum(edges, len(sound))
    return np.sqrt(np.diff(energy[edges]) / np.diff(edges))
