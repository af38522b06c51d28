"""What is built and installed: one import name, which collides with no file of a user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from support.home import REPOSITORY, Home

from hyperhive.store.store import Store

PARTS = ("common", "coordinator", "inference", "model", "store", "web", "worker")
OBJECTIVE = """
import os
import pathlib
import time

BOTH = pathlib.Path(__file__).parent / "workers"


def train(x):
    \"\"\"Return a loss, once two processes are at work.\"\"\"
    BOTH.mkdir(exist_ok=True)
    (BOTH / str(os.getpid())).touch()
    while len(list(BOTH.iterdir())) < 2:
        time.sleep(0.02)
    return x**2
"""
SEARCH = """
import sys

from hyperopt import fmin, hp, rand
from model import train

from hyperhive.mongoexp import MongoTrials

trials = MongoTrials(sys.argv[1], exp_key="own")
space = hp.uniform("x", -1, 1)
fmin(train, space, rand.suggest, 4, trials=trials, max_queue_len=2, show_progressbar=False)
print(*trials.statuses())
"""

pytestmark = pytest.mark.long


def run(*command: str, cwd: Path) -> str:
    """Run a command that must succeed, without this repository on its path; return its output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def build_wheel(source: Path, output: Path) -> Path:
    """Build a wheel of a folder or an sdist, with what is installed here; return its path."""
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(output))
    run(sys.executable, "-m", "pip", "wheel", *options, str(source), cwd=output.parent)
    [wheel] = output.glob("*.whl")
    return wheel


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a git repository with this one's files as they are now, and nothing that is built."""
    folder = tmp_path_factory.mktemp("checkout") / "hyperhive"
    listed = run("git", "ls-files", "-co", "--exclude-standard", cwd=REPOSITORY).splitlines()
    for name in listed:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink() or source.exists():  # not one that was just deleted
            shutil.copy2(source, target, follow_symlinks=False)
    run("git", "init", "--quiet", cwd=folder)
    run("git", "add", ".", cwd=folder)
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    run("git", *author, "commit", "--quiet", "-m", "the files", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(checkout, tmp_path_factory.mktemp("wheel") / "wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a fresh environment; return that environment's Python.

    It sees the dependencies that are installed here, but not this repository.
    """
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    [packages] = folder.glob("lib/python*/site-packages")
    here = [path for path in dict.fromkeys(sys.path) if Path(path).name == "site-packages"]
    (packages / "dependencies.pth").write_text("\n".join(here))
    pip = (sys.executable, "-m", "pip", "--python", str(python))
    run(*pip, "install", "--no-deps", "--no-index", str(wheel), cwd=folder)
    imported = run(str(python), "-c", "import hyperhive; print(hyperhive.__file__)", cwd=folder)
    assert imported.startswith(str(packages))
    return python


@pytest.fixture
def decoys(home: Home) -> Home:
    """Return a home whose working folder has files with the names of hyperhive's parts."""
    for name in PARTS:
        (home.work / f"{name}.py").write_text("raise SystemExit(f'{__file__} was imported')\n")
    home.environment["PYTHONPATH"] = str(home.work)
    return home


def test_the_wheel_has_one_import_name(wheel: Path) -> None:
    """It holds each module once, the marker of typed packages and the web pages."""
    names = names_in(wheel)
    assert {name.partition("/")[0] for name in names} == {"hyperhive", "hyperhive-0.1.0.dist-info"}
    assert len(set(names)) == len(names)
    sources = [name for name in names if not name.startswith("hyperhive-")]
    expected = {"hyperhive/py.typed"}
    for folder in ("hyperhive", *PARTS):
        prefix = "" if folder == "hyperhive" else "hyperhive/"
        for path in (REPOSITORY / folder).rglob("*"):
            if path.suffix in (".py", ".html", ".css", ".js") and "build" not in path.parts:
                expected.add(prefix + path.relative_to(REPOSITORY).as_posix())
    assert set(sources) == expected
    assert any(name.endswith("page.html") for name in sources)


def test_the_sdist_makes_the_same_wheel(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    """An installation from source has the same files."""
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", build, str(tmp_path), cwd=checkout)
    [sdist] = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert not [name for name in archive.getnames() if "/hyperhive/store" in name]
    assert names_in(build_wheel(sdist, tmp_path / "wheel")) == names_in(wheel)


def test_a_clone_without_symbolic_links_makes_the_same_wheel(
    checkout: Path, wheel: Path, tmp_path: Path
) -> None:
    """Windows has none by default: what is built does not depend on the links in hyperhive/."""
    clone = tmp_path / "clone"
    run("git", "-c", "core.symlinks=false", "clone", "-q", str(checkout), str(clone), cwd=tmp_path)
    assert not (clone / "hyperhive" / "store").is_symlink()
    assert names_in(build_wheel(clone, tmp_path / "wheel")) == names_in(wheel)


def test_the_demo_runs_beside_files_of_the_same_names(installed: Path, decoys: Home) -> None:
    """Neither the demo nor the workers that it starts import a user's ``model.py``."""
    arguments = ("demo", "--dataset", "digits", "--trials", "2")
    demo = decoys.start(*arguments, python=str(installed))
    assert demo.end(240) == 0, demo.said()
    assert len(list(decoys.work.glob("models/*/model.safetensors"))) == 1, demo.said()
    assert "was imported" not in demo.said()


def test_an_objective_may_live_in_the_users_own_model_py(
    installed: Path, home: Home, store: Store, mongo_uri: str
) -> None:
    """Two workers run what ``fmin`` minimises: a function of a module named ``model``."""
    (home.work / "model.py").write_text(OBJECTIVE)
    (home.work / "search.py").write_text(SEARCH)
    home.environment["PYTHONPATH"] = str(home.work)
    options = ("--allow-pickled-objectives", "--slots", "1", "--device", "cpu")
    for _ in range(2):
        home.start("worker", *options, python=str(installed), HYPERHIVE_MONGO=mongo_uri)
    done = subprocess.run(
        [str(installed), "search.py", mongo_uri],
        cwd=home.work,
        env=home.environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ok"] * 4
    assert len(list((home.work / "workers").iterdir())) == 2
