"""Golden cases of Audio-MAE: filterbank, positions, pre-training, fine-tuning, rates, files.

Axes: b clips, t frames, m mel bands, n tokens, k classes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.keymap import load_strict
from earsight.errors import InputError
from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.frontends.kaldi_fbank import FbankSettings, log_fbank, network_input
from earsight.losses.reconstruction import reconstruction_loss
from earsight.models.audiomae.config import (
    AudioTaggerConfig,
    EncoderConfig,
    MaskedAutoencoderConfig,
)
from earsight.models.audiomae.groups import layer_decay_groups
from earsight.models.audiomae.masking import TokenMask, random_mask, time_frequency_mask
from earsight.models.audiomae.model import AudioTagger, MaskedAutoencoder
from earsight.models.audiomae.patches import patchify, position_table
from earsight.models.audiomae.published import (
    OVERLAP_STRIDE,
    TAGGER_KEYS,
    autoencoder_from_entries,
    autoencoder_keys,
    decoder_from_entries,
    encoder_from_entries,
    tagger_from_entries,
)
from earsight.parity import fill
from earsight.parity.cases import Case
from earsight.parity.compare import Row, Value, as_array, compare, equal, number
from earsight.parity.loading import (
    account_row,
    filled,
    gradient_norms,
    meta_entries,
    own_by_published,
)
from earsight.parity.runners import Runner, must_be
from earsight.parity.waves import wave_from
from earsight.training.schedules import epoch_warmup_cosine

NUMBER = r"[-+.\de]+"
SUMMARY = re.compile(rf"mean/std \[({NUMBER}), ?({NUMBER})\]")
TERM = re.compile(
    r"([.\d]+)\*\(normal\(seed, ?'(\w+)', ?(same|\[(\d+), ?(\d+)\])\) ?> ?([-.\d]+)\)"
)
SCALES = "entry -> [lr_scale, weight_decay]"


def run_fbank(case: Case) -> Iterator[Row]:
    """Raw rows, and the end of what networks take, of described waves."""
    outputs: dict[str, Value] = {}
    whole: dict[str, Tensor] = {}
    for name, value in fill.table(case.spec["inputs"]).items():
        recipe = fill.table(value)
        settings = _fbank_settings(case.config, int(recipe["sr"]))
        statistics = FbankStatistics(
            mean=float(recipe["mean"]),
            spread=float(recipe["std"]),
            num_frames=int(recipe["target_length"]),
        )
        wave = wave_from(case.seed, recipe)
        raw, ready = f"{name}_raw", f"{name}_norm_tail"
        whole[raw] = log_fbank(wave, settings=settings)[0]
        whole[ready] = network_input(wave, statistics, settings=settings)[0]
        outputs[raw] = whole[raw][torch.as_tensor(case.stored[f"{name}_frames"]).long()]
        rows = re.search(r"rows (\d+)\.\.(\d+)", case.note(ready))
        if rows is None:
            raise InputError(f"no rule for the rows of {ready!r}: {case.note(ready)!r}")
        outputs[ready] = whole[ready][int(rows[1]) : int(rows[2]) + 1]
    yield from compare(case, outputs, given=[n for n in case.stored if n.endswith("_frames")])
    yield from _summaries(case, whole)


def _fbank_settings(official: Mapping[str, Any], rate_hz: int) -> FbankSettings:
    must_be(
        official,
        preemphasis=0.97,
        remove_dc_offset=True,
        dither=0,
        snip_edges=True,
        use_power=True,
        use_energy=False,
    )
    if not str(official.get("window", "hanning")).startswith("hanning"):
        raise InputError(f"the window is always Hann's here, the case has {official['window']!r}")
    published = FbankSettings()
    settings = FbankSettings(
        rate_hz=rate_hz,
        window_samples=round(official.get("frame_length_ms", 25) * rate_hz / 1000),
        hop_samples=round(official.get("frame_shift_ms", 10) * rate_hz / 1000),
        num_mels=int(official.get("num_mel_bins", published.num_mels)),
        low_hz=float(official.get("low_freq", published.low_hz)),
        high_hz=float(official.get("high_freq", published.high_hz)),
    )
    must_be(official, fft=settings.fft_samples)
    return settings


def run_pos_embed(case: Case) -> Iterator[Row]:
    """Position tables of grids that the outputs' names tell."""
    outputs: dict[str, Value] = {}
    for name in case.stored:
        grid = re.search(r"(\d+)x(\d+)", name)
        if grid is not None:
            outputs[name] = position_table(
                num_tokens=int(grid[1]) * int(grid[2]),
                tokens_per_row=int(grid[2]),
                width=int(case.config["embed_dim"]),
            )[0]
    yield from compare(case, outputs)


