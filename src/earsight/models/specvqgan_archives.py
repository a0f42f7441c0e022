"""The weight files of SpecVQGAN: codebooks, code transformers, classifiers.

Source: official repository v-iashin/SpecVQGAN, whose model zoo gives the md5 sums.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from earsight.checkpoints.keymap import KeyMap
from earsight.checkpoints.published import PublishedPart, PublishedWeights
from earsight.models.mel_vqgan import published as codebook
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.melception import published as melception
from earsight.models.melception.model import Melception
from earsight.models.token_gpt import published as transformer
from earsight.models.token_gpt.model import TokenGPT
from earsight.models.vggishish import published as vggishish
from earsight.models.vggishish.model import VGGishish

BASE_URL = "https://a3s.fi/swift/v1/AUTH_a235c0f452d648828f745589cde1219a/specvqgan_public/"
MEL = "specvqgan_mel"
LICENCE = (
    "code MIT; no licence is stated for the weights, which were trained on YouTube videos "
    "({corpus}) whose rights stay with their owners"
)
VGGSOUND_LICENCE = LICENCE.format(corpus="VGGSound, annotations CC BY 4.0")
VAS_LICENCE = LICENCE.format(corpus="VAS")
Corpus = Literal["vggsound", "vas"]
Condition = Literal["none", "bn_inception", "resnet50", "class"]
SHOWN = {"bn_inception": "BN-Inception", "resnet50": "ResNet-50"}


def _transformer_keys(entries: Mapping[str, Tensor]) -> KeyMap:
    kind = transformer.config_from_entries(entries).condition
    return {**transformer.transformer_keys(kind), **transformer.PERMUTER_KEYS}


CODEBOOK_ALONE = PublishedPart(
    name="codebook",
    family="mel_vqgan",
    keys=lambda _: codebook.KEYS,
    config=codebook.config_from_entries,
    build=MelVQGAN,
)
CODEBOOK_INSIDE = PublishedPart(
    name="codebook",
    family="mel_vqgan",
    prefix="first_stage_model.",
    keys=lambda _: codebook.MODEL_KEYS,
    config=codebook.config_from_entries,
    build=MelVQGAN,
)
TRANSFORMER = PublishedPart(
    name="transformer",
    family="token_gpt",
    keys=_transformer_keys,
    config=transformer.config_from_entries,
    build=TokenGPT,
)
VGGISHISH = PublishedPart(
    name="classifier",
    family="vggishish",
    keys=lambda entries: vggishish.vggishish_keys(vggishish.config_from_entries(entries)),
    config=vggishish.config_from_entries,
    build=VGGishish,
)
CLASSIFIER_MELCEPTION = PublishedPart(
    name="classifier",
    family="melception",
    keys=lambda _: melception.KEYS,
    config=melception.config_from_entries,
    build=Melception,
)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the model zoo: archive, training data, codebook, condition, md5."""

    archive: str
    data: Corpus
    codes: Corpus
    condition: Condition
    num_features: int
    md5: str


_Line = tuple[str, Condition, int, str]
_VGGSOUND: tuple[_Line, ...] = (
    ("2021-06-20T16-35-20", "none", 1, "b1f9bb63d831611479249031a1203371"),
    ("2021-06-03T11-18-51", "bn_inception", 1, "f2fe41dab17e232bd94c6d119a807fee"),
    ("2021-07-30T21-03-22", "resnet50", 1, "27a61d4b74a72578d13579333ed056f6"),
    ("2021-06-03T09-34-10", "bn_inception", 5, "b082d894b741f0d7a1af9c2732bad70f"),
    ("2021-07-30T21-34-25", "resnet50", 5, "f4d7105811589d441b69f00d7d0b8dc8"),
    ("2021-06-03T07-27-58", "bn_inception", 212, "79895ac08303b1536809cad1ec9a7502"),
    ("2021-07-30T21-34-41", "resnet50", 212, "b222cc0e7aeb419f533d5806a08669fe"),
    ("2021-06-03T00-43-28", "class", 0, "98a3788ab973f1c3cc02e2e41ad253bc"),
)
_VAS_ON_VGGSOUND: tuple[_Line, ...] = (
    ("2021-06-20T16-34-36", "none", 1, "e6b0b5be1f8ac551700f49d29cda50d7"),
    ("2021-06-03T06-32-51", "bn_inception", 1, "a98a124d6b3613923f28adfacba3890c"),
    ("2021-07-29T11-47-40", "resnet50", 1, "37cd48f06d74176fa8d0f27303841d94"),
    ("2021-06-03T05-51-34", "bn_inception", 5, "38da002f900fb81275b73e158e919e16"),
    ("2021-07-29T11-36-00", "resnet50", 5, "7b6951a33771ef527f1c1b1f99b7595e"),
    ("2021-06-03T05-38-40", "bn_inception", 212, "1c4e56077d737677eac524383e6d98d3"),
    ("2021-07-29T11-52-28", "resnet50", 212, "6e553ea44c8bc7a3310961f74e7974ea"),
    ("2021-06-08T14-41-19", "class", 0, "16a816a270f09a76bfd97fe0006c704b"),
)
_VAS: tuple[_Line, ...] = (
    ("2021-06-20T16-24-38", "none", 1, "ea4945802094f826061483e7b9892839"),
    ("2021-06-09T13-31-37", "bn_inception", 1, "8a3adf60baa049a79ae62e2e95014ff7"),
    ("2021-07-29T14-59-49", "resnet50", 1, "a7a1342030653945e97f68a8112ed54a"),
    ("2021-06-09T14-14-24", "bn_inception", 5, "4e1b24207780eff26a387dd9317d054d"),
    ("2021-07-29T14-51-25", "resnet50", 5, "78b8d42be19dd1b0a346b1f512967302"),
    ("2021-06-09T15-17-18", "bn_inception", 212, "4542632b3c5bfbf827ea7868cedd4634"),
    ("2021-07-29T13-34-39", "resnet50", 212, "dc2b5cbd28ad98d2f9ca4329e8aa0f64"),
    ("2021-06-09T09-42-07", "class", 0, "412b01be179c2b8b02dfa0c0b49b9a0f"),
)


