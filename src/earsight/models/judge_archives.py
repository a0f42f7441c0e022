"""The weight files of the networks that generation metrics judge sound with.

Sources: official repositories harritaylor/torchvggish, qiuqiangkong/audioset_tagging_cnn,
kkoutini/PaSST, hkchengrex/MMAudio. None publishes a hash; file names that carry digits as hashes
do could not be confirmed.
"""

from earsight.checkpoints.published import PublishedPart, PublishedWeights
from earsight.models.cnn14 import published as cnn14
from earsight.models.cnn14.model import Cnn14
from earsight.models.passt import published as passt
from earsight.models.passt.model import Passt
from earsight.models.synchformer import published as synchformer
from earsight.models.synchformer.model import Synchformer
from earsight.models.vggish import published as vggish
from earsight.models.vggish.model import VGGish, VGGishPca

_VGGISH_URL = "https://github.com/harritaylor/torchvggish/releases/download/v0.1/"
_PASST_URL = "https://github.com/kkoutini/PaSST/releases/download/"
_TRAINED = "no licence is stated for the weights, which were trained on YouTube videos ({corpus})"
_AUDIOSET = _TRAINED.format(corpus="AudioSet")
_NO_HASH = "no hash is published"

VGGISH = PublishedWeights(
    name="vggish",
    url=f"{_VGGISH_URL}vggish-10086976.pth",
    family="vggish",
    licence=f"code Apache-2.0; {_TRAINED.format(corpus='YouTube-8M')}",
    summary="VGGish, sound embedding of FAD: 128 values from 0.96 s.",
    frontend="vggish_mel",
    parts=(
        PublishedPart(
            name="vggish",
            family="vggish",
            keys=vggish.keys_from_entries,
            config=vggish.config_from_entries,
            build=VGGish,
        ),
    ),
    notes=_NO_HASH,
)
VGGISH_PCA = PublishedWeights(
    name="vggish-pca",
    url=f"{_VGGISH_URL}vggish_pca_params-970ea276.pth",
    family="vggish_pca",
    licence=VGGISH.licence,
    summary="Rotation and rounding of VGGish values, which no PyTorch FAD tool uses.",
    frontend="vggish_mel",
    parts=(
        PublishedPart(
            name="vggish_pca",
            family="vggish_pca",
            keys=lambda _: vggish.PCA_KEYS,
            config=vggish.pca_config,
            build=VGGishPca,
        ),
    ),
    notes=_NO_HASH,
)


def _cnn14(name: str, record: str, file: str, rate: str) -> PublishedWeights:
    part = PublishedPart(
        name="cnn14",
        family="cnn14",
        keys=cnn14.keys_from_entries,
        config=cnn14.config_from_entries,
        build=Cnn14,
    )
    return PublishedWeights(
        name=name,
        url=f"https://zenodo.org/record/{record}/files/{file}",
        family="cnn14",
        licence=(
            "code MIT; the record states the terms of the weights, which were trained on YouTube "
            "videos (AudioSet)"
        ),
        summary=f"PANNs CNN14 at {rate}, 527 AudioSet classes: FD, KL and IS of sound generation.",
        frontend="cnn14_mel",
        parts=(part,),
        notes=_NO_HASH,
    )


def _passt(name: str, path: str, summary: str) -> PublishedWeights:
    part = PublishedPart(
        name="passt",
        family="passt",
        keys=lambda _: passt.KEYS,
        config=passt.config_from_entries,
        build=Passt,
    )
    return PublishedWeights(
        name=name,
        url=f"{_PASST_URL}{path}.pt",
        family="passt",
        licence=f"code Apache-2.0; {_AUDIOSET}",
        summary=f"PaSST, 527 AudioSet classes: {summary}.",
        frontend="passt_mel",
        parts=(part,),
        notes=_NO_HASH,
    )


PASST = (
    _passt(
        "passt-s",
        "v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa",
        "the one that metrics use",
    ),
    *(
        _passt(
            f"passt-s-stride{stride}-{score}",
            f"v0.0.2-audioset/passt-s-f128-p16-s{stride}-ap.{score}{'-swa' if swa else ''}",
            f"patches every {stride}" + (", averaged weights" if swa else ""),
        )
        for stride, score, swa in (
            (10, "4761", True),
            (10, "472", False),
            (12, "473", True),
            (12, "470", False),
            (14, "471", True),
            (14, "469", False),
            (16, "473", True),
            (16, "468", False),
        )
    ),
    _passt("passt-s-20s", "v0.0.5/passt-s-f128-20sec-p16-s10-ap.474-swa", "sounds up to 20 s"),
    _passt("passt-s-30s", "v0.0.5/passt-s-f128-30sec-p16-s10-ap.473-swa", "sounds up to 30 s"),
    _passt("passt-s-distilled", "v.0.0.9/passt-s-kd-ap.486", "trained with distillation"),
    _passt("passt-l-distilled", "v.0.0.10/passt-l-kd-ap.47", "7 blocks, trained with distillation"),
)
SYNCHFORMER = PublishedWeights(
    name="synchformer",
    url="https://github.com/hkchengrex/MMAudio/releases/download/v0.1/synchformer_state_dict.pth",
    family="synchformer",
    licence=f"code MIT; {_AUDIOSET}",
    summary="Synchformer, offset of sound against picture: the DeSync score.",
    frontend="synchformer_inputs",
    parts=(
        PublishedPart(
            name="synchformer",
            family="synchformer",
            keys=lambda _: synchformer.KEYS,
            config=synchformer.config_from_entries,
            build=Synchformer,
        ),
    ),
    notes=_NO_HASH,
)
JUDGES = (
    VGGISH,
    VGGISH_PCA,
    _cnn14("panns-cnn14-16k", "3987831", "Cnn14_16k_mAP%3D0.438.pth", "16 kHz"),
    _cnn14("panns-cnn14-32k", "3576403", "Cnn14_mAP%3D0.431.pth", "32 kHz"),
    *PASST,
    SYNCHFORMER,
)
