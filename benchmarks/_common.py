"""What the benchmarks share: their options, and the data they measure on."""

from __future__ import annotations

import argparse
from pathlib import Path

from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import DatasetRequest, load

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "simpsons-mnist.zip"


def simpsons_option(description: str) -> argparse.ArgumentParser:
    """Return a parser that knows ``--data``, where Simpsons-MNIST is."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data",
        type=Path,
        default=SHARED if SHARED.exists() else None,
        help="Simpsons-MNIST as a zip or folder; by default it is downloaded",
    )
    return parser


def simpsons(data: Path | None) -> Dataset:
    """Return Simpsons-MNIST in colour."""
    return load(DatasetRequest("simpsons", data), lambda done, total: None).dataset
