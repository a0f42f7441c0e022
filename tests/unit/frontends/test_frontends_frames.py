"""Frames as the published picture networks saw them."""

import pytest
import torch

from earsight.errors import InputError
from earsight.frontends import bn_inception_frames as frames
from earsight.frontends import resnet50_frames
from earsight.frontends.tvl1_flow import TVL1Flow, flow_bytes, flow_levels


def test_resnet_frame_is_scaled_cropped_and_normalised() -> None:
    # columns of one colour each: the crop takes the middle, normalisation is per channel
    pixels = torch.zeros(512, 1024, 3, dtype=torch.uint8)
    pixels[:, :, 0] = (torch.arange(1024) // 4).to(torch.uint8)
    pixels[:, :, 1] = 255
    square = resnet50_frames.centre_square(pixels)
    assert square.shape == (224, 224, 3)
    # 512 columns after scaling, of which 144..367 stay; two columns share each value
    assert square[100, :, 0].tolist() == [column // 2 for column in range(144, 368)]
    made = resnet50_frames.network_input(pixels)
    assert made[1].unique().tolist() == pytest.approx([(1 - 0.456) / 0.224])
    assert made[2].unique().tolist() == pytest.approx([-0.406 / 0.225])
    assert made[0, 0, 0] == pytest.approx((72 / 255 - 0.485) / 0.229)


def test_scaling_averages_where_it_shrinks() -> None:
    stripes = torch.zeros(1024, 1024, 3, dtype=torch.uint8)
    stripes[:, ::2] = 200
    square = resnet50_frames.centre_square(stripes)
    assert (square.float() - 100).abs().max() <= 2


def test_odd_sizes_round_as_published() -> None:
    for height, width in ((123, 457), (457, 123), (256, 256), (1, 40)):
        frame = torch.zeros(height, width, 3, dtype=torch.uint8)
        assert resnet50_frames.network_input(frame).shape == (3, 224, 224)


def test_flow_follows_the_content() -> None:
    wave = torch.sin(torch.arange(80) / 5.0)[:, None] + torch.cos(torch.arange(100) / 7.0)
    picture = (wave * 60 + 127).round().to(torch.uint8)
    flow = TVL1Flow()(picture[6:70, 8:90], picture[4:68, 5:87])  # moves 3 right, 2 down
    middle = flow[20:-20, 20:-20].mean((0, 1))
    assert middle.tolist() == pytest.approx([3, 2], abs=0.2)
    with pytest.raises(InputError, match=r"\(10, 10\) and \(11, 10\)"):
        TVL1Flow()(picture[:10, :10], picture[:11, :10])


def test_flow_bytes_round_half_to_even_inside_the_bound() -> None:
    flow = torch.tensor([0.0, -20.0, 20.0, 99.0, -99.0, 40 / 255 * 1.0])
    assert flow_bytes(flow).tolist() == [128, 0, 255, 255, 0, 128]
    assert flow_levels(flow)[:2].tolist() == [127.5, 0.0]


def test_stored_frames_are_jpeg_at_340_by_256() -> None:
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (120, 90, 3), dtype=torch.uint8, generator=generator)
    scaled = frames.scaled_frame(pixels)
    assert scaled.shape == (256, 340, 3)
    stored = frames.jpeg_round_trip(scaled).float()
    assert 0 < (stored - scaled).abs().mean() < 15
    # channels keep their places through a library that stores them the other way round
    red = torch.zeros(40, 40, 3, dtype=torch.uint8)
    red[..., 0] = 200
    assert frames.jpeg_round_trip(red).float().mean((0, 1)).tolist() == pytest.approx(
        [200, 0, 0], abs=3
    )


def test_colour_input_is_blue_green_red_minus_means() -> None:
    stored = torch.tensor([10, 20, 30], dtype=torch.uint8).expand(256, 340, 3)
    made = frames.colour_input(stored)
    assert made.shape == (3, 224, 224)
    assert made[:, 5, 5].tolist() == [30 - 104, 20 - 117, 10 - 128]
    right = torch.full((256, 340, 2), 128, dtype=torch.uint8)
    right[..., 0] = 138
    assert frames.flow_input(right)[:, 5, 5].tolist() == [10, 0]


def test_the_first_frame_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "STORED_WIDTH", 34)
    monkeypatch.setattr(frames, "STORED_HEIGHT", 26)
    shades = [torch.full((30, 40, 3), level, dtype=torch.uint8) for level in (10, 90, 170)]
    colours = [float(made[0].mean()) + 104 for made in frames.colour_inputs(iter(shades))]
    assert colours == pytest.approx([90, 170], abs=1)
    both = list(frames.both_inputs(iter(shades)))
    assert [float(each.colour[0].mean()) + 104 for each in both] == pytest.approx(colours)
    assert both[0].flow.shape == (2, 224, 224)
