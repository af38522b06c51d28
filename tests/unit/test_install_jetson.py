"""deploy/install-jetson.sh on a system with its own torch, OpenCV and numpy, which are stand-ins.

They are in the user's site-packages, as after `pip install --user` on a Jetson; the package index
is a folder of empty wheels. Nothing is downloaded.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Sequence

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "deploy" / "install-jetson.sh"
TORCH = "1.12.0a0+git664058f"
MODULES = {
    "torch": "__version__ = {!r}\nclass cuda:\n    is_available = staticmethod(lambda: False)\n",
    "cv2": "__version__ = {!r}\n",
    "numpy": "__version__ = {!r}\n",
}

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        Path("/etc/nv_tegra_release").exists() or sys.platform != "linux",
        reason="on a Jetson, and where there is no Linux, the script behaves differently",
    ),
]


def wheel(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> Path:
    """Make a wheel that holds one module; return its path."""
    path = folder / "{}-{}-py3-none-any.whl".format(name.replace("-", "_"), version)
    info = "{}-{}.dist-info/".format(name.replace("-", "_"), version)
    metadata = ["Metadata-Version: 2.1", "Name: " + name, "Version: " + version]
    metadata += ["Requires-Dist: " + each for each in requires]
    with zipfile.ZipFile(path, "w") as archive:
        module = MODULES.get(name, "__version__ = {!r}\n").format(version)
        archive.writestr(name.replace("-", "_") + "/__init__.py", module)
        archive.writestr(info + "METADATA", "\n".join(metadata) + "\n")
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(info + "RECORD", "")
    return path


def device_versions() -> dict[str, str]:
    """Return the versions of constraints-device.txt."""
    lines = (REPOSITORY / "constraints-device.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def requirements() -> Sequence[str]:
    """Return what hyperhive requires, without its extras."""
    text = (REPOSITORY / "pyproject.toml").read_text()
    listed = text.partition("\ndependencies = ")[2].partition("\n]")[0]
    return re.findall('^    "(.+)",$', listed, re.MULTILINE)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the system's packages (user/) and a package index (index/)."""
    folder = tmp_path_factory.mktemp("jetson")
    index = folder / "index"
    index.mkdir()
    for name, version in device_versions().items():
        if name not in ("torch", "opencv-python-headless"):
            wheel(index, name, version)
    for name, version in (("torch", "2.0.0"), ("opencv-python", "4.10.0"), ("numpy", "1.26.4")):
        wheel(index, name, version)
    wheel(index, "detector", "1.0", ["torch>=1.7", "numpy"])
    wheel(index, "newest", "1.0", ["torch>=2"])
    wheel(folder, "hyperhive", "0.1.0", requirements())
    site = folder / "user/lib/python{}.{}/site-packages".format(*sys.version_info)
    for name, version in (("torch", TORCH), ("numpy", "1.19.4"), ("cv2", "4.6.0")):
        with zipfile.ZipFile(wheel(folder, name, version)) as archive:
            archive.extractall(site)
    # Like JetPack's OpenCV this one has no metadata, so pip does not know it.
    for each in (site / "cv2-4.6.0.dist-info").iterdir():
        each.unlink()
    (site / "cv2-4.6.0.dist-info").rmdir()
    return folder


def run(device: Path, *command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        env={
            **os.environ,
            "PYTHONUSERBASE": str(device / "user"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(device / "index"),
            **variables,
        },
        cwd=str(device),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )


def install(device: Path, *arguments: object, **variables: str) -> str:
    """Run the script on a machine that is not a Jetson; return its output."""
    package = device / "hyperhive-0.1.0-py3-none-any.whl"
    done = run(
        device, "sh", SCRIPT, "--anyway", "--python", sys.executable, "--package", package,
        *arguments, **variables,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def output(device: Path) -> str:
    """Install into venv/; return the output of the script."""
    return install(device, "--venv", "venv")


def test_the_systems_builds_stay(device: Path, output: str) -> None:
    """Afterwards torch, cv2 and numpy are the system's; hyperhive and what cameras need are new."""
    assert f"torch {TORCH} stays" in output
    shown = run(
        device, "venv/bin/python", "-c",
        "import cv2, hyperhive, numpy, os, pymongo, torch\n"
        "for each in torch, cv2, numpy: print(each.__version__, each.__file__)\n"
        "print(os.environ['OPENBLAS_CORETYPE'])",
    ).stdout.splitlines()  # fmt: skip
    versions, files = zip(*(line.split() for line in shown[:3]))
    assert versions == (TORCH, "4.6.0", "1.19.4")
    assert all(name.startswith(str(device / "user")) for name in files)
    assert shown[3] == "ARMV8"
    (site,) = (device / "venv/lib").glob("python*/site-packages")
    assert not {"torch", "cv2", "numpy"} & {each.name for each in site.iterdir()}
    assert (site / "pymongo").exists()
    assert all((site / name).exists() for name in ("httpx", "starlette", "uvicorn"))


@pytest.mark.parametrize("wanted", ["newest", "opencv-python"])
def test_pip_does_not_replace_the_systems_builds(device: Path, output: str, wanted: str) -> None:
    """Pip refuses a package that needs another torch or OpenCV; the system's stays."""
    done = run(device, "venv/bin/python", "-m", "pip", "install", "--upgrade", wanted)
    assert done.returncode != 0
    assert "constraint" in done.stdout or "No matching distribution" in done.stdout
    where = run(device, "venv/bin/python", "-c", "import torch, cv2; print(torch.__file__)").stdout
    assert where.startswith(str(device / "user"))


def test_a_package_that_needs_torch_uses_the_systems(device: Path, output: str) -> None:
    """A package that needs torch and numpy is installed with the system's."""
    done = run(device, "venv/bin/python", "-m", "pip", "install", "detector")
    assert done.returncode == 0, done.stdout
    assert "installed detector-1.0" in done.stdout.splitlines()[-1]


def test_a_second_run_changes_nothing(device: Path, output: str) -> None:
    """It finds everything installed, and pins the same versions."""
    before = (device / "venv/constraints.txt").read_text()
    again = install(device, "--venv", "venv")
    assert "which exists already" in again
    assert (device / "venv/constraints.txt").read_text() == before
    assert f"torch=={TORCH}\n" in before


def test_a_missing_torch_is_installed(device: Path, output: str) -> None:
    """Without a torch it says what to do; with --torch it installs that file, without an index.

    The venv is the first test's, but the system's packages are gone.
    """
    empty = {"PYTHONUSERBASE": str(device / "nobody")}
    refused = run(
        device, "sh", SCRIPT, "--anyway", "--venv", "venv", "--package", "no-such.whl", **empty
    )
    assert refused.returncode == 1
    assert "--torch WHEEL" in refused.stdout.splitlines()[-1]
    given = wheel(device, "torch", "1.11.0a0+gitbc2c6ed", ["no-such-thing"])
    log = install(device, "--venv", "venv", "--torch", given, **empty)
    assert "torch 1.11.0a0+gitbc2c6ed stays" in log
    assert "torch 1.11.0a0+gitbc2c6ed of {}".format(device / "venv") in log


def test_other_machines_are_refused(device: Path) -> None:
    """On a machine that is not a Jetson one sentence says so, and nothing is made."""
    done = run(device, "sh", SCRIPT, "--venv", device / "never")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert "this is not a Jetson" in done.stdout
    assert not (device / "never").exists()
