"""Records of published weight files: where each comes from, its hash, licence and use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from earsight.checkpoints.keymap import KeyMap
from earsight.errors import ConfigError

Entries = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class PublishedPart:
    """One network inside a published file.

    `prefix` tells its entries from those of other networks (the longest one that fits decides)
    and is taken off; networks of one prefix are made of the same entries. `keys` and `config` are
    found from the entries without it, so sizes come from tensor shapes and never from a file's
    name. `build` makes the network from the config.
    """

    name: str
    family: str
    keys: Callable[[Entries], KeyMap]
    config: Callable[[Entries], object]
    build: Callable[[Any], nn.Module]
    prefix: str = ""


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """One weight file as its authors published it. Unknown hashes and sizes are None.

    `commercial` is true only where the licence is known to allow commercial use. `parts` are the
    networks inside, empty where this version cannot convert the file. `extra` goes into the
    converted folder: what a pipeline must know besides sizes. `archive_member` is the pattern of
    the weight file in an archive, None for a bare file.
    """

    name: str
    url: str
    family: str
    licence: str
    summary: str
    md5: str | None = None
    sha256: str | None = None
    sha256_prefix: str | None = None
    size_bytes: int | None = None
    commercial: bool = False
    frontend: str = ""
    archive_member: str | None = None
    parts: tuple[PublishedPart, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict[str, object])
    notes: str = ""

    def __post_init__(self) -> None:
        """Refuse what could never be fetched or checked."""
        if not self.url.startswith(("https://", "http://")):
            raise ConfigError(f"{self.name}: expected a web address, got '{self.url}'")
        for label, value, length in (("md5", self.md5, 32), ("sha256", self.sha256, 64)):
            if value is not None and (len(value) != length or set(value) - set("0123456789abcdef")):
                raise ConfigError(f"{self.name}: {label} must be {length} lower-case hex digits")

    @property
    def file_name(self) -> str:
        """Name of the downloaded file."""
        return self.url.partition("?")[0].rstrip("/").rpartition("/")[2]

    @property
    def has_hash(self) -> bool:
        """Whether the authors' file can be told from another."""
        return any((self.md5, self.sha256, self.sha256_prefix))
