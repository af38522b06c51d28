"""The search spaces of LeNet-5 that have a name."""

from __future__ import annotations

from typing import Any

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import Node

_RATE = {"distribution": "loguniform", "low": 0.001, "high": 0.1}
_MOMENTUM = {"distribution": "uniform", "low": 0.0, "high": 0.95}


def _space(fewest_epochs: int, most_epochs: int) -> Node:
    epochs = {"distribution": "quniform", "low": fewest_epochs, "high": most_epochs, "step": 1}
    return parse({"learning_rate": _RATE, "epochs": epochs, "momentum": _MOMENTUM})


CLASSIC = _space(2, 30)
"""The three hyperparameters that matter for LeNet-5."""

ROBUST = _space(10, 60)
"""The same three; augmented images differ in every epoch, so more epochs are worthwhile."""

NAMED: dict[str, dict[str, Any]] = {
    "classic": {"space": CLASSIC, "augment": "none"},
    "robust": {"space": ROBUST, "augment": "camera"},
}
"""The fields of a ``Plan`` that each name of a space stands for."""


def named(name: str) -> dict[str, Any]:
    """Return the fields of a ``Plan`` that a space's name stands for; raises ``UsageError``."""
    if name not in NAMED:
        raise UsageError(
            f"no space is called {name!r}: choose one of {', '.join(NAMED)}, or give its tables in "
            "a study file"
        )
    return dict(NAMED[name])
