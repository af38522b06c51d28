"""Packages that are not installed everywhere."""

from __future__ import annotations

import importlib.util

_EXTRAS = {
    "torch": "torch",
    "torchvision": "torch",
    "cv2": "camera",
    "hyperopt": "coordinator",
    "onnx": "export",
    "matplotlib": "coordinator",
    "sklearn": "coordinator",
    "scipy": "coordinator",
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
