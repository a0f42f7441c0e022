"""Windows cover a sound once, whatever its pieces, and end where it ends."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from earsight.errors import InputError
from earsight.generate.sound_windows import mean_over_time, over_time, sound_windows
from earsight.media.waveform import Waveform


@given(
    total=st.integers(1, 60),
    size=st.integers(1, 20),
    hop=st.integers(1, 20),
    cuts=st.lists(st.integers(1, 25), min_size=1, max_size=5),
)
def test_windows_are_those_of_the_whole_sound(
    total: int, size: int, hop: int, cuts: list[int]
) -> None:
    hop = min(hop, size)
    sound = torch.arange(total).float()
    pieces, place = [], 0
    while place < total:
        length = cuts[len(pieces) % len(cuts)]
        pieces.append(Waveform(sound[None, place : place + length].repeat(2, 1), 8000))
        place += length
    windows = list(sound_windows(pieces, window_samples=size, hop_samples=hop))
    starts = list(range(0, max(1, total - size + 1), hop))
    if starts[-1] + size < total:
        starts.append(total - size)
    assert [window.start for window in windows] == starts
    for window in windows:
        assert torch.equal(window.samples, sound[window.start : window.start + size])
    assert windows[-1].end == total
    assert sum(window.num_fresh for window in windows) == total


def test_gaps_are_refused() -> None:
    with pytest.raises(InputError, match="hop of 1 to 4, got 5"):
        list(sound_windows([Waveform(torch.zeros(1, 9), 8000)], window_samples=4, hop_samples=5))


def test_where_windows_overlap_a_moment_has_their_mean() -> None:
    spans = torch.tensor([[0.0, 4.0], [2.0, 6.0], [3.0, 7.0]], dtype=torch.float64)
    edges, values = over_time(spans, torch.tensor([[0.0, 1.0], [2.0, 1.0], [7.0, 1.0]]))
    assert edges.tolist() == [0, 2, 3, 4, 6, 7]
    assert values[:, 0].tolist() == [0, 1, 3, 4.5, 7]
    assert torch.equal(values[:, 1], torch.ones(5))
    mean = mean_over_time(spans, torch.tensor([[0.0], [2.0], [7.0]]))
    assert float(mean) == pytest.approx((2 * 0 + 1 + 3 + 2 * 4.5 + 7) / 7)
