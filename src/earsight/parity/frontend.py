"""Golden cases of the spectrogram and video front ends."""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.keymap import load_strict
from earsight.errors import InputError
from earsight.extras import require
from earsight.frontends import griffin_lim, specvqgan_mel, tvl1_flow, visual_features
from earsight.models.bn_inception.config import BNInceptionConfig
from earsight.models.bn_inception.model import BNInception
from earsight.models.bn_inception.published import bn_inception_keys, published_modules
from earsight.models.bn_inception.published import config_from_entries as bn_config
from earsight.parity import fill
from earsight.parity.cases import NUMBER, Case
from earsight.parity.compare import Row, Value, compare, equal
from earsight.parity.loading import account_row, filled, meta_entries
from earsight.parity.runners import Runner, must_be

SINES = re.compile(
    r"arange\(samples\)/(?P<rate>\d+).*"
    r'tokens\(seed, ?"freqs", ?\[(?P<count>\d+)\], ?(?P<high>\d+)\) \+ (?P<low>\d+) Hz.*'
    rf"sum_i (?P<level>{NUMBER})\*sin.*"
    rf"\((?P<base>{NUMBER}) \+ (?P<depth>{NUMBER})\*sin\(2\*pi\*(?P<beat>{NUMBER})\*t\)\).*"
    rf'\+ (?P<noise>{NUMBER})\*normal\(seed, ?"noise".*'
    r"cut to (?P<length>\d+) samples",
    re.DOTALL,
)
WINDOWS = re.compile(
    r"bicubic resize .* to (\d+)x(\d+), min-max scaled to 0\.\.255, "
    r"first frame = rows (\d+)\.\.(\d+), columns (\d+)\.\.(\d+) rounded to uint8; "
    r"second frame = the same window moved by \((-?\d+), (-?\d+)\)"
)
TVL1_PARAMETERS = {  # OpenCV's defaults, which the official script leaves alone
    "Epsilon": 0.01,
    "Gamma": 0.0,
    "InnerIterations": 30,
    "Lambda": 0.15,
    "MedianFiltering": 5,
    "OuterIterations": 10,
    "ScaleStep": 0.8,
    "ScalesNumber": 5,
    "Tau": 0.25,
    "Theta": 0.3,
    "UseInitialFlow": False,
    "WarpingsNumber": 5,
}


def run_mel(case: Case) -> Iterator[Row]:
    """SpecVQGAN's log-mel of a sum of sines, its inverse, and Griffin-Lim from zero phases."""
    config = case.config
    must_be(
        config,
        sr=specvqgan_mel.MEL_RATE_HZ,
        n_fft=specvqgan_mel.FFT_SAMPLES,
        hop=specvqgan_mel.MEL_HOP_SAMPLES,
        n_mels=specvqgan_mel.NUM_MELS,
        fmin=125,
        fmax=7600,
        power=1,
        center=True,
        pad_mode="reflect",
        floor=specvqgan_mel.MEL_FLOOR,
    )
    outputs: dict[str, Any] = {}
    if case.has_input("wave"):
        mel = _mel_of(case, wave_of_sines(case.seed, case.spec["inputs"]["wave"]))
        outputs["mel"] = mel
        outputs["mel_columns"] = lambda: mel[:, config["mel_columns"]]
        for name in case.stored:
            if row := re.fullmatch(r"mel_row_(\d+)", name):
                outputs[name] = mel[int(row[1])]
        outputs["amplitude"] = lambda: specvqgan_mel.mel_amplitude(_inverted_columns(case, mel))
        outputs["clipped_lstsq"] = lambda: griffin_lim.stft_magnitude(
            specvqgan_mel.mel_amplitude(_inverted_columns(case, mel))
        )
    if case.has_input("mag"):
        outputs["griffinlim_wave"] = lambda: _griffin_lim(case)
    yield from compare(case, outputs)


