"""The bar that CONTRIBUTING.md sets for every file and function of the package."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2] / "src" / "earsight"
FILES = {path.relative_to(ROOT): path.read_text() for path in sorted(ROOT.rglob("*.py"))}
TREES = {path: ast.parse(text) for path, text in FILES.items()}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield f"{path}:{node.lineno} {node.name}", node


def test_files_are_short() -> None:
    lengths = {str(path): text.count("\n") for path, text in FILES.items()}
    assert {path: length for path, length in lengths.items() if length > 500} == {}
    assert statistics.median(lengths.values()) <= 150


def test_functions_are_short() -> None:
    lengths = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions()}
    assert {name: length for name, length in lengths.items() if length > 90} == {}
    assert sorted(lengths.values())[int(0.9 * len(lengths))] <= 40


def test_every_parameter_is_annotated() -> None:
    bare = [
        f"{name}({parameter.arg})"
        for name, node in functions()
        for parameter in node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        if parameter.arg not in ("self", "cls") and parameter.annotation is None
    ]
    assert bare == []


def public(body: list[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    """Public functions and classes of a module, and the public methods of those classes."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def test_everything_public_is_documented() -> None:
    bare = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in TREES.items()
        for node in public(tree.body)
        if ast.get_docstring(node) is None
    ]
    bare += [str(path) for path, tree in TREES.items() if tree.body and not ast.get_docstring(tree)]
    assert bare == []


def test_only_commands_print() -> None:
    printing = [
        f"{path}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and path.parts[0] != "cli"
    ]
    assert printing == []


def test_no_dumping_grounds() -> None:
    names = {"utils.py", "common.py", "misc.py", "helpers.py"}
    assert [str(path) for path in FILES if path.name in names] == []
