"""What the benchmarks share: their options, and the data sets that they measure on."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import DatasetRequest, load

DATA = Path(os.environ.get("HYPERHIVE_DATA") or "data")
"""Folder with archives of data sets: the one that HYPERHIVE_DATA names, else data/."""


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
