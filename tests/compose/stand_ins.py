"""Images made here under the names that Dockerfile and compose.yaml use: there is no registry.

The Python image is a minimal Debian 12 with its Python 3.11, pip in /usr/local as in the official
image, and this machine's pip settings and certificates. The mongo image is the same with the mongod
of a wheel (6.0.5), and with the part of the official entrypoint that compose.yaml relies on.
PyTorch is the build that pip finds for ``--torch``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import yaml
from engine import Engine

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = "docker.io/library/python:3.11-slim-bookworm"
_PACKAGES = "python3-minimal,python3-venv,ca-certificates,libcurl4"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_WHEELS = "/opt/wheels"
"""A folder for wheels that no index has, such as PyTorch for CPUs."""


def make_python(engine: Engine, folder: Path) -> None:
    """Make the stand-in for the official Python image."""
    root = folder / "debian"
    if not root.exists():
        _run("debootstrap", "--variant=minbase", "--include", _PACKAGES, "bookworm", str(root))
    _run("chroot", str(root), "python3", "-m", "venv", "--copies", "/usr/local")
    shutil.copy("/" + _CERTIFICATES, root / _CERTIFICATES)
    (root / "etc" / "pip.conf").write_text(_pip_settings())
    archive = folder / "debian.tar"
    _run("tar", "--create", "--directory", str(root), "--file", str(archive), ".")
    engine.podman("import", str(archive), PYTHON)
    archive.unlink()


def _pip_settings() -> str:
    """Return pip's settings: this machine's certificates, and a folder of wheels."""
    return f"[global]\ncert = /{_CERTIFICATES}\nfind-links = {_WHEELS}\n"


def make_mongo(engine: Engine) -> None:
    """Make the stand-in for the official mongo image, under the name in compose.yaml."""
    compose = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
    name = "docker.io/library/" + compose["services"]["mongo"]["image"]
    engine.podman("build", "--network=host", "-t", name, str(Path(__file__).parent / "mongo"))


def make_ours(engine: Engine, project: Path, torch: str) -> None:
    """Build our own images from the Dockerfile, as `docker compose build` would."""
    for target in ("worker", "coordinator"):
        options = [
            "--network=host",
            "--target",
            target,
            "-t",
            "docker.io/library/hyperhive-" + target,
        ]
        if os.path.isdir(_WHEELS):
            options += ["--volume", f"{_WHEELS}:{_WHEELS}:ro"]
        engine.podman("build", *options, "--build-arg", "TORCH_VERSION=" + torch, str(project))


def _run(*command: str) -> None:
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ended.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{ended.stdout[-4000:]}")
