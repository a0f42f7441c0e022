"""Golden cases of the networks and front ends behind generation metrics.

Axes: b clips, e examples or segments, t frames, m mel bands, d features.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.keymap import KeyMap, load_strict
from earsight.checkpoints.published import PublishedPart
from earsight.data.corpora.imagehear import imagehear_classes, zeroed_classes
from earsight.frontends import cnn14_mel, fad_windows, passt_mel, synchformer_inputs, vggish_mel
from earsight.models.cnn14.model import Cnn14
from earsight.models.cnn14.published import cnn14_keys
from earsight.models.cnn14.published import config_from_entries as cnn14_config
from earsight.models.judge_archives import JUDGES
from earsight.models.synchformer.config import SynchformerConfig
from earsight.models.synchformer.model import Synchformer
from earsight.models.synchformer.published import KEYS as SYNCHFORMER_KEYS
from earsight.models.synchformer.published import config_from_entries as synchformer_config
from earsight.models.vggish.model import VGGish
from earsight.models.vggish.published import config_from_entries as vggish_config
from earsight.models.vggish.published import vggish_keys
from earsight.parity.cases import Case
from earsight.parity.compare import Outputs, Row, compare, equal
from earsight.parity.loading import account_row, filled, meta_entries
from earsight.parity.passt import loaded_passt
from earsight.parity.runners import Runner, must_be
from earsight.settings import to_plain

PARTS: Mapping[str, PublishedPart] = {
    part.family: part for record in JUDGES for part in record.parts
}


def run_vggish(case: Case) -> Iterator[Row]:
    """Log-mel examples, and the embedding of each."""
    must_be(case.config, sr=vggish_mel.RATE_HZ, example="96 frames x 64 mel bands")
    entries = case.entries()
    config = vggish_config(entries)
    network = filled(on_meta(lambda: VGGish(config)), entries, vggish_keys(config))
    examples = vggish_mel.log_mel_examples(case.input("wave"))
    with torch.inference_mode():
        embedding = network(examples.flatten(0, 1)).unflatten(0, examples.shape[:2])
    ends = both_ends(case, "examples_frames", examples[0, -1], axis=0)
    yield from whole_and_parts(
        case,
        parts={"examples_frames": ends, "embedding": embedding},
        whole={"examples": examples, "embedding": embedding},
    )


def run_cnn14(case: Case) -> Iterator[Row]:
    """Log-mel, features and class scores."""
    official = case.config
    settings = cnn14_mel.Cnn14MelConfig(
        rate_hz=official["sample_rate"],
        fft_samples=official["window_size"],
        hop_samples=official["hop_size"],
        num_mels=official["mel_bins"],
        low_hz=float(official["fmin"]),
        high_hz=float(official["fmax"]),
    )
    kept = set(map(str, case.spec.get("keep", ())))
    entries = case.entries(keep=lambda name, size: torch.zeros(size) if name in kept else None)
    config = cnn14_config(entries)
    network = filled(on_meta(lambda: Cnn14(config)), entries, cnn14_keys(config))
    mel = cnn14_mel.log_mel(case.input("wave"), settings)
    with torch.inference_mode():
        output = network(mel)
    yield from whole_and_parts(
        case,
        parts={
            "logmel": both_ends(case, "logmel", mel[0], axis=0),
            f"embedding_{output.features.shape[1]}": output.features,
            "logits": output.logits,
        },
        whole={
            "logmel": mel,
            str(output.features.shape[1]): output.features,
            "logits": output.logits,
        },
    )


def run_passt(case: Case) -> Iterator[Row]:
    """Log-mel, features and class scores."""
    network = loaded_passt(case, case.entries())
    mel = passt_mel.log_mel(case.input("wave"))
    with torch.inference_mode():
        output = network(mel)
    named = {"logits": output.logits, "features": output.features}
    ends = both_ends(case, "mel", mel[0].mT, axis=0)
    yield from whole_and_parts(case, parts={"mel": ends, **named}, whole={"mel": mel, **named})


def run_synchformer(case: Case) -> Iterator[Row]:
    """Log-mel, features of both streams, scores of the comparison, DeSync."""
    entries = case.entries()
    config = synchformer_config(
        entries,
        num_heads=case.config.get("num_heads"),
        compare_heads=case.config.get("compare_heads"),
    )
    _check_synchformer(case, config)
    network = filled(on_meta(lambda: Synchformer(config)), entries, SYNCHFORMER_KEYS)
    outputs: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    with torch.inference_mode():
        if case.has_input("wave"):
            segments = synchformer_inputs.audio_segments(case.input("wave"))
            log_mel = synchformer_inputs.segment_log_mel(segments)
            features = network.sound_features(synchformer_inputs.audio_input(log_mel))
            if "log_mel" in case.stored:
                outputs["log_mel"] = both_ends(case, "log_mel", log_mel[0, 0], axis=1)
            whole["audio_segment_features"] = features
        if case.has_input("frames"):
            pieces = synchformer_inputs.video_segments(case.input("frames"))
            whole["video_segment_features"] = network.video_features(pieces)
        if case.has_input("video_features"):
            logits = network.compare(case.input("video_features"), case.input("audio_features"))
            whole["logits"] = logits
            outputs["desync"] = network.offset_seconds(logits)
    for name, array in whole.items():
        stored = case.stored.get(name)
        outputs[name] = array if stored is None else array[..., : stored.shape[-1]]
    yield from whole_and_parts(case, parts=outputs, whole=whole)


def _check_synchformer(case: Case, config: SynchformerConfig) -> None:
    limit = config.max_offset_seconds
    must_be(
        case.config,
        grid=f"{config.num_offsets} values, linspace({-limit:g}, {limit:g})",
        segments=config.num_segments,
        video=(
            f"{config.segment_frames} frames per segment, stride "
            f"{synchformer_inputs.STEP_FRAMES}, {config.picture_size}x{config.picture_size}"
        ),
        audio=(
            f"{synchformer_inputs.SEGMENT_SAMPLES} samples per segment, stride "
            f"{synchformer_inputs.STEP_SAMPLES} at {synchformer_inputs.RATE_HZ // 1000} kHz"
        ),
    )


def run_fad_windows(case: Case) -> Iterator[Row]:
    """Examples of the original FAD tool's windows."""
    official = case.config
    must_be(official, sr=vggish_mel.RATE_HZ)
    divisor = re.fullmatch(r"max\(([\d.]+), max\(sample\)\)", str(official.get("divide_by", "")))
    convention = replace(
        fad_windows.google(),
        window_samples=official["window"],
        step_samples=official["step"],
        divide_by_maximum=float(divisor[1]) if divisor else None,
    )
    wave = case.input("wave")
    wave = wave[None] if wave.ndim == 1 else wave
    examples = fad_windows.cut_examples(wave, convention).flatten(0, 1)
    yield from whole_and_parts(
        case,
        parts={"examples_frames": both_ends(case, "examples_frames", examples, axis=1)},
        whole={"examples": examples},
    )


