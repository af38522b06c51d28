"""``predict-cam --teach``: things are shown to a camera, and minutes later it knows them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Iterator

import pytest
from support.browser import browsing
from support.home import until
from support.screen import press, screen

pytest.importorskip("pty", reason="no pseudo-terminals: keys cannot be pressed")
from support.taught import LONG_S, AtTerminal, Hands, InWindow, OnPage, Taught
from support.things import BALL, BOX, CROSS, STAR, Shown

THINGS = (BALL, BOX, STAR)
PLACES, EACH = 4, 6


@pytest.fixture
def camera() -> Iterator[Shown]:
    with Shown() as camera:
        yield camera


def teach(taught: Taught, hands: Hands) -> None:
    """Show three things, until they are known; then a fourth, which is to be one of them."""
    for key, name in zip("123", THINGS):
        hands.name(name)
        for place in range(PLACES):
            taught.camera.show(name, place)
            taught.take(hands, key, name, EACH)
    until(lambda: "is learned" in taught.progress, f"a model: {taught.progress}", LONG_S)
    for place, name in enumerate(THINGS, 50):
        taught.answers(name, place)
    assert not list(taught.things.glob("*/corrected"))
    taught.camera.show(CROSS, 0)
    until(lambda: taught.label != STAR, f"a cross, not {taught.label}")
    taught.take(hands, "3", STAR, EACH)
    assert list(taught.things.glob("star/corrected/*.png"))  # all frames that it had wrong
    until(lambda: "version 2 is learned" in taught.progress, taught.progress, LONG_S)
    taught.answers(STAR, 51)
    taught.answers(BOX, 51)
    taught.camera.show(CROSS, 0)
    until(lambda: taught.label == STAR, f"a cross is {taught.label}", LONG_S)


@pytest.mark.timeout(6 * LONG_S)
def test_in_a_terminal(tmp_path: Path, camera: Shown) -> None:
    """Keys of a pseudo-terminal collect, correct, undo and end; the folder has what was shown."""
    taught = Taught(tmp_path, camera, "--no-show")
    try:
        person = taught.person
        teach(taught, AtTerminal(person))
        before = taught.count(STAR)
        person.types("\x7f")
        until(lambda: taught.count(STAR) == before - 1, "one picture less")
        person.types("q")
        person.sees(f"{taught.count(BALL)} ball")
        assert person.ends() == 0
    finally:
        taught.end()


@pytest.mark.long
@pytest.mark.timeout(6 * LONG_S)
def test_on_the_page(tmp_path: Path, camera: Shown) -> None:
    """Buttons of the page do the same; a terminal's end ends it."""
    taught = Taught(tmp_path, camera, "--no-show")
    try:
        with browsing(taught.url, tmp_path / "browser") as browser:
            browser.shows("nothing is learned yet")
            teach(taught, OnPage(browser))
            browser.shows("version 2 is learned", "#progress")
            assert browser.count("#trials li") == 2
            before = taught.count(STAR)
            browser.click("#undo")
            until(lambda: taught.count(STAR) == before - 1, "one picture less")
            assert browser.errors == []
        taught.person.process.send_signal(signal.SIGINT)
        assert taught.person.ends() == 128 + signal.SIGINT
    finally:
        taught.end()


@pytest.mark.long
@pytest.mark.timeout(6 * LONG_S)
def test_in_a_window(tmp_path: Path, camera: Shown) -> None:
    """Keys of a window do the same."""
    with screen() as display:
        taught = Taught(tmp_path, camera, DISPLAY=display)
        try:
            teach(taught, InWindow(display, lambda: taught.typed))
            press("q", display)
            assert taught.person.ends() == 0
        finally:
            taught.end()
