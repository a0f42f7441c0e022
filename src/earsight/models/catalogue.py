"""Every published weight file this version knows, by name."""

import difflib
from pathlib import Path

from earsight.checkpoints.fetch import cache_dir
from earsight.checkpoints.published import PublishedWeights
from earsight.errors import InputError
from earsight.files import file_digest
from earsight.models.ast_archives import AST, DEIT
from earsight.models.audiomae_archives import AUDIOMAE
from earsight.models.htsat_archives import HTSAT
from earsight.models.judge_archives import JUDGES
from earsight.models.specvqgan_archives import SPECVQGAN
from earsight.models.ssast_archives import SSAST
from earsight.models.visual_archives import VISUAL
from earsight.models.vocoder_archives import VOCODERS

CATALOGUE: dict[str, PublishedWeights] = {
    record.name: record
    for record in (
        *(*SPECVQGAN, *VOCODERS, *VISUAL, *JUDGES),
        *(*AST, *DEIT, *SSAST, *HTSAT, *AUDIOMAE),
    )
}


def find(name: str) -> PublishedWeights:
    """The record of a name; raises InputError with the nearest names."""
    if name not in CATALOGUE:
        near = difflib.get_close_matches(name, CATALOGUE, n=3, cutoff=0.4)
        raise InputError(
            f"no published weights '{name}'"
            + (f", nearest: {', '.join(near)}" if near else "")
            + " ('earsight weights list' shows all)"
        )
    return CATALOGUE[name]


def fetched_path(record: PublishedWeights) -> Path:
    """Where a fetched file lies in the cache."""
    return cache_dir() / "fetched" / record.name / record.file_name


def converted_path(record: PublishedWeights) -> Path:
    """Where a converted model folder lies in the cache."""
    return cache_dir() / "converted" / record.name


def identify(path: Path) -> PublishedWeights | None:
    """The record whose hash a file has, whatever the file is called; None for an unknown one."""
    md5, sha256 = file_digest(path, "md5"), file_digest(path)
    for record in CATALOGUE.values():
        if record.md5 == md5 or record.sha256 == sha256:
            return record
        if record.sha256_prefix is not None and sha256.startswith(record.sha256_prefix):
            return record
    return None
