"""Limits that keep the code easy to read: on functions, files, folders and circular imports.

    python tests/support/limits.py

prints what breaks a limit, and fails if anything does.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Iterator

import graphlib

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("common", "web", "store", "model", "worker", "coordinator", "inference")

FUNCTION_LINES = 60
FUNCTION_LINES_WITHOUT_REASON = 40
FILE_LINES = 400
FOLDER_MODULES = 15

REASONS: dict[str, str] = {
    "coordinator/api/plans.py:plan_of": "one line per argument, and the field that it is",
    "coordinator/api/searching.py:search": "one line per argument, and what it means",
    "coordinator/cli/coordinator.py:coordinator": "one line per option",
    "worker/cli.py:worker": "one line per option",
    "store/trials/trial.py:Trial.from_document": "one line per field",
    "inference/cli.py:predict": "one line per option, and only one statement, which passes them on",
}
"""Functions of more than 40 lines, as ``folder/module.py:function``, and why each is that long."""


def sources() -> list[Path]:
    """Return the modules of hyperhive: those in ``hyperhive/`` itself, and those of its parts."""
    own = (REPOSITORY / "hyperhive").glob("*.py")
    parts = (path for part in PARTS for path in (REPOSITORY / part).rglob("*.py"))
    return sorted([*own, *parts])


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path: Path) -> str:
    """Return the name that a source is imported by, such as ``hyperhive.store.trials.trial``."""
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    if parts[0] != "hyperhive":
        parts = ("hyperhive", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def problems() -> Iterator[str]:
    """Yield a sentence for everything that breaks a limit."""
    paths = sources()
    trees = {path: parsed(path) for path in paths}
    yield from long_files(paths)
    yield from full_folders(paths)
    measured = {name_of(path): lengths(tree) for path, tree in trees.items()}
    yield from long_functions(measured, REASONS)
    for path, tree in trees.items():
        for line, name in boxes(tree):
            yield f"{name_of(path)}:{line}: the list {name} is used as a box: use nonlocal"
    graph = import_graph({module_name(path): tree for path, tree in trees.items()})
    for circle in circles(graph):
        yield "these import each other: " + " -> ".join(circle)


def long_files(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > FILE_LINES:
            yield f"{name_of(path)}: {count} lines, more than {FILE_LINES}"


def full_folders(paths: list[Path]) -> Iterator[str]:
    for folder in sorted({path.parent for path in paths}):
        count = sum(path.parent == folder and path.name != "__init__.py" for path in paths)
        if count > FOLDER_MODULES:
            yield f"{name_of(folder)}/: {count} modules, more than {FOLDER_MODULES}"


def lengths(tree: ast.AST, prefix: str = "") -> dict[str, int]:
    """Return the lines of each function, decorators excluded; methods are ``Class.method``."""
    found = {}
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[prefix + node.name] = (node.end_lineno or 0) - node.lineno + 1
        inner = f"{prefix}{node.name}." if isinstance(node, ast.ClassDef) else prefix
        found.update(lengths(node, inner))
    return found


def long_functions(measured: dict[str, dict[str, int]], reasons: dict[str, str]) -> Iterator[str]:
    """Yield the functions that are too long, and the reasons that are no longer needed."""
    counts = {f"{path}:{name}": n for path, names in measured.items() for name, n in names.items()}
    for function, count in counts.items():
        if count > FUNCTION_LINES:
            yield f"{function}: {count} lines, more than {FUNCTION_LINES}"
        elif count > FUNCTION_LINES_WITHOUT_REASON and function not in reasons:
            limit = FUNCTION_LINES_WITHOUT_REASON
            yield f"{function}: {count} lines, more than {limit}, and REASONS has no reason"
    for function in reasons:
        if counts.get(function, 0) <= FUNCTION_LINES_WITHOUT_REASON:
            yield f"{function}: needs no reason in REASONS"


def boxes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of assignments such as ``x[0] += 1``, where ``x`` is a list literal."""
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        own = statements_of(function)
        lists = {name for node in own for name in list_literals(node)}
        for target in (target for node in ast.walk(function) for target in targets_of(node)):
            if (
                isinstance(target, ast.Subscript)
                and isinstance(target.value, ast.Name)
                and target.value.id in lists
                and is_fixed(target.slice)
            ):
                yield target.lineno, target.value.id


def statements_of(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function, those of functions inside it excluded."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from statements_of(node)


def targets_of(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, (ast.AugAssign, ast.AnnAssign)) else []


def list_literals(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.List):
        yield from (target.id for target in targets_of(node) if isinstance(target, ast.Name))


def is_fixed(index: ast.expr) -> bool:
    """Return whether an index is a number, or a slice of the whole list."""
    whole = isinstance(index, ast.Slice) and index.lower is None and index.upper is None
    return whole or isinstance(index, ast.Constant)


def import_graph(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Return which of these modules each imports, imports inside functions included.

    Imports under ``if TYPE_CHECKING:`` do not count: nothing runs them.
    """
    graph: dict[str, set[str]] = {}
    for name, tree in trees.items():
        wanted = set()
        for node in running_nodes(tree):
            if isinstance(node, ast.Import):
                wanted.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    wanted.add(inner if inner in trees else str(node.module))
        graph[name] = (wanted & set(trees)) - {name}
    return graph


def running_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those under ``if TYPE_CHECKING:``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from running_nodes(node)


def circles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """Yield circles of imports, until no module is in one that was not yielded."""
    left = {name: set(imported) for name, imported in graph.items()}
    while True:
        try:
            graphlib.TopologicalSorter(left).prepare()
        except graphlib.CycleError as error:
            circle = error.args[1][::-1]  # each imports the next
            yield circle
            left[circle[0]].discard(circle[1])
        else:
            return


if __name__ == "__main__":
    sys.exit("\n".join(problems()) or 0)  # "" would count as a failure
