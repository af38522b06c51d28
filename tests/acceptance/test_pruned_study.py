"""A study of LeNet-5 whose bad trials end early, by two workers."""

from __future__ import annotations

import pytest
from support.home import Home

from hyperhive.coordinator.ranking import ranking
from hyperhive.store.trials.terms import SEARCH, Status

pytestmark = pytest.mark.long

TRIALS = 14
STUDY = f"""
name = "short"
trials = {TRIALS}
pruner = "none"

[dataset]
name = "digits"

[space]
learning_rate = {{ distribution = "loguniform", low = 0.001, high = 0.1 }}
epochs = {{ distribution = "quniform", low = 3, high = 12, step = 1 }}
momentum = {{ distribution = "uniform", low = 0.0, high = 0.9 }}
"""


def test_a_study_ends_bad_trials_early_and_keeps_a_whole_winner(home: Home) -> None:
    """Some trials have fewer epochs than they were to have; the model is that of one with all."""
    (home.work / "short.toml").write_text(STUDY)
    worker = home.start("worker", "--slots", "2")
    coordinator = home.start("coordinator", "short.toml", "--pruner", "asha")
    assert coordinator.end() == 0, coordinator.said()
    trials = home.trials("short")
    assert {trial.status for trial in trials} == {Status.DONE}
    searched = [trial for trial in trials if trial.purpose == SEARCH]
    pruned = [trial for trial in searched if trial.pruned]
    assert 2 <= len(pruned) < TRIALS
    for trial in trials:
        assert trial.pruned == (len(trial.result["history"]) < trial.config["epochs"])
        assert trial.pruned == (trial in pruned)
        assert not (trial.pruned and trial.artifact)
    winner = ranking(searched)[0]
    assert f"best        trial {winner.tid}:" in coordinator.said()
    assert f"{len(pruned)} of {TRIALS} trials ended early (asha)" in coordinator.said()
    assert home.card("short")["test_accuracy"] > 0.5
    assert "Traceback" not in coordinator.said() + worker.said()
