"""What every test shares: where real data lies, one thread a worker, a cache of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# before torch is imported, and inherited by the processes that tests start
os.environ["OMP_NUM_THREADS"] = "1"

ROOT = Path(__file__).parents[1]

# the same examples in every run, so that a change is judged by itself and not by luck;
# HYPOTHESIS_PROFILE=search looks for new ones
settings.register_profile("same", derandomize=True)
settings.register_profile("search", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARSIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of real recordings: EARSIGHT_DATA, or `shared/data` beside the checkout."""
    root = Path(os.environ.get("EARSIGHT_DATA", ROOT.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"real recordings are not here: {root} (set EARSIGHT_DATA)")
    return root
