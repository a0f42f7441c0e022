"""Scene: balls of wood, metal or glass fall into a room, bounce, and roll away.

Every contact with the floor is a sound; its loudness follows the impact speed. A clip is a pure
function of (seed, index, settings).
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, UInt8

from earsight.data.foley_room.ball import MATERIALS, BallLook, Material
from earsight.data.foley_room.bounces import Drop, contacts
from earsight.data.foley_room.bouncing import (
    COLOURS,
    LOUDEST_SPEED,
    RESTITUTION,
    Bouncing,
    choose_dust,
)
from earsight.data.foley_room.canvas import Canvas, displayed, shifted
from earsight.data.foley_room.clip import (
    Clip,
    ClipTruth,
    PictureSettings,
    SoundEvent,
    ringing_loudness,
)
from earsight.data.foley_room.room import Camera, choose_look, paint_room
from earsight.data.foley_room.shake import choose_shake, shake_margin
from earsight.errors import ConfigError

RINGING_SECONDS: dict[Material, float] = {"wood": 0.06, "metal": 0.35, "glass": 0.15}
NEAREST_Z, FARTHEST_Z = 3.5, 4.5


@dataclass(frozen=True, kw_only=True, slots=True)
class BallDropSettings:
    """What may happen in a clip.

    A clip's class is one of `materials`; with `mixed` every ball takes the next of them.
    Balls are let go every `between_seconds` (least, most), with `above_view` metres between them
    and the picture's upper edge, so that they fall into view: from 0 slowly, from more at speed.
    """

    picture: PictureSettings = field(default_factory=PictureSettings)
    materials: tuple[Material, ...] = MATERIALS
    mixed: bool = False
    radius: tuple[float, float] = (0.19, 0.26)
    between_seconds: tuple[float, float] = (1.9, 3.2)
    above_view: tuple[float, float] = (0.0, 0.25)
    dust: bool = True

    def __post_init__(self) -> None:
        if not self.materials:
            raise ConfigError("materials is empty: name at least one of wood, metal, glass")
        for name in ("radius", "between_seconds"):
            least, most = getattr(self, name)
            if not 0 < least <= most:
                raise ConfigError(f"{name} must be (least, most) over 0, got {least}, {most}")


def ball_drop(seed: int, index: int, settings: BallDropSettings) -> Clip:
    """Clip number `index` of the world `seed`, with its truth."""
    rng = np.random.default_rng([seed, index])
    picture = settings.picture
    camera = Camera(width=picture.width, height=picture.height)
    look = choose_look(rng)
    balls = _choose_balls(rng, settings, camera)
    shake = choose_shake(rng, picture)
    margin = shake_margin(picture)
    room = paint_room(look, camera, margin)
    far_first = sorted(balls, key=lambda ball: -ball.z)

    def draw(frame: int) -> UInt8[np.ndarray, "h w 3"]:
        total = np.zeros((picture.height, picture.width, 3), np.float32)
        for exposure in range(picture.exposures):
            offset = ((exposure + 0.5) / picture.exposures - 0.5) / 2
            time = (frame + offset) / picture.fps
            right, down = shake.offset(time)
            moved = replace(camera, moved_right=right, moved_down=down)
            total += _paint(shifted(room, right, down, margin), moved, far_first, time)
        return displayed(total / picture.exposures)

    return Clip(picture, _truth(balls, picture, camera), draw)


def demo_clip() -> Clip:
    """The clip that comes with the package: ten seconds, a ball of each material."""
    picture = PictureSettings(
        width=512, height=288, clip_seconds=10.0, camera_shake=0.0, exposures=6
    )
    settings = BallDropSettings(
        picture=picture,
        mixed=True,
        radius=(0.27, 0.3),
        between_seconds=(4.0, 4.2),
        above_view=(0.0, 0.02),
    )
    return ball_drop(1, 0, settings)


def _choose_balls(
    rng: np.random.Generator, settings: BallDropSettings, camera: Camera
) -> tuple[Bouncing, ...]:
    start = float(rng.uniform(0.0, 0.3))
    first = int(rng.integers(len(settings.materials)))
    side = float(rng.choice([-1.0, 1.0]))
    balls: list[Bouncing] = []
    while start < settings.picture.clip_seconds - 0.7 or not balls:
        position = (first + len(balls) * settings.mixed) % len(settings.materials)
        material = settings.materials[position]
        balls.append(_choose_ball(rng, settings, camera, material, start, side))
        start += float(rng.uniform(*settings.between_seconds))
        side = -side
    return tuple(balls)


def _choose_ball(
    rng: np.random.Generator,
    settings: BallDropSettings,
    camera: Camera,
    material: Material,
    start_seconds: float,
    side: float,
) -> Bouncing:
    colours = COLOURS[material]
    radius = float(rng.uniform(*settings.radius))
    look = BallLook(
        material=material, colour=colours[int(rng.integers(len(colours)))], radius=radius
    )
    z = float(rng.uniform(NEAREST_Z, FARTHEST_Z))
    half_width = camera.half_width(z)
    drop = Drop(
        start_seconds=start_seconds,
        start_x=side * half_width * float(rng.uniform(0.35, 0.7)),
        start_height=camera.top(z) + float(rng.uniform(*settings.above_view)),
        speed_x=-side * half_width * float(rng.uniform(0.2, 0.45)),
        radius=radius,
        restitution=float(rng.uniform(*RESTITUTION[material])),
    )
    touches = contacts(drop)
    dust = tuple(choose_dust(rng, touch, z) for touch in touches) if settings.dust else ()
    return Bouncing(look, drop, z, touches, dust)


def _paint(
    room: Float[np.ndarray, "h w 3"],
    camera: Camera,
    balls: list[Bouncing],
    time_seconds: float,
) -> Float[np.ndarray, "h w 3"]:
    canvas = Canvas(room)
    for ball in balls:
        ball.paint(canvas, camera, time_seconds)
    return canvas.pixels


def _truth(balls: tuple[Bouncing, ...], picture: PictureSettings, camera: Camera) -> ClipTruth:
    length = picture.num_frames / picture.fps
    heard: list[tuple[float, Material, float]] = [
        (touch.time_seconds, ball.look.material, touch.impact_speed)
        for ball in balls
        for touch in ball.touches
        if touch.time_seconds < length
    ]
    heard.sort()
    loudness = ringing_loudness(
        np.array([time for time, _, _ in heard]),
        np.array([speed / LOUDEST_SPEED for _, _, speed in heard]),
        np.array([RINGING_SECONDS[material] for _, material, _ in heard]),
        picture,
    )
    seen = [
        max((ball.visible_part(camera, frame / picture.fps) for ball in balls), default=0.0)
        for frame in range(picture.num_frames)
    ]
    return ClipTruth(
        classes=tuple(sorted({f"{ball.look.material} drop" for ball in balls})),
        fps=picture.fps,
        events=tuple(
            SoundEvent(
                time_seconds=time,
                sound_class=f"{material} drop",
                impact_speed=speed,
                strength=speed / LOUDEST_SPEED,
            )
            for time, material, speed in heard
        ),
        visibility=tuple(seen),
        loudness=tuple(float(value) for value in loudness),
    )
