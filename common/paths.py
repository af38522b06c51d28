"""This user's folders for hyperhive, where the operating system wants them."""

from __future__ import annotations

from pathlib import Path

import platformdirs

_APPLICATION = "hyperhive"


def cache_directory() -> Path:
    """Return the folder of what can be downloaded or fetched again."""
    return Path(platformdirs.user_cache_dir(_APPLICATION, appauthor=False))


def data_directory() -> Path:
    """Return the folder of what must not be lost: undelivered results, the private server."""
    return Path(platformdirs.user_data_dir(_APPLICATION, appauthor=False))


def config_directory() -> Path:
    """Return the folder of the saved login and the certificates that go with it."""
    return Path(platformdirs.user_config_dir(_APPLICATION, appauthor=False))
