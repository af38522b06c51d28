"""Many objects at once, and Python's garbage collector."""

from __future__ import annotations

import contextlib
import gc
from typing import Iterator


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Do without Python's garbage collector while many objects are made, and none is garbage.

    It would look at all of them again and again: that is half of the time of reading 10,000 trials.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
