"""Hyperparameter search over the machines you already own.

The folders of the repository are imported below this name: ``store/`` is ``hyperhive.store``. The
names below are public; each is imported when it is first used, so ``import hyperhive`` is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperhive import hp
    from hyperhive.coordinator.api.searching import search
    from hyperhive.coordinator.api.study import Study, open_study
    from hyperhive.store.store import Store
    from hyperhive.worker.objectives.api import Context, Outcome, Stopped
    from hyperhive.worker.objectives.command import command

__version__ = "0.1.0"
__all__ = [
    "Context",
    "Outcome",
    "Stopped",
    "Store",
    "Study",
    "__version__",
    "command",
    "hp",
    "open_study",
    "search",
]

_HOMES = {
    "Context": "hyperhive.worker.objectives.api",
    "Outcome": "hyperhive.worker.objectives.api",
    "Stopped": "hyperhive.worker.objectives.api",
    "Store": "hyperhive.store.store",
    "Study": "hyperhive.coordinator.api.study",
    "command": "hyperhive.worker.objectives.command",
    "open_study": "hyperhive.coordinator.api.study",
    "search": "hyperhive.coordinator.api.searching",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name == "hp":
        return importlib.import_module("hyperhive.hp")
    if name not in _HOMES:
        raise AttributeError(f"module 'hyperhive' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        from hyperhive.common.extras import advice

        sentence = advice(error)
        if sentence is None:
            raise
        raise ModuleNotFoundError(sentence, name=error.name) from error


def __dir__() -> list[str]:
    return sorted(__all__)
