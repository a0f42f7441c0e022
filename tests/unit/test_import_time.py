"""The core imports quickly: under a second beyond torch's own time, every public name included."""

import subprocess
import sys

IMPORT = """if True:
    import time
    import torch
    start = time.perf_counter()
    import earsight
    for name in getattr(earsight, "__all__", ()):
        getattr(earsight, name)
    print(time.perf_counter() - start)
"""


def test_core_import() -> None:
    seconds = [
        float(
            subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, check=True).stdout
        )
        for _ in range(2)
    ]
    assert min(seconds) < 1.0, seconds
