"""Names and probabilities as a person reads them."""

from __future__ import annotations

from hyperhive.common import wording
from hyperhive.common.text import printable


def pretty(name: str) -> str:
    """Return a class name as people write it: ``bart_simpson`` is ``bart simpson``."""
    return printable(" ".join(name.replace("_", " ").split()) or name)


def percent(probability: float) -> str:
    """Return a probability in whole per cent; only certainty is ``100 %``."""
    return wording.percent(probability, decimals=0)
