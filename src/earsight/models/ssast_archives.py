"""The weight files of SSAST. Source: official repository YuanGongND/ssast, without hashes."""

from earsight.checkpoints.published import PublishedPart, PublishedWeights
from earsight.models.ssast import published
from earsight.models.ssast.model import Ssast

_DROPBOX = "https://www.dropbox.com/s/"
_TRAINED = "trained without labels on {corpora}"
_BOTH = "YouTube videos (AudioSet) and LibriSpeech (CC BY 4.0)"
PART = PublishedPart(
    name="ssast",
    family="ssast",
    keys=lambda _: published.KEYS,
    config=published.config_from_entries,
    build=Ssast,
    prefix=published.OFFICIAL_PREFIX,
)


def _pretrained(name: str, path: str, summary: str, *, corpora: str = _BOTH) -> PublishedWeights:
    return PublishedWeights(
        name=name,
        url=f"{_DROPBOX}{path}.pth?dl=1",
        family="ssast",
        licence=(
            "code BSD-3-Clause; no licence is stated for the weights, "
            + _TRAINED.format(corpora=corpora)
        ),
        summary=f"SSAST, pre-trained: {summary}.",
        frontend="kaldi_fbank",
        parts=(PART,),
        extra={"statistics": "audioset"},
        notes="no hash is published; a start for fine-tuning (models.ssast.start), not a tagger",
    )


SSAST = (
    *(
        _pretrained(
            f"ssast-{size.lower()}-{kind.lower()}-{masked}",
            f"{folder}/SSAST-{size}-{kind}-{masked}",
            f"{size.lower()}, {shape}, {masked} masked",
        )
        for size, kind, masked, folder, shape in (
            ("Base", "Patch", 400, "ewrzpco95n9jdz6", "patches of 16 x 16"),
            ("Base", "Frame", 400, "nx6nl4d4bl71sm8", "patches of two frames"),
            ("Base", "Patch", 250, "mxrm9qog6aj8hif", "patches of 16 x 16"),
            ("Base", "Frame", 250, "4e6l7ulhwrfoana", "patches of two frames"),
            ("Small", "Patch", 400, "i24w446rl9pkf05", "patches of 16 x 16"),
            ("Tiny", "Patch", 400, "fkbtf78y94113wz", "patches of 16 x 16"),
            ("Tiny", "Frame", 400, "rx7g60ruzawffzv", "patches of two frames"),
        )
    ),
    *(
        _pretrained(
            f"ssast-ablation-{label}",
            f"{folder}/audio_model_{file}",
            f"base, patches of 16 x 16, {what}",
            corpora=corpora,
        )
        for label, file, folder, what, corpora in (
            ("100-masked", "100m", "0oyrtfbjzkwho2p", "100 masked", _BOTH),
            ("match", "dis", "znuzgwf2zvrpjkr", "contrastive loss alone", _BOTH),
            ("rebuild", "gen", "u6ws5fjrid10x4p", "mean squared error alone", _BOTH),
            (
                "audioset-20k",
                "as20k",
                "y6x2ck2ca3tb7d9",
                "balanced AudioSet",
                "YouTube videos (AudioSet)",
            ),
            (
                "audioset",
                "as",
                "m9p782df3faql1q",
                "AudioSet alone",
                "YouTube videos (AudioSet)",
            ),
            (
                "librispeech",
                "librispeech",
                "f4bn2qelu3m8ksu",
                "LibriSpeech alone",
                "LibriSpeech (CC BY 4.0)",
            ),
        )
    ),
)
