"""How the FAD tools load sound and cut it into VGGish examples.

Their scores are not comparable with each other; a score names its tool. What differs is the mix
to one channel, a removed mean, the division by the loudest sample, overlap, and the last rectifier.
Sources: official repositories google-research/google-research (frechet_audio_distance),
gudgud96/frechet-audio-distance, haoheliu/audioldm_eval, hkchengrex/av-benchmark.

Axes: b clips, c channels, s samples, e examples, t frames, m mel bands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import ConfigError, InputError
from earsight.frontends.vggish_mel import EXAMPLE_SAMPLES, RATE_HZ, log_mel_examples

Tool = Literal["google", "gudgud96", "audioldm_eval", "av_benchmark"]
INT16_SCALE = 32768


@dataclass(frozen=True, kw_only=True, slots=True)
class FadConvention:
    """One tool's way from a file to examples.

    `window_samples` None takes examples side by side from the whole clip, a number takes the first
    example of every window. `divide_by_maximum` is the least divisor: samples are divided by the
    largest one (its sign kept) where that is larger. `whole_numbers` reads samples as 16-bit
    numbers, not as fractions. `rectified` says whether the last rectifier is applied, `pad_samples`
    to how many samples shorter clips are filled with zeros.
    """

    channels: Literal["mono", "mean", "first"] = "mean"
    whole_numbers: bool = False
    remove_mean: bool = False
    divide_by_maximum: float | None = None
    pad_samples: int = 0
    window_samples: int | None = None
    step_samples: int | None = None
    rectified: bool = False

    def __post_init__(self) -> None:
        """Refuse windows without a step, and windows that hold no example."""
        if (self.window_samples is None) != (self.step_samples is None):
            raise ConfigError("FAD windows: give window_samples and step_samples, or neither")
        if self.window_samples is not None and self.window_samples < EXAMPLE_SAMPLES:
            raise ConfigError(
                f"FAD windows: {self.window_samples} samples hold no example of {EXAMPLE_SAMPLES}"
            )
        if self.step_samples is not None and self.step_samples < 1:
            raise ConfigError(f"FAD windows: step_samples must be >= 1, got {self.step_samples}")


def google(*, rectified: bool = False) -> FadConvention:
    """The original tool, also behind AudioCraft: 1 s every 0.5 s, one example of each.

    Its TensorFlow network had the last rectifier in 2019 (`rectified`) and lost it later.
    """
    return FadConvention(
        channels="mono",
        whole_numbers=True,
        divide_by_maximum=0.1,
        window_samples=RATE_HZ,
        step_samples=RATE_HZ // 2,
        rectified=rectified,
    )


def gudgud96(*, rectified: bool = False) -> FadConvention:
    """The package of that author: mean of the channels, examples side by side."""
    return FadConvention(rectified=rectified)


def audioldm_eval() -> FadConvention:
    """First channel without its mean, at least 2 s."""
    return FadConvention(channels="first", remove_mean=True, pad_samples=2 * RATE_HZ)


def av_benchmark() -> FadConvention:
    """Mean of the channels without its mean; the caller cuts to the evaluated length."""
    return FadConvention(remove_mean=True)


CONVENTIONS: Mapping[Tool, FadConvention] = {
    "google": google(),
    "gudgud96": gudgud96(),
    "audioldm_eval": audioldm_eval(),
    "av_benchmark": av_benchmark(),
}


def mono(sound: Float[Tensor, "c s"], convention: FadConvention) -> Float[Tensor, " s"]:
    """One channel from samples in [-1, 1], before resampling to 16 kHz.

    Raises InputError for two channels where the tool takes mono files alone.
    """
    match convention.channels:
        case "mono" if sound.shape[0] != 1:
            raise InputError(
                f"sound has {sound.shape[0]} channels, this tool takes one: mix it first"
            )
        case "mean":
            wave = sound.mean(dim=0)
        case _:
            wave = sound[0]
    return wave - wave.mean() if convention.remove_mean else wave


def sixteen_bit_numbers(wave: Float[Tensor, "b s"]) -> Float[Tensor, "b s"]:
    """Samples in [-1, 1] as the whole numbers that a 16-bit file holds of them."""
    return (wave * INT16_SCALE).round().clamp(-INT16_SCALE, INT16_SCALE - 1)


def fad_examples(wave: Float[Tensor, "b s"], convention: FadConvention) -> Float[Tensor, "b e t m"]:
    """VGGish examples of mono clips at 16 kHz in [-1, 1].

    Raises InputError for clips that hold no example or no window.
    """
    if convention.whole_numbers:
        wave = sixteen_bit_numbers(wave)
    return cut_examples(wave, convention)


def cut_examples(
    samples: Float[Tensor, "b s"], convention: FadConvention
) -> Float[Tensor, "b e t m"]:
    """VGGish examples of samples on the scale that the tool reads them in.

    Raises InputError for clips that hold no example or no window.
    """
    missing = convention.pad_samples - samples.shape[1]
    if missing > 0:
        samples = functional.pad(samples, (0, missing))
    if convention.divide_by_maximum is not None:
        loudest = samples.amax(dim=1, keepdim=True)
        samples = samples / loudest.clamp(min=convention.divide_by_maximum)
    if convention.window_samples is None or convention.step_samples is None:
        return log_mel_examples(samples)
    if samples.shape[1] < convention.window_samples:
        raise InputError(
            f"clip has {samples.shape[1]} samples, one window needs {convention.window_samples}: "
            "use a longer sound or pad it"
        )
    windows = samples.unfold(1, convention.window_samples, convention.step_samples)
    examples = log_mel_examples(rearrange(windows, "b e s -> (b e) s")[:, :EXAMPLE_SAMPLES])
    return rearrange(examples, "(b e) 1 t m -> b e t m", b=samples.shape[0])
