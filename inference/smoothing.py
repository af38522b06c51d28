"""Labels that do not flicker: probabilities, averaged over the last moments."""

from __future__ import annotations

import math

import numpy as np


class Smoother:
    """An exponentially weighted moving average of a model's numbers, by time instead of by frames.

    A frame that comes ``dt`` seconds after the one before moves the average towards its own
    numbers by ``1 - exp(-dt / seconds)`` (Eckner, Algorithms for Unevenly Spaced Time Series:
    Moving Averages and Other Rolling Operators, 2012, section 3: the EMA that takes the next
    observation for the time since the last). So a label settles as fast at 5 frames per second as
    at 60: 63 % of a change is seen after ``seconds``, 95 % after three times that. After a gap the
    past has almost no weight. The average starts anew when time runs backwards, and when a model
    of other classes takes over.

    Args:
        seconds: the time constant, 0 or more; 0 does not average.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._average: np.ndarray | None = None
        self._time = -math.inf

    def smooth(self, numbers: np.ndarray, time: float) -> np.ndarray:
        """Return the average up to now, float32 of the shape of ``numbers``.

        Args:
            numbers: the model's numbers for a frame, float32 of any one shape.
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
