"""When a label counts as changed."""

from __future__ import annotations

from typing import Any

from hyperhive.inference.labelling import Result


class LastingChanges:
    """Finds changes of the label that last: every frame of some time has had the new label.

    The first label that lasts is a change too.

    Args:
        hold: that time, in seconds, 0 or more; 0 makes every frame count whose label is new.
    """

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._label: tuple[str, bool] | None = None
        self._candidate: tuple[str, bool] | None = None
        self._since = 0.0

    def event(self, result: Result, now: float) -> dict[str, Any] | None:
        """Return the change that this frame completes, None if there is none.

        It is plain JSON: ``Result.to_json`` of the frame, and ``previous``, the label before, None
        for the first.

        Args:
            result: the frame's.
            now: the moment on the monotonic clock.
        """
        # A class may be named "unknown" as well: then ``known`` tells the two apart.
        label = (result.prediction.label, result.prediction.known)
        if label != self._candidate:
            self._candidate, self._since = label, now
        if label == self._label or now - self._since < self._hold:
            return None
        previous, self._label = self._label, label
        return {**result.to_json(), "previous": None if previous is None else previous[0]}
