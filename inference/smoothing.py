"""Labels that do not flicker: probabilities, averaged over the last moments."""

from __future__ import annotations

import math

import numpy as np

from hyperhive.common.errors import UsageError

DEFAULT_S = 0.3
_LONGEST_S = 60.0


class Smoother:
    """An exponentially weighted moving average of what is said of frames, by time, not by frames.

    A frame that comes ``dt`` seconds after the one before moves the average towards its own
    numbers by ``1 - exp(-dt / seconds)`` (Eckner, Algorithms for Unevenly Spaced Time Series:
    Moving Averages and Other Rolling Operators, 2012, section 3: the EMA that takes the next
    observation for the time since the last). So a label settles as fast at 5 frames a second as at
    60: after ``seconds`` a change is seen to 63 %, after three times that to 95 %. After a gap the
    past counts for next to nothing by itself; where time runs backwards, or a model of other
    classes takes over, it begins anew.

    Args:
        seconds: the time constant; 0 leaves every frame by itself.

    Raises ``UsageError`` unless that is from 0 to 60.
    """

    def __init__(self, seconds: float) -> None:
        if not 0 <= seconds <= _LONGEST_S:  # NaN is neither
            raise UsageError(
                f"--smoothing must be from 0 to {_LONGEST_S:.0f} seconds, not {seconds}"
            )
        self._seconds = seconds
        self._average: np.ndarray | None = None
        self._time = -math.inf

    def smooth(self, numbers: np.ndarray, time: float) -> np.ndarray:
        """Return the average of what was said until now, float32 of any one shape.

        Args:
            numbers: what is said of a frame.
            time: the frame's, in seconds.
        """
        passed = time - self._time
        before = self._average
        if before is None or before.shape != numbers.shape or self._seconds == 0 or passed < 0:
            self._average = numbers
        else:
            share = -math.expm1(-passed / self._seconds)
            self._average = before + np.float32(share) * (numbers - before)
        self._time = time
        return self._average
