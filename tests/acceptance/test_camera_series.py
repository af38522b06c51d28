"""predict-cam with a network camera, as a person runs it: a series of snapshots, and live mode."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest
from PIL import Image, ImageGrab
from support.home import REPOSITORY, Program, until
from support.lenets import save_untrained
from support.mjpeg import MjpegServer, number_in
from support.screen import press, screen, xdotool

from hyperhive.inference.drawing.overlay import BACKGROUND

COMMAND = [sys.executable, "-c", "from hyperhive import cli; cli.predict_cam()"]


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer(fps=30.0) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a model in it."""
    save_untrained(tmp_path / "model")
    return tmp_path


def start(folder: Path, *arguments: str, **environment: str) -> Program:
    """Start predict-cam without a display."""
    without = {name: text for name, text in os.environ.items() if "DISPLAY" not in name}
    return Program(
        [*COMMAND, "--model", "model", *arguments],
        folder / "said",
        folder,
        {**without, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", **environment},
    )


def lines_of(folder: Path) -> list[Any]:
    text = (folder / "predictions" / "predictions.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_ten_snapshots_of_a_stream(folder: Path, server: MjpegServer) -> None:
    """Ten snapshots give ten annotated frames, ten equal rows in JSON and CSV, and a sheet."""
    program = start(folder, server.url, "--count", "10", "--every", "0.2", "--countdown", "0")
    assert program.end() == 0, program.said()
    output = folder / "predictions"
    pictures = sorted((output / "annotated").glob("*.jpg"))
    lines = lines_of(folder)
    with (output / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(pictures) == len(lines) == len(rows) == 10
    numbers = []
    for picture, line, row in zip(pictures, lines, rows):
        with Image.open(picture) as image:
            numbers.append(number_in(picture_in(image)))
        assert line["source"] == row["source"] == server.url
        assert line["label"] == row["label"] == row["label1"]
        assert [one["label"] for one in line["top3"]] == [row[f"label{i}"] for i in "123"]
        assert float(row["time"]) == line["time"]
        assert float(row["probability3"]) == line["top3"][2]["probability"]
    assert [line["frame"] for line in lines] == list(range(10))
    assert numbers == sorted(set(numbers))
    with Image.open(output / "contact_sheet.png") as sheet:
        assert sheet.size[0] > 800
    printed = program.said()
    for part in ("capture", "preprocess", "infer", "mean confidence"):
        assert part in printed


def picture_in(annotated: Image.Image) -> Any:
    """Return the stream's picture of 256x48: the panel is below it, and its sides are dark."""
    pixels = np.asarray(annotated.convert("RGB"))[: annotated.width * 48 // 256]
    return np.clip(pixels * 2.5, 0, 255)


@pytest.mark.long
def test_live_mode_writes_snapshots_only(folder: Path, server: MjpegServer) -> None:
    """Without --every nothing is written; without a display it says so, and Ctrl-C ends it."""
    program = start(folder, server.url, "--live")
    program.says("no window: there is no display")
    until(lambda: len(server.sent) > 40, "40 pictures")
    program.signal(signal.SIGINT)
    assert program.end() == 128 + signal.SIGINT
    assert "frames labelled, " in program.said()
    assert not (folder / "predictions").exists()
    until(lambda: not server.watching, "the stream's end")


@pytest.mark.long
def test_live_mode_with_all_that_it_can_do(folder: Path, server: MjpegServer) -> None:
    """It writes snapshots, a video and a page, and survives a camera that goes away and returns."""
    program = start(
        folder, server.url, "--live", "--every", "0.5", "--save-video", "--serve", "0", "-q"
    )
    program.says("watch at http://127.0.0.1:")
    url = program.said().split("watch at ")[1].split()[0]
    with urllib.request.urlopen(url + "labels", timeout=60) as labels:
        assert json.loads(labels.readline()[len(b"data: ") :])["top"]
        server.down()
        server.up()
        until(lambda: server.watching, "the camera's return")
        before = number_of_lines(folder)
        until(lambda: number_of_lines(folder) >= before + 2, "snapshots after it")
        assert labels.readline()
    program.signal(signal.SIGTERM)
    assert program.end() == 128 + signal.SIGTERM
    output = folder / "predictions"
    assert len(list((output / "annotated").iterdir())) == len(lines_of(folder))
    frames = [line["frame"] for line in lines_of(folder)]
    assert frames == sorted(set(frames))
    assert (output / "annotated_video.mp4").stat().st_size > 1000


def number_of_lines(folder: Path) -> int:
    path = folder / "predictions" / "predictions.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def display() -> Iterator[str]:
    """Return the name of a display of its own."""
    with screen() as name:
        yield name


@pytest.mark.long
def test_the_keys_of_a_real_window(folder: Path, server: MjpegServer, display: str) -> None:
    """On a display live mode opens a window by itself: space writes a frame, q ends it."""
    program = start(folder, server.url, "--live", DISPLAY=display)
    program.says("gives 256x48 pixels")
    until(lambda: press("space", display) and number_of_lines(folder), "a snapshot")
    press("q", display)
    assert program.end() == 0, program.said()
    assert "no window" not in program.said()


@pytest.mark.long
def test_the_square_is_dragged_in_a_real_window(
    folder: Path, server: MjpegServer, display: str
) -> None:
    """The mouse moves and resizes it, the next run begins with it, and r resets it."""
    config = {"DISPLAY": display, "XDG_CONFIG_HOME": str(folder / "config")}
    kept = folder / "config" / "hyperhive" / "squares.json"
    live = (server.url, "--live", "--every", "0")
    program = start(folder, *live, **config)
    program.says("gives 256x48 pixels")
    until(lambda: number_of_lines(folder) > 1, "a picture")
    x, y, width = picture_on(display)
    assert lines_of(folder)[0]["box"] == [104, 0, 48, 48]
    scale = width / 512  # of the window to the shown picture; the camera's is enlarged to 512x96
    left = [x + round(place * scale) for place in (256, 200, 130)]
    drag(display, [(place, y + round(48 * scale)) for place in left])
    until(lambda: lines_of(folder)[-1]["box"][0] < 60, "a square that was moved")
    until(kept.exists, "a square that is kept")
    moved = next_box(folder)
    assert moved[2:] == [48, 48]
    corner = (2 * (moved[0] + 48) - 4, 92)
    steps = [(corner[0] - back, corner[1] - back) for back in (0, 10, 40)]
    drag(display, [(x + round(a * scale), y + round(b * scale)) for a, b in steps])
    until(lambda: lines_of(folder)[-1]["box"][2] < 40, "a square that was resized")
    small = next_box(folder)
    assert (small[0], small[1]) == pytest.approx((moved[0], 0), abs=1)
    until(lambda: sizes(kept) == [pytest.approx(small[2] / 48, abs=0.05)], "the new size, kept")
    press("q", display)
    assert program.end() == 0, program.said()

    shutil.rmtree(folder / "predictions")
    again = start(folder, *live, **config)
    again.says("as last time; --square full resets it")
    until(lambda: number_of_lines(folder) > 1, "a picture")
    assert lines_of(folder)[0]["box"] == pytest.approx(small, abs=1)
    until(lambda: press("r", display) and lines_of(folder)[-1]["box"][2] == 48, "the full square")
    press("q", display)
    assert again.end() == 0, again.said()
    assert sizes(kept) == []


def next_box(folder: Path) -> list[int]:
    """Return the box of a frame that is not labelled yet."""
    before = number_of_lines(folder)
    until(lambda: number_of_lines(folder) > before + 1, "two more frames")
    box: list[int] = lines_of(folder)[before + 1]["box"]
    return box


def sizes(kept: Path) -> list[float]:
    return [size for _, _, size in json.loads(kept.read_text()).values()]


def picture_on(display: str) -> tuple[int, int, int]:
    """Return where the camera's picture is on the screen: left, top and width.

    It is above the panel, which is the only thing of its colour.
    """

    def panel() -> np.ndarray:
        screen = np.asarray(ImageGrab.grab(xdisplay=display).convert("RGB"))
        return (screen == BACKGROUND).all(axis=2)

    until(lambda: panel().sum() > 10_000, "the panel in the window")
    found = panel()
    columns, rows = np.flatnonzero(found.any(axis=0)), np.flatnonzero(found.any(axis=1))
    width = int(columns[-1] - columns[0] + 1)
    return int(columns[0]), int(rows[0]) - round(width * 48 / 256), width


def drag(display: str, places: list[tuple[int, int]]) -> None:
    """Press the mouse at the first place of the screen, go to the others, and release it."""
    (first, *others), do = places, ["sleep", "0.3"]
    steps = ["mousemove", *map(str, first), *do, "mousedown", "1", *do]
    for place in others:
        steps += ["mousemove", *map(str, place), *do]
    done = xdotool(display, *steps, "mouseup", "1")
    assert done
