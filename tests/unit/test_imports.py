"""The house rules of the imports: which part may use which, and who may touch the environment."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib
from support.limits import REPOSITORY, circles, import_graph, module_name, name_of, parsed, sources

MAY_USE: dict[str, set[str]] = {
    "common": set(),
    "web": {"common"},
    "store": {"common"},
    "model": {"common"},
    "worker": {"common", "store", "model"},
    "coordinator": {"common", "store", "model", "web", "worker", "inference"},
    "inference": {"common", "store", "model", "web"},
}
SOURCES = [path for path in sources() if path.relative_to(REPOSITORY).parts[0] in MAY_USE]
NOT_COMMANDS = [path for path in SOURCES if path.name != "cli.py" and path.parent.name != "cli"]


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of every import, those inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def parts_used(tree: ast.AST) -> set[str]:
    """Return the parts of hyperhive that a module imports; its face is ``hyperhive`` itself."""
    ours = [name.split(".") for name in imported(tree) if name.split(".")[0] == "hyperhive"]
    return {path[1] if path[1:] and path[1] in MAY_USE else "hyperhive" for path in ours}


def circle_of(**modules: str) -> list[list[str]]:
    """Return the circles of a few modules, given as ``name="its source"``."""
    return list(circles(import_graph({name: ast.parse(text) for name, text in modules.items()})))


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
    script = "{}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run(
        [sys.executable, "-c", script.format(statement)],
        cwd=str(REPOSITORY),
        stdout=subprocess.PIPE,
        check=True,
    )
    return set(loaded.stdout.decode().split())


def test_the_sources_are_found() -> None:
    """The rules below are checked on files that exist."""
    assert {path.relative_to(REPOSITORY).parts[0] for path in SOURCES} == set(MAY_USE)
    assert len(SOURCES) > 30


def test_every_folder_with_modules_is_installed() -> None:
    """pyproject.toml lists the packages one by one; none is missing there."""
    setuptools = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {module_name(path.parent / "__init__.py") for path in sources()}
    assert set(setuptools["packages"]) == folders


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_part_imports_only_what_it_may(path: Path) -> None:
    """Imports go one way: nothing in the store or the model knows its users."""
    part = path.relative_to(REPOSITORY).parts[0]
    assert parts_used(parsed(path)) - {part} <= MAY_USE[part]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_are_absolute(path: Path) -> None:
    """The rule above does not see relative imports."""
    assert not [name for name in imported(parsed(path)) if name.startswith(".")]


def test_no_module_imports_itself_by_way_of_others() -> None:
    """A module can be read, tested and moved without the ones that use it."""
    graph = import_graph({module_name(path): parsed(path) for path in sources()})
    assert sum(map(len, graph.values())) > 100
    assert list(circles(graph)) == []


def test_a_circle_is_found() -> None:
    """Imports inside functions close a circle; those for the type checker alone do not."""
    assert circle_of(a="import b", b="import c", c="") == []
    [circle] = circle_of(a="import b", b="def f():\n    from c import x", c="import a")
    assert circle in (["a", "b", "c", "a"], ["b", "c", "a", "b"], ["c", "a", "b", "c"])
    unseen = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a"
    assert circle_of(a="import b", b=unseen) == []


@pytest.mark.parametrize("path", NOT_COMMANDS, ids=name_of)
def test_only_commands_print_and_read_the_environment(path: Path) -> None:
    """A part's behaviour depends on its arguments, and its caller prints what it reports."""
    assert touches(parsed(path)) == []


def test_each_way_to_break_a_rule_is_found() -> None:
    """The checks above notice what they are for."""
    broken = ast.parse(
        "import os, logging, hyperhive.worker.loop\n"
        "from os import getenv\n"
        "from hyperhive import web\n"
        "def f():\n"
        "    from hyperhive.coordinator import study\n"
        "    print(os.environ['HOME'], os.getenv('X'))\n"
        "    logging.basicConfig()\n"
    )
    assert parts_used(broken) == {"worker", "coordinator", "web"}
    for line in ("import hyperhive", "from hyperhive import Store", "import hyperhive.cli"):
        assert parts_used(ast.parse(line)) == {"hyperhive"}
    assert list(imported(ast.parse("from . import x\nfrom .y import z"))) == ["..x", ".y.z"]
    assert sorted(name for _, name in touches(broken)) == [
        "getenv",
        "logging.basicConfig",
        "os.environ",
        "os.getenv",
        "print",
    ]


def test_a_configuration_needs_no_torch() -> None:
    """A command that posts or shows trials does not wait for PyTorch."""
    assert not modules_after("import hyperhive.model.config") & {"torch", "numpy", "pymongo", "PIL"}


def test_a_trial_needs_no_pymongo() -> None:
    """A trial does not depend on where it is stored."""
    assert not modules_after("import hyperhive.store.trials.trial, hyperhive.store.errors") & {
        "pymongo",
        "torch",
    }


def test_the_store_needs_no_torch() -> None:
    """A machine that only watches needs PyMongo and nothing heavier."""
    loaded = modules_after("import hyperhive.store.store, hyperhive.store.server.embedded")
    assert "pymongo" in loaded
    assert not loaded & {"torch", "numpy", "hyperopt", "sklearn", "cv2"}


_SUGGESTER = (
    "from hyperhive.coordinator.spaces.named import CLASSIC\n"
    "from hyperhive.coordinator.suggest import Suggester; Suggester({!r}, CLASSIC, 0, 1)"
)


@pytest.mark.parametrize(
    ("statement", "without"),
    [
        ("import hyperhive.cli", {"pymongo", "numpy", "scipy"}),
        (
            "import hyperhive.coordinator.cli.status, hyperhive.coordinator.views.status\n"
            "import hyperhive.store.server.choice, hyperhive.store.store",
            {"numpy", "scipy", "PIL"},
        ),
        (
            "import hyperhive.coordinator.session, hyperhive.coordinator.planning.script\n"
            "import hyperhive.coordinator.api.searching, hyperhive.coordinator.api.study\n"
            + _SUGGESTER.format("random"),
            {"scipy"},
        ),
        (_SUGGESTER.format("tpe"), set()),
        (
            "import hyperhive.worker.cli, hyperhive.worker.slots, hyperhive.worker.loop\n"
            "from hyperhive.worker.objectives.registry import registered; registered()",
            {"numpy", "scipy", "PIL", "cloudpickle"},
        ),
    ],
    ids=["hyperhive", "status", "coordinator", "tpe", "worker"],
)
def test_a_command_starts_without_what_it_may_never_need(statement: str, without: set[str]) -> None:
    """The heavy packages are imported when there is a model to train, or a job of hyperopt's.

    So is the module that runs pickled objectives, if it is allowed.
    """
    heavy = {"torch", "torchvision", "cv2", "sklearn", "matplotlib", "pandas", "starlette"}
    assert not modules_after(statement) & {*heavy, "hyperopt", "networkx", *without}


def test_a_worker_that_may_unpickle_loads_hyperopt_at_once() -> None:
    """A machine that lacks it says so when the worker starts."""
    ask = "from hyperhive.worker.objectives.registry import registered; registered(True)"
    assert "hyperopt" in modules_after(ask)


def test_two_places_unpickle() -> None:
    """Two modules use pickle: for hyperopt's jobs, and for a function from the worker's starter."""
    pickles = {"pickle", "cloudpickle"}
    using = {name_of(path) for path in SOURCES if pickles & set(imported(parsed(path)))}
    assert using == {"store/hyperopt/worker.py", "worker/objectives/given.py"}
