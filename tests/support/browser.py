"""A real browser for tests of pages: Chromium, controlled over its debugging pipe."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
from collections import deque
from pathlib import Path
from typing import Any, Iterator

from support.home import until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
FLAGS += "--disable-background-networking --disable-component-update --remote-debugging-pipe "
FLAGS += "--disable-extensions --disable-default-apps --hide-scrollbars"

_KEYS = {
    "Enter": 13,
    "Escape": 27,
    "PageUp": 33,
    "PageDown": 34,
    "End": 35,
    "Home": 36,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Delete": 46,
    "Tab": 9,
}


class Browser:
    """A Chromium with one page open.

    ``errors`` collects what the console shows of errors: exceptions, requests that failed, and what
    the page's policy refused.
    """

    def __init__(self, command: int, said: int, url: str) -> None:
        self._command = os.fdopen(command, "wb", buffering=0)
        self._said = said
        self._messages: deque[bytes] = deque()
        self._rest = b""
        self._last = self._loads = 0
        self._session: dict[str, str] = {}
        self.errors: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Runtime", "Log", "Page"):
            self.ask(f"{domain}.enable")
        self.open(url)

    # -- the page ------------------------------------------------------------------------------

    def open(self, url: str) -> None:
        """Open another page, and wait until it has loaded, or another place of the same page."""
        self._loads = 0
        is_other_page = "loaderId" in self.ask("Page.navigate", url=url)
        while is_other_page and not self._loads:
            self._note(json.loads(self._read()))

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page; a promise is waited for."""
        found = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return found["result"].get("value")

    def count(self, selector: str) -> int:
        """Return how many elements a selector finds."""
        return int(self.evaluate(f"document.querySelectorAll({selector!r}).length"))

    def text(self, selector: str) -> str:
        """Return the text of the first element that a selector finds, or nothing."""
        return str(self.evaluate(f"document.querySelector({selector!r})?.innerText ?? ''"))

    def shows(self, text: str, where: str = "body", seconds: float = 60.0) -> None:
        """Wait until an element shows this text."""
        until(lambda: text in self.text(where), f"{text!r} in {where}", seconds)

    # -- how it is looked at -------------------------------------------------------------------

    def look(self, width: int, height: int, dark: bool = False, is_phone: bool = False) -> None:
        """Set the size of the window in CSS pixels, and whether its user prefers dark."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if is_phone else 1,
            mobile=is_phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, file: Path, whole: bool = False) -> None:
        """Save what the window shows, or the whole page, as PNG."""
        found = self.ask("Page.captureScreenshot", captureBeyondViewport=whole, **self._clip(whole))
        file.write_bytes(base64.b64decode(found["data"]))

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {**size, "x": 0, "y": 0, "scale": 1}}

    def pdf(self, file: Path) -> None:
        """Save what a printer would get."""
        found = self.ask("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        file.write_bytes(base64.b64decode(found["data"]))

    # -- what a user does ----------------------------------------------------------------------

    def click(self, selector: str) -> None:
        """Click the middle of an element, which is scrolled into view, once it stands still."""
        x, y = until(lambda: self._still(selector), f"{selector} stands still")
        self._mouse("mouseMoved", x, y)
        self._mouse("mousePressed", x, y)
        self._mouse("mouseReleased", x, y)

    def hover(self, x: float, y: float) -> None:
        """Move the pointer there, in CSS pixels of the window."""
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press at one point of the window, and release at another."""
        self._mouse("mouseMoved", *start)
        self._mouse("mousePressed", *start)
        for step in (1, 2, 3):
            x, y = (a + (b - a) * step / 3 for a, b in zip(start, end))
            self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, buttons=1)
        self._mouse("mouseReleased", *end)

    def type(self, text: str) -> None:
        """Type into the element that has the focus."""
        self.ask("Input.insertText", text=text)

    def key(self, name: str, times: int = 1) -> None:
        """Press a key such as ``ArrowUp`` or ``a``."""
        code = _KEYS.get(name, ord(name[0].upper()))
        for _ in range(times):
            for kind in ("rawKeyDown", "keyUp"):
                self.ask(
                    "Input.dispatchKeyEvent",
                    type=kind,
                    key=name,
                    windowsVirtualKeyCode=code,
                )

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Return left, top, width and height of an element, which is scrolled into view."""
        found = self.evaluate(
            f"(() => {{ const one = document.querySelector({selector!r}); "
            "one.scrollIntoView({ block: 'center', behavior: 'instant' }); "
            "const box = one.getBoundingClientRect(); "
            "return [box.left, box.top, box.width, box.height]; })()"
        )
        assert found, f"no element is {selector}"
        left, top, width, height = found
        return left, top, width, height

    def middle(self, selector: str) -> tuple[float, float]:
        """Return the middle of an element, which is scrolled into view."""
        left, top, width, height = self.box(selector)
        return left + width / 2, top + height / 2

    def _still(self, selector: str) -> tuple[float, float] | None:
        """Return the middle of an element if it is there for two pictures of the screen."""
        before = self.middle(selector)
        frames = "requestAnimationFrame(() => requestAnimationFrame(() => go(1)))"
        self.evaluate(f"new Promise((go) => {frames})")
        return before if self.middle(selector) == before else None

    def _mouse(self, kind: str, x: float, y: float) -> None:
        button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    # -- its debugging pipe --------------------------------------------------------------------

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the Chrome DevTools Protocol; return what it gives."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters, **self._session}
        self._command.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._read())
            self._note(answer)
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                found: dict[str, Any] = answer["result"]
                return found

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loads += 1
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] == "error":
            self.errors.append(str([one.get("value") for one in parameters["args"]]))

    def _read(self) -> bytes:
        while not self._messages:
            data = os.read(self._said, 1 << 20)
            assert data, "the browser has ended"
            *complete, self._rest = (self._rest + data).split(b"\0")
            self._messages.extend(complete)
        return self._messages.popleft()

    def close(self) -> None:
        """End it."""
        self._session = {}
        self.ask("Browser.close")
        self._command.close()
        os.close(self._said)


@contextlib.contextmanager
def browsing(url: str, profile: Path) -> Iterator[Browser]:
    """Open a page in a browser of its own."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    process = subprocess.Popen(
        # It takes the pipes to be its descriptors 3 and 4.
        [
            *("bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "browser"),
            *(str(CHROMIUM), *FLAGS.split(), f"--user-data-dir={profile}"),
        ],
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        browser = Browser(ours_out, ours_in, url)
        yield browser
        browser.close()
        process.wait(60)
    finally:
        process.kill()
        process.wait()
