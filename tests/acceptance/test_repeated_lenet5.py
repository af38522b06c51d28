"""LeNet-5, its best repeated under other seeds, as a person does it on one machine."""

from __future__ import annotations

import re

import pytest
from support.home import Home

from hyperhive.store.trials.terms import REPEAT, SEARCH, Status

STUDY = """
name = "digits"
trials = 3
folds = 2
algorithm = "random"

[dataset]
name = "digits"

[space]
learning_rate = { distribution = "loguniform", low = 0.02, high = 0.1 }
epochs = { distribution = "quniform", low = 1, high = 2, step = 1 }
momentum = { distribution = "uniform", low = 0.5, high = 0.9 }
"""


@pytest.mark.long
def test_the_best_of_lenet5_are_repeated(home: Home) -> None:
    """Other weights on the same folds; the model is the winner's, and its figures have intervals.

    Trained again from its card, it has the same weights. Started again with more repeats, the study
    is surer, and runs only those.
    """
    (home.work / "digits.toml").write_text(STUDY)
    home.start("worker", "--slots", "2", "--device", "cpu")
    coordinator = home.start("coordinator", "digits.toml", "--repeats", "2")
    assert coordinator.end() == 0, coordinator.said()
    said = coordinator.said()
    assert "digits: repeating the best 3\n" in said
    trials = home.trials("digits")
    assert {trial.status for trial in trials} == {Status.DONE}
    searched = {trial.tid: trial for trial in trials if trial.purpose == SEARCH}
    repeats = [trial for trial in trials if trial.purpose == REPEAT]
    assert len(repeats) == 6
    for repeat in repeats:
        first = searched[repeat.tid // 1000]
        assert repeat.config == {**first.config, "seed": repeat.seed}
        assert repeat.seed != first.seed
        assert repeat.result["history"] != first.result["history"]
        assert repeat.artifact is None
    means = {
        tid: sum(each.loss or 0 for each in repeats if each.tid // 1000 == tid)
        for tid in {repeat.tid // 1000 for repeat in repeats}
    }
    winner = min(means, key=lambda tid: (means[tid], searched[tid].loss, tid))
    assert home.card("digits")["trial"] == winner
    best = home.run("best", "digits").stdout
    for text in (said, best):
        assert re.search(r"repeats +validation accuracy [0-9.]+ % ± [0-9.]+ over 2 repeats", text)
        assert re.search(r"folds +[0-9.]+ % ± [0-9.]+ over 2 folds \([0-9.]+ to [0-9.]+ %\)", text)
        assert re.search(r"test +[0-9.]+ % of .*95 % interval [0-9.]+ to [0-9.]+ % \(", text)
    assert "folds" not in home.card("digits")["config"]  # the refit's
    again = home.run("best", "digits", "--retrain")
    assert (again.returncode, again.stderr) == (0, "")
    assert "again    the weights are identical, SHA-256" in again.stdout
    surer = home.run("coordinator", "digits.toml", "--repeats", "3")
    assert surer.returncode == 0, surer.stderr
    assert "over 3 repeats" in surer.stdout
    now = [trial for trial in home.trials("digits") if trial.purpose == REPEAT]
    assert len(now) == 9
    assert {trial.id for trial in repeats} < {trial.id for trial in now}
