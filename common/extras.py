"""Packages that are not installed everywhere, and what installed packages register."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

if sys.version_info >= (3, 10):
    from importlib.metadata import entry_points
else:
    from importlib.metadata import entry_points as _all_entry_points

    def entry_points(group: str) -> Any:
        """Return the entry points of a group, as the function of Python 3.10 does."""
        return _all_entry_points().get(group, ())


__all__ = ["advice", "entry_points", "require_installed"]

_EXTRAS = {
    "torch": "torch",
    "torchvision": "torch",
    "cv2": "camera",
    "paho": "mqtt",
    "cmaes": "coordinator",
    "hyperopt": "coordinator",
    "optuna": "optuna",
    "onnx": "export",
    "matplotlib": "coordinator",
    "sklearn": "coordinator",
    "scipy": "coordinator",
    "starlette": "coordinator",
    "uvicorn": "coordinator",
}
"""Modules that are not installed everywhere, and the extra that brings each."""


def require_installed(*modules: str) -> None:
    """Raise ``ModuleNotFoundError`` for the first missing module, without importing any."""
    for name in modules:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"no {name}", name=name)


def advice(error: ModuleNotFoundError) -> str | None:
    """Return what to do about a missing module, None if no extra brings it."""
    if error.name not in _EXTRAS:
        return None
    return f"this needs {error.name}: pip install 'hyperhive[{_EXTRAS[error.name]}]'"
