"""What is published: the files of a package, its objectives, and what it says that it needs.

None of it runs: a machine that lacks the code's packages can publish it.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from hyperhive.common.errors import UsageError
from hyperhive.common.wording import counted
from hyperhive.store.signed.catalog import Entry
from hyperhive.store.signed.modules import modules_of, taken
from hyperhive.store.signed.package import (
    MOST_BYTES,
    MOST_FILES,
    Files,
    digest,
    packed,
    wrong_path,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LEFT_OUT = "__pycache__"
"""Left out of a folder, as is everything whose name begins with a dot."""
_OURS = ("models", "predictions")
"""Folders into which coordinator and predict-cam write: only Python files are taken from them."""
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
"""https://peps.python.org/pep-0723/#reference-implementation"""


def read(path: Path) -> tuple[Entry, bytes]:
    """Return a Python file, or a folder with some, as an entry of a catalog and its package.

    A folder's objectives are in those of its own files, not those below, that have a function with
    a parameter ``trial``, or a ``hyperhive.command``. Raises ``UsageError``, ``OSError``.
    """
    files = files_to_publish(path)
    package = packed(files)
    if len(package) > MOST_BYTES:
        raise _too_large(path)
    sources = {name: _parsed(path, name, data) for name, data in files.items() if _is_top(name)}
    if not path.is_dir():
        _require_nothing_beside(path, sources[path.name])
    found = {name: list(_functions(tree)) for name, tree in sources.items()}
    if path.is_dir():
        mains = [name for name, each in found.items() if any(is_sure for _, is_sure in each)]
    else:
        mains = [name for name, each in found.items() if each]
    if not mains:
        raise UsageError(
            f"{path} has no function of (config, trial), and no hyperhive.command, at the top "
            "level: what is below `if` or `try` does not count"
        )
    each_function = (f"{name}:{function}" for name in mains for function, _ in found[name])
    functions = tuple(dict.fromkeys(each_function))  # a later definition replaces an earlier one
    requires, python = _needs(path, [files[name] for name in mains])
    name = name_of(path)
    return Entry(name, digest(package), len(package), functions, requires, python), package


def name_of(path: Path) -> str:
    """Return the name under which a file or a folder is published; "." has one too."""
    return path.resolve().name if path.is_dir() else path.name


def files_to_publish(path: Path) -> Files:
    """Return the files of a package for a Python file or a folder; raises as ``read`` does."""
    if path.is_dir():
        if name_of(path).endswith(".py"):
            raise UsageError(f"{path} is a folder whose name ends with .py: rename it")
        found = _below(path, "")
    elif path.suffix == ".py" and path.is_file():
        found = iter([(path.name, path)])
    else:
        raise UsageError(f"{path} is no Python file, and no folder: there is nothing to publish")
    files: Files = {}
    length = 0
    for name, file in found:
        length += file.stat().st_size  # before it is read: there may be gigabytes
        if length > MOST_BYTES:
            raise _too_large(path)
        if len(files) == MOST_FILES:
            raise UsageError(f"{path} has more than {MOST_FILES} files: keep data out of it")
        files[name] = file.read_bytes()
    wrong = wrong_path(files)
    if wrong is not None:
        raise UsageError(f"{path} {wrong}")
    wrongly_named = sorted(modules_of(files) & taken())
    if wrongly_named:
        raise UsageError(
            f"{path} has a module {wrongly_named[0]}, as Python or hyperhive has itself: rename it"
        )
    return files


def _too_large(path: Path) -> UsageError:
    return UsageError(
        f"{path} has more than {MOST_BYTES / 1e6:.0f} MB, the most that can be published: keep "
        "data out of it"
    )


