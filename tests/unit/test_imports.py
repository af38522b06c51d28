"""The house rules of the imports: which part may use which, and who may touch the environment."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MAY_USE = {
    "common": set(),
    "web": {"common"},
    "store": {"common"},
    "model": {"common"},
    "worker": {"common", "store", "model"},
    "coordinator": {"common", "store", "model", "web"},
    "inference": {"common", "store", "model", "web"},
}
SOURCES = sorted(path for part in MAY_USE for path in (REPOSITORY / part).rglob("*.py"))
NOT_COMMANDS = [path for path in SOURCES if path.name != "cli.py" and path.parent.name != "cli"]


def called(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of every import, those inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parts_used(tree: ast.AST) -> set[str]:
    """Return the parts of hyperhive that a module imports, its face among them as ``hyperhive``."""
    ours = [name.split(".") for name in imported(tree) if name.split(".")[0] == "hyperhive"]
    return {path[1] if path[1:2] and path[1] in MAY_USE else path[0] for path in ours if path[1:]}


def touches(tree: ast.AST) -> list[tuple[int, str]]:
    """Return where a module reads the environment, prints, or sets up logging."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in ("os.environ", "os.environb", "os.getenv", "logging.basicConfig"):
                found.append((node.lineno, name))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("print", "input"):
                found.append((node.lineno, node.func.id))
        elif isinstance(node, ast.ImportFrom) and node.module in ("os", "logging"):
            names = {alias.name for alias in node.names}
            for name in sorted(names & {"environ", "getenv", "basicConfig"}):
                found.append((node.lineno, name))
    return found


def modules_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after a statement."""
    script = "{}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run(
        [sys.executable, "-c", script.format(statement)],
        cwd=str(REPOSITORY),
        stdout=subprocess.PIPE,
        check=True,
    )
    return set(loaded.stdout.decode().split())


def test_the_sources_are_found() -> None:
    """The rules below are about files that are there."""
    assert {path.relative_to(REPOSITORY).parts[0] for path in SOURCES} == set(MAY_USE)
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", SOURCES, ids=called)
def test_a_part_imports_only_what_it_may(path: Path) -> None:
    """Imports go one way: nothing in the store or the model knows who uses it."""
    part = path.relative_to(REPOSITORY).parts[0]
    assert parts_used(parsed(path)) - {part} <= MAY_USE[part]


@pytest.mark.parametrize("path", SOURCES, ids=called)
def test_imports_are_absolute(path: Path) -> None:
    """A relative import would go past the rule above."""
    assert not [name for name in imported(parsed(path)) if name.startswith(".")]


@pytest.mark.parametrize("path", NOT_COMMANDS, ids=called)
def test_only_commands_print_and_read_the_environment(path: Path) -> None:
    """What a part does depends on its arguments, and what it says goes through its caller."""
    assert touches(parsed(path)) == []


def test_what_the_rules_look_for_is_found() -> None:
    """The checks above see each of the ways to break a rule."""
    broken = ast.parse(
        "import os, logging, hyperhive.worker.loop\n"
        "from os import getenv\n"
        "def f():\n"
        "    from hyperhive.coordinator import study\n"
        "    print(os.environ['HOME'], os.getenv('X'))\n"
        "    logging.basicConfig()\n"
    )
    assert parts_used(broken) == {"worker", "coordinator"}
    assert sorted(name for _, name in touches(broken)) == [
        "getenv",
        "logging.basicConfig",
        "os.environ",
        "os.getenv",
        "print",
    ]


def test_a_configuration_needs_no_torch() -> None:
    """Who only posts or shows trials does not wait for PyTorch to load."""
    assert not modules_after("import hyperhive.model.config") & {"torch", "numpy", "pymongo", "PIL"}


def test_a_trial_needs_no_pymongo() -> None:
    """What a trial is does not depend on where it is kept."""
    assert not modules_after("import hyperhive.store.trial, hyperhive.store.errors") & {
        "pymongo",
        "torch",
    }


def test_the_store_needs_no_torch() -> None:
    """A machine that only coordinates or watches needs PyMongo alone."""
    loaded = modules_after("import hyperhive.store.store, hyperhive.store.server.embedded")
    assert "pymongo" in loaded
    assert not loaded & {"torch", "numpy", "hyperopt", "sklearn", "cv2"}


def test_the_command_line_starts_without_anything_heavy() -> None:
    """``hyperhive --help`` answers at once: nothing heavy is imported before a command runs."""
    heavy = {"torch", "torchvision", "cv2", "hyperopt", "sklearn", "pymongo", "numpy", "matplotlib"}
    assert not modules_after("import hyperhive.cli") & heavy


def test_a_waiting_coordinator_has_no_pytorch() -> None:
    """It is imported, and Matplotlib with it, when a model is there to be judged and drawn."""
    assert not modules_after("import hyperhive.coordinator.run") & {"torch", "matplotlib"}


def test_a_worker_loads_what_unpickles_only_when_allowed() -> None:
    """Without the flag, the module that runs pickled objectives is not even there.

    Nor is PyTorch, before the first trial that trains.
    """
    ask = "from hyperhive.worker.objectives.registry import registered; registered({})"
    assert not modules_after(ask.format("")) & {"hyperopt", "cloudpickle", "torch"}
    assert "hyperopt" in modules_after(ask.format("allow_pickled=True"))


def test_one_place_unpickles() -> None:
    """Of all sources, ``evaluate`` in store/hyperopt/worker.py alone uses pickle."""
    using = {called(path) for path in SOURCES if "pickle" in set(imported(parsed(path)))}
    assert using == {"store/hyperopt/worker.py"}
