"""Opens a corpus by looking at its folder."""

from pathlib import Path

from earsight.data.corpora.esc10_corpus import is_esc, open_esc
from earsight.data.corpora.official_files import MELS
from earsight.data.corpora.vas import VAS
from earsight.data.corpora.vggsound import VGGSound
from earsight.data.corpus import Corpus
from earsight.data.prepared import PreparedCorpus, is_prepared
from earsight.data.shards import ShardCorpus, is_shards
from earsight.errors import InputError


def open_corpus(path: str | Path, *, only_present: bool = False) -> Corpus:
    """A prepared folder, shards, VGGSound or VAS in the official layout, ESC-50 or ESC-10.

    `only_present` leaves out listed clips of an official layout that are gone. Raises InputError
    for anything else; a folder of media has to be prepared first.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"no corpus at {folder}: expected a folder")
    if is_prepared(folder):
        return PreparedCorpus(folder)
    if is_shards(folder):
        return ShardCorpus(folder)
    if (folder / MELS).is_dir():
        return VGGSound(folder, only_present=only_present)
    if any((folder / "features").glob(f"*/{MELS}")):
        return VAS(folder, only_present=only_present)
    if is_esc(folder):
        return open_esc(folder)
    raise InputError(
        f"{folder} is no prepared corpus: run 'earsight prepare {folder} --output DIR' and give "
        "DIR. VGGSound and VAS with the official spectrograms, and prepared shards, are read as "
        "they are"
    )
