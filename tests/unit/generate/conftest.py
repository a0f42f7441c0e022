"""A short silent clip that moves, made once."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from earsight.media.mux import write_video


@pytest.fixture(scope="session")
def moving_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("moving") / "square.mp4"
    pictures = torch.full((60, 48, 64, 3), 40, dtype=torch.uint8)
    for index in range(60):
        left = 2 * index % 48
        pictures[index, 16:32, left : left + 16] = 200
    write_video(path, iter(pictures), fps=Fraction(43, 2))
    return path
