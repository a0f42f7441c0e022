"""`earsight doctor`: looks over this installation and says what to do about each finding."""

import argparse
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from earsight.cli.report import print_json, print_table, tell
from earsight.files import file_digest

GIB = 2**30
LOW_MEMORY_BYTES = 3 * GIB  # full published sizes need about this beside the sound itself
LOW_DISK_BYTES = 5 * GIB  # the largest published archive and its converted copy
BUNDLED = tuple(Path(__file__).parents[1] / name for name in ("bundled", "bundled_listening"))
# extra -> (package as pip knows it, module as Python knows it, what it is for)
OPTIONAL = {
    "media": (
        ("av", "av", "reading and writing video"),
        ("soundfile", "soundfile", "reading and writing sound files"),
        ("soxr", "soxr", "resampling"),
        ("pillow", "PIL", "reading pictures"),
    ),
    "flow": (("opencv-contrib-python-headless", "cv2.optflow", "optical flow (TV-L1)"),),
    "plots": (("matplotlib", "matplotlib", "plots"),),
    "hub": (("huggingface_hub", "huggingface_hub", "models by hub name"),),
    "train": (("tensorboard", "tensorboard", "training curves"),),
    "parquet": (("pyarrow", "pyarrow.parquet", "tables of embeddings in parquet"),),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `advice` says what to do, empty where all is well."""

    topic: str
    status: Literal["ok", "note", "problem"]
    found: str
    advice: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Print every finding; returns 1 where something is broken."""
    findings = list(examine())
    if args.json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        print_table(
            ("", "part", "found"), [(f.status, f.topic, f.found) for f in findings]
        )  # fmt: skip
        for finding in findings:
            if finding.advice:
                tell(f"{finding.topic}: {finding.advice}")
    return int(any(finding.status == "problem" for finding in findings))


def examine() -> Iterator[Finding]:
    """Look at everything, one finding after the other."""
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Finding("earsight", "ok", f"{version('earsight')} on {system}")
    yield from devices()
    yield from optional_parts()
    for folder in BUNDLED:
        yield from bundled_files(folder)
    yield from cache()
    yield memory(available_memory_bytes())


def devices() -> Iterator[Finding]:
    """What torch can compute on."""
    import torch

    yield Finding("torch", "ok", torch.__version__)
    yield Finding("cpu", "ok", f"{torch.get_num_threads()} threads on {os.cpu_count()} cores")
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found = (
            f"{torch.cuda.get_device_name(index)}, {free / GIB:.1f} of {total / GIB:.1f} GiB free"
        )
        yield Finding(f"cuda:{index}", "ok", found)
    if torch.backends.mps.is_available():
        yield Finding("mps", "ok", "Apple GPU")
    if torch.version.cuda and not torch.cuda.is_available():
        yield Finding(
            "cuda", "note", f"torch is built for CUDA {torch.version.cuda}, no GPU answers",
            "fine on a CPU; for a GPU check the driver with nvidia-smi, to save 3 GB install "
            "with '-c constraints.txt' from a source of CPU builds",
        )  # fmt: skip


def optional_parts() -> Iterator[Finding]:
    """Which extras work, by importing them."""
    for extra, parts in OPTIONAL.items():
        for package, module, purpose in parts:
            install = f"pip install 'earsight[{extra}]'"
            try:
                found = f"{package} {version(package)}"
            except PackageNotFoundError:
                status = "problem" if extra == "media" else "note"
                advice = f"for {purpose}: {install}"
                yield Finding(f"extra {extra}", status, f"{package} is not installed", advice)
                continue
            try:
                import_module(module)
            except (ImportError, OSError) as error:
                advice = f"reinstall it: {install} --force-reinstall --no-deps"
                yield Finding(f"extra {extra}", "problem", f"{found} fails: {error}", advice)
            else:
                yield Finding(f"extra {extra}", "ok", found)


def bundled_files(folder: Path) -> Iterator[Finding]:
    """Whether the files that came with the package are those that were published.

    `folder` holds SHA256SUMS in the format of the program sha256sum.
    """
    topic = f"{folder.name.replace('_', ' ')} files"
    listing = folder / "SHA256SUMS"
    if not listing.is_file():
        yield Finding(topic, "note", "none in this installation")
        return
    broken: list[str] = []
    lines = listing.read_text().splitlines()
    for line in lines:
        digest, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file():
            broken.append(f"{name} is missing")
        elif file_digest(path) != digest:
            broken.append(f"{name} is not the published file")
    if broken:
        advice = "reinstall: pip install --force-reinstall --no-deps earsight"
        yield Finding(topic, "problem", "; ".join(broken), advice)
    else:
        yield Finding(topic, "ok", f"{len(lines)} files intact")


def cache() -> Iterator[Finding]:
    """Whether downloads have a place: writable, and with room."""
    from earsight.checkpoints.fetch import cache_dir

    folder = cache_dir()
    standing = next(path for path in (folder, *folder.parents) if path.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK):
        advice = "choose another folder with the environment variable EARSIGHT_CACHE"
        yield Finding("cache", "problem", f"{folder} cannot be written", advice)
        return
    held = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    free = shutil.disk_usage(standing).free
    found = f"{folder}: {held / GIB:.1f} GiB held, {free / GIB:.1f} GiB free"
    advice = "free some, or point EARSIGHT_CACHE at a larger disk" if free < LOW_DISK_BYTES else ""
    yield Finding("cache", "note" if advice else "ok", found, advice)


def memory(available_bytes: int | None) -> Finding:
    """Whether the memory left is enough for the full published sizes."""
    if available_bytes is None:
        return Finding("memory", "note", "this system does not tell how much is left")
    found = f"{available_bytes / GIB:.1f} GiB left"
    if available_bytes < LOW_MEMORY_BYTES:
        advice = "close other programs; the bundled small model needs under 1 GiB"
        return Finding("memory", "note", found, advice)
    return Finding("memory", "ok", found)


def available_memory_bytes() -> int | None:
    """Memory that this process may still take, container limits included; None if unknown."""
    known: list[int] = []
    meminfo, group = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        known.append(int(lines["MemAvailable"].split()[0]) * 1024)
    limit, used = group / "memory.max", group / "memory.current"
    if limit.is_file() and used.is_file() and limit.read_text().strip() != "max":
        known.append(max(0, int(limit.read_text()) - int(used.read_text())))
    return min(known, default=None)
