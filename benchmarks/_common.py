"""What the benchmarks share: their options, and the data sets that they measure on."""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Iterator

from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import DatasetRequest, load

DATA = Path(os.environ.get("HYPERHIVE_DATA") or "data")
"""Folder with archives of data sets: the one that HYPERHIVE_DATA names, else data/."""

PEERS = Path(__file__).resolve().parents[1] / ".venv-peers"
"""The environment with Optuna."""
PEERS_HYPEROPT = PEERS.with_name(".venv-peers-hyperopt")
"""The environment with hyperopt and the old PyMongo that its workers need."""


def require_peers(parser: argparse.ArgumentParser) -> None:
    """End the program with one sentence if Optuna is not installed completely."""
    if not (PEERS / ".installed").exists():
        parser.error("Optuna is missing: run make .venv-peers/.installed")


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that is deleted at the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def simpsons_option(description: str) -> argparse.ArgumentParser:
    """Return a parser with the option ``--data`` for Simpsons-MNIST."""
    archive = DATA / "simpsons-mnist.zip"
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data",
        type=Path,
        default=archive if archive.exists() else None,
        help="Simpsons-MNIST as a zip or folder; by default simpsons-mnist.zip in the folder that "
        "HYPERHIVE_DATA names (data/ if it is not set), else it is downloaded",
    )
    return parser


def loaded(name: str, data: Path | None = None) -> Dataset:
    """Return a data set by name; Simpsons-MNIST without ``data`` is downloaded."""
    return load(DatasetRequest(name, data), lambda done, total: None).dataset
