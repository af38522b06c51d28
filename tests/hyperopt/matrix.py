"""Run the tests of hyperopt's API with many versions; write the table of docs/hyperopt.md.

    make matrix                                            all of them: more than half an hour
    python tests/hyperopt/matrix.py 3.8 3.13               these Pythons only
    python tests/hyperopt/matrix.py --hyperopt 0.3.0 --newest

Each row is tested in a new virtual environment without torch, installed by plain pip. A new row
replaces the one of the same versions; a combination that does not install gets no row, and is
named.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from support.home import REPOSITORY
from support.hyperopts_own import THEIR_TESTS, environment

DOCUMENT = REPOSITORY / "docs" / "hyperopt.md"
PYTHONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"]
HYPEROPTS = ["0.2.7", "0.3.0"]
OLDEST = ["4.1.1", "4.2.0", "4.3.3", "4.6.3"]
"""Old PyMongo versions: the first one that installs is tested, and the newest PyMongo."""
TOOLS = ["pytest>=7", "pytest-timeout", "hypothesis", "matplotlib"]
OURS = ["tests/hyperopt/test_jobs.py", "tests/hyperopt/test_fmin.py"]
HEAD = "| Python | hyperopt | PyMongo | our tests | hyperopt's own |\n|---|---|---|---|---|\n"
TABLE = re.compile(r"(?<=<!-- matrix -->\n).*(?=<!-- /matrix -->)", re.DOTALL)


class Row(NamedTuple):
    """A row of the table: three versions, and the results of the tests."""

    python: str
    hyperopt: str
    pymongo: str
    ours: str
    theirs: str

    def order(self) -> tuple[list[int], ...]:
        """Return the sort key: the versions as numbers."""
        return tuple([int(part) for part in re.findall(r"\d+", version)] for version in self[:3])


def interpreter(version: str) -> str | None:
    """Return pyenv's newest Python of this version, or the one on PATH, or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(pyenv.glob(version + ".*/bin/python"))
    for candidate in [*map(str, found[::-1]), "python" + version]:
        try:
            subprocess.run([candidate, "-c", ""], check=True)
            return candidate
        except (OSError, subprocess.CalledProcessError):
            continue
    return None


def output_of(command: list[str], cwd: Path = REPOSITORY, **env: str) -> tuple[bool, str]:
    """Run a command; return whether it succeeded, and its output."""
    ran = subprocess.run(
        command,
        cwd=str(cwd),
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
    )
    return ran.returncode == 0, ran.stdout


def verdict(output: str) -> str:
    """Return pytest's last line, in short."""
    counts = re.findall(r"\d+ (?:passed|failed|skipped|errors?)", output.splitlines()[-1])
    return ", ".join(counts) or "do not run"


def install(python: str, folder: Path, hyperopt: str, pymongo: str) -> str | None:
    """Make a virtual environment; return its Python, or None if something does not install."""
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    inside = str(folder / "bin" / "python")
    wanted = ["hyperopt==" + hyperopt, pymongo, *TOOLS]
    if hyperopt == "0.2.7":  # its tests need nose, and it needs setuptools' pkg_resources
        wanted += ["nose", "setuptools<81"]
    pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    installed, output = output_of([*pip, str(REPOSITORY), *wanted])
    if not installed:
        print(output[-600:])
    return inside if installed else None


def row(version: str, python: str, hyperopt: str, pymongo: str) -> Row | None:
    """Install and test one combination; None if it does not install."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inside = install(python, folder / "venv", hyperopt, pymongo)
        if inside is None:
            return None
        ask = "from importlib import metadata; print(metadata.version('pymongo'))"
        _, actual = output_of([inside, "-c", ask])
        shimmed = environment(folder)
        tests = [inside, "-m", "pytest", "-q", "-p"]
        _, ours = output_of([*tests, "no:cacheprovider", *OURS], **shimmed)
        theirs = [*tests, "as_hyperopts", "--pyargs", *THEIR_TESTS]
        theirs.append("--continue-on-collection-errors")  # nose does not run on newer Pythons
        _, own = output_of(theirs, folder, **shimmed)
    for output in (ours, own):
        print("\n".join(line[:200] for line in output.splitlines()[-12:]))
    return Row(version, hyperopt, actual.strip(), verdict(ours), verdict(own))


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each requested combination that installs."""
    for version in asked.pythons or PYTHONS:
        python = interpreter(version)
        if python is None:
            print(f"no Python {version} here")
            continue
        for hyperopt in [asked.hyperopt] if asked.hyperopt else HYPEROPTS:
            choices = [["pymongo"]] if asked.newest else [[f"pymongo=={v}" for v in OLDEST]]
            if not (asked.newest or asked.oldest):
                choices.append(["pymongo"])
            for versions in choices:
                found = (row(version, python, hyperopt, pymongo) for pymongo in versions)
                first = next(filter(None, found), None)
                if first is None:
                    print("does not install:", version, hyperopt, versions[-1])
                else:
                    yield first


def written() -> dict[tuple[str, ...], Row]:
    """Return the present rows of the table."""
    table = TABLE.search(DOCUMENT.read_text())
    lines = table.group().splitlines()[2:] if table else []
    found = [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]
    return {each[:3]: each for each in found}


def write(new: Row) -> None:
    """Write a row into the table."""
    table = {**written(), new[:3]: new}
    lines = ["| {} |\n".format(" | ".join(each)) for each in sorted(table.values(), key=Row.order)]
    document = DOCUMENT.read_text()
    DOCUMENT.write_text(TABLE.sub(lambda _: HEAD + "".join(lines), document))


def main() -> None:
    """Run the requested combinations; write each row as soon as it is known."""
    parser = argparse.ArgumentParser(description="tests hyperopt's API with many versions")
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    parser.add_argument("--hyperopt", choices=HYPEROPTS)
    parser.add_argument("--newest", action="store_true", help="the newest PyMongo only")
    parser.add_argument("--oldest", action="store_true", help="the oldest PyMongo only")
    for each in rows(parser.parse_args()):
        print("|", " | ".join(each), "|", flush=True)
        write(each)


if __name__ == "__main__":
    main()
