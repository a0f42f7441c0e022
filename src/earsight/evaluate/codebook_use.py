"""How well a codebook reconstructs, and how much of it is used.

Axes: m mel bands, t frames, n codes, k codes of the codebook.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.errors import EarsightError, InputError
from earsight.evaluate.card import LeftOut, Score
from earsight.evaluate.judge import Judge, Spectrogram, judged_set
from earsight.evaluate.specvqgan_generation import generation_scores
from earsight.frontends.specvqgan_mel import MODEL_FRAMES, centre_crop, from_model, to_model
from earsight.models.mel_vqgan.model import MelVQGAN


@dataclass(frozen=True, slots=True)
class MelItem:
    """A spectrogram at hand, named after its clip."""

    key: str
    values: Float[Tensor, "m t"]

    @property
    def label(self) -> str:
        """Name in messages."""
        return self.key

    def mel(self) -> Float[Tensor, "m t"]:
        """The spectrogram itself."""
        return self.values


@dataclass(frozen=True, slots=True)
class CodebookUse:
    """Scores of a codebook on a set, and what could not be read."""

    scores: dict[str, Score]
    num_expected: int
    num_found: int
    skipped: tuple[LeftOut, ...]


def codebook_use(
    codebook: MelVQGAN, items: Sequence[Spectrogram], *, judge: Judge | None
) -> CodebookUse:
    """Reconstruct every spectrogram and compare; FID, KID and MKL where there is a judge.

    At most the middle 848 frames are taken, cut to whole code columns. Raises InputError where
    nothing can be read.
    """
    skipped: list[LeftOut] = []
    real: list[MelItem] = []
    fake: list[MelItem] = []
    errors: list[float] = []
    counts = torch.zeros(codebook.config.num_codes, dtype=torch.int64)
    for item in _readable(items, codebook.config.downsample, skipped):
        rebuilt, codes = reconstruct(codebook, item.values)
        counts += torch.bincount(codes.flatten().cpu(), minlength=counts.numel())
        errors.append(float((rebuilt - item.values).abs().mean()))
        real.append(item)
        fake.append(MelItem(item.key, rebuilt))
    if not real:
        raise InputError(f"nothing to reconstruct: {len(skipped)} items could not be read")
    scores = {"L1": _mean_error(errors), **use_scores(counts)}
    if judge is not None and len(real) > 1:
        both = (judged_set(real, judge, real=True), judged_set(fake, judge, real=False))
        judged, _ = generation_scores(*both)
        scores |= {name: judged[name] for name in ("FID", "KID", "MKL")}
    return CodebookUse(scores, len(items), len(real), tuple(skipped))


@torch.inference_mode()
def reconstruct(
    codebook: MelVQGAN, mel: Float[Tensor, "m t"]
) -> tuple[Float[Tensor, "m u"], Int[Tensor, "r c"]]:
    """The spectrogram in [0, 1] through the codebook, not clamped, and its codes."""
    device = next(codebook.parameters()).device
    result = codebook(to_model(mel.to(device))[None, None])
    return from_model(result.mel[0, 0]).float().cpu(), result.quantized.codes[0]


def use_scores(counts: Int[Tensor, " k"]) -> dict[str, Score]:
    """Share of codes that occur, and exp of the entropy of their frequencies."""
    share = counts.double() / counts.sum().clamp(min=1)
    seen = share[share > 0]
    entropy = -float((seen * seen.log()).sum())
    total = int(counts.sum())
    return {
        "codes_used": Score(
            value=float((counts > 0).double().mean()),
            what=f"share of the {counts.numel()} codes that occur",
            better="more",
            num_items=total,
        ),
        "perplexity": Score(
            value=float(torch.tensor(entropy).exp()),
            what=f"exp of the codes' entropy, {counts.numel()} at most",
            better="more",
            num_items=total,
        ),
    }


def _readable(items: Iterable[Spectrogram], step: int, skipped: list[LeftOut]) -> Iterator[MelItem]:
    for item in items:
        try:
            mel = item.mel().float()
            if mel.shape[1] < step:
                raise InputError(f"{mel.shape[1]} frames do not fill a code column of {step}")
        except EarsightError as error:
            skipped.append(LeftOut(name=item.label, reason=" ".join(str(error).split())))
            continue
        mel = centre_crop(mel) if mel.shape[1] > MODEL_FRAMES else mel
        yield MelItem(item.key, mel[:, : mel.shape[1] // step * step])


def _mean_error(errors: Sequence[float]) -> Score:
    values = torch.tensor(errors, dtype=torch.float64)
    spread = float(values.std() / len(errors) ** 0.5) if len(errors) > 1 else None
    return Score(
        value=float(values.mean()),
        what="mean absolute error of the [0, 1] spectrogram, standard error over clips",
        spread=spread,
        better="less",
        num_items=len(errors),
    )
