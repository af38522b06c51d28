"""What viewers of the page press while things are taught, and what they see."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Iterator

import numpy as np
import pytest
from support.browser import CHROMIUM, Browser, browsing
from support.home import until

from hyperhive.inference.frames import Frame
from hyperhive.inference.labelling import Result
from hyperhive.inference.predictor import Prediction
from hyperhive.inference.teaching.states import LEARNING, Progress
from hyperhive.inference.teaching.view import NOTHING, ClassView, View
from hyperhive.inference.views.broadcast import Broadcast
from hyperhive.inference.views.page import serve
from hyperhive.inference.views.remote import CHOOSE, TAKE, UNDO, Press, Remote

HOSTILE = "<img src=x onerror=alert(1)>"


def view(message: str = "") -> View:
    """Return a view with three classes and three trials."""
    classes = (ClassView("1", HOSTILE, 5), ClassView("2", "cup", 40), ClassView("0", NOTHING, 0))
    progress = Progress(LEARNING, {}, 1, 6, (0.5, None, 0.75))
    return View(classes, "cup", None, message, False, progress)


@pytest.fixture
def remote() -> Remote:
    made = Remote()
    made.shown = view().to_json
    return made


@pytest.fixture
def url(remote: Remote) -> Iterator[str]:
    """Serve the page of a run that teaches."""
    broadcast = Broadcast(lambda image: image[:28, :28], remote)
    image = np.full((480, 640, 3), 90, np.uint8)
    prediction = Prediction((("cup", 0.75), ("ball", 0.25)))
    broadcast.publish(Result(Frame(image, "name", "camera 0", 0, 0.0), prediction))
    with serve(broadcast, "127.0.0.1", 0, remote) as address:
        yield address


def post(url: str, body: bytes, token: str | None = None) -> int:
    """Return the status of a press."""
    if token is None:
        with urllib.request.urlopen(url + "csrf") as answer:
            token = answer.read().decode()
    request = urllib.request.Request(url + "press", body, {"X-CSRF-Token": token})
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_presses_arrive_in_their_order(url: str, remote: Remote) -> None:
    """Anything else is refused, as is a press without the page's token; there are no keys."""
    for press in ({"take": "cup"}, {"choose": HOSTILE}, {"undo": ""}):
        assert post(url, json.dumps(press).encode()) == 204
    presses = list(remote.presses())
    assert presses == [Press(TAKE, "cup"), Press(CHOOSE, HOSTILE), Press(UNDO)]
    for body in (b"", b"{", b"[]", b"{}", b'{"take": 1}', b'{"key": "q"}', b'{"choose": ""}'):
        assert post(url, body) == 400
    assert post(url, b'{"undo": "1"}') == post(url, b'{"take": "a", "undo": ""}') == 400
    assert post(url, json.dumps({"take": 256 * "a"}).encode()) == 400
    assert post(url, b'{"undo": ""}', token="none") == 403
    assert list(remote.presses()) == []


def test_too_many_presses_are_refused(url: str, remote: Remote) -> None:
    """A viewer that presses without end fills no memory."""
    while remote.add(Press(UNDO)):
        pass
    assert post(url, b'{"undo": ""}') == 503
    assert len(list(remote.presses())) == 100
    assert post(url, b'{"undo": ""}') == 204


def test_a_page_that_only_shows_takes_no_presses() -> None:
    """Without --teach there is nothing to press."""
    with serve(Broadcast(lambda image: image), "127.0.0.1", 0) as address:
        assert post(address, b'{"undo": ""}') == 404


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: pages are not looked at")
def test_the_page_of_a_run_that_teaches(url: str, remote: Remote, tmp_path: Path) -> None:
    """Buttons take pictures as long as they are held; keys and names do too."""
    pressed: list[Press] = []

    def arrives(press: Press) -> None:
        def holds() -> bool:
            pressed.extend(remote.presses())
            return press in pressed

        until(holds, f"{press}, not {pressed}")
        pressed.clear()

    with browsing(url, tmp_path) as browser:
        browser.shows(HOSTILE, "#classes")
        browser.shows("version 1: trial 4 of 6, best accuracy 75.0 %", "#progress")
        assert browser.count("#trials li") == 3
        assert browser.count("#trials li.best") == 1
        assert browser.text("#classes button:nth-child(2)").split() == ["2", "cup", "40"]
        assert browser.count("#classes button.enough") == browser.count("button.chosen") == 1
        browser.click("#classes button[data-key='0']")
        arrives(Press(TAKE, NOTHING))
        left, top, width, height = browser.box("#classes button:nth-child(2)")
        with held(browser, left + width / 2, top + height / 2):
            for _ in range(3):
                arrives(Press(TAKE, "cup"))
        browser.click("#name")
        browser.type("tea pot")
        browser.click("#naming button:not([type])")
        arrives(Press(CHOOSE, "tea pot"))
        browser.click("#undo")
        arrives(Press(UNDO))
        browser.evaluate("document.activeElement.blur()")
        browser.key("1")
        arrives(Press(TAKE, HOSTILE))
        assert browser.errors == []


@contextlib.contextmanager
def held(browser: Browser, x: float, y: float) -> Iterator[None]:
    """Hold the mouse's button at a place of the window."""
    where = {"x": x, "y": y, "button": "left", "clickCount": 1}
    browser.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    browser.ask("Input.dispatchMouseEvent", type="mousePressed", **where)
    yield
    browser.ask("Input.dispatchMouseEvent", type="mouseReleased", **where)
