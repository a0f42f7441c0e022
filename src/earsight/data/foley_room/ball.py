"""How a ball of wood, metal or glass looks, with its shadow, its reflection and its dust.

Axes: y x pixels of a window.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.canvas import Canvas, Window, disc, smooth_step, soft_ellipse
from earsight.data.foley_room.room import Camera, Colour

Material = Literal["wood", "metal", "glass"]
Shape = Literal["ball", "block"]
SHAPES: tuple[Shape, ...] = ("ball", "block")
MATERIALS: tuple[Material, ...] = ("wood", "metal", "glass")
LIGHT = np.array([-0.45, 0.75, 0.49])  # from the left, above, and the eye's side; length 1
FLOOR_SHINE = 0.16
DUST_SECONDS = 0.45
DUST_COLOUR = np.array([0.75, 0.68, 0.58])


@dataclass(frozen=True, kw_only=True, slots=True)
class BallLook:
    """Material, colour (linear light) and size in metres; a block's `radius` is half its side."""

    material: Material
    colour: Colour
    radius: float
    shape: Shape = "ball"

    @property
    def reach(self) -> float:
        """How far the outline goes from the middle, in radii."""
        return 1.0 if self.shape == "ball" else 1.42


@dataclass(frozen=True, kw_only=True, slots=True)
class Dust:
    """Where the specks thrown up by a contact go: speeds in m/s at once after the contact."""

    x: float
    z: float
    time_seconds: float
    speed_x: Float[np.ndarray, " p"]
    speed_y: Float[np.ndarray, " p"]
    radius: Float[np.ndarray, " p"]


def paint_shadow(
    canvas: Canvas, camera: Camera, x: float, height: float, z: float, radius: float
) -> None:
    """Darken the floor beneath a ball: wider, softer and paler the higher it is."""
    scale = camera.scale(z)
    column, row = camera.project(x + 0.35 * height, 0.0, z)
    spread = radius * (1 + 0.5 * height) * scale
    reach = 2.2 * spread
    softness = min(0.95, 0.45 + 0.6 * height)
    if window := canvas.window(column, row, reach, 0.5 * reach):
        shape = soft_ellipse(window, spread, 0.24 * spread, softness=softness)
        canvas.shade(window, 0.7 / (1 + 2.2 * height) * shape)
    column, row = camera.project(x, 0.0, z)
    touch = 0.75 * radius * scale
    if window := canvas.window(column, row, 2 * touch, touch):
        shape = soft_ellipse(window, touch, 0.26 * touch, softness=0.9)
        canvas.shade(window, 0.75 * np.exp(-height / 0.06) * shape)


def paint_ball(
    canvas: Canvas, camera: Camera, look: BallLook, x: float, height: float, z: float, angle: float
) -> None:
    """Paint a ball or block and, below it, its pale reflection in the floor."""
    radius = look.radius * camera.scale(z)
    reach = look.reach * radius + 1
    column, row = camera.project(x, height + look.radius, z)
    mirrored = camera.project(x, -height - look.radius, z)[1]
    if window := canvas.window(column, mirrored, reach, reach):
        flipped = Window(window.rows, window.columns, window.right, -window.down)
        fading = np.exp(-2.2 * height) * smooth_step(1.1 + flipped.down / radius)
        colour, _ = _surface(canvas, flipped, look, radius, angle)
        outline = _outline(flipped, look, radius, angle)
        canvas.cover(window, colour, FLOOR_SHINE * outline * fading)
    if window := canvas.window(column, row, reach, reach):
        colour, opacity = _surface(canvas, window, look, radius, angle)
        canvas.cover(window, colour, opacity * _outline(window, look, radius, angle))


def paint_dust(canvas: Canvas, camera: Camera, dust: Dust, time_seconds: float) -> None:
    """Paint the specks of a contact, which spread, slow down and fade."""
    since = time_seconds - dust.time_seconds
    if not 0 <= since < DUST_SECONDS:
        return
    gone = 0.16 * (1 - np.exp(-since / 0.16))  # travelled under drag, per m/s
    fading = (1 - since / DUST_SECONDS) ** 1.5
    scale = camera.scale(dust.z)
    column, row = camera.project(dust.x, 0.0, dust.z)
    columns, rows = column + gone * dust.speed_x * scale, row - gone * dust.speed_y * scale
    radii = dust.radius * scale * (1 + 2.5 * since / DUST_SECONDS)
    _cover_specks(canvas, columns, rows, radii, 0.5 * fading)


