"""Writes a prepared corpus into tar shards, which `data.shards` reads."""

import io
import json
import tarfile
from pathlib import Path

from earsight.data.corpus import SPLITS, ClipRecord
from earsight.data.prepared import PreparedCorpus
from earsight.data.prepared_layout import (
    codes_path,
    feature_path,
    mel_path,
    to_line,
    wave_path,
)
from earsight.data.shards import CARD_FILE
from earsight.errors import InputError
from earsight.files import staged, write_json

CLIPS_PER_SHARD = 1000


def write_shards(
    corpus: PreparedCorpus, folder: Path, *, clips_per_shard: int = CLIPS_PER_SHARD
) -> list[Path]:
    """Write every clip of a prepared corpus into shards, one run of them per split.

    The same corpus gives the same bytes. Shards of an earlier writing are replaced. Raises
    InputError for an array that is missing.
    """
    (folder / CARD_FILE).unlink(missing_ok=True)
    for older in folder.glob("*.tar") if folder.is_dir() else ():
        older.unlink()
    written: list[Path] = []
    for split in SPLITS:
        records = corpus.records(split)
        for number, start in enumerate(range(0, len(records), clips_per_shard)):
            path = folder / f"{split}-{number:06d}.tar"
            with staged(path) as temporary, tarfile.open(temporary, "w") as tar:
                for place, record in enumerate(records[start : start + clips_per_shard]):
                    _add_clip(tar, f"{split}-{start + place:08d}", corpus, record, folder)
            written.append(path)
    write_json(folder / CARD_FILE, corpus.card | {"shards": [path.name for path in written]})
    return written


def _add_clip(
    tar: tarfile.TarFile, key: str, corpus: PreparedCorpus, record: ClipRecord, folder: Path
) -> None:
    line = to_line(record, folder)
    files = {"mel.npy": mel_path(corpus.folder, record.id)}
    wave = Path(str(record.notes.get("wave") or wave_path(corpus.folder, record.id)))
    files[f"wave{wave.suffix}"] = wave
    if record.notes.get("picture", True):
        for kind in corpus.feature_kinds:
            files[f"features-{kind}.npy"] = feature_path(corpus.folder, kind, record.id)
    for digest in corpus.code_digests:
        files[f"codes-{digest}.npy"] = codes_path(corpus.folder, digest, record.id)
    missing = [str(path) for path in files.values() if not path.is_file()]
    if missing:
        raise InputError(f"{missing[0]} is missing: run 'earsight prepare' again")
    line["members"] = ["json", *files]
    # the clip's own wave travels in the shard
    line["notes"] = {key: value for key, value in line["notes"].items() if key != "wave"}
    _add(tar, f"{key}.json", json.dumps(line, ensure_ascii=False).encode())
    for kind, path in files.items():
        _add(tar, f"{key}.{kind}", path.read_bytes())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.size = len(content)
    tar.addfile(header, io.BytesIO(content))
