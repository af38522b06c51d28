"""Who uses this program."""

from __future__ import annotations

import getpass
import platform


def this_person() -> str:
    """Return who uses this program: ``anna@studio``; in a container, a user may have no name."""
    host = platform.node().partition(".")[0] or "a machine without a name"
    try:
        return f"{getpass.getuser()}@{host}"
    except (KeyError, OSError, ImportError):  # ImportError: Windows, before Python 3.13
        return host
