"""Published scores of taggers, by data set and protocol, to read own ones beside.

Sources: the papers of Audio-MAE (tables of its main results and ablations), AST, SSAST, HTS-AT,
PaSST, coarse-to-fine training and ESC; official repositories YuanGongND/ast, YuanGongND/ssast,
RetroCirce/HTS-Audio-Transformer and kkoutini/PaSST where they report more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from earsight.evaluate.card import Card, number

PRECISION, ACCURACY = "mean_average_precision", "accuracy"


@dataclass(frozen=True, slots=True)
class PublishedScore:
    """A number as it was published, a fraction."""

    system: str
    protocol: str
    value: float


_FULL, _FEW = "fine-tuned on AudioSet-2M", "fine-tuned on AudioSet-20K"
_OWN = "pre-trained without labels, fine-tuned"
_FOLDS = "mean of five folds"
_FIRST = "; labelled AudioSet first"

AUDIOSET = (
    PublishedScore("Audio-MAE ViT-B, local decoder", _FULL, 0.473),
    PublishedScore("Audio-MAE ViT-B, global decoder", _FULL, 0.468),
    PublishedScore("Audio-MAE ViT-S", _FULL, 0.450),
    PublishedScore("Audio-MAE ViT-L", _FULL, 0.474),
    PublishedScore("Audio-MAE ViT-B, local decoder", _FEW, 0.370),
    PublishedScore("Audio-MAE ViT-B, global decoder", _FEW, 0.366),
    PublishedScore("Audio-MAE ViT-S", _FEW, 0.321),
    PublishedScore("Audio-MAE ViT-L", _FEW, 0.376),
    PublishedScore("AST", f"{_FULL}, weights averaged", 0.459),
    PublishedScore("AST", _FEW, 0.347),
    PublishedScore("AST", f"{_FULL}, 6 networks", 0.485),
    PublishedScore("SSAST, patches", _FEW, 0.310),
    PublishedScore("SSAST, frames", _FEW, 0.292),
    PublishedScore("HTS-AT", f"{_FULL}, 10 cyclic shifts", 0.471),
    PublishedScore("HTS-AT", f"{_FULL}, 6 networks", 0.487),
    PublishedScore("PaSST-S", f"{_FULL}, weights averaged", 0.476),
    PublishedScore("AST, coarse to fine", "three phases, pooled by maximum", 0.4441),
    PublishedScore("AST, coarse to fine", "two phases, patches 2 to 1", 0.4438),
    PublishedScore("AST, fine only", "one phase", 0.4430),
)
ESC50 = (
    PublishedScore("Audio-MAE ViT-B, local decoder", f"{_FOLDS}; {_OWN}", 0.941),
    PublishedScore("Audio-MAE ViT-B, global decoder", f"{_FOLDS}; {_OWN}", 0.936),
    PublishedScore("Audio-MAE ViT-B, local decoder", f"{_FOLDS}{_FIRST}", 0.974),
    PublishedScore("AST", f"{_FOLDS}{_FIRST}, log of the repository", 0.9575),
    PublishedScore("SSAST, patches", f"{_FOLDS}; {_OWN}", 0.888),
    PublishedScore("SSAST, frames", f"{_FOLDS}; {_OWN}", 0.859),
    PublishedScore("HTS-AT", f"{_FOLDS}{_FIRST}", 0.970),
    PublishedScore("people", "listening", 0.813),
)
ESC10 = (
    PublishedScore("random forest", f"{_FOLDS}; cepstral coefficients", 0.727),
    PublishedScore("people", "listening", 0.957),
)
SPEECH_COMMANDS_V2 = (
    PublishedScore("Audio-MAE ViT-B, local decoder", _OWN, 0.983),
    PublishedScore("AST", "from an image network, log of the repository", 0.9813),
    PublishedScore("SSAST, patches", _OWN, 0.980),
    PublishedScore("SSAST, frames", _OWN, 0.981),
    PublishedScore("HTS-AT", "labelled AudioSet first", 0.980),
)
SPEECH_COMMANDS_V1 = (
    PublishedScore("Audio-MAE ViT-B, local decoder", _OWN, 0.969),
    PublishedScore("Audio-MAE ViT-B, global decoder", _OWN, 0.976),
    PublishedScore("SSAST, patches", "pre-trained without labels, frozen", 0.960),
    PublishedScore("SSAST, frames", "pre-trained without labels, frozen", 0.967),
)
VOXCELEB = (
    PublishedScore("Audio-MAE ViT-B, local decoder", f"{_OWN}, 1251 speakers", 0.948),
    PublishedScore("Audio-MAE ViT-B, global decoder", f"{_OWN}, 1251 speakers", 0.941),
    PublishedScore("SSAST, patches", "pre-trained without labels, frozen, 1251 speakers", 0.643),
    PublishedScore("SSAST, frames", "pre-trained without labels, frozen, 1251 speakers", 0.808),
    PublishedScore("AST, coarse to fine", "two phases, patches 2 to 1 by inverse", 0.4763),
    PublishedScore("AST, fine only", "one phase", 0.4190),
)
VGGSOUND = (
    PublishedScore("AST, coarse to fine", "three phases, patches bilinear", 0.5380),
    PublishedScore("AST, coarse to fine", "two phases, pooled 2 to 1", 0.5342),
    PublishedScore("AST, fine only", "one phase", 0.4940),
)
KINETICS_SOUNDS = (
    PublishedScore("AST, coarse to fine", "three phases, patches by inverse", 0.6543),
    PublishedScore("AST, coarse to fine", "two phases, frame shift 2 to 1", 0.6473),
    PublishedScore("AST, fine only", "one phase", 0.6292),
)
PUBLISHED: Mapping[str, tuple[str, Sequence[PublishedScore]]] = {
    "audioset": (PRECISION, AUDIOSET),
    "esc50": (ACCURACY, ESC50),
    "esc10": (ACCURACY, ESC10),
    "speech_commands_v2": (ACCURACY, SPEECH_COMMANDS_V2),
    "speech_commands_v1": (ACCURACY, SPEECH_COMMANDS_V1),
    "voxceleb": (ACCURACY, VOXCELEB),
    "vggsound": (ACCURACY, VGGSOUND),
    "kinetics_sounds": (ACCURACY, KINETICS_SOUNDS),
}
"""By data set: what is measured, and the scores."""
COLUMNS = ("published", "protocol", "theirs", "here", "change")


def data_set_of(corpus: str) -> str | None:
    """The data set that a corpus's name stands for; None where nothing was published on it."""
    plain = "".join(letter for letter in corpus.casefold() if letter.isalnum())
    return next((name for name in PUBLISHED if name.replace("_", "") == plain), None)


def beside_published(card: Card) -> list[tuple[str, ...]]:
    """A row for each published score on the card's data set, with the card's own beside it.

    Nothing for a card of another data set, or without that measure.
    """
    data = str(card.settings.get("published"))
    if data not in PUBLISHED:
        return []
    measure, scores = PUBLISHED[data]
    own = card.scores[measure].value if measure in card.scores else None
    if own is None:
        return []
    return [
        (s.system, s.protocol, number(s.value), number(own), f"{own - s.value:+.4f}")
        for s in scores
    ]
