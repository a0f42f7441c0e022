"""Worn spectrograms: what is lifted, blurred and grained, and what stays."""

import pytest
import torch

from earsight.data.mel_wear import Wear, worn
from earsight.errors import ConfigError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_share_leaves_everything_as_it_is() -> None:
    mel = torch.rand(80, 40, generator=generator())
    assert worn(mel, Wear(share=0.0), generator()) is mel


def test_wear_comes_from_its_generator_alone_and_stays_in_range() -> None:
    mel = torch.rand(80, 40, generator=generator())
    first, again = (
        worn(mel, Wear(share=1.0), generator(3)),
        worn(mel, Wear(share=1.0), generator(3)),
    )
    torch.testing.assert_close(first, again, atol=0, rtol=0)
    assert not torch.equal(first, worn(mel, Wear(share=1.0), generator(4)))
    assert first.min() >= 0
    assert first.max() <= 1


def test_silence_is_lifted_and_loud_lines_stay_where_they_are() -> None:
    mel = torch.zeros(80, 40)
    mel[30] = 0.9
    floor_only = Wear(share=1.0, floor=0.3, blur_bands=0, blur_frames=0, grain=0.0)
    found = worn(mel, floor_only, generator(1))
    assert 0 < float(found[0, 0]) < 0.45
    torch.testing.assert_close(found[30], mel[30], atol=0, rtol=0)
    blur_only = Wear(share=1.0, floor=0.0, blur_bands=2, blur_frames=0, grain=0.0)
    spread = [worn(mel, blur_only, generator(seed)) for seed in range(8)]
    assert all(int(each.mean(1).argmax()) in range(28, 33) for each in spread)
    assert any(float(each[30, 0]) < 0.5 for each in spread)


def test_wear_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="share"):
        Wear(share=1.5)
    with pytest.raises(ConfigError, match="blur"):
        Wear(blur_frames=-1)
