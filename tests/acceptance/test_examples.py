"""The files of examples/, as a stranger runs them: ``python FILE``, in a home of one's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.home import PATIENCE_S, REPOSITORY, Home

EXAMPLES = REPOSITORY / "examples"


def run(home: Home, example: str, *arguments: str) -> str:
    """Run an example in an empty folder; return what it prints."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *arguments],
        cwd=str(home.work),
        env=home.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    home.is_empty()
    return done.stdout


@pytest.fixture
def pictures(home: Home) -> Path:
    """Return a folder of two classes, dark and bright, with 30 images each."""
    random = np.random.default_rng(0)
    for name, level in (("dark", 0), ("bright", 155)):
        folder = home.work / "my-pictures" / name
        folder.mkdir(parents=True)
        for number in range(30):
            pixels = random.integers(level, level + 100, (40, 50, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return home.work / "my-pictures"


@pytest.mark.long
def test_a_network_for_digits(home: Home) -> None:
    """It searches the optimizer and what belongs to it, and finds a good one."""
    said = run(home, "digits.py")
    assert "[50/50] trial " in said
    config, _, loss = said.splitlines()[-1].rpartition(" ")
    assert float(loss) < 0.05
    assert "'optimizer': {'kind': " in config


@pytest.mark.long
def test_two_models_of_which_one_is_best(home: Home) -> None:
    """It begins with what is known, and ends when nothing better is found."""
    said = run(home, "classifiers.py")
    assert "trial 0: accuracy 0.9" in said
    assert "'accuracy': 0.9" in said.splitlines()[-1]


@pytest.mark.long
def test_a_network_on_a_folder_of_pictures(home: Home, pictures: Path) -> None:
    """PyTorch and torchvision, on the images of the folder that is named."""
    said = run(home, "pictures.py", "my-pictures/")
    assert "[20/20] trial " in said
    assert "'accuracy': 1.0" in said.splitlines()[-1]


@pytest.mark.long
def test_a_program_in_any_language(home: Home) -> None:
    """A shell script; the search ends when its target is reached, or with its trials."""
    said = run(home, "program/search.py")
    assert " trial 0: loss " in said
    assert said.splitlines()[-1].startswith("{'lr': ")


@pytest.mark.long
def test_a_network_from_a_package(home: Home, pictures: Path) -> None:
    """Workers, coordinator and model find it by its name once the package is installed."""
    package = home.work.parent / "package"
    shutil.copytree(str(EXAMPLES / "network" / "package"), str(package))
    installed = home.work.parent / "installed"
    how = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    pip = [sys.executable, "-m", "pip", "install", *how, "--target", str(installed), str(package)]
    subprocess.run(pip, check=True)
    home.environment["PYTHONPATH"] += os.pathsep + str(installed)
    said = run(home, "network/search.py", "my-pictures/")
    assert "[6/6] trial " in said
    assert said.splitlines()[-1] == "small 48 1.0"


def test_the_list_of_examples_is_complete() -> None:
    """examples/README.md names each, and each has its test above."""
    listed = (EXAMPLES / "README.md").read_text()
    tests = Path(__file__).read_text()
    for example in [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*/*.py")]:
        name = example.relative_to(EXAMPLES).as_posix()
        assert f'run(home, "{name}"' in tests
        assert f"]({name})" in listed or f"]({name.rpartition('/')[0]}/)" in listed
