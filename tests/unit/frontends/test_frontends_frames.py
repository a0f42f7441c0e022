"""Frames as the published picture networks saw them."""

import pytest
import torch

from earsight.frontends import resnet50_frames


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
