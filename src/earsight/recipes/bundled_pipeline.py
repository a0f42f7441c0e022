"""Puts the three bundled networks together into the folder that `earsight.load()` opens."""

from pathlib import Path

from earsight.checkpoints.native import CARD, CONFIG, LAYOUT, read_folder
from earsight.data.corpora.esc10 import CLASSES
from earsight.errors import WeightsError
from earsight.files import file_digest, staged, write_json
from earsight.generate.logits import SamplingConfig
from earsight.settings import to_plain

PARTS = {"codebook": "mel_codebook", "transformer": "transformer", "vocoder": "vocoder"}
# held-out sound follows its track with correlation 0.72, at temperature 1 with 0.65
SAMPLING = SamplingConfig(temperature=0.9, top_p=0.9)
LIMIT_BYTES = 15 * 10**6


def assemble(folder: Path, *, card: str) -> None:
    """Write the bundle's `config.json`, card and `SHA256SUMS` beside the networks in `folder`.

    Raises WeightsError where a network does not fit the others or all are too large to bundle.
    """
    codebook, transformer, vocoder = (read_folder(folder / part) for part in PARTS.values())
    spoken, known = transformer.config["num_codes"], codebook.config["num_codes"]
    bands = vocoder.config["num_mels"], codebook.config["num_mels"]
    if spoken != known or bands[0] != bands[1]:
        raise WeightsError(
            f"the transformer speaks {spoken} codes and the codebook {known}, the vocoder takes "
            f"{bands[0]} bands and the codebook makes {bands[1]}: they were not trained together"
        )
    described = {
        "layout": LAYOUT,
        "family": "video_to_sound",
        "parts": PARTS,
        "extra": {
            "visual": "motion",
            "class_names": list(CLASSES),
            "lead_frames": 0,
            "sampling": to_plain(SAMPLING),
        },
        "card": CARD,
    }
    write_json(folder / CONFIG, described, overwrite=True)
    with staged(folder / CARD, overwrite=True) as temporary:
        temporary.write_text(card)
    listed = sorted(path for path in folder.rglob("*") if path.is_file() and _is_listed(path))
    size = sum(path.stat().st_size for path in listed)
    if size > LIMIT_BYTES:
        raise WeightsError(f"{folder} holds {size} bytes, the limit is {LIMIT_BYTES}: shrink it")
    lines = [f"{file_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in listed]
    with staged(folder / "SHA256SUMS", overwrite=True) as temporary:
        temporary.write_text("".join(lines))


def _is_listed(path: Path) -> bool:
    return path.name != "SHA256SUMS" and not path.name.startswith(".")
