"""A codebook's table: reconstruction and use of codes, on a corpus or a folder of sounds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from earsight.data.corpus import Split
from earsight.data.open_corpus import open_corpus
from earsight.errors import InputError
from earsight.evaluate.card import Card, Counts, now, versions, write_card
from earsight.evaluate.charts import SpectrogramPair, draw_pairs
from earsight.evaluate.codebook_use import codebook_use, reconstruct
from earsight.evaluate.corpus_clips import records_of
from earsight.evaluate.judge import Judge, Spectrogram
from earsight.evaluate.report_page import write_page
from earsight.evaluate.sound_sets import open_set
from earsight.evaluate.specvqgan_generation import ClipMel, folder_mels, unique_real
from earsight.evaluate.specvqgan_table import MOST_PAIRS, set_digest
from earsight.generate.load import load_codec

TABLE = "codebook"


def evaluate_codebook(
    data: Path,
    model: str,
    output: Path,
    judge: Judge | None,
    *,
    split: Split | Literal["all"] = "test",
    limit: int | None = None,
    device: str = "cpu",
) -> Card:
    """Reconstruct a split of a corpus, or all of it, or every sound of a folder; write a card.

    Raises InputError for folders without clips and models without a codebook.
    """
    codec = load_codec(model, device=device)
    name, items = corpus_or_folder(data, split)
    items = items[:limit]
    used = codebook_use(codec.codebook, items, judge=judge)
    card = Card(
        table=TABLE,
        scores=used.scores,
        counts=Counts(expected=used.num_expected, found=used.num_found, skipped=used.skipped),
        protocol={
            "metrics": "codebook (L1, share of codes, perplexity; FID, KID, MKL by the judge)",
            "corpus": name,
            "split": split,
            "clip_set": set_digest([item.key for item in items]),
        },
        settings={
            "model": codec.name,
            "weights_sha256": codec.weights_sha256,
            "num_codes": codec.codebook.config.num_codes,
            "device": device,
        },
        judge=None if judge is None else judge.name,
        versions=versions(),
        date=now(),
    )
    write_card(output, card)
    left = {skipped.name for skipped in used.skipped}
    shown: list[SpectrogramPair] = []
    for item in [item for item in items if item.label not in left][:MOST_PAIRS]:
        with torch.inference_mode():
            mel = item.mel()
            shown.append(SpectrogramPair(item.key, mel, reconstruct(codec.codebook, mel)[0]))
    picture = draw_pairs(shown, output / "pairs.png")
    page = f"Codebook of {codec.name} on {name}"
    write_page(output, card, title=page, pictures=[("True and reconstructed", picture)])
    return card


def corpus_or_folder(
    data: Path, split: Split | Literal["all"]
) -> tuple[str, Sequence[Spectrogram]]:
    """Clips of a corpus's split or of all, or of a folder that is none.

    Raises InputError for neither.
    """
    try:
        corpus = open_corpus(data)
    except InputError as refusal:
        try:
            sounds, _ = unique_real(open_set(data))
        except InputError as error:
            raise InputError(f"{refusal}; and as a folder of sounds: {error}") from error
        return data.name, folder_mels(sounds)
    records = records_of(corpus, split)
    return corpus.name, [ClipMel(corpus, record) for record in records]
