"""What moves between two pictures, apart from the camera and the light.

Pictures become small grey ones whose local mean and contrast are taken out, so that neither an
exposure change nor a shadow counts. Blocks of the later picture are searched for in the earlier
one. A shift that most textured blocks agree on is the camera's; the rest is motion.

Axes: h, w small picture; u, v shifts; p, q blocks.
"""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

SMALL_HEIGHT, SMALL_WIDTH = 48, 64
CONTRAST_WINDOW = 15
CONTRAST_FLOOR = 3.0  # grey levels: what varies less is noise of the camera or the codec
VALUE_LIMIT = 2.5
BLOCK_WINDOW, BLOCK_STRIDE = 9, 4
SEARCH_RADIUS = 8  # an eighth of the width per frame; what is faster shows as change only
TEXTURE_FLOOR = 0.3
COST_LIMIT = 0.5
NOISE_FLOOR = 0.12
MATCH_SHARE = 0.25
STILL_PIXELS = 0.2
CAMERA_PIXELS = 0.25  # of a camera's shift, interpolation and rounding leave about so much
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class PairMotion:
    """Change and flow of one pair of pictures, per block, the camera's shift taken out.

    `change` is the RMS difference of the normalised values, 0 for none and about 1.4 for unlike
    content; `flow` is (down, right) in small pixels, zero where nothing can be told; `camera` is
    (down, right) in small pixels. `is_broken` marks a pair that a cut or a flash separates, whose
    change and flow mean nothing.
    """

    change: Float[Tensor, "p q"]
    flow: Float[Tensor, "2 p q"]
    camera: Float[Tensor, " 2"]
    is_broken: bool


