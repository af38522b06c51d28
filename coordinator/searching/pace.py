"""How long a search pauses between two looks at its trials, and how often it is shown."""

from __future__ import annotations

import time

LONGEST_S = 0.1
_SHORTEST_S = 0.004
_SHOWING = 0.1
"""The share of the time that may go into showing a search: thousands of trials take some time to
count and rank."""
_QUIET = 0.1
"""A pause may be this share of the time in which no trial has changed: the next change is not seen
much later for it, and a look costs the machine, which may train, 15 ms of a core."""
_SELDOM_S = 0.5
"""A search is looked at and shown as often as this in any case: somebody may watch."""


class Pace:
    """The pauses of a search: short ones while many of its trials change, else ``LONGEST_S``.

    Where trials take many seconds, they grow to ``_SELDOM_S``. A whole look, which is shown, is due
    every ``LONGEST_S``, or every ``_SELDOM_S`` if showing takes long.
    """

    def __init__(self) -> None:
        self._pause = min(_SHORTEST_S, LONGEST_S)
        self._whole_at = 0.0
        self._changes = 0
        self._changed_at = time.monotonic()

    def is_whole(self) -> bool:
        """Return whether the next look is to be a whole one."""
        return time.monotonic() >= self._whole_at

    def shown(self, began: float) -> None:
        """Note that the search was shown now; ``began`` is when that began, ``time.monotonic``."""
        took = time.monotonic() - began
        self._whole_at = began + min(max(LONGEST_S, took / _SHOWING), _SELDOM_S)

    def pause(self, changes: int, unfinished: int) -> float:
        """Return the seconds until the next look.

        A quarter of the trials must have changed since the last pause for this one to be short:
        then workers may soon find none waiting.

        Args:
            changes: how often a trial was seen to be claimed, to end, or to be posted by others,
                since the search began.
            unfinished: how many had not ended before.
        """
        changed, self._changes = changes - self._changes, changes
        now = time.monotonic()
        if changed:
            self._changed_at = now
        longest = min(max(LONGEST_S, _QUIET * (now - self._changed_at)), _SELDOM_S)
        is_busy = changed > 0 and 4 * changed >= unfinished
        self._pause = min(_SHORTEST_S if is_busy else 2 * self._pause, longest)
        return self._pause