def wave_of_sines(seed: int, recipe: dict[str, Any]) -> Float[Tensor, " s"]:
    """Sines at drawn frequencies, beating in level, with a little noise, zero-padded or cut.

    All numbers are read from the recipe's text; InputError where it says something else.
    """
    told = SINES.search(str(recipe.get("how")))
    if told is None:
        raise InputError(f"no rule for a wave made like this: {recipe.get('how')!r}")
    count, num_samples = int(told["count"]), int(recipe["samples"])
    time = np.arange(num_samples) / int(told["rate"])
    hertz = fill.tokens(seed, "freqs", [count], high=int(told["high"])) + int(told["low"])
    angles = 2 * math.pi * hertz[:, None] * time + fill.normal(seed, "phases", [count])[:, None]
    tone = (float(told["level"]) * np.sin(angles)).sum(axis=0)
    swell = float(told["base"]) + float(told["depth"]) * np.sin(
        2 * math.pi * float(told["beat"]) * time
    )
    noise = float(told["noise"]) * fill.normal(seed, "noise", [num_samples])
    wave = torch.as_tensor((tone * swell + noise).astype(np.float32))
    return specvqgan_mel.fit_samples(wave[None], int(told["length"]))[0]


def _mel_of(case: Case, wave: Float[Tensor, " s"]) -> Float[Tensor, "m t"]:
    limit = re.search(r"\[:, :(\d+)\]", str(case.config.get("formula", "")))
    num_frames = int(limit[1]) if limit else specvqgan_mel.CLIP_FRAMES
    if wave.numel() == specvqgan_mel.samples_for(num_frames):
        return specvqgan_mel.log_mel(wave[None], num_frames=num_frames)[0]
    return specvqgan_mel.log_mel(wave[None], num_frames=None)[0, :, :num_frames]


def _inverted_columns(case: Case, mel: Float[Tensor, "m t"]) -> Float[Tensor, "m n"]:
    span = re.search(r"columns (\d+)\.\.(\d+)", case.note("amplitude"))
    if span is None:
        raise InputError(f"which columns are inverted? {case.note('amplitude')!r}")
    return mel[:, int(span[1]) : int(span[2]) + 1]


def _griffin_lim(case: Case) -> Float[Tensor, " s"]:
    note = case.note("griffinlim_wave")
    iterations = re.search(r"(\d+) iterations", note)
    momentum = re.search(rf"momentum ({NUMBER})", note)
    if iterations is None or momentum is None:
        raise InputError(f"expected a number of iterations and a momentum in {note!r}")
    return griffin_lim.griffin_lim(
        case.input("mag")[None], iterations=int(iterations[1]), momentum=float(momentum[1])
    )[0]


def run_feature_sampling(case: Case) -> Iterator[Row]:
    """Rows of visual features: joined, padded, cropped and picked; bands of a mel standardised."""
    config = case.config
    num_rows, kept = int(config["feat_len"]), int(config["feat_crop_len"])
    outputs: dict[str, Any] = {}
    if case.has_input("rgb"):
        streams = case.input("rgb")
        if case.has_input("flow"):
            streams = visual_features.join_streams(streams, case.input("flow"))
        rows = visual_features.crop_rows(visual_features.fit_rows(streams, num_rows), kept)
        for name in case.stored:
            if name.startswith("sampled_"):
                outputs[name] = _columns(case, name, _picked(rows, name.removeprefix("sampled_")))
    if case.has_input("spec"):
        mel = specvqgan_mel.normalise_bands(specvqgan_mel.centre_crop(case.input("spec")))
        outputs["normalised_spec"] = _columns(case, "normalised_spec", mel[0])
    yield from compare(case, outputs)
    numbers = torch.arange(kept, dtype=torch.float32)[:, None]
    for name, expected in fill.table(config.get("indices")).items():
        ours = [int(index) for index in _picked(numbers, name)[:, 0]]
        yield equal(case, f"indices of {name}", ours, expected)


def _picked(rows: Float[Tensor, "r d"], name: str) -> Float[Tensor, "s d"]:
    """Rows by a name such as "5", or "5x3" for five rows written three times each."""
    number, _, repeats = name.partition("x")
    return visual_features.resample_rows(rows, int(number), repeats=int(repeats or 1))


def _columns(case: Case, output: str, array: Float[Tensor, "r d"]) -> Float[Tensor, "r n"]:
    """The columns that the case's note lists, where it lists some."""
    listed = re.search(r"columns ((?:\d+, ?)+\d+)", case.note(output))
    return array[:, [int(text) for text in listed[1].split(",")]] if listed else array


