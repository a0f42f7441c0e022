"""The weight files of AST, and the image networks it starts from.

Sources: official repositories YuanGongND/ast and facebookresearch/deit; the hub's MIT folders. The
first and the last publish no hash.
"""

from earsight.checkpoints.published import PublishedPart, PublishedWeights
from earsight.models.ast import published
from earsight.models.ast.model import Ast

_DROPBOX = "https://www.dropbox.com/s/"
_HUB = "https://huggingface.co/MIT/"
_TRAINED = "trained on YouTube videos (AudioSet), from an image network (ImageNet)"
_SPOKEN = "trained on Speech Commands V2 (CC BY 4.0), from an image network (ImageNet)"
_NO_HASH = "no hash is published"
OFFICIAL_PART = PublishedPart(
    name="ast",
    family="ast",
    keys=lambda _: published.KEYS,
    config=published.config_from_entries,
    build=Ast,
    prefix=published.OFFICIAL_PREFIX,
)
HUB_PART = PublishedPart(
    name="ast",
    family="ast",
    keys=lambda _: published.HUB_KEYS,
    config=published.hub_config_from_entries,
    build=Ast,
)


def _official(
    name: str,
    path: str,
    summary: str,
    *,
    trained: str = _TRAINED,
    statistics: str = "audioset",
    notes: str = _NO_HASH,
) -> PublishedWeights:
    return PublishedWeights(
        name=name,
        url=f"{_DROPBOX}{path}.pth?dl=1",
        family="ast",
        licence=f"code BSD-3-Clause; no licence is stated for the weights, {trained}",
        summary=f"AST, {summary}.",
        frontend="kaldi_fbank",
        parts=(OFFICIAL_PART,),
        extra={"statistics": statistics},
        notes=notes,
    )


def _hub(
    folder: str, summary: str, *, trained: str = _TRAINED, statistics: str = "audioset"
) -> PublishedWeights:
    return PublishedWeights(
        name=f"hub-{folder}",
        url=f"{_HUB}{folder}/resolve/main/model.safetensors",
        family="ast",
        licence=f"BSD-3-Clause; {trained}",
        summary=f"AST from the hub, {summary}.",
        frontend="kaldi_fbank",
        parts=(HUB_PART,),
        extra={"statistics": statistics},
        notes=_NO_HASH,
    )


def _image(name: str, file: str, summary: str) -> PublishedWeights:
    return PublishedWeights(
        name=name,
        url=f"https://dl.fbaipublicfiles.com/deit/{file}.pth",
        family="deit",
        licence="code and weights Apache-2.0; trained on ImageNet",
        summary=f"Distilled DeiT, {summary}: what AST starts from.",
        sha256_prefix=file.rpartition("-")[2],
        notes="a network for pictures, read by models.ast.start.from_image; no folder is made",
    )


AST = (
    _official(
        "ast",
        "ca0b1v2nlxzyeb4/audioset_10_10_0.4593",
        "527 AudioSet classes, the best one: averaged weights",
        notes=f"{_NO_HASH}; official code fetches the same as /s/cv4knew8mvbrnvq/audioset_0.4593",
    ),
    *(
        _official(
            f"ast-stride{stride}-{score}",
            f"{folder}/audioset_{stride}_{stride}_0.{score}",
            f"527 AudioSet classes, patches every {stride}",
        )
        for stride, score, folder in (
            (10, "4495", "1tv0hovue1bxupk"),
            (10, "4483", "6u5sikl4b9wo4u5"),
            (10, "4475", "kt6i0v9fvfm1mbq"),
            (12, "4467", "snfhx3tizr4nuc8"),
            (14, "4431", "z18s6pemtnxm4k7"),
            (16, "4422", "mdsa4t1xmcimia6"),
        )
    ),
    _official(
        "ast-speech-commands",
        "q0tbqpwv44pquwy/speechcommands_10_10_0.9812",
        "35 spoken words of one second",
        trained=_SPOKEN,
        statistics="speech_commands_v2",
    ),
    *(
        _hub(f"ast-finetuned-audioset-{ending}", "527 AudioSet classes")
        for ending in (
            "10-10-0.4593",
            "10-10-0.450",
            "10-10-0.448",
            "10-10-0.448-v2",
            "12-12-0.447",
            "14-14-0.443",
            "16-16-0.442",
        )
    ),
    _hub(
        "ast-finetuned-speech-commands-v2",
        "35 spoken words of one second",
        trained=_SPOKEN,
        statistics="speech_commands_v2",
    ),
)
DEIT = (
    _image("deit-tiny", "deit_tiny_distilled_patch16_224-b40b3cf7", "192 wide, 224 pixels"),
    _image("deit-small", "deit_small_distilled_patch16_224-649709d9", "384 wide, 224 pixels"),
    _image("deit-base", "deit_base_distilled_patch16_224-df68dfff", "768 wide, 224 pixels"),
    _image("deit-base-384", "deit_base_distilled_patch16_384-d0272ac0", "768 wide, 384 pixels"),
)
