"""Where a person watches the results: a window, a page, both or neither."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Callable, Iterator, Mapping, Sequence

import numpy as np

from hyperhive.common.errors import OutputError
from hyperhive.inference.collecting.name_field import ESCAPE
from hyperhive.inference.drawing.overlay import annotated, picture_place, with_inset
from hyperhive.inference.drawing.panel import with_lines
from hyperhive.inference.frames import Say
from hyperhive.inference.labelling import Result
from hyperhive.inference.sight.guide import Guide
from hyperhive.inference.views.grip import Grip

if TYPE_CHECKING:
    from hyperhive.inference.views.broadcast import Broadcast
    from hyperhive.inference.views.remote import Remote
    from hyperhive.inference.views.window import Window

QUIT, SNAPSHOT, MODEL_INPUT, RESET = "q", " ", "m", "r"
"""The keys of the window."""

InputOf = Callable[[np.ndarray], np.ndarray]
"""Returns the model's input for a picture, see ``Predictor.input_of``."""


class Display:
    """Shows each result in the window and on the page, if they are open.

    Args:
        window: shows each annotated frame.
        broadcast: takes each result for the page.
        input_of: returns the model's input.
        grip: is told where in the window the picture is; None if there is no square to drag.
    """

    def __init__(
        self,
        window: Window | None,
        broadcast: Broadcast | None,
        input_of: InputOf,
        grip: Grip | None = None,
    ) -> None:
        self._window = window
        self._broadcast = broadcast
        self._input_of = input_of
        self._grip = grip
        self._shows_input = False
        self.has_window = window is not None

    def show(self, result: Result, below: Sequence[str] = (), flash: bool = False) -> str | None:
        """Show a result; return the key that was pressed in the window, as it is, or None.

        Args:
            result: the picture and its label.
            below: lines of text below it in the window.
            flash: whether the picture lights up, because it was taken.
        """
        if self._broadcast is not None:
            self._broadcast.publish(result)
        if self._window is None:
            return None
        picture = annotated(result)
        if self._shows_input and result.seen is not None:
            picture = with_inset(picture, self._input_of(result.seen))
        if self._grip is not None:
            self._grip.show(picture_place(result.frame.image))
        if below:
            picture = with_lines(picture, below, flash)
        return self._window.show(picture)

    def obey(self, key: str | None) -> str | None:
        """Do what a key asks for; return it in lower case, Escape as ``QUIT``.

        Two keys have their effect here: ``MODEL_INPUT`` shows or hides the model's input in the
        picture, ``RESET`` returns to the full square.
        """
        key = QUIT if key == ESCAPE else key and key.lower()
        if key == MODEL_INPUT:
            self._shows_input = not self._shows_input
        if key == RESET and self._grip is not None:
            self._grip.reset()
        return key

    def linger(self, stop: threading.Event) -> None:
        """Keep the last picture of a series in the window until a key is pressed, or ``stop``."""
        if self._window is not None:
            self._window.wait(stop)


@contextlib.contextmanager
def open_display(
    *,
    show: bool | None,
    live: bool,
    serve_at: tuple[str, int] | None,
    input_of: InputOf,
    guide: Guide | None,
    announce: Say,
    warn: Say,
    environment: Mapping[str, str],
    remote: Remote | None = None,
) -> Iterator[Display]:
    """Open the window and the page that are wanted; yield them together.

    Args:
        show: whether to open a window; None opens one in live mode.
        live: whether this is live mode.
        serve_at: host and port of the page; None is no page.
        input_of: returns the model's input.
        guide: the square that can be dragged in the window; None if there is none.
        announce: is called with the address of the page.
        warn: is called with the reason why there is no window.
        environment: the environment variables, which name the display.
        remote: gets what viewers of the page press; None lets them press nothing.

    Raises ``OutputError`` if the page's address is not available.
    """
    with contextlib.ExitStack() as opened:
        broadcast = opened.enter_context(_page(serve_at, input_of, announce, remote))
        window = opened.enter_context(_window(show, live, warn, environment))
        grip = None if guide is None else Grip(guide)
        if window is not None and grip is not None:
            window.follow(grip)
        yield Display(window, broadcast, input_of, grip)


@contextlib.contextmanager
def _page(
    address: tuple[str, int] | None, input_of: InputOf, announce: Say, remote: Remote | None
) -> Iterator[Broadcast | None]:
    if address is None:
        yield None
        return
    try:
        from hyperhive.inference.views.broadcast import Broadcast
        from hyperhive.inference.views.page import serve
    except ModuleNotFoundError as error:
        # Not the extra "camera": it brings an OpenCV too, which must not replace a Jetson's own.
        raise OutputError(
            f"--serve needs Starlette and uvicorn ({error}): pip install starlette uvicorn"
        ) from error

    broadcast = Broadcast(input_of, remote)
    with serve(broadcast, *address, remote) as url:
        announce(f"watch at {url}")
        yield broadcast


def has_window(is_asked: bool, warn: Say, environment: Mapping[str, str]) -> bool:
    """Return whether a window can be opened; if not, say why.

    Args:
        is_asked: whether there is ``--show``.
        warn: is called with the reason.
        environment: the environment variables, which name the display.
    """
    try:
        from hyperhive.inference.views.window import hindrance

        reason = hindrance(environment)
    except ImportError as error:
        reason = f"OpenCV cannot be imported ({error})"
    if reason:
        warn(f"no window{', --show is ignored' if is_asked else ''}: {reason}")
    return not reason


@contextlib.contextmanager
def _window(
    show: bool | None, live: bool, warn: Say, environment: Mapping[str, str]
) -> Iterator[Window | None]:
    if not (live if show is None else show):
        yield None
        return
    if not has_window(bool(show), warn, environment):
        yield None
        return
    from hyperhive.inference.views.window import Window

    window = Window()
    try:
        yield window
    finally:
        window.close()