def small_picture(pixels: UInt8[Tensor, "a b 3"]) -> Float[Tensor, "h w"]:
    """A small grey picture of any upright RGB one, with local mean and contrast taken out.

    Values reach from -2.5 to 2.5 in textured places and stay near 0 in plain ones.
    """
    down = max(1, pixels.shape[0] // (4 * SMALL_HEIGHT))
    across = max(1, pixels.shape[1] // (4 * SMALL_WIDTH))
    thinned = pixels[::down, ::across].float()
    grey = (thinned @ thinned.new_tensor(_LUMA))[None, None]
    small = functional.interpolate(grey, size=(SMALL_HEIGHT, SMALL_WIDTH), mode="area") - 128
    small = _box(small, 3)
    mean = _box(small, CONTRAST_WINDOW)
    variance = _box(small.square(), CONTRAST_WINDOW) - mean.square()
    contrast = variance.clamp(min=0).sqrt()
    values = ((small - mean) / (contrast + CONTRAST_FLOOR)).clamp(-VALUE_LIMIT, VALUE_LIMIT)
    return values[0, 0]


def pair_motion(earlier: Float[Tensor, "h w"], later: Float[Tensor, "h w"]) -> PairMotion:
    """Compare two consecutive small pictures."""
    costs = _shift_costs(earlier, later)
    textures = torch.stack([_block_mean(each.square()) for each in (earlier, later)]).sqrt()
    textured = textures.amax(0) > TEXTURE_FLOOR
    camera = _camera_shift(costs, textured)
    change, seen = _residual(earlier, later, camera)
    still, _ = _residual(earlier, later, torch.zeros(2))
    if _robust_sum(still, textured & seen) <= _robust_sum(change, textured & seen):
        camera, change = torch.zeros(2), still
        seen = torch.ones_like(seen)
    flow, matched = _block_flow(costs, camera)
    # ground that comes into view matches something by chance, but badly
    sure = (1 - matched / (MATCH_SHARE * change.square()).clamp(min=1e-4)).clamp(0, 1)
    # a plain block looks like any other plain block: only texture says where it came from
    weight = sure * (textures[1] > TEXTURE_FLOOR) * (change > NOISE_FLOOR) * seen
    broken = _is_broken(change, matched)
    floor = NOISE_FLOOR + CAMERA_PIXELS * _steepness(later) * bool(camera.any())
    return PairMotion((change - floor).clamp(min=0) * seen, flow * weight, camera, broken)


def _box(picture: Float[Tensor, "1 1 h w"], size: int) -> Float[Tensor, "1 1 h w"]:
    return functional.avg_pool2d(picture, size, 1, size // 2, count_include_pad=False)


@cache
def _block_windows(size: int) -> Float[Tensor, "p h"]:
    """Averages of BLOCK_WINDOW values around every BLOCK_STRIDE-th, as a matrix."""
    centres = torch.arange(0, size, BLOCK_STRIDE)[:, None]
    near = (torch.arange(size) - centres).abs() <= BLOCK_WINDOW // 2
    return near / near.sum(1, keepdim=True)


def _block_mean(maps: Float[Tensor, "*c h w"]) -> Float[Tensor, "*c p q"]:
    # two small products are six times faster than a pooling of the 289 shifts
    across = maps @ _block_windows(maps.shape[-1]).T
    return (across.mT @ _block_windows(maps.shape[-2]).T).mT


def _length(vectors: Float[Tensor, "2 ..."]) -> Float[Tensor, "..."]:
    return vectors.square().sum(0).sqrt()


def _steepness(values: Float[Tensor, "h w"]) -> Float[Tensor, "p q"]:
    """RMS difference per block that a shift by one pixel makes."""
    down = functional.pad(values.diff(dim=0), (0, 0, 0, 1))
    right = functional.pad(values.diff(dim=1), (0, 1))
    return _block_mean(down.square() + right.square()).sqrt()


def _shift_costs(
    earlier: Float[Tensor, "h w"], later: Float[Tensor, "h w"]
) -> Float[Tensor, "u v p q"]:
    """Mean squared difference per block if content had moved by (u, v) - SEARCH_RADIUS.

    The square is multiplied out, which leaves a correlation of each block with its surroundings,
    done for all blocks in one go; the means of both squares cost next to nothing.
    """
    radius, reach, (height, width) = SEARCH_RADIUS, BLOCK_WINDOW // 2, earlier.shape
    padded = functional.pad(earlier[None, None], (radius,) * 4, mode="replicate")[0, 0]
    blocks = _around_blocks(functional.pad(later, (reach,) * 4), BLOCK_WINDOW)
    areas = _around_blocks(functional.pad(padded, (reach,) * 4), BLOCK_WINDOW + 2 * radius)
    rows, columns = blocks.shape[:2]
    crossed = functional.conv2d(
        areas.reshape(1, rows * columns, *areas.shape[2:]),
        blocks.reshape(rows * columns, 1, *blocks.shape[2:]),
        groups=rows * columns,
    )[0]
    by_shift = crossed.permute(1, 2, 0).reshape(2 * radius + 1, 2 * radius + 1, rows, columns)
    squares = _shifted_block_means(padded.square(), height, width)
    costs = squares + _block_mean(later.square()) - 2 * by_shift / _block_sizes(height, width)
    # window k starts at k: content from there moved by radius - k
    return costs.clamp(min=0).flip(0, 1)


def _around_blocks(picture: Float[Tensor, "h w"], size: int) -> Float[Tensor, "p q size size"]:
    """Squares around the middles of all blocks, of a picture with a margin to hold them."""
    return picture.unfold(0, size, BLOCK_STRIDE).unfold(1, size, BLOCK_STRIDE)


def _shifted_block_means(
    padded: Float[Tensor, "hp wp"], height: int, width: int
) -> Float[Tensor, "u v p q"]:
    """Block means of every window of (height, width) in a larger picture, from running sums."""
    sums = functional.pad(padded.double().cumsum(0).cumsum(1), (1, 0, 1, 0))
    starts_y, ends_y = _block_edges(height)
    starts_x, ends_x = _block_edges(width)
    down = torch.arange(len(padded) - height + 1)[:, None]
    right = torch.arange(padded.shape[1] - width + 1)[:, None]
    # differences along rows, then along columns, of a table that is small
    across = sums[:, right + ends_x] - sums[:, right + starts_x]  # (rows, v, q)
    total = across[down + ends_y] - across[down + starts_y]  # (u, p, v, q)
    return total.permute(0, 2, 1, 3).float() / _block_sizes(height, width)


@cache
def _block_edges(size: int) -> tuple[Int[Tensor, " p"], Int[Tensor, " p"]]:
    """First value of every block, and the one after its last."""
    centres = torch.arange(0, size, BLOCK_STRIDE)
    reach = BLOCK_WINDOW // 2
    return (centres - reach).clamp(min=0), (centres + reach + 1).clamp(max=size)


@cache
def _block_sizes(height: int, width: int) -> Float[Tensor, "p q"]:
    """Pixels of every block; those at the border are smaller."""
    sides = [end - start for start, end in (_block_edges(height), _block_edges(width))]
    return (sides[0][:, None] * sides[1]).float()


def _camera_shift(
    costs: Float[Tensor, "u v p q"], textured: Bool[Tensor, "p q"]
) -> Float[Tensor, " 2"]:
    """The shift that most textured blocks support; zero where there is none or little texture."""
    if textured.float().mean() < 0.2:
        return torch.zeros(2)
    inside = costs[:, :, textured]  # (u, v, blocks)
    total = inside.clamp(max=COST_LIMIT).mean(-1)
    best = int(total.argmin())
    row, column = divmod(best, total.shape[1])
    centre = SEARCH_RADIUS
    if (row, column) != (centre, centre):
        still, shifted = inside[centre, centre], inside[row, column]
        explained = (still > 0.05) & (shifted < 0.5 * still)
        if explained.float().mean() < 0.5:
            return torch.zeros(2)
    step = torch.stack(_vertex(total, torch.tensor(row), torch.tensor(column)))
    shift = torch.tensor([row - centre, column - centre]) + step
    return shift * (_length(shift) > STILL_PIXELS)


def _vertex(costs: Float[Tensor, "u v *b"], row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """Offset of a parabola's lowest point from the given shifts, down and right, within half."""
    last = costs.shape[0] - 1
    flat = costs.reshape(costs.shape[0], costs.shape[1], -1)
    index = torch.arange(flat.shape[2])
    rows, columns = row.reshape(-1), column.reshape(-1)

    def offset(before: Tensor, after: Tensor) -> Tensor:
        bend = before + after - 2 * flat[rows, columns, index]
        step = (before - after) / (2 * bend.clamp(min=1e-6))
        return step.clamp(-0.5, 0.5).reshape(row.shape)

    lower, upper = (rows - 1).clamp(min=0), (rows + 1).clamp(max=last)
    left, right = (columns - 1).clamp(min=0), (columns + 1).clamp(max=last)
    down = offset(flat[lower, columns, index], flat[upper, columns, index])
    return down, offset(flat[rows, left, index], flat[rows, right, index])


def _residual(
    earlier: Float[Tensor, "h w"], later: Float[Tensor, "h w"], shift: Float[Tensor, " 2"]
) -> tuple[Float[Tensor, "p q"], Bool[Tensor, "p q"]]:
    """RMS difference per block after moving `earlier`, and which blocks both pictures show."""
    height, width = earlier.shape
    rows = torch.arange(height) - shift[0]
    columns = torch.arange(width) - shift[1]
    grid = torch.stack(
        torch.meshgrid(2 * columns / (width - 1) - 1, 2 * rows / (height - 1) - 1, indexing="xy"),
        dim=-1,
    )
    moved = functional.grid_sample(
        earlier[None, None], grid[None], padding_mode="border", align_corners=True
    )[0, 0]
    inside = (rows >= 0) & (rows <= height - 1)
    within = (columns >= 0) & (columns <= width - 1)
    seen = _block_mean((inside[:, None] & within).float()) > 0.95
    return _block_mean((moved - later).square()).sqrt(), seen


def _robust_sum(change: Float[Tensor, "p q"], chosen: Bool[Tensor, "p q"]) -> float:
    return float(change[chosen].square().clamp(max=COST_LIMIT).sum())


def _block_flow(
    costs: Float[Tensor, "u v p q"], camera: Float[Tensor, " 2"]
) -> tuple[Float[Tensor, "2 p q"], Float[Tensor, "p q"]]:
    """Shift of each block beyond the camera's, and the squared difference that is left."""
    steps = torch.arange(-SEARCH_RADIUS, SEARCH_RADIUS + 1.0)
    distance = (steps[:, None] - camera[0]).square() + (steps - camera[1]).square()
    # the smaller of two equally good motions: plain blocks and straight edges stay where they are
    judged = costs + 0.02 * (distance / SEARCH_RADIUS**2)[..., None, None]
    size = len(steps)
    best = judged.reshape(size * size, -1).argmin(0).reshape(costs.shape[2:])
    row, column = best // size, best % size
    down, right = _vertex(judged, row, column)
    flow = torch.stack([row - SEARCH_RADIUS + down, column - SEARCH_RADIUS + right])
    flow = flow - camera[:, None, None]
    length = _length(flow).clamp(min=1e-6)
    flow = flow * ((length - STILL_PIXELS).clamp(min=0) / length)
    left = costs.reshape(size * size, -1).gather(0, best.reshape(1, -1))
    return flow, left.reshape(costs.shape[2:])


def _is_broken(change: Float[Tensor, "p q"], matched: Float[Tensor, "p q"]) -> bool:
    """Whether most of the picture changed, and most of that has no match anywhere near.

    A cut does that, and a flash that leaves no contrast.
    """
    changed = change > 0.5
    unmatched = changed & (matched.sqrt() > 0.4)
    return bool(changed.float().mean() > 0.4 and unmatched.sum() > 0.6 * changed.sum())
