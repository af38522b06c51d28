"""This user's folders for hyperhive, at the operating system's usual places."""

from __future__ import annotations

import sys
from pathlib import Path

import platformdirs

_APPLICATION = "hyperhive"


def cache_directory() -> Path:
    """Return the folder of files that can be downloaded again."""
    return Path(platformdirs.user_cache_dir(_APPLICATION, appauthor=False))


def data_directory() -> Path:
    """Return the folder of files that must not be lost: undelivered results, the private server."""
    return Path(platformdirs.user_data_dir(_APPLICATION, appauthor=False))


def config_directory() -> Path:
    """Return the folder of the saved login and its certificates."""
    return Path(platformdirs.user_config_dir(_APPLICATION, appauthor=False))


def advice(kind: str) -> str:
    """Return what to do if one of these folders cannot be used: ``cache``, ``data``, ``config``."""
    if sys.platform == "win32":  # no variable chooses them there
        return "make it writable"
    variable = "HOME" if sys.platform == "darwin" else f"XDG_{kind.upper()}_HOME"
    return f"make it writable, or set {variable} to another folder"
