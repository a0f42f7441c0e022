"""The weight files of HTS-AT.

Source: official repository RetroCirce/HTS-Audio-Transformer, whose files lie in one shared folder.
"""

from collections.abc import Mapping

from earsight.checkpoints.published import Entries, PublishedPart, PublishedWeights
from earsight.models.htsat import published
from earsight.models.htsat.config import HtsatConfig, Labels
from earsight.models.htsat.model import Htsat

_FOLDER = "https://drive.google.com/drive/folders/1f5VYMk0uos_YnuBshgmaTVioXbs7Kmz6"


def _part(labels: Labels) -> PublishedPart:
    def config(entries: Entries) -> HtsatConfig:
        return published.config_from_entries(entries, labels=labels)

    return PublishedPart(
        name="htsat",
        family="htsat",
        keys=lambda _: published.KEYS,
        config=config,
        build=Htsat,
        prefix=published.PREFIX,
    )


def _record(
    name: str,
    file: str,
    summary: str,
    *,
    data: str,
    labels: Labels,
    extra: Mapping[str, object] | None = None,
) -> PublishedWeights:
    return PublishedWeights(
        name=name,
        url=f"{_FOLDER}#{file}",
        family="htsat",
        licence=(
            "code MIT; no licence is stated for the weights, which were trained on sounds of "
            f"others ({data})"
        ),
        summary=summary,
        frontend="htsat_mel",
        parts=(_part(labels),),
        extra=extra or {"mel": "audioset"},
        notes=(
            f"no hash is published; the address is a folder, from which {file} must be downloaded "
            f"by hand and converted with --as {name}"
        ),
    )


HTSAT = (
    *(
        _record(
            f"htsat-audioset-{number}",
            f"HTSAT_AudioSet_Saved_{number}.ckpt",
            f"HTS-AT, 527 AudioSet classes over time, model {number} of 6 of the ensemble.",
            data="AudioSet",
            labels="many",
        )
        for number in range(1, 7)
    ),
    _record(
        "htsat-esc50",
        "ESC-50",
        "HTS-AT, 50 classes of environmental sounds.",
        data="AudioSet, ESC-50 (CC BY-NC)",
        labels="one",
        extra={"mel": "audioset", "short_clips": "repeat", "clip_samples": 320000},
    ),
    _record(
        "htsat-speech-commands",
        "SCV2",
        "HTS-AT, 35 spoken words, spectrogram `htsat_mel.speech_commands`.",
        data="AudioSet, Speech Commands V2",
        labels="many",
        extra={"mel": "speech_commands", "short_clips": "repeat", "clip_samples": 160000},
    ),
)
