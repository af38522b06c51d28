"""predict-cam --teach with a camera, and three kinds of hands that press its keys."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.request
from pathlib import Path
from typing import Any, Callable, Protocol

from support.browser import Browser
from support.home import until
from support.person import Person
from support.screen import press
from support.things import Shown

LONG_S = 600.0


class Hands(Protocol):
    """Press keys."""

    def name(self, text: str) -> None:
        """Name a class."""

    def hold(self, key: str) -> None:
        """Press a key, as one that is held does again and again."""


class AtTerminal:
    """Types."""

    def __init__(self, person: Person) -> None:
        self._person = person

    def name(self, text: str) -> None:
        """See ``Hands``."""
        self._person.types(f"n{text}\n")

    def hold(self, key: str) -> None:
        """See ``Hands``."""
        self._person.types(key)


class InWindow:
    """Presses keys of a display; a key is lost if the window has no focus yet.

    Args:
        display: the name.
        typed: returns the line in which a name is typed, or None.
    """

    def __init__(self, display: str, typed: Callable[[], str | None]) -> None:
        self._display = display
        self._typed = typed

    def name(self, text: str) -> None:
        """See ``Hands``."""
        self._until("n", "class: _")
        for end in range(1, len(text) + 1):
            self._until(text[end - 1], f"class: {text[:end]}_")
        self._until("Return", None)

    def _until(self, key: str, line: str | None) -> None:
        """Press a key until this is shown, but not while it may still arrive."""

        def shows() -> bool:
            press(key, self._display)
            with contextlib.suppress(AssertionError):
                until(lambda: self._shows(line), f"{line}", 5.0)
            return self._shows(line)

        until(shows, f"{line}, not {self._typed()}", LONG_S)

    def _shows(self, line: str | None) -> bool:
        typed = self._typed()
        return typed is None if line is None else (typed or "").startswith(line)

    def hold(self, key: str) -> None:
        """See ``Hands``."""
        press(key, self._display)


class OnPage:
    """Clicks buttons of the page."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def name(self, text: str) -> None:
        """See ``Hands``."""
        self._browser.click("#name")
        self._browser.type(text)
        self._browser.click("#naming button:not([type])")
        self._browser.shows(text, "#classes")

    def hold(self, key: str) -> None:
        """See ``Hands``."""
        self._browser.click(f"#classes button[data-key='{key}']")


class Taught:
    """A run of predict-cam that is taught; what it answers is read from its page.

    Args:
        folder: where it runs; the class folders are in ``things``.
        camera: what it looks at.
        arguments: further ones of the command.
        environment: further variables.
    """

    def __init__(self, folder: Path, camera: Shown, *arguments: str, **environment: str) -> None:
        self.things = folder / "things"
        self.camera = camera
        places = {name: str(folder / name) for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")}
        teach = ("--teach", "things", "--trials", "2", "--serve", "0", *arguments, camera.url)
        self.person = Person(*teach, folder=folder, **{**places, **environment})
        self.url = self.person.sees_after("watch at ", LONG_S)
        self._newest: dict[str, Any] = {}
        threading.Thread(target=self._read, name="labels", daemon=True).start()
        until(lambda: self._newest.get("teaching"), "the page's first frame", LONG_S)

    def _read(self) -> None:
        try:
            with urllib.request.urlopen(self.url + "labels") as labels:
                for line in labels:
                    if line.startswith(b"data: "):
                        self._newest = json.loads(line[len(b"data: ") :])
        except OSError:  # it has ended
            return

    @property
    def label(self) -> str:
        """What it answers now."""
        return str(self._newest["label"])

    @property
    def typed(self) -> str | None:
        """The line in which a name is typed, if one is."""
        typed = self._newest["teaching"]["typed"]
        return None if typed is None else str(typed)

    @property
    def progress(self) -> str:
        """How far the learning is."""
        return str(self._newest["teaching"]["progress"])

    def count(self, name: str) -> int:
        """Return how many pictures a class has on the disk."""
        return len(list(self.things.glob(f"{name}/**/*.png")))

    def take(self, hands: Hands, key: str, name: str, count: int) -> None:
        """Hold a key until a class has so many more pictures."""
        wanted = self.count(name) + count

        def enough() -> bool:
            hands.hold(key)
            return self.count(name) >= wanted

        until(enough, f"{wanted} pictures of {name}", LONG_S)

    def answers(self, name: str, place: int) -> None:
        """Show a thing at a place, and wait until that is what it answers."""
        self.camera.show(name, place)
        until(lambda: self.label == name, f"{name}, not {self.label}: {self.progress}", LONG_S)

    def end(self) -> None:
        """Kill it if it still runs."""
        if self.person.process.poll() is None:
            self.person.process.kill()
            self.person.process.wait()