def _cover_specks(
    canvas: Canvas,
    columns: Float[np.ndarray, " p"],
    rows: Float[np.ndarray, " p"],
    radii: Float[np.ndarray, " p"],
    opacity: float,
) -> None:
    """Soft specks in one go: of one colour, they let through the product of what each does."""
    half = int(np.ceil(2 * radii.max())) + 1
    around = np.arange(-half, half + 1) + 0.5
    left, top = np.floor(columns).astype(int), np.floor(rows).astype(int)
    right = (left[:, None] + around - columns[:, None])[:, None, :] / radii[:, None, None]
    down = (top[:, None] + around - rows[:, None])[:, :, None] / radii[:, None, None]
    distance = np.hypot(right, down)
    through = 1 - opacity * (1 - smooth_step((distance - 0.1) / 1.8))
    left, top, size = left - half, top - half, 2 * half + 1
    first_column, first_row = int(left.min()), int(top.min())
    width, height = int(left.max()) - first_column + size, int(top.max()) - first_row + size
    window = canvas.window(first_column + width / 2, first_row + height / 2, width / 2, height / 2)
    if window is None:
        return
    all_through = np.ones((height, width), np.float32)
    for speck, x, y in zip(through, left - first_column, top - first_row, strict=True):
        all_through[y : y + size, x : x + size] *= speck
    x, y = window.columns.start - first_column, window.rows.start - first_row
    rows_seen, columns_seen = window.right.shape
    seen = all_through[y : y + rows_seen, x : x + columns_seen]
    canvas.cover(window, DUST_COLOUR.astype(np.float32), 1 - seen)


def _surface(
    canvas: Canvas, window: Window, look: BallLook, radius: float, angle: float
) -> tuple[Float[np.ndarray, "y x 3"], Float[np.ndarray, "y x"]]:
    """Colour and opacity of a body seen through a window around its middle."""
    right, up = window.right / radius, -window.down / radius
    across, along = right, up  # of the surface, not of the direction it faces
    if look.shape == "block":
        right, up = _block_slopes(right, up, angle)
    beyond = np.maximum(1.0, np.hypot(right, up))
    right, up = right / beyond, up / beyond
    near = np.sqrt(np.maximum(0.0, 1 - right**2 - up**2))
    facing = right * LIGHT[0] + up * LIGHT[1] + near * LIGHT[2]
    # the direction that the light is thrown back to, seen from the eye
    glint = np.clip(2 * facing * near - LIGHT[2], 0, 1)
    if look.shape == "ball":
        across, along = right, up
    turned_right, turned_up = _turned(across, along, angle)
    base = np.array(look.colour)
    opaque = np.ones_like(near)
    match look.material:
        case "wood":
            return _wood(base, facing, glint, up, turned_right, turned_up, near), opaque
        case "metal":
            return _metal(base, facing, glint, right, up, near, turned_up), opaque
        case "glass":
            behind = canvas.under(window)[::-1, ::-1]
            return _glass(base, behind, facing, glint, up, near, turned_up), opaque


def _outline(
    window: Window, look: BallLook, radius: float, angle: float
) -> Float[np.ndarray, "y x"]:
    if look.shape == "ball":
        return disc(window, radius)
    across, along = _turned(window.right, -window.down, angle)
    return np.clip(radius - np.maximum(np.abs(across), np.abs(along)) + 0.5, 0, 1)


