"""The weight files of Audio-MAE.

Source: official repository facebookresearch/AudioMAE, which links two files on Google Drive and
publishes no hash; its licence covers code and weights.
"""

from earsight.checkpoints.published import PublishedPart, PublishedWeights
from earsight.models.audiomae import published
from earsight.models.audiomae.model import AudioTagger, MaskedAutoencoder

_DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
LICENCE = (
    "code and weights CC BY-NC 4.0: no commercial use; trained on YouTube videos (AudioSet) whose "
    "rights stay with their owners"
)
_NOTES = "no hash is published; where Google Drive asks first, download it in a browser and convert"

PRETRAINED = PublishedWeights(
    name="audiomae-pretrained",
    url=f"{_DRIVE}1ni_DV4dRf7GxM8k-Eirx71WP9Gg89wwu",
    family="audiomae",
    licence=LICENCE,
    summary="Audio-MAE ViT-B pre-trained on AudioSet-2M, encoder and local decoder.",
    frontend="kaldi_fbank, audioset",
    parts=(
        PublishedPart(
            name="audiomae",
            family="audiomae",
            keys=published.keys_from_entries,
            config=published.autoencoder_from_entries,
            build=MaskedAutoencoder,
        ),
    ),
    # as the official script trains; such a network predicts the shape of patches alone
    extra={"normalise_patches": True},
    notes=_NOTES,
)
FINETUNED = PublishedWeights(
    name="audiomae-audioset",
    url=f"{_DRIVE}18EsFOyZYvBYHkJ7_n7JFFWbj6crz01gq",
    family="audiomae_tagger",
    licence=LICENCE,
    summary="Audio-MAE ViT-B fine-tuned on AudioSet-2M: 527 classes, mAP 47.3.",
    frontend="kaldi_fbank, audioset",
    parts=(
        PublishedPart(
            name="audiomae_tagger",
            family="audiomae_tagger",
            keys=lambda _: published.TAGGER_KEYS,
            config=published.tagger_from_entries,
            build=AudioTagger,
        ),
    ),
    notes=_NOTES,
)
AUDIOMAE = (PRETRAINED, FINETUNED)
