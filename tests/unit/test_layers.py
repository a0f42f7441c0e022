"""Imports go to lower levels or the own folder only; nothing inside imports the package's top."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "src" / "earsight"
LEVELS = [
    {"errors", "units"},
    {"extras", "files", "settings"},
    {"media", "nn", "checkpoints", "metrics"},
    {"frontends", "losses", "training"},
    {"models", "data"},
    {"generate"},
    {"prepare", "recipes", "evaluate", "search", "parity"},
    {"cli", "web"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
# one folder per model family: families do not import each other, the catalogue lists them all
FAMILIES = {path.name for path in (ROOT / "models").iterdir() if path.is_dir()} - {"__pycache__"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def complaint(own: tuple[str, ...], target: tuple[str, ...]) -> str | None:
    """Why a module at `own` may not import `target`; None where it may."""
    if own in [("__init__",), ("__main__",)]:
        return None
    if len(target) < 2 or target[1] not in LEVEL:
        return "imports the top of the package"
    if target[1] != own[0] and LEVEL[target[1]] >= LEVEL[own[0]]:
        return f"level {LEVEL[own[0]]} imports level {LEVEL[target[1]]}"
    families = [p[i] for p, i in ((own, 1), (target[1:], 1)) if len(p) > i and p[0] == "models"]
    if len(families) == 2 and set(families) <= FAMILIES and families[0] != families[1]:
        return f"family {families[0]} imports family {families[1]}"
    return None


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    own = path.relative_to(ROOT).with_suffix("").parts
    bad = [
        f"{name}: {why}"
        for name in imports(path)
        if name.split(".")[0] == "earsight" and (why := complaint(own, tuple(name.split("."))))
    ]
    assert not bad, bad


def test_the_rule_sees_a_sideways_import() -> None:
    assert complaint(("media", "audio"), ("earsight", "nn", "x"))
    assert complaint(("frontends", "a"), ("earsight", "models", "x"))
    assert complaint(("generate", "a"), ("earsight", "load"))
    assert not complaint(("models", "melgan", "model"), ("earsight", "errors", "InputError"))
