"""Published sizes in full: each builds, and runs forward and backward once, in its own process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from earsight.errors import ConfigError
from earsight.evaluate.arms import in_turns
from earsight.losses.reconstruction import reconstruction_loss
from earsight.models.ast.config import base as ast_base
from earsight.models.ast.model import Ast
from earsight.models.audiomae.config import (
    AudioTaggerConfig,
    EncoderConfig,
    MaskedAutoencoderConfig,
    vit_base,
    vit_large,
    vit_small,
)
from earsight.models.audiomae.masking import Masking
from earsight.models.audiomae.model import AudioTagger, MaskedAutoencoder
from earsight.models.audiomae.patches import patchify
from earsight.models.htsat.config import audioset
from earsight.models.htsat.model import Htsat
from earsight.models.passt.config import PasstConfig
from earsight.models.passt.model import Passt
from earsight.models.ssast.config import SsastConfig, of_frames
from earsight.models.ssast.config import base as ssast_base
from earsight.models.ssast.masking import mask_numbers
from earsight.models.ssast.model import Ssast
from earsight.training.precision import Precision, autocast

SSAST_MASKED = 400


@dataclass(frozen=True, slots=True)
class Trained:
    """A network, and its loss on a batch of noise; `loss` takes whether to recompute."""

    network: nn.Module
    loss: Callable[[bool], Tensor]
    recomputes: bool = True


Build = Callable[[int], Trained]
"""Makes a network whose loss is that of so many clips."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSize:
    """One row of the table: seconds of one forward and backward pass, peak memory of its process.

    `recompute` says whether blocks were computed again in the backward pass to save memory.
    """

    network: str
    recompute: bool
    batch: int
    million_parameters: float
    seconds: float
    loaded_mib: int
    peak_memory_mib: int


def network_sizes(
    names: Sequence[str], *, batch: int, precision: Precision, num_threads: int | None = None
) -> Iterator[NetworkSize]:
    """Run every network once with its activations kept and once with them recomputed.

    Raises ConfigError for an unknown name, EarsightError when a network's process dies.
    """
    unknown = sorted(set(names) - set(NETWORKS))
    if unknown:
        raise ConfigError(f"no network {', '.join(unknown)}: take some of {', '.join(NETWORKS)}")
    for name in names:
        with torch.device("meta"):
            made = NETWORKS[name](1)
        count = sum(own.numel() for own in made.network.parameters())
        for recompute in (False, True) if made.recomputes else (False,):
            work = partial(one_pass, name, batch=batch, precision=precision, recompute=recompute)
            found = in_turns({name: work}, repeats=1, warm_ups=0, num_threads=num_threads)[name]
            yield NetworkSize(
                network=name,
                recompute=recompute,
                batch=batch,
                million_parameters=round(count / 1e6, 2),
                seconds=round(found.middle, 2),
                loaded_mib=found.loaded_mib,
                peak_memory_mib=found.peak_memory_mib,
            )


def one_pass(
    name: str, *, batch: int, precision: Precision, recompute: bool
) -> Callable[[], object]:
    """The work of one forward and backward pass."""
    trained = NETWORKS[name](batch)
    trained.network.train()

    def work() -> None:
        with autocast("cpu", precision):
            loss = trained.loss(recompute)
        loss.backward()  # pyright: ignore[reportUnknownMemberType] untyped in torch

    return work


def _pretrained_audiomae(encoder: Callable[[], EncoderConfig], batch: int) -> Trained:
    config = MaskedAutoencoderConfig(encoder=encoder())
    network = MaskedAutoencoder(config)

    def loss(recompute: bool) -> Tensor:
        fbank, rng = torch.randn(batch, 1024, 128), _draws()
        mask = Masking().draw(config.encoder.grid, batch=batch, rng=rng)
        found = network(fbank, mask, rng=rng, recompute=recompute)
        return reconstruction_loss(found.patches, patchify(fbank, config.encoder), mask.masked)

    return Trained(network, loss)


def _audiomae_tagger(batch: int) -> Trained:
    network = AudioTagger(AudioTaggerConfig())

    def loss(recompute: bool) -> Tensor:
        fbank = torch.randn(batch, 1024, 128)
        return _size(network(fbank, rng=_draws(), recompute=recompute).logits)

    return Trained(network, loss)


def _ast(batch: int) -> Trained:
    network = Ast(ast_base())

    def loss(recompute: bool) -> Tensor:
        return _size(network(torch.randn(batch, 1024, 128), recompute=recompute).logits)

    return Trained(network, loss)


def _ssast(config: Callable[[], SsastConfig], batch: int) -> Trained:
    sizes = config()
    network = Ssast(sizes)

    def loss(recompute: bool) -> Tensor:
        rng = _draws()
        matched, rebuilt = (
            mask_numbers(sizes, num_clips=batch, num_masked=SSAST_MASKED, generator=rng)
            for _ in range(2)
        )
        found = network(
            torch.randn(batch, sizes.num_frames, sizes.num_mels),
            matched=matched,
            rebuilt=rebuilt,
            recompute=recompute,
        )
        missed = _size(found.rebuilt - found.rebuild_target)
        return _size(found.matched - found.match_target) + missed

    return Trained(network, loss)


def _htsat(batch: int) -> Trained:
    network = Htsat(audioset())

    def loss(recompute: bool) -> Tensor:
        mel = torch.randn(batch, 1001, 64)
        return _size(network(mel, rng=_draws(), recompute=recompute).logits)

    return Trained(network, loss)


def _passt(batch: int) -> Trained:
    network = Passt(PasstConfig())
    return Trained(
        network, lambda _: _size(network(torch.randn(batch, 128, 998)).logits), recomputes=False
    )


def _size(x: Tensor) -> Tensor:
    return x.float().square().mean()


def _draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)


NETWORKS: Mapping[str, Build] = {
    "audiomae-small": partial(_pretrained_audiomae, vit_small),
    "audiomae-base": partial(_pretrained_audiomae, vit_base),
    "audiomae-large": partial(_pretrained_audiomae, vit_large),
    "audiomae-base-tagger": _audiomae_tagger,
    "ast-base384": _ast,
    "ssast-base-patch": partial(_ssast, ssast_base),
    "ssast-base-frame": partial(_ssast, lambda: of_frames(ssast_base())),
    "htsat": _htsat,
    "passt": _passt,
}
