"""Strict loading of SpecVQGAN's full-size entry lists into networks without memory behind them."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.keymap import Account, load_strict
from earsight.models.mel_vqgan.discriminator import PatchDiscriminator
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.mel_vqgan.perceptual import LPAPS
from earsight.models.mel_vqgan.published import (
    MODEL_KEYS,
    discriminator_keys,
    perceptual_keys,
)
from earsight.models.mel_vqgan.published import config_from_entries as codebook_config
from earsight.models.token_gpt.model import TokenGPT
from earsight.models.token_gpt.published import PERMUTER_KEYS, transformer_keys
from earsight.models.token_gpt.published import config_from_entries as transformer_config
from earsight.models.vggishish.model import VGGishish
from earsight.models.vggishish.published import config_from_entries as classifier_config
from earsight.models.vggishish.published import vggishish_keys
from earsight.parity.cases import Case
from earsight.parity.compare import Row
from earsight.parity.loading import account_row, below, meta_entries
from earsight.parity.specvqgan_configs import judge_config, perceptual_config
from earsight.parity.specvqgan_losses import DISCRIMINATOR, PERCEPTUAL
from earsight.parity.specvqgan_transformer import FIRST_STAGE, TRANSFORMER


def run_codebook_keys(case: Case) -> Iterator[Row]:
    """A codebook file: the codebook model, and the judges it was trained against if there."""
    entries = meta_entries(case)
    yield from account_row(case, _codebook_accounts(entries))


def run_transformer_keys(case: Case) -> Iterator[Row]:
    """A transformer file: its codebook model, the transformer and the order of its codes."""
    entries = meta_entries(case)
    accounts = _codebook_accounts(below(entries, FIRST_STAGE))
    rest = {name: value for name, value in entries.items() if not name.startswith(FIRST_STAGE)}
    config = transformer_config(rest, prefix=TRANSFORMER)
    network = on_meta(lambda: TokenGPT(config))
    keys = {**PERMUTER_KEYS, **transformer_keys(config.condition)}
    yield from account_row(case, [*accounts, load_strict(network, rest, keys)])


def run_classifier_keys(case: Case) -> Iterator[Row]:
    """The VGGish-ish file's network."""
    entries = meta_entries(case)
    config = classifier_config(entries)
    network = on_meta(lambda: VGGishish(config))
    yield from account_row(case, [load_strict(network, entries, vggishish_keys(config))])


def _codebook_accounts(entries: Mapping[str, Tensor]) -> Iterator[Account]:
    """Strict loads of the codebook model and of its judges, where the file has them."""
    own = {name: value for name, value in entries.items() if not name.startswith("loss.")}
    config = codebook_config(own)
    yield load_strict(on_meta(lambda: MelVQGAN(config)), own, MODEL_KEYS)
    perceptual = below(entries, PERCEPTUAL)
    if perceptual:
        num_mels = perceptual["scaling_layer.shift"].shape[2]
        shapes = {name: tuple(value.shape) for name, value in perceptual.items()}
        sizes = perceptual_config(shapes, num_mels=num_mels)
        # built on the CPU: its statistics come from a stored table
        yield load_strict(LPAPS(sizes).to("meta"), perceptual, perceptual_keys(sizes))
    judge = below(entries, DISCRIMINATOR)
    if judge:
        judge_sizes = judge_config({name: tuple(value.shape) for name, value in judge.items()})
        network = on_meta(lambda: PatchDiscriminator(judge_sizes))
        yield load_strict(network, judge, discriminator_keys(judge_sizes))
