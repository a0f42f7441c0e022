"""Published constant tables that lie beside the code, hash-checked when read.

They are stored, not computed, because log and exp differ in the last bits between platforms and
library versions: a published front end must not move when either is updated.
"""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from earsight.errors import InputError

FOLDER = Path(__file__).parent / "stored"


def load_table(file_name: str, *, sha256: str) -> dict[str, Tensor]:
    """Arrays of the NumPy archive `file_name` in `stored`.

    Raises InputError where the file's bytes are not the published ones.
    """
    content = (FOLDER / file_name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InputError(
            f"table {file_name} was changed: expected sha256 {sha256}, found {found}; "
            "install the package again"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: torch.as_tensor(archive[name]) for name in archive.files}
