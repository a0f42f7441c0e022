"""Scene: balls of wood, metal or glass fall into a room, bounce, and roll away.

Every contact with the floor is a sound; its loudness follows the impact speed. A clip is a pure
function of (seed, index, settings).
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, UInt8

from earsight.data.foley_room.ball import (
    DUST_SECONDS,
    MATERIALS,
    BallLook,
    Dust,
    Material,
    paint_ball,
    paint_dust,
    paint_shadow,
)
from earsight.data.foley_room.bounces import Contact, Drop, Pose, contacts, pose
from earsight.data.foley_room.canvas import Canvas, displayed, shifted
from earsight.data.foley_room.clip import (
    Clip,
    ClipTruth,
    PictureSettings,
    SoundEvent,
    ringing_loudness,
)
from earsight.data.foley_room.room import Camera, Colour, choose_look, paint_room
from earsight.errors import ConfigError

LOUDEST_SPEED = 7.0  # m/s, the impact speed whose loudness is 1
RINGING_SECONDS: dict[Material, float] = {"wood": 0.06, "metal": 0.35, "glass": 0.15}
RESTITUTION: dict[Material, tuple[float, float]] = {
    "wood": (0.60, 0.72), "metal": (0.70, 0.80), "glass": (0.74, 0.82),
}  # fmt: skip
COLOURS: dict[Material, tuple[Colour, ...]] = {
    "wood": ((0.60, 0.36, 0.16), (0.42, 0.21, 0.09), (0.68, 0.50, 0.28)),
    "metal": ((0.74, 0.76, 0.80), (0.78, 0.56, 0.24), (0.70, 0.40, 0.28)),
    "glass": ((0.12, 0.55, 0.42), (0.14, 0.36, 0.75), (0.75, 0.28, 0.12)),
}
NEAREST_Z, FARTHEST_Z = 3.5, 4.5
NUM_SPECKS = 14


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


@dataclass(frozen=True, slots=True)
class _Ball:
    look: BallLook
    drop: Drop
    z: float
    touches: tuple[Contact, ...]
    dust: tuple[Dust, ...]


def ball_drop(seed: int, index: int, settings: BallDropSettings) -> Clip:
    """Clip number `index` of the world `seed`, with its truth."""
    rng = np.random.default_rng([seed, index])
    picture = settings.picture
    camera = Camera(width=picture.width, height=picture.height)
    look = choose_look(rng)
    balls = _choose_balls(rng, settings, camera)
    shake = _choose_shake(rng, picture)
    margin = int(np.ceil(picture.camera_shake * picture.height)) + 1
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
) -> tuple[_Ball, ...]:
    start = float(rng.uniform(0.0, 0.3))
    first = int(rng.integers(len(settings.materials)))
    side = float(rng.choice([-1.0, 1.0]))
    balls: list[_Ball] = []
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
) -> _Ball:
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
    dust = tuple(_choose_dust(rng, touch, z) for touch in touches) if settings.dust else ()
    return _Ball(look, drop, z, touches, dust)


def _choose_dust(rng: np.random.Generator, touch: Contact, z: float) -> Dust:
    force = touch.impact_speed / LOUDEST_SPEED
    sides = np.where(np.arange(NUM_SPECKS) % 2, 1.0, -1.0)
    return Dust(
        x=touch.x,
        z=z,
        time_seconds=touch.time_seconds,
        speed_x=sides * force * rng.uniform(0.6, 3.2, NUM_SPECKS),
        speed_y=force * rng.uniform(0.1, 1.1, NUM_SPECKS),
        radius=force * rng.uniform(0.012, 0.035, NUM_SPECKS),
    )


@dataclass(frozen=True, slots=True)
class _Shake:
    """Slow, smooth wandering of the camera: three sines a direction."""

    pixels: Float[np.ndarray, "2 3"]
    speeds: Float[np.ndarray, "2 3"]
    phases: Float[np.ndarray, "2 3"]

    def offset(self, time_seconds: float) -> tuple[float, float]:
        """How far the picture is moved, right and down, in pixels."""
        waves = self.pixels * np.sin(self.speeds * time_seconds + self.phases)
        right, down = waves.sum(1)
        return float(right), float(down)


def _choose_shake(rng: np.random.Generator, picture: PictureSettings) -> _Shake:
    shares = rng.dirichlet(np.ones(3), size=2)
    speeds = 2 * np.pi * rng.uniform(0.2, 1.6, (2, 3))
    phases = rng.uniform(0, 2 * np.pi, (2, 3))
    return _Shake(shares * picture.camera_shake * picture.height, speeds, phases)


def _paint(
    room: Float[np.ndarray, "h w 3"],
    camera: Camera,
    balls: list[_Ball],
    time_seconds: float,
) -> Float[np.ndarray, "h w 3"]:
    canvas = Canvas(room)
    for ball in balls:
        if time_seconds < ball.drop.start_seconds:
            continue
        at = pose(ball.drop, ball.touches, time_seconds)
        if abs(at.x) - 2 * ball.look.radius > camera.half_width(ball.z) + 0.2:
            continue
        paint_shadow(canvas, camera, at.x, at.height, ball.z, ball.look.radius)
        paint_ball(canvas, camera, ball.look, at.x, at.height, ball.z, at.angle)
        for dust in ball.dust:
            if 0 <= time_seconds - dust.time_seconds < DUST_SECONDS:
                paint_dust(canvas, camera, dust, time_seconds)
    return canvas.pixels


def _truth(balls: tuple[_Ball, ...], picture: PictureSettings, camera: Camera) -> ClipTruth:
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
        max((_visible_part(ball, camera, frame / picture.fps) for ball in balls), default=0.0)
        for frame in range(picture.num_frames)
    ]
    return ClipTruth(
        classes=tuple(sorted({f"{ball.look.material} drop" for ball in balls})),
        fps=picture.fps,
        events=tuple(
            SoundEvent(time_seconds=time, sound_class=f"{material} drop", impact_speed=speed)
            for time, material, speed in heard
        ),
        visibility=tuple(seen),
        loudness=tuple(float(value) for value in loudness),
    )


def _visible_part(ball: _Ball, camera: Camera, time_seconds: float) -> float:
    """Part of a ball's bounding square that lies inside the picture."""
    if time_seconds < ball.drop.start_seconds:
        return 0.0
    at: Pose = pose(ball.drop, ball.touches, time_seconds)
    column, row = camera.project(at.x, at.height + ball.look.radius, ball.z)
    radius = ball.look.radius * camera.scale(ball.z)
    across = min(column + radius, camera.width) - max(column - radius, 0)
    along = min(row + radius, camera.height) - max(row - radius, 0)
    return max(0.0, across) * max(0.0, along) / (2 * radius) ** 2
