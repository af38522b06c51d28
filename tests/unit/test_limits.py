"""The limits that keep the code easy to read: they hold, and what breaks one is found."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import limits


def test_no_limit_is_broken() -> None:
    """Functions, files and folders stay small, and ``make check`` succeeds where that is so."""
    done = subprocess.run([sys.executable, limits.__file__], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_breaks_a_limit_fails_the_check(tmp_path: Path) -> None:
    """``make check`` fails, and names it."""
    script = tmp_path / "tests" / "support" / "limits.py"
    script.parent.mkdir(parents=True)
    shutil.copy(limits.__file__, script)
    long = tmp_path / "common" / "long.py"
    long.parent.mkdir()
    long.write_text("x = 1\n" * 401)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "common/long.py: 401 lines, more than 400" in done.stderr


@pytest.mark.parametrize(
    ("lines", "reasons", "expected"),
    [
        (40, {}, []),
        (41, {}, ["x.py:A.f: 41 lines, more than 40, and REASONS has no reason"]),
        (41, {"x.py:A.f": "one step after the other"}, []),
        (61, {"x.py:A.f": "one step after the other"}, ["x.py:A.f: 61 lines, more than 60"]),
        (40, {"x.py:A.f": "none is needed"}, ["x.py:A.f: needs no reason in REASONS"]),
    ],
)
def test_long_functions_are_named(lines: int, reasons: dict[str, str], expected: list[str]) -> None:
    """Over 40 lines a function needs a reason, and over 60 none helps."""
    source = "class A:\n    def f(self):\n" + "        x = 1\n" * (lines - 1)
    measured = {"x.py": limits.lengths(ast.parse(source))}
    assert list(limits.long_functions(measured, reasons)) == expected


def test_a_function_inside_another_is_measured_with_it() -> None:
    """Its lines count for both."""
    source = "def f():\n    def g():\n        pass\n    return g\n"
    assert limits.lengths(ast.parse(source)) == {"f": 4, "g": 2}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n    x = [0]\n    x[0] += 1\n", [(3, "x")]),
        ("def f():\n    x: list = [0]\n    def g():\n        x[0] = 1\n", [(4, "x")]),
        ("def f():\n    x = []\n    def g():\n        x[:] = [1]\n", [(4, "x")]),
        ("def f(i):\n    x = [0, 0]\n    x[i] += 1\n", []),
        ("def f(x):\n    x[0] = 1\n", []),
        ("def f():\n    x = {}\n    x[0] = 1\n", []),
    ],
)
def test_a_list_that_is_used_as_a_box_is_found(source: str, found: list[tuple[int, str]]) -> None:
    """One cell of a list literal that is assigned again is a variable in disguise."""
    assert list(limits.boxes(ast.parse(source))) == found


def test_long_files_and_full_folders_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``__init__.py`` is not counted as a module."""
    monkeypatch.setattr(limits, "REPOSITORY", tmp_path)
    paths = [tmp_path / "store" / f"{number}.py" for number in range(15)]
    paths.append(tmp_path / "store" / "__init__.py")
    paths[0].parent.mkdir()
    for path in paths:
        path.write_text("x = 1\n" * 400)
    assert list(limits.long_files(paths)) == []
    assert list(limits.full_folders(paths)) == []
    paths.append(tmp_path / "store" / "more.py")
    paths[-1].write_text("x = 1\n" * 401)
    assert list(limits.long_files(paths)) == ["store/more.py: 401 lines, more than 400"]
    assert list(limits.full_folders(paths)) == ["store/: 16 modules, more than 15"]
