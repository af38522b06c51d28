"""predict-cam --teach with a camera, and three kinds of hands that press its keys."""

from __future__ import annotations

import json
import threading
import urllib.request
from pathlib import Path
from typing import Any, Protocol

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
    """Presses keys of a display."""

    def __init__(self, display: str) -> None:
        self._display = display

    def name(self, text: str) -> None:
        """See ``Hands``."""
        for key in ("n", *text, "Return"):
            until(lambda key=key: press(key, self._display), f"the key {key}")  # type: ignore[misc]

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