def _turned(
    right: Float[np.ndarray, "y x"], up: Float[np.ndarray, "y x"], angle: float
) -> tuple[Float[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
    """Coordinates in a frame that is turned clockwise."""
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return right * cosine - up * sine, right * sine + up * cosine


def _block_slopes(
    right: Float[np.ndarray, "y x"], up: Float[np.ndarray, "y x"], angle: float
) -> tuple[Float[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
    """Normals of a cushion: nearly flat, steep at the edges of a turned square."""
    across, along = _turned(np.clip(right, -1.5, 1.5), np.clip(up, -1.5, 1.5), angle)
    across = 0.25 * across + 0.55 * np.sign(across) * np.minimum(1.0, across**8)
    along = 0.25 * along + 0.55 * np.sign(along) * np.minimum(1.0, along**8)
    return _turned(across, along, -angle)


def _wood(
    base: Float[np.ndarray, " 3"],
    facing: Float[np.ndarray, "y x"],
    glint: Float[np.ndarray, "y x"],
    up: Float[np.ndarray, "y x"],
    turned_right: Float[np.ndarray, "y x"],
    turned_up: Float[np.ndarray, "y x"],
    near: Float[np.ndarray, "y x"],
) -> Float[np.ndarray, "y x 3"]:
    rings = np.sin(26 * np.hypot(turned_right - 0.3, 0.55 * near + 0.25 * turned_up))
    light = 0.22 + 0.85 * np.clip(facing, 0, 1) + 0.12 * np.clip(-up, 0, 1)
    grain = base * (0.86 + 0.16 * rings)[..., None]
    stripe = smooth_step((0.26 - np.abs(turned_up - 0.1)) / 0.05)[..., None]
    painted = grain + (np.array([0.62, 0.07, 0.04]) - grain) * stripe
    return painted * light[..., None] + 0.16 * glint[..., None] ** 18


def _metal(
    base: Float[np.ndarray, " 3"],
    facing: Float[np.ndarray, "y x"],
    glint: Float[np.ndarray, "y x"],
    right: Float[np.ndarray, "y x"],
    up: Float[np.ndarray, "y x"],
    near: Float[np.ndarray, "y x"],
    turned_up: Float[np.ndarray, "y x"],
) -> Float[np.ndarray, "y x 3"]:
    upward, sideward = 2 * near * up, 2 * near * right  # the reflected view, as in a mirror
    ceiling = smooth_step((upward + 0.05) / 0.5)
    room = 0.16 + 0.75 * ceiling + 0.35 * np.exp(-(((upward + 0.5) / 0.35) ** 2))
    room *= 1 - 0.55 * np.exp(-(((upward - 0.02) / 0.12) ** 2))
    pane = smooth_step((0.24 - np.abs(sideward + 0.75)) / 0.06)
    pane *= smooth_step((0.3 - np.abs(upward - 0.62)) / 0.06)
    groove = 1 - 0.5 * np.exp(-(((turned_up) / 0.035) ** 2))
    rim = 0.35 * (1 - near) ** 3
    light = (room * (0.55 + 0.45 * np.clip(facing, 0, 1)) * groove + rim + 0.9 * pane)[..., None]
    return base * light + glint[..., None] ** 60


def _glass(
    base: Float[np.ndarray, " 3"],
    behind: Float[np.ndarray, "y x 3"],
    facing: Float[np.ndarray, "y x"],
    glint: Float[np.ndarray, "y x"],
    up: Float[np.ndarray, "y x"],
    near: Float[np.ndarray, "y x"],
    turned_up: Float[np.ndarray, "y x"],
) -> Float[np.ndarray, "y x 3"]:
    edge = ((1 - near) ** 2)[..., None]
    swirl = np.exp(-(((turned_up + 0.15 * np.sin(5 * near)) / 0.14) ** 2)) * near
    clear = behind * (0.35 + 0.65 * base) * 1.15
    tinted = clear + (base - clear) * (0.25 + 0.45 * swirl)[..., None]
    # light gathers on the side away from the lamp
    gathered = 0.55 * np.clip(-facing, 0, 1)[..., None] ** 1.5 * (0.4 + base)
    pane = 0.5 * smooth_step((up - 0.55) / 0.2)[..., None] * (1 - edge) * 0.35
    return tinted * (1 - 0.55 * edge) + gathered + pane + 0.25 * edge + glint[..., None] ** 70