def run_imagehear_classes(case: Case) -> Iterator[Row]:
    """The table of classes, as stored in the package."""
    own = {name: to_plain(item) for name, item in imagehear_classes().items()}
    yield equal(case, "class names", list(own), list(case.spec["classes"]))
    for name, expected in case.spec["classes"].items():
        found = own.get(name, {})
        yield equal(case, name, {field: found.get(field) for field in expected}, expected)
    zeroed = case.spec["zeroed_audioset_classes"]
    yield equal(case, "zeroed classes", dict(zeroed_classes()), zeroed)


def keys_runner(family: str) -> Runner:
    """Strict load of a published file's names and shapes at full size."""

    def run(case: Case) -> Iterator[Row]:
        entries = meta_entries(case)
        part = PARTS[family]
        network = on_meta(lambda: part.build(part.config(entries)))
        keys: KeyMap = part.keys(entries)
        yield from account_row(case, [load_strict(network, entries, keys)])

    return run


def both_ends(case: Case, name: str, array: Tensor, *, axis: int) -> Tensor:
    """The first and last entries along `axis`, half as many of each as the stored array holds."""
    stored = case.stored.get(name)
    count = array.shape[axis] if stored is None else stored.shape[axis]
    size, head = array.shape[axis], count - count // 2
    kept = [*range(min(head, size)), *range(max(size - count // 2, 0), size)]
    return array.index_select(axis, torch.tensor(kept))


def whole_and_parts(case: Case, *, parts: Outputs, whole: Outputs) -> Iterator[Row]:
    """Rows of the stored parts of arrays, then of mean and spread of the arrays they are from."""
    without = {name: part for name, part in case.spec.items() if name != "full_mean_std"}
    yield from compare(replace(case, spec=without), parts)
    yield from compare(replace(case, stored={}), whole)


KINDS: dict[str, Runner] = {
    "vggish": run_vggish,
    "vggish.keys": keys_runner("vggish"),
    "cnn14": run_cnn14,
    "cnn14.keys": keys_runner("cnn14"),
    "passt": run_passt,
    "passt.keys": keys_runner("passt"),
    "synchformer": run_synchformer,
    "synchformer.keys": keys_runner("synchformer"),
    "fad_windows": run_fad_windows,
    "imagehear_classes": run_imagehear_classes,
}
