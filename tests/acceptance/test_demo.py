"""The demo, which does all on one machine: two of them at once, and one that is stopped."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from PIL import Image
from support.home import Home

from hyperhive.store.trials.terms import Status


@pytest.mark.long
def test_two_demos_at_once(home: Home) -> None:
    """Each demo trains, tests, keeps and draws a model of its own, and nothing is left running."""
    # With this seed the four trials have four epochs at most.
    command = ["demo", "--dataset", "digits", "--trials", "4", "--slots", "1", "--seed", "1905"]
    demos = [home.start(*command) for _ in range(2)]
    assert [demo.end() for demo in demos] == [0, 0]
    folders = sorted((home.work / "models").iterdir())
    assert len(folders) == 2
    for demo in demos:
        said = demo.said()
        (folder,) = [folder for folder in folders if f"study {folder.name} on" in said]
        picture = Path("models") / folder.name / "report.png"
        assert str(picture) in said
        assert "starting this machine's workers" in said
        assert "run `hyperhive worker`" not in said
        assert "[4/4] trial" in said
        with Image.open(home.work / picture) as image:
            assert image.size[0] >= 1000
        assert {"model.json", "model.safetensors", "report.html", "report.png", "worker.log"} == {
            path.name for path in folder.iterdir()
        }
        assert home.card(folder.name)["study"] == folder.name
        assert "Traceback" not in said + (folder / "worker.log").read_text()
    home.is_empty()
    assert home.server() is None
    for folder in folders:
        trials = home.trials(folder.name)
        assert len(trials) == 7
        assert {(trial.status, trial.attempts) for trial in trials} == {(Status.DONE, 1)}


@pytest.mark.long
def test_a_demo_that_is_stopped_takes_its_workers_along(home: Home) -> None:
    """Ctrl-C ends a demo, its workers and its server, and says so in a line."""
    demo = home.start("demo", "--dataset", "digits", "--slots", "1")
    demo.says("searching")
    demo.signal(signal.SIGINT)
    assert demo.end() == 1
    assert "stopped; " in demo.said().splitlines()[-1]
    assert "Traceback" not in demo.said()
    home.is_empty()