def _rows(data: Corpus, codes: Corpus, lines: tuple[_Line, ...]) -> tuple[_Row, ...]:
    return tuple(
        _Row(f"{stamp}_{data}_transformer", data, codes, condition, count, md5)
        for stamp, condition, count, md5 in lines
    )


_ROWS = (
    *_rows("vggsound", "vggsound", _VGGSOUND),
    *_rows("vas", "vggsound", _VAS_ON_VGGSOUND),
    *_rows("vas", "vas", _VAS),
)
_NOTES = {
    "2021-07-30T21-34-25_vggsound_transformer": "about 3.68 GB",
}


def _transformer(row: _Row) -> PublishedWeights:
    trained = {"vggsound": "VGGSound", "vas": "VAS"}
    place = row.data if row.data == row.codes else f"{row.data}-on-{row.codes}"
    match row.condition:
        case "none":
            ending, shown, visual = "no-features", "no features", "noise"
        case "class":
            ending, shown, visual = "class", "a class", "none"
        case _:
            ending = f"{row.num_features}-{row.condition.replace('_', '-')}"
            shown, visual = f"{row.num_features} {SHOWN[row.condition]} features", row.condition
    return PublishedWeights(
        name=f"specvqgan-{place}-{ending}",
        url=f"{BASE_URL}models/{row.archive}.tar.gz",
        family="specvqgan",
        md5=row.md5,
        licence=VGGSOUND_LICENCE if row.data == "vggsound" else VAS_LICENCE,
        summary=(
            f"Code transformer given {shown}, trained on {trained[row.data]} with the "
            f"{trained[row.codes]} codebook, which is inside."
        ),
        frontend=MEL if visual == "none" else f"{MEL}, {visual}",
        archive_member="*.ckpt",
        parts=(CODEBOOK_INSIDE, TRANSFORMER),
        # the models saw the middle of their clips: frames 6 to 853 of 860
        extra={"visual": visual, "trained_on": row.data, "lead_frames": 6},
        notes=_NOTES.get(row.archive, ""),
    )


CODEBOOK_VGGSOUND = PublishedWeights(
    name="specvqgan-codebook-vggsound",
    url=f"{BASE_URL}models/2021-05-19T22-16-54_vggsound_codebook.tar.gz",
    family="mel_vqgan",
    md5="7ea229427297b5d220fb1c80db32dbc5",
    licence=VGGSOUND_LICENCE,
    summary="Spectrogram codebook of 1024 codes, trained on VGGSound.",
    frontend=MEL,
    archive_member="*.ckpt",
    parts=(CODEBOOK_ALONE,),
    notes="about 881 MB",
)
CODEBOOK_VAS = PublishedWeights(
    name="specvqgan-codebook-vas",
    url=f"{BASE_URL}models/2021-06-06T19-42-53_vas_codebook.tar.gz",
    family="mel_vqgan",
    md5="0024ad3705c5e58a11779d3d9e97cc8a",
    licence=VAS_LICENCE,
    summary="Spectrogram codebook of 128 codes, trained on VAS.",
    frontend=MEL,
    archive_member="*.ckpt",
    parts=(CODEBOOK_ALONE,),
)
VGGISHISH_VGGSOUND = PublishedWeights(
    name="vggishish-vggsound",
    url=f"{BASE_URL}vggishish16.pt",
    family="vggishish",
    md5="197040c524a07ccacf7715d7080a80bd",
    licence=VGGSOUND_LICENCE,
    summary="VGG-16 over spectrograms, 309 VGGSound classes.",
    frontend=f"{MEL}, normalised by VGGSound's statistics",
    parts=(VGGISHISH,),
    notes="about 1.54 GB with its optimiser's state",
)
MELCEPTION = PublishedWeights(
    name="melception-vggsound",
    url=f"{BASE_URL}melception-21-05-10T09-28-40.pt",
    family="melception",
    md5="a71a41041e945b457c7d3d814bbcf72d",
    licence=VGGSOUND_LICENCE,
    summary="Inception over spectrograms, 309 VGGSound classes: the network of FID and MKL.",
    frontend=f"{MEL}, normalised by VGGSound's statistics",
    parts=(CLASSIFIER_MELCEPTION,),
    notes="about 0.27 GB with its optimiser's state; nothing trained its auxiliary classifier",
)
TRANSFORMERS = tuple(_transformer(row) for row in _ROWS)
SPECVQGAN = (CODEBOOK_VGGSOUND, CODEBOOK_VAS, *TRANSFORMERS, VGGISHISH_VGGSOUND, MELCEPTION)
