"""This user's folders for hyperhive, at the operating system's usual places."""

from __future__ import annotations

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
