"""Speed of sampling and decoding, always beside the plain way in the same run."""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from earsight.checkpoints.blank import on_meta
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ
from earsight.generate.decode import Compute, MelGANVocoder, decode_mel
from earsight.generate.logits import SamplingConfig
from earsight.generate.sampler import Condition, UncachedEngine, item_uniforms, sample_codes
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.melgan.config import MelGANConfig
from earsight.models.melgan.model import MelGANGenerator
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.engine import TokenEngine
from earsight.models.token_gpt.model import TokenGPT
from earsight.nn.packed_linear import Precision


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplerSpeed:
    """One row of the table: cached sampling of whole windows, beside the plain way.

    `plain_seconds` is what one clip takes when the whole window runs again for every code, in
    fp32, extrapolated from `plain_passes` measured passes; `speedup` compares it with
    `seconds` / `batch`. `score_deviation` is the relative RMS change of the code scores against
    the plain fp32 model, given the same codes.
    """

    precision: Precision
    batch: int
    seconds: float
    prefix_seconds: float
    codes_per_second: float
    seconds_per_clip: float
    real_time_factor: float
    plain_seconds: float
    plain_passes: int
    speedup: float
    score_deviation: float
    peak_memory_mib: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderSpeed:
    """Full spectrogram decoder and vocoder on one window, and how far bf16 moves the result."""

    compute: Compute
    batch: int
    decoder_seconds: float
    vocoder_seconds: float
    seconds_per_clip: float
    real_time_factor: float
    mel_deviation: float
    wave_deviation: float
    peak_memory_mib: int


def filled(network: Callable[[], nn.Module]) -> nn.Module:
    """A network with small random weights, made without running its own initialisation."""
    made = on_meta(network).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.normal_(generator=generator)
            scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.02
            parameter.mul_(scale)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1)
    for buffer in made.buffers():
        buffer.zero_()
    return made.eval()


def sampler_speeds(
    config: TokenGPTConfig,
    *,
    precisions: tuple[Precision, ...],
    batches: tuple[int, ...],
    plain_passes: int,
    device: str = "cpu",
) -> list[SamplerSpeed]:
    """Measure every precision at every batch size; weights are random, the arithmetic is not."""
    model = filled(lambda: TokenGPT(config)).to(device)
    assert isinstance(model, TokenGPT)
    plain = _plain_seconds(model, plain_passes)
    rows: list[SamplerSpeed] = []
    for precision in precisions:
        engine = TokenEngine(model, precision=precision)
        deviation = score_deviation(model, engine)
        for batch in batches:
            rows.append(_sampler_row(engine, batch, plain, plain_passes, deviation))
    return rows


@torch.inference_mode()
def score_deviation(model: TokenGPT, engine: TokenEngine, *, num_steps: int = 24) -> float:
    """Relative RMS difference of cached scores from the plain model's over given codes."""
    config = model.config
    condition = _condition(config, 1, model.positions.device)
    given = torch.randint(
        config.num_codes, (1, 2 * num_steps), generator=torch.Generator().manual_seed(1)
    ).to(model.positions.device)
    plain = model(given, condition.features, condition.classes).logits[:, -num_steps - 1 :]
    logits, cache = engine.prefill(condition.features, condition.classes, given[:, :num_steps])
    scores = [logits]
    for position in range(num_steps, 2 * num_steps):
        scores.append(engine.step(given[:, position], cache))
    return _deviation(torch.stack(scores, dim=1), plain)


