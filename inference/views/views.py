"""Where the results can be watched while they come: a window, a page, both or neither."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Callable

import numpy as np

from hyperhive.inference.drawing.overlay import with_inset
from hyperhive.inference.labelling import Result

if TYPE_CHECKING:
    from hyperhive.inference.views.broadcast import Broadcast
    from hyperhive.inference.views.window import Window

QUIT, SNAPSHOT, MODEL_INPUT = "q", " ", "m"
"""The keys of the window."""


class Views:
    """A window and a page, where there are such.

    Args:
        window: shows each annotated frame.
        broadcast: has each result for the page.
        input_of: returns what the model sees of a picture, see ``Predictor.input_of``.
    """

    def __init__(
        self,
        window: Window | None,
        broadcast: Broadcast | None,
        input_of: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self._window = window
        self._broadcast = broadcast
        self._input_of = input_of
        self._shows_input = False

    def show(self, result: Result) -> str | None:
        """Show a result; return the key that was pressed in the window, if any.

        ``MODEL_INPUT`` has its effect here: the model's input is shown in the picture, or no more.
        """
        if self._broadcast is not None:
            self._broadcast.publish(result)
        if self._window is None:
            return None
        picture = result.picture
        if self._shows_input:
            picture = with_inset(picture, self._input_of(result.frame.image))
        key = self._window.show(picture)
        if key == MODEL_INPUT:
            self._shows_input = not self._shows_input
        return key

    def linger(self, stop: threading.Event) -> None:
        """Leave the last picture of a series in the window until a key is pressed, or ``stop``."""
        if self._window is not None:
            self._window.wait(stop)