def run_pretrain(case: Case) -> Iterator[Row]:
    """Mask, encoder output, predictions, both losses and gradient norms."""
    official = case.config
    must_be(official, in_chans=1, audio_exp=True)
    config = _autoencoder_config(case)
    network = MaskedAutoencoder(config)
    keys = autoencoder_keys(config.decoder)
    tables = {
        "pos_embed": network.encoder.positions,
        "decoder_pos_embed": network.decoder.positions,
    }
    entries = _entries(case, tables)
    filled(network, entries, keys)
    fbank = case.input("imgs")[:, 0]
    mask = _mask(case, published_order=True)
    output = network(fbank, mask)
    patches, masked = patchify(fbank, config.encoder), mask.masked
    normalise = bool(official.get("norm_pix_loss", False))
    loss, other = (
        reconstruction_loss(output.patches, patches, masked, normalise=own)
        for own in (normalise, not normalise)
    )
    whole = {"encoded": output.latent, "pred": output.patches}
    outputs: dict[str, Value] = {
        "loss": loss.reshape(1),
        "loss_other_norm": other.reshape(1),
        "mask": masked,
        "ids_restore": mask.restore,
        "grad_norms": _norms(case, network, loss, keys, entries),
        **whole,
    }
    yield from compare(case, outputs)
    yield from _summaries(case, whole)


def run_finetune(case: Case) -> Iterator[Row]:
    """Scores without and with masks, both losses, gradient norms, and the parameter groups."""
    official = case.config
    must_be(official, global_pool=True, in_chans=1)
    shapes = _shapes(case)
    config = AudioTaggerConfig(
        encoder=_encoder_config(case, shapes), num_classes=shapes["head.weight"].shape[0]
    )
    must_be(official, num_classes=config.num_classes)
    network = AudioTagger(config)
    entries = _entries(case, {"pos_embed": network.encoder.positions})
    filled(network, entries, TAGGER_KEYS)
    fbank, targets = case.input("imgs")[:, 0], _targets(case)
    plain = network(fbank).logits
    hidden = network(fbank, _mask(case, published_order=False)).logits
    losses = [
        functional.binary_cross_entropy_with_logits(logits, targets) for logits in (plain, hidden)
    ]
    outputs: dict[str, Value] = {
        "logits": plain,
        "logits_masked": hidden,
        "loss": torch.stack(losses),
        "grad_norms": _norms(case, network, losses[1], TAGGER_KEYS, entries),
    }
    yield from compare(case, outputs)
    yield from _group_rows(case, network, entries)


def _group_rows(case: Case, network: AudioTagger, entries: Mapping[str, Tensor]) -> Iterator[Row]:
    spec = fill.table(case.spec.get("param_groups"))
    if not spec:
        return
    groups = layer_decay_groups(
        network,
        weight_decay=float(spec["weight_decay"]),
        layer_decay=float(spec["layer_decay"]),
    )
    ours = {
        name: [group.rate_scale, group.weight_decay]
        for group in groups
        for name in group.parameters
    }
    published = {
        name: ours[own]
        for name, own in own_by_published(TAGGER_KEYS, entries).items()
        if own in ours
    }
    expected = fill.table(spec[SCALES])
    yield equal(case, "param_groups", sorted(published), sorted(expected))
    pairs = [published.get(name, [0.0, 0.0]) for name in expected]
    yield number(case, "param_groups (scale, decay)", np.asarray(pairs), list(expected.values()))


def _autoencoder_config(case: Case) -> MaskedAutoencoderConfig:
    official, shapes = case.config, _shapes(case)
    encoder = _encoder_config(case, shapes)
    told = re.search(r"(\d+) heads in both", str(official.get("decoder_blocks")))
    decoder = decoder_from_entries(shapes)
    heads = told[1] if told else official.get("decoder_num_heads", decoder.num_heads)
    decoder = replace(decoder, num_heads=int(heads))
    must_be(official, decoder_embed_dim=decoder.width)
    is_local = not decoder.keeps_class_token
    must_be({"decoder_mode": int(official.get("decoder_mode", 0))}, decoder_mode=int(is_local))
    if encoder.stride < encoder.patch:
        decoder = replace(decoder, window=(6, 6))
    if official.get("no_shift"):
        decoder = replace(decoder, shift=(0, 0))
    return MaskedAutoencoderConfig(encoder=encoder, decoder=decoder)


