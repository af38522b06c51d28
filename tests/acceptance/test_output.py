"""What real commands print in notebooks, in pipes, in old encodings, and of hostile names."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.home import Home, until
from support.lenets import drawn, save_model
from support.thread_workers import deliver, working

from hyperhive.coordinator.model_maker import PICTURE_FILE
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import BASELINE, Status
from hyperhive.store.trials.trial import Trial

HOSTILE = "\x1b[2J [red]空[x]\nkö"
"""A name that clears the screen, is markup, has letters that encodings lack, and two lines."""

ENCODINGS = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "no locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "utf-8": {"PYTHONIOENCODING": "utf-8"},
}
NOTEBOOK = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "TERM": "xterm-color",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
}
"""What ipykernel gives the commands of a cell (ipykernel/zmqshell.py, kernelapp.py)."""

MOVES = re.compile(r"\x1b\[[0-9;?]*[A-HJKSTfhlsu]")
"""Control sequences that move the cursor or clear: a frame is drawn over the last one."""


def images(folder: Path, *classes: str) -> Path:
    """Write fifteen pictures for each class."""
    random = np.random.RandomState(0)
    for level, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(15):
            pixels = random.randint(0, 60, (28, 28, 3)) + 120 * level
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def train(store: Store, trial: Trial) -> None:
    torch.manual_seed(trial.tid)
    deliver(store, trial, pack_weights(LeNet5(3, 2)), trained_on={"device": "cpu"})


def searched(home: Home, uri: str, *more: str, **surroundings: str) -> subprocess.CompletedProcess:
    """Run a study of three trials."""
    study = ("coordinator", "--data", "images", "--name", "s", "--trials", "3", *more)
    with working(uri, train):
        return home.run(*study, HYPERHIVE_MONGO=uri, **surroundings)


def on_terminal(home: Home, *command: str, **surroundings: str) -> tuple[int, str]:
    """Run a command on a pseudo-terminal; return its exit code and what it wrote."""
    ours, its = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "hyperhive", *command],
        cwd=str(home.work),
        env={**home.environment, **surroundings},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    said = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # Linux: the other side is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    return program.wait(), said.decode().replace("\r\n", "\n")


# -- where frames cannot be drawn over each other ------------------------------------------------


@pytest.mark.long
def test_in_a_notebook_each_event_is_one_line_and_the_picture_is_drawn(
    home: Home, store: Store, mongo_uri: str
) -> None:
    """A cell's ``!`` is a terminal that moves no cursor, with a backend that is not ours."""
    images(home.work / "images", "ash", "sky")
    study = ("coordinator", "--data", "images", "--name", "s", "--trials", "3")
    with working(mongo_uri, train):
        code, said = on_terminal(home, *study, HYPERHIVE_MONGO=mongo_uri, **NOTEBOOK)
    assert code == 0, said
    assert not MOVES.search(said)
    for trial in range(3):
        assert said.count(f"/3] trial {trial}: ") == 1
    assert said.count("the untuned baseline: ") == 1
    assert len(said.splitlines()) < 30
    assert (home.work / "models" / "s" / PICTURE_FILE).stat().st_size > 10_000


@pytest.mark.long
def test_a_pipe_is_no_terminal_and_a_lost_picture_is_drawn_again(
    home: Home, store: Store, mongo_uri: str
) -> None:
    """FORCE_COLOR asks a pipe for colours, not for frames. The second run draws what is missing."""
    images(home.work / "images", "ash", "sky")
    picture = home.work / "models" / "s" / PICTURE_FILE
    colourful = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}
    picture.mkdir(parents=True)  # in the way: the picture cannot be written
    failed = searched(home, mongo_uri, **colourful)
    assert failed.returncode == 1
    assert PICTURE_FILE in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert not MOVES.search(failed.stdout)
    picture.rmdir()
    again = searched(home, mongo_uri, **NOTEBOOK)
    assert again.returncode == 0, again.stderr
    assert "nothing was run again" in again.stdout
    with Image.open(picture) as drawn_again:
        assert drawn_again.format == "PNG"
    assert [path.name for path in picture.parent.iterdir() if "part" in path.name] == []


@pytest.mark.long
def test_a_terminal_has_a_live_panel(home: Home, store: Store, mongo_uri: str) -> None:
    """Where the cursor moves, frames are drawn over each other."""
    images(home.work / "images", "ash", "sky")
    study = ("coordinator", "--data", "images", "--name", "s", "--trials", "3")
    with working(mongo_uri, train):
        code, said = on_terminal(home, *study, HYPERHIVE_MONGO=mongo_uri, TERM="xterm")
    assert code == 0, said
    assert MOVES.search(said)
    assert "3 of 3 done" in said


# -- encodings and control characters ------------------------------------------------------------


def require_harmless(done: subprocess.CompletedProcess[bytes]) -> str:
    """Fail at a traceback or a control character; return what was printed."""
    said = done.stdout + done.stderr
    assert b"Traceback" not in said, said.decode(errors="replace")
    assert not [byte for byte in said if byte < 32 and byte != 10], said
    return said.decode("cp1252", errors="replace")


