"""Records of published weight files: where each comes from, its hash, licence and use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from earsight.checkpoints.keymap import KeyMap
from earsight.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PublishedPart:
    """One network inside a published file.

    `prefix` tells its entries from those of other networks (the longest one that fits decides)
    and is taken off; `keys` and `config` are found from the entries without it, so sizes come
    from tensor shapes and never from a file's name.
    """

    name: str
    family: str
    keys: Callable[[Mapping[str, Tensor]], KeyMap]
    config: Callable[[Mapping[str, Tensor]], object]
    prefix: str = ""


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """One weight file as its authors published it. Unknown hashes and sizes are None.

    `commercial` is true only where the licence is known to allow commercial use. `config` gives
    the sizes it was published with; `keys` maps its entries to ours and is None where this
    version cannot convert it. `archive_member` is the pattern of the weight file in an archive.
    A file with several networks lists them in `parts`.
    """

    name: str
    url: str
    family: str
    licence: str
    summary: str = ""
    md5: str | None = None
    sha256: str | None = None
    sha256_prefix: str | None = None
    size_bytes: int | None = None
    commercial: bool = False
    config: Callable[[], object] | None = None
    frontend: str = ""
    keys: KeyMap | None = None
    archive_member: str | None = None
    parts: tuple[PublishedPart, ...] = ()
    notes: str = ""

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")):
            raise ConfigError(f"{self.name}: expected a web address, got '{self.url}'")
        for label, value, length in (("md5", self.md5, 32), ("sha256", self.sha256, 64)):
            if value is not None and (len(value) != length or set(value) - set("0123456789abcdef")):
                raise ConfigError(f"{self.name}: {label} must be {length} lower-case hex digits")

    @property
    def file_name(self) -> str:
        """Name of the downloaded file."""
        return self.url.rstrip("/").rpartition("/")[2]