def _sampler_row(
    engine: TokenEngine, batch: int, plain: float, plain_passes: int, deviation: float
) -> SamplerSpeed:
    config = engine.config
    condition = _condition(config, batch, engine.device)
    generators = [torch.Generator().manual_seed(item) for item in range(batch)]
    uniforms = item_uniforms(generators, config.num_grid_codes)
    sampling = SamplingConfig(top_k=max(1, config.num_codes // 2))
    empty = torch.zeros(batch, 0, dtype=torch.long, device=engine.device)
    prefix = _timed(lambda: engine.prefill(condition.features, condition.classes, empty))
    seconds = _timed(lambda: sample_codes(engine, condition, uniforms=uniforms, sampling=sampling))
    clip_seconds = config.grid_columns * 16 * MEL_HOP_SAMPLES / MEL_RATE_HZ
    return SamplerSpeed(
        precision=engine.precision,
        batch=batch,
        seconds=round(seconds, 3),
        prefix_seconds=round(prefix, 3),
        codes_per_second=round(batch * config.num_grid_codes / seconds, 1),
        seconds_per_clip=round(seconds / batch, 3),
        real_time_factor=round(batch * clip_seconds / seconds, 3),
        plain_seconds=round(plain, 1),
        plain_passes=plain_passes,
        speedup=round(plain / (seconds / batch), 1),
        score_deviation=round(deviation, 6),
        peak_memory_mib=peak_memory_mib(),
    )


def _plain_seconds(model: TokenGPT, passes: int) -> float:
    """One clip with the whole window run for every code, from `passes` measured passes."""
    engine = UncachedEngine(model, whole_window=True)
    condition = _condition(model.config, 1, model.positions.device)
    codes = torch.zeros(1, 0, dtype=torch.long, device=model.positions.device)
    run = lambda: engine.prefill(condition.features, condition.classes, codes)  # noqa: E731
    run()
    return sum(_timed(run) for _ in range(passes)) / passes * model.config.num_grid_codes


def decoder_speeds(
    codebook: MelVQGANConfig, vocoder: MelGANConfig, *, batches: tuple[int, ...], columns: int = 53
) -> list[DecoderSpeed]:
    """Measure decoder and vocoder in fp32 and bf16 on random codes; deviations are relative RMS."""
    network = filled(lambda: MelVQGAN(codebook))
    generator = MelGANGenerator(vocoder).eval()
    assert isinstance(network, MelVQGAN)
    rows: list[DecoderSpeed] = []
    computes: tuple[Compute, ...] = ("fp32", "bf16")
    for batch in batches:
        draws = torch.Generator().manual_seed(0)
        grid = torch.randint(
            codebook.num_codes,
            (batch, codebook.num_mels // codebook.downsample, columns),
            generator=draws,
        )
        wanted_mel, wanted_wave = torch.zeros(0), torch.zeros(0)
        for compute in computes:
            voice = MelGANVocoder(generator, compute=compute)
            mel, decoder_seconds = _best(
                lambda c=compute, g=grid: decode_mel(network, g, compute=c)
            )
            shown = (mel - mel.mean()) / mel.std() * 0.2 + 0.4
            wave, vocoder_seconds = _best(lambda v=voice, m=shown: v(m))
            if compute == "fp32":
                wanted_mel, wanted_wave = mel, voice(shown)
            total = decoder_seconds + vocoder_seconds
            seconds = batch * columns * codebook.downsample * MEL_HOP_SAMPLES / MEL_RATE_HZ
            rows.append(
                DecoderSpeed(
                    compute=compute,
                    batch=batch,
                    decoder_seconds=round(decoder_seconds, 3),
                    vocoder_seconds=round(vocoder_seconds, 3),
                    seconds_per_clip=round(total / batch, 3),
                    real_time_factor=round(seconds / total, 2),
                    mel_deviation=round(_deviation(mel, wanted_mel), 5),
                    wave_deviation=round(_deviation(wave, wanted_wave), 5),
                    peak_memory_mib=peak_memory_mib(),
                )
            )
    return rows


def peak_memory_mib() -> int:
    """Largest resident memory of this process so far, in MiB (device memory on CUDA is apart)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


def _condition(config: TokenGPTConfig, batch: int, device: torch.device) -> Condition:
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(batch, config.num_features, config.feature_width, generator=generator)
    return Condition(
        features.to(device) if config.has_features else None,
        torch.zeros(batch, dtype=torch.long, device=device) if config.has_class else None,
    )


def _timed(work: Callable[[], object]) -> float:
    synchronise()
    start = time.perf_counter()
    work()
    synchronise()
    return time.perf_counter() - start


def _best(work: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """Result and the shorter time of two runs after a warm-up."""
    result = work()
    return result, min(_timed(work), _timed(work))


def _deviation(value: Tensor, wanted: Tensor) -> float:
    error = float((value - wanted).square().mean())
    return (error / max(float(wanted.var()), 1e-20)) ** 0.5


def synchronise() -> None:
    """Wait for a CUDA device, where this process uses one."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