def _encoder_config(case: Case, shapes: Mapping[str, Tensor]) -> EncoderConfig:
    """Sizes out of the entries; what they do not tell out of the case."""
    official = case.config
    num_frames, num_mels = (int(side) for side in official["img_size"])
    patch = int(official.get("patch_size", official.get("patch", 16)))
    stride = int(official.get("stride", OVERLAP_STRIDE))
    beside = (num_frames // patch) * (num_mels // patch)
    if shapes["pos_embed"].shape[1] == beside + 1:
        stride = patch  # the published constructor ignores its stride where patches do not overlap
    config = encoder_from_entries(shapes, num_mels=num_mels, stride=stride)
    heads = int(official.get("num_heads", config.num_heads))
    config = replace(config, num_frames=num_frames, num_heads=heads)
    told = re.search(r"grid \((\d+), ?(\d+)\)", str(case.spec.get("pos_embed")))
    if told is not None:
        config = replace(config, tokens_per_row=int(told[2]))
    must_be(official, embed_dim=config.width, depth=config.num_layers, patch_size=config.patch)
    return config


def _mask(case: Case, *, published_order: bool) -> TokenMask:
    official = case.config
    if case.has_input("noise"):
        must_be(official, mask_2d=False)
        return random_mask(case.input("noise"), ratio=float(official["mask_ratio"]))
    return time_frequency_mask(
        case.input("noise_t"),
        case.input("noise_f"),
        time=float(official.get("mask_t_prob", 0.0)),
        frequency=float(official.get("mask_f_prob", 0.0)),
        published_order=published_order,
    )


def _shapes(case: Case) -> dict[str, Tensor]:
    return {name: torch.empty(tuple(shape), device="meta") for name, shape in case.keys.items()}


def _entries(case: Case, tables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The case's entries, with the tables that a constructor makes as ours are."""
    kept = set(map(str, case.spec.get("keep", ())))
    if unknown := sorted(kept - set(tables)):
        raise InputError(f"no rule for entries kept as they are made: {', '.join(unknown)}")
    return case.entries(keep=lambda name, _: tables[name] if name in kept else None)


def _targets(case: Case) -> Tensor:
    told = str(fill.table(case.spec["inputs"]).get("targets"))
    terms = list(TERM.finditer(told))
    if not terms or len(terms) != told.count("normal("):
        raise InputError(f"no rule for targets made like this: {told!r}")
    shape, total = [0, 0], np.float32(0)
    for term in terms:
        shape = shape if term[3] == "same" else [int(term[4]), int(term[5])]
        above = fill.normal(case.seed, term[2], shape) > float(term[6])
        total = total + np.float32(term[1]) * above
    return torch.as_tensor(np.asarray(total, dtype=np.float32))


def _norms(
    case: Case,
    network: nn.Module,
    loss: Tensor,
    keys: Mapping[str, Any],
    entries: Mapping[str, Tensor],
) -> list[float]:
    network.zero_grad()
    loss.backward(retain_graph=True)  # pyright: ignore[reportUnknownMemberType] # untyped in torch
    names = re.findall(r"'([^']+)'", case.note("grad_norms"))
    return gradient_norms(network, keys, entries, names)


def _summaries(case: Case, whole: Mapping[str, Tensor]) -> Iterator[Row]:
    """Rows for mean and spread of whole arrays, which the notes of cropped outputs tell."""
    for name, value in whole.items():
        told = SUMMARY.search(case.note(name))
        if told is not None:
            array = as_array(value).astype(np.float64)
            expected = [float(told[1]), float(told[2])]
            yield number(case, f"{name} (mean, spread)", [array.mean(), array.std()], expected)


def run_lr_schedule(case: Case) -> Iterator[Row]:
    """Rates at the epochs that each schedule of the case names."""
    for name, value in case.spec.items():
        schedule = fill.table(value)
        if "lr_at" not in schedule:
            continue
        ours = [
            epoch_warmup_cosine(
                float(epoch),
                peak=float(schedule["lr"]),
                lowest=float(schedule["min_lr"]),
                warmup_epochs=float(schedule["warmup_epochs"]),
                num_epochs=float(schedule["epochs"]),
            )
            for epoch in schedule["epoch"]
        ]
        yield number(case, f"{name}.lr_at", ours, schedule["lr_at"])


def run_autoencoder_keys(case: Case) -> Iterator[Row]:
    """Strict load of a pre-training file's names and shapes at full size."""
    entries = meta_entries(case)
    config = autoencoder_from_entries(entries)
    network = on_meta(lambda: MaskedAutoencoder(config))
    account = load_strict(network, entries, autoencoder_keys(config.decoder))
    yield from account_row(case, [account])


def run_tagger_keys(case: Case) -> Iterator[Row]:
    """Strict load of a fine-tuned file's names and shapes at full size."""
    entries = meta_entries(case)
    config = tagger_from_entries(entries)
    network = on_meta(lambda: AudioTagger(config))
    yield from account_row(case, [load_strict(network, entries, TAGGER_KEYS)])


KINDS: dict[str, Runner] = {
    "fbank": run_fbank,
    "pos_embed": run_pos_embed,
    "pretrain": run_pretrain,
    "finetune": run_finetune,
    "lr_schedule": run_lr_schedule,
    "mae_vit.keys": run_autoencoder_keys,
    "vit.keys": run_tagger_keys,
}
