"""A study of an objective that a package registers, by the commands that a person types."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from support.home import Home

PLUGIN = Path(__file__).resolve().parents[1] / "support" / "plugin"
STUDY = """
name = "own"
trials = 9
startup = 4
objective = "mine"

[dataset]
name = "digits"

[space.hidden]
distribution = "quniform"
low = 48
high = 80
step = 16
"""


@pytest.mark.long
@pytest.mark.usefixtures("store")  # empty: `best` takes the newest study
def test_a_study_of_ones_own_objective_ends_well(home: Home, mongo_uri: str) -> None:
    """A loss is all that the objective returns, and all that a study needs.

    Every command holds for it: the coordinator twice, status and best.
    """
    home.environment["PYTHONPATH"] += os.pathsep + str(PLUGIN)
    (home.work / "own.toml").write_text(STUDY)
    where = {"HYPERHIVE_MONGO": mongo_uri}
    worker = home.start("worker", "--slots", "1", "--device", "cpu", **where)
    for words in ("[9/9] trial ", "this study had ended before; nothing was run again"):
        done = home.call("coordinator", "own.toml", **where)
        assert (done.returncode, done.stderr) == (0, "")
        assert words in done.stdout
        assert ": loss 0.047 (hidden 64)\n" in done.stdout
        assert "model    none for predict-cam: objective mine delivers no weights\n" in done.stdout
    wide = {"COLUMNS": "200"}  # a narrow table breaks its cells into lines
    assert "loss 0.047" in home.call("status", **where, **wide).stdout
    best = home.call("best", **where)
    assert (best.returncode, best.stderr) == (0, "")
    assert "loss 0.047 (hidden 64)" in best.stdout
    assert not (home.work / "models").exists()
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