def _below(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.name == _LEFT_OUT or path.name.startswith("."):
            continue
        if path.is_symlink():
            raise UsageError(f"{path} is a link: what is published must be files and folders")
        if path.is_dir():
            yield from _below(path, f"{prefix}{path.name}/")
        elif path.is_file() and (path.suffix == ".py" or prefix.partition("/")[0] not in _OURS):
            yield prefix + path.name, path


def _is_top(name: str) -> bool:
    return name.endswith(".py") and "/" not in name


def _parsed(path: Path, name: str, data: bytes) -> ast.Module:
    try:
        return ast.parse(data, name)
    except SyntaxError as error:
        raise UsageError(f"{path}: {name}, line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {name} is no Python source: {error}") from error


def _require_nothing_beside(path: Path, tree: ast.Module) -> None:
    """Raise ``UsageError`` if a file needs a module that lies beside it.

    What is imported below `if` or `try` may be for other uses of the file.
    """
    for statement in tree.body:
        walked = () if isinstance(statement, (ast.If, ast.Try)) else ast.walk(statement)
        for name in sorted({name for node in walked for name in _imported(node)} - taken()):
            for beside in (path.with_name(f"{name}.py"), path.with_name(name) / "__init__.py"):
                if beside.is_file() and beside.name != path.name:
                    raise UsageError(
                        f"{path} imports {beside.relative_to(path.parent)}, which lies beside it "
                        f"and is not included: publish the folder {path.absolute().parent}"
                    )


def _imported(node: ast.AST) -> Iterator[str]:
    """Yield the top-level names of the modules that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (each.name.partition(".")[0] for each in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
        yield node.module.partition(".")[0]


def _functions(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Yield the public functions that can be objectives, and the commands of a module.

    With each, whether it is surely an objective: a helper may take one argument too.
    """
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
            if _takes(node.args, 1) or _takes(node.args, 2):
                yield node.name, "trial" in names
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_command(node.value):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and not target.id.startswith("_"):
                    yield target.id, True


def _takes(arguments: ast.arguments, count: int) -> bool:
    """Return whether a function can be called with so many positional arguments."""
    positional = len(arguments.posonlyargs) + len(arguments.args)
    most = sys.maxsize if arguments.vararg else positional
    return None not in arguments.kw_defaults and (
        positional - len(arguments.defaults) <= count <= most
    )


def _is_command(value: ast.expr | None) -> bool:
    if not isinstance(value, ast.Call):
        return False
    function = value.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name == "command"


def _needs(path: Path, sources: Iterable[bytes]) -> tuple[tuple[str, ...], str]:
    """Return the requirements in these files' blocks of PEP 723, and their versions of Python."""
    requires: list[str] = []
    pythons: list[str] = []
    for source in sources:
        block = _block(path, source)
        texts, python = block.get("dependencies", []), block.get("requires-python", "")
        if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
            raise UsageError(f'{path}: dependencies must be a list of text, as in ["numpy"]')
        if not isinstance(python, str):
            raise UsageError(f'{path}: requires-python must be text, as in ">=3.8"')
        try:
            for text in texts:
                requirement = Requirement(text)
                if requirement.url is not None:
                    raise UsageError(f"{path}: the dependency {text!r} has an address: omit it")
                _require_marker(path, requirement)
                requires.append(str(requirement))
            pythons.append(str(SpecifierSet(python)))
        except ValueError as error:
            raise UsageError(f"{path}: its block `# /// script` has {error}") from error
    return tuple(dict.fromkeys(requires)), ",".join(dict.fromkeys(filter(None, pythons)))


def _require_marker(path: Path, requirement: Requirement) -> None:
    """Refuse a marker that can be read but not evaluated: no worker could."""
    try:
        if requirement.marker is not None:
            requirement.marker.evaluate()
    except ValueError as error:
        raise UsageError(
            f"{path}: the marker of the dependency '{requirement}' cannot be evaluated ({error})"
        ) from error


def _block(path: Path, source: bytes) -> Mapping[str, Any]:
    """Return the block ``# /// script`` of a file, as PEP 723 reads it."""
    text = source.decode("utf-8", "replace").replace("\r\n", "\n")
    blocks = [each for each in _BLOCK.finditer(text) if each["type"] == "script"]
    if len(blocks) > 1:
        raise UsageError(f"{path} has {counted(len(blocks), 'block')} `# /// script`: keep one")
    if not blocks:
        return {}
    lines = blocks[0]["content"].splitlines(keepends=True)
    toml = "".join(line[2:] if line[1:2] == " " else line[1:] for line in lines)
    try:
        block: dict[str, Any] = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: its block `# /// script`: {error}") from error
    return block
