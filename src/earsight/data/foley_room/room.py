"""The room that scenes play in: a plank floor, a wall with a skirting board, light from a window.

Lengths in metres: x right, y up from the floor, z away from the eye. Axes: h w pixels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.canvas import smooth_step, value_noise

EYE_HEIGHT = 0.9
WALL_Z = 6.2
SKIRTING_HEIGHT = 0.14
PLANK_WIDTH = 0.34
PLANK_LENGTH = 2.3
SUPERSAMPLE = 2  # the room is drawn larger by this and averaged, once per clip

Colour = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """A pinhole camera that looks straight ahead; sizes in pixels.

    `moved_right` and `moved_down` say how far shake moves the picture.
    """

    width: int
    height: int
    moved_right: float = 0.0
    moved_down: float = 0.0

    @property
    def focal(self) -> float:
        """Distance of the picture plane: what is this far away is seen at one pixel a metre."""
        return 1.6 * self.height

    @property
    def horizon(self) -> float:
        """Row of the horizon."""
        return 0.42 * self.height

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Column and row of a point."""
        scale = self.scale(z)
        column = self.width / 2 + x * scale + self.moved_right
        return column, self.horizon + (EYE_HEIGHT - y) * scale + self.moved_down

    def scale(self, z: float) -> float:
        """Pixels per metre at a distance."""
        return self.focal / z

    def top(self, z: float) -> float:
        """Height of the highest point in view at a distance."""
        return EYE_HEIGHT + self.horizon / self.scale(z)

    def half_width(self, z: float) -> float:
        """Distance from the middle of the view to its sides."""
        return self.width / 2 / self.scale(z)


@dataclass(frozen=True, kw_only=True, slots=True)
class RoomLook:
    """Colours (linear light) and light of a room; `light_x` is where the window light falls."""

    wall: Colour
    floor: Colour
    light_x: float
    light_strength: float
    texture_seed: int


def choose_look(rng: np.random.Generator) -> RoomLook:
    """A room with colours and light drawn by chance, all of them calm."""
    walls: tuple[Colour, ...] = (
        (0.20, 0.29, 0.33), (0.42, 0.33, 0.22), (0.26, 0.34, 0.24), (0.36, 0.25, 0.24),
        (0.22, 0.24, 0.36), (0.40, 0.38, 0.34),
    )  # fmt: skip
    floors: tuple[Colour, ...] = ((0.36, 0.21, 0.11), (0.24, 0.13, 0.07), (0.45, 0.33, 0.20))
    tint = rng.uniform(0.9, 1.1, size=3)
    wall = np.array(walls[rng.integers(len(walls))]) * tint * rng.uniform(0.8, 1.2)
    floor = np.array(floors[rng.integers(len(floors))]) * rng.uniform(0.85, 1.15)
    return RoomLook(
        wall=(float(wall[0]), float(wall[1]), float(wall[2])),
        floor=(float(floor[0]), float(floor[1]), float(floor[2])),
        light_x=float(rng.uniform(-1.2, 0.4)),
        light_strength=float(rng.uniform(0.5, 0.9)),
        texture_seed=int(rng.integers(2**31)),
    )


def paint_room(look: RoomLook, camera: Camera, margin: int) -> Float[np.ndarray, "h w 3"]:
    """The empty room in linear light, with `margin` more pixels on every side."""
    step = 1 / SUPERSAMPLE
    columns = np.arange(-margin, camera.width + margin, step) + step / 2
    rows = np.arange(-margin, camera.height + margin, step) + step / 2
    u, v = np.meshgrid(columns - camera.width / 2, rows - camera.horizon)
    noise = np.random.default_rng(look.texture_seed).random((64, 64))
    floor_row = EYE_HEIGHT * camera.scale(WALL_Z)
    on_floor = v > floor_row
    z = np.where(on_floor, camera.focal * EYE_HEIGHT / np.maximum(v, floor_row), WALL_Z)
    x = u * z / camera.focal
    y = EYE_HEIGHT - v * z / camera.focal
    floor, wall = _floor(look, x, z, noise), _wall(look, x, y, noise)
    large = np.where(on_floor[..., None], floor, wall)
    half_diagonal = np.hypot(camera.width, camera.height) / 2
    middle_v = v - (camera.height / 2 - camera.horizon)
    large *= (1 - 0.35 * (np.hypot(u, middle_v) / half_diagonal) ** 2.5)[..., None]
    height, width = len(rows) // SUPERSAMPLE, len(columns) // SUPERSAMPLE
    small = large.reshape(height, SUPERSAMPLE, width, SUPERSAMPLE, 3).mean((1, 3))
    return small.astype(np.float32)


def _floor(
    look: RoomLook,
    x: Float[np.ndarray, "h w"],
    z: Float[np.ndarray, "h w"],
    noise: Float[np.ndarray, "n n"],
) -> Float[np.ndarray, "h w 3"]:
    row = np.floor(z / PLANK_WIDTH)
    along = x + row * 0.77 * PLANK_LENGTH
    plank = np.floor(along / PLANK_LENGTH)
    tone = noise[(row.astype(int) * 7) % 64, (plank.astype(int) * 13) % 64]
    grain = value_noise(along * 3 + 17 * tone, z * 55, noise)
    fine = value_noise(along * 9, z * 160, noise)
    bright = 0.72 + 0.35 * tone + 0.22 * (grain - 0.5) + 0.12 * (fine - 0.5)
    to_gap = np.abs(z / PLANK_WIDTH - np.round(z / PLANK_WIDTH)) * PLANK_WIDTH
    to_end = np.abs(along / PLANK_LENGTH - np.round(along / PLANK_LENGTH)) * PLANK_LENGTH
    bright *= 1 - 0.55 * (1 - smooth_step(np.minimum(to_gap, to_end) / 0.012))
    beam = _beam(x - look.light_x - 0.45 * (z - 4), 1.1) * _beam(z - 4.3, 1.0)
    distance = 1 - 0.35 * smooth_step((WALL_Z - z) / 5) - 0.25 * smooth_step((z - 5.4) / 0.8)
    lit = bright * (distance + look.light_strength * beam)
    return lit[..., None] * np.array(look.floor)


def _wall(
    look: RoomLook,
    x: Float[np.ndarray, "h w"],
    y: Float[np.ndarray, "h w"],
    noise: Float[np.ndarray, "n n"],
) -> Float[np.ndarray, "h w 3"]:
    spread = np.exp(-(((x - look.light_x - 1.2) / 2.6) ** 2) - ((y - 1.4) / 1.7) ** 2)
    plaster = 1 + 0.05 * (value_noise(x * 6, y * 6, noise) - 0.5)
    lit = (0.62 + 0.55 * look.light_strength * spread) * plaster
    wall = lit[..., None] * np.array(look.wall)
    board = np.array([0.62, 0.6, 0.56]) * (0.8 + 0.35 * spread)[..., None]
    edge = 1 - 0.45 * np.exp(-(((y - SKIRTING_HEIGHT) / 0.014) ** 2))
    low = 1 - 0.5 * np.exp(-np.maximum(y, 0) / 0.02)
    painted = np.where((y < SKIRTING_HEIGHT)[..., None], board, wall)
    return painted * (edge * low)[..., None]


def _beam(offset: Float[np.ndarray, "h w"], half_width: float) -> Float[np.ndarray, "h w"]:
    return 1 - smooth_step((np.abs(offset) - half_width + 0.25) / 0.5)
