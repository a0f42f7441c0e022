"""The image tower on videos of any length: pieces do not show, memory does not grow."""

import pytest
import torch

from earsight.errors import ConfigError, InputError
from earsight.generate.sight import PIECE_FRAMES, Watcher, sight_rows
from earsight.models.sight.config import SightConfig
from earsight.models.sight.model import SightTower, small_pictures

SMALL = SightConfig(picture_size=8, channels=(8, 8), width=16, num_values=3, num_classes=2)


def tower() -> SightTower:
    torch.manual_seed(0)
    return SightTower(SMALL).eval()


@pytest.mark.parametrize(
    "num_frames", [1, 20, PIECE_FRAMES, PIECE_FRAMES + 31, 3 * PIECE_FRAMES + 7]
)
def test_pieces_do_not_show(num_frames: int) -> None:
    network, rng = tower(), torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (num_frames, 12, 10, 3), generator=rng, dtype=torch.uint8)
    watcher = Watcher(network)
    for picture in pictures:
        watcher.see(picture)
    with torch.inference_mode():
        whole = network(small_pictures(pictures, size=8)[None]).description[0]
    torch.testing.assert_close(watcher.finish(), whole, atol=1e-5, rtol=0)


def test_a_frame_sees_no_farther_than_its_reach() -> None:
    network, rng = tower(), torch.Generator().manual_seed(2)
    pictures = torch.randint(0, 256, (1, 80, 3, 8, 8), generator=rng, dtype=torch.uint8)
    changed = pictures.clone()
    changed[:, 40] = 255 - changed[:, 40]
    with torch.inference_mode():
        differs = (network(pictures).description != network(changed).description).any(2)[0]
    seen = differs.nonzero()[:, 0]
    assert seen.min() >= 40 - SMALL.reach
    assert seen.max() <= 40 + SMALL.reach
    assert differs[40 - SMALL.reach + 1] or differs[40 + SMALL.reach - 1]


def test_rows_hold_motion_and_then_the_towers_values() -> None:
    pictures = torch.zeros(30, 16, 16, 3, dtype=torch.uint8)
    pictures[15:, 4:12] = 200
    track, rows = sight_rows(iter(pictures), tower())
    assert rows.shape == (30, 2 + SMALL.num_values)
    torch.testing.assert_close(rows[:, 0], track.energy, atol=0, rtol=0)
    torch.testing.assert_close(rows[:, 1], track.onset, atol=0, rtol=0)
    assert rows[:, 2:].abs().max() <= 1


def test_a_video_without_pictures_and_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="no pictures"):
        Watcher(tower()).finish()
    with pytest.raises(ConfigError, match="multiples of norm_groups"):
        SightConfig(channels=(12,), norm_groups=8)
    with pytest.raises(ConfigError, match="cannot be halved"):
        SightConfig(picture_size=8)