def run(home: Home, *command: str, **surroundings: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "hyperhive", *command],
        cwd=str(home.work),
        env={**home.environment, **surroundings},
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.long
@pytest.mark.parametrize(("surroundings", "sky"), [("cp1252", "空"), ("no locale", "sky")])
def test_a_study_of_hostile_names_from_its_notices_to_its_model(
    home: Home, store: Store, mongo_uri: str, surroundings: str, sky: str
) -> None:
    """Notices, progress, summary, ``best`` and ``predict-cam`` say names, whatever they hold."""
    images(home.work / "images", "ash", sky)
    (home.work / "images" / "ash" / "кошка\x1b[2J.png").write_text("junk")
    environment = {"HYPERHIVE_MONGO": mongo_uri, **ENCODINGS[surroundings]}
    with working(mongo_uri, train):
        study = ("--data", "images", "--name", "s", "--trials", "2", "--models", f"m\x1b[2J{sky}")
        done = run(home, "coordinator", *study, **environment)
    said = require_harmless(done)
    assert done.returncode == 0, said
    assert r"\x1b[2J.png (not an image)" in said
    assert "Glyph" not in said
    best = run(home, "best", "s", **environment)
    assert best.returncode == 0
    assert sky.encode("ascii", "backslashreplace").decode() in require_harmless(best)
    predicted = subprocess.run(
        [
            *(sys.executable, "-c", "from hyperhive import cli; cli.predict_cam()"),
            *("--model", f"m\x1b[2J{sky}/s", "images"),
        ],
        cwd=str(home.work),
        env={**home.environment, **environment},
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    assert r"\x1b[2J" in require_harmless(predicted)
    rows = (home.work / "predictions" / "predictions.jsonl").read_text(encoding="utf-8")
    tops = [json.loads(row)["top3"] for row in rows.split("\n") if row]
    assert {each["label"] for top in tops for each in top} == {"ash", sky}


@pytest.mark.parametrize("surroundings", ENCODINGS)
def test_status_shows_hostile_names_as_text(
    home: Home, store: Store, mongo_uri: str, surroundings: str
) -> None:
    """Names of studies and workers, devices, reasons and errors: none is markup or raw."""
    store.studies.open(HOSTILE, {"trials": 3})
    store.queue.post(Draft(HOSTILE, 0, {HOSTILE: HOSTILE}, {}, objective="lenet5"))
    store.queue.post(Draft(HOSTILE, 0, {}, {}, objective="lenet5", purpose=BASELINE))
    for worker in (HOSTILE, "w"):
        store.queue.claim(worker, worker, ["lenet5"], lease=0.0)
    store.workers.report(HOSTILE, None, HOSTILE, {}, None, paused=HOSTILE)
    done = run(home, "status", HYPERHIVE_MONGO=mongo_uri, **ENCODINGS[surroundings])
    said = require_harmless(done)
    assert done.returncode == 0
    assert r"\x1b[2J [red]" in said
    assert r"[x]\nk" in said
    assert "baseline" in said
    assert ("│" in done.stdout.decode(errors="replace")) == (surroundings == "utf-8")


@pytest.mark.parametrize("command", [["--help"], ["status", "--help"], ["coordinator", "--nope"]])
def test_help_can_be_read_in_ascii(home: Home, command: list[str]) -> None:
    """Its boxes are drawn with the letters that there are."""
    said = require_harmless(run(home, *command, PYTHONIOENCODING="ascii"))
    assert "\\u25" not in said


NOISY = """
def noisy(config, context):
    print("printed: \\u7a7a", flush=True)
    context.report({"epoch": 1, "epochs": 2}, 1.0)
    raise ValueError("cl\\x1b[2Jear \\u7a7a\\nsecond line")
"""


@pytest.mark.long
@pytest.mark.parametrize("surroundings", ["cp1252", "no locale"])
def test_a_workers_log_shows_what_its_objective_says(
    home: Home, store: Store, mongo_uri: str, surroundings: str
) -> None:
    """An objective may print any letter, and its error is logged without what controls a screen."""
    information = home.work / "noisy-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[hyperhive.objectives]\nnoisy = noisy:noisy\n")
    (home.work / "noisy.py").write_text(NOISY)
    paths = os.pathsep.join([home.environment["PYTHONPATH"], str(home.work)])
    store.queue.post(Draft("s", 0, {"hidden": 64}, {}, objective="noisy", max_attempts=1))
    worker = home.start(
        *("worker", "--slots", "1", "--device", "cpu"),
        HYPERHIVE_MONGO=mongo_uri,
        **{**ENCODINGS[surroundings], "PYTHONPATH": paths},
    )
    until(lambda: store.trials.find("s")[0].status is Status.ERROR, "the end of the trial")
    worker.says("s, trial 0: failed")
    worker.signal(15)
    assert worker.end() == 0
    said = worker.said()
    assert "\x1b" not in said
    assert r"printed: \u7a7a" in said
    assert "s, trial 0: hidden 64" in said
    error: dict[str, Any] = store.trials.find("s")[0].error or {}
    assert "second line" in error["message"]


@pytest.mark.long
def test_predict_cams_warnings_are_harmless(home: Home) -> None:
    """A name in a warning is one line, escaped: on standard error too."""
    save_model(home.work / "model", *drawn())
    images(home.work / "images", "ash")
    (home.work / "images" / "ash" / "a\x1b[2J\nb.png").write_text("junk")
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from hyperhive import cli; cli.predict_cam()"),
            *("--model", "model", "images"),
        ],
        cwd=str(home.work),
        env={**home.environment, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    assert r"a\x1b[2J\nb.png" in require_harmless(done)
