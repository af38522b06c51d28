"""Packages that are not installed everywhere."""

from __future__ import annotations

import importlib.util


def require_installed(*modules: str) -> None:
    """Raise ``ModuleNotFoundError`` for the first missing module, without importing any."""
    for name in modules:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"no {name}", name=name)