def run_bn_inception(case: Case) -> Iterator[Row]:
    """Features per frame, and the outputs of published modules inside."""
    modality = str(case.config["modality"]).lower()
    if modality not in ("rgb", "flow"):
        raise InputError(f"a stream is RGB or Flow, the case asks for {case.config['modality']!r}")
    config = BNInceptionConfig(modality="rgb" if modality == "rgb" else "flow")
    network = filled(BNInception(config), case.entries(), bn_inception_keys(config))
    modules, inside = published_modules(config), dict[str, Tensor]()
    for name in case.stored:
        published = name.removeprefix("tap_")
        if name.startswith("tap_") and published.removesuffix("_bn") in modules:
            own = modules[published.removesuffix("_bn")]
            if published.endswith("_bn"):
                own = own.removesuffix("conv") + "norm"
            network.get_submodule(own).register_forward_hook(_recorder(inside, name))
    (frames,) = [name for name in case.spec["inputs"] if name.startswith("frames")]
    with torch.inference_mode():
        features = network(case.input(frames))
    yield from compare(case, {"features": features, **inside})


def _recorder(inside: dict[str, Tensor], name: str) -> Callable[[nn.Module, Any, Tensor], None]:
    def record(_: nn.Module, __: Any, output: Tensor) -> None:
        inside[name] = output

    return record


def run_bn_inception_keys(case: Case) -> Iterator[Row]:
    """Strict load of the published network, for colour and for flow."""
    entries = meta_entries(case)
    accounts = [
        load_strict(
            on_meta(lambda config=config: BNInception(config)), entries, bn_inception_keys(config)
        )
        for config in (bn_config(entries, modality="rgb"), bn_config(entries, modality="flow"))
    ]
    yield from account_row(case, accounts[:1])


def run_tvl1_flow(case: Case) -> Iterator[Row]:
    """Optical flow between two frames, and its conversion to bytes."""
    must_be(case.config, bound=tvl1_flow.FLOW_BOUND_PIXELS)
    must_be(case.config.get("parameters", {}), **TVL1_PARAMETERS)
    frames = moved_frames(case)
    outputs: dict[str, Value | Callable[[], Value]] = {
        "frame_1": frames[0],
        "frame_2": frames[1],
        # the stored frames, so that another resize does not hide behind the flow
        "flow": lambda: tvl1_flow.flow_levels(
            tvl1_flow.TVL1Flow()(_stored(case, "frame_1"), _stored(case, "frame_2"))
        ),
        "convert_out": lambda: tvl1_flow.flow_bytes(_stored(case, "convert_in")),
    }
    yield from compare(case, outputs, given={"convert_in"})


def moved_frames(case: Case) -> tuple[UInt8[Tensor, "h w"], UInt8[Tensor, "h w"]]:
    """A window of a smooth random picture, and the same window moved.

    Sizes are read from the recipe's text; InputError where it says something else.
    """
    recipe = case.spec["inputs"]["coarse"]
    told = WINDOWS.search(str(recipe.get("then")))
    if told is None:
        raise InputError(f"no rule for frames made like this: {recipe.get('then')!r}")
    width, height, top, bottom, left, right, x, y = map(int, told.groups())
    cv2: Any = require("cv2", extra="flow", purpose="optical flow")
    coarse = fill.normal(case.seed, "coarse", recipe["normal"])
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    picture = torch.as_tensor((smooth - smooth.min()) / (smooth.max() - smooth.min()) * 255)
    picture = picture.round().to(torch.uint8)
    first = picture[top : bottom + 1, left : right + 1]
    return first, picture[top + y : bottom + 1 + y, left + x : right + 1 + x]


def _stored(case: Case, name: str) -> Tensor:
    return torch.as_tensor(case.stored[name])


KINDS: dict[str, Runner] = {
    "specvqgan_mel": run_mel,
    "feature_sampling": run_feature_sampling,
    "tvl1_flow": run_tvl1_flow,
    "bn_inception": run_bn_inception,
    "bn_inception.keys": run_bn_inception_keys,
}
