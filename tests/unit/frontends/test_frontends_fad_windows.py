"""The loading and cutting rules of the FAD tools."""

import pytest
import torch

from earsight.errors import ConfigError, InputError
from earsight.frontends.fad_windows import (
    CONVENTIONS,
    FadConvention,
    audioldm_eval,
    av_benchmark,
    cut_examples,
    fad_examples,
    google,
    gudgud96,
    mono,
    sixteen_bit_numbers,
)
from earsight.frontends.vggish_mel import log_mel_examples


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_google_takes_a_window_every_half_second_and_divides_by_the_largest_sample() -> None:
    wave = noise(2, 40000)
    wave[0, 5], wave[1, 7] = 0.8, -0.9  # the second one's largest is not its loudest
    examples = fad_examples(wave, google())
    assert examples.shape == (2, 4, 96, 64)
    numbers = sixteen_bit_numbers(wave)
    for clip in (0, 1):
        third = (numbers[clip] / numbers[clip].max())[None, 16000:32000]
        torch.testing.assert_close(
            examples[clip, 2], log_mel_examples(third)[0, 0], atol=1e-5, rtol=0
        )
    # raw numbers: even what would be below 0.1 as a fraction is brought to full scale
    quiet = fad_examples(wave * 0.05, google())
    assert (quiet - examples).abs().mean() < 0.05
    with pytest.raises(InputError, match="15999 samples, one window needs 16000"):
        fad_examples(wave[:, :15999], google())


def test_the_divisor_has_a_floor() -> None:
    samples = noise(1, 16000) * 0.01
    expected = log_mel_examples(samples / 0.1)
    torch.testing.assert_close(cut_examples(samples, google()), expected, atol=1e-6, rtol=0)


def test_other_tools_take_examples_side_by_side() -> None:
    wave = noise(1, 33000)
    torch.testing.assert_close(
        fad_examples(wave, gudgud96()), log_mel_examples(wave), atol=0, rtol=0
    )
    short = fad_examples(noise(1, 9000), audioldm_eval())
    assert short.shape == (1, 2, 96, 64), "filled to 2 s"
    with pytest.raises(InputError, match="9000 samples"):
        fad_examples(noise(1, 9000), av_benchmark())


def test_ways_to_one_channel() -> None:
    sound = torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.5, -1.0]])
    assert mono(sound, gudgud96()).tolist() == [0.5, 0.5, -0.5]
    assert mono(sound, audioldm_eval()).tolist() == [0.5, 0.0, -0.5]
    expected = torch.tensor([0.5, 0.5, -0.5]) - 0.5 / 3
    torch.testing.assert_close(mono(sound, av_benchmark()), expected, atol=1e-7, rtol=0)
    assert mono(sound[:1], google()).tolist() == [1.0, 0.5, 0.0]
    with pytest.raises(InputError, match="2 channels, this tool takes one"):
        mono(sound, google())
    assert sixteen_bit_numbers(torch.tensor([[1.0, -1.0, 0.5]])).tolist() == [
        [32767.0, -32768.0, 16384.0]
    ]


def test_settings() -> None:
    assert [name for name, tool in CONVENTIONS.items() if tool.rectified] == []
    assert google(rectified=True).rectified
    with pytest.raises(ConfigError, match="or neither"):
        FadConvention(window_samples=16000)
    with pytest.raises(ConfigError, match="hold no example"):
        FadConvention(window_samples=100, step_samples=100)
