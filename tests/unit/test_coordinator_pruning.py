"""Trials that were pruned, as a study counts, ranks and shows them."""

from __future__ import annotations

import dataclasses
import math
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.printed import plain
from support.results import adam, done, study
from support.thread_workers import working

from hyperhive.coordinator.api.trial import StudyTrial
from hyperhive.coordinator.history import History
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.ranking import ranking, why_nothing
from hyperhive.coordinator.results.compare import compare
from hyperhive.coordinator.results.hyperopt_trials import to_hyperopt_trials
from hyperhive.coordinator.results.table import rows
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.study_run import StudyRun, open_study
from hyperhive.coordinator.views.comparison import report as comparison
from hyperhive.coordinator.views.status import report
from hyperhive.coordinator.views.study_state import measured
from hyperhive.coordinator.views.summary import Result, summary
from hyperhive.coordinator.views.wording import doing, outcome
from hyperhive.store.errors import StudyChanged
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import PURPOSES, SEARCH
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.trial_run import progress_in_words


def plan(**changed: Any) -> Plan:
    space = parse({"x": {"distribution": "uniform", "low": 0, "high": 1}})
    fields = {"name": "s", "trials": 9, "objective": "mine", "space": space, "pruner": "median"}
    return Plan(**{**fields, **changed})


def every_other(store: Store, trial: Trial) -> None:
    """Deliver x as the loss; every other trial is pruned, and has a lower loss then."""
    found = {"status": "ok", "loss": trial.config["x"]}
    early = {"loss": trial.config["x"] - 1, "pruned": True, "pruned_at": 0.5}
    result = {**found, **early} if trial.tid % 2 else found
    store.queue.finish(trial.id, str(trial.token), result)


def run(store: Store, uri: str, act: Any = every_other, **changed: Any) -> Result:
    opened = open_study(store, plan(**changed), None)
    with working(uri, act, objective="mine"):
        nobody = threading.Event()
        return StudyRun(store, opened, None, Path(), True, lambda _: None, nobody).run()


def test_a_pruned_trial_is_never_the_winner(store: Store, mongo_uri: str) -> None:
    """It reaches no target, even with a lower loss; the summary and status count it."""
    result = run(store, mongo_uri, target=0.0)
    assert (result.winner.tid % 2, result.finish_reason) == (0, None)
    assert "pruned   4 of 9 trials ended early (median)" in summary(result).plain
    assert "4 of 9 were pruned" in plain(report(store, None))
    trials = store.trials.find("s", SEARCH)
    assert [trial.pruner for trial in trials] == ["median"] * 9
    assert [trial.tid for trial in trials if trial not in ranking(trials)] == [1, 3, 5, 7]
    history = History(plan().space)
    for trial in trials[:2]:
        history.take(trial)
    known = history.known(trials[-1].refresh_time)
    assert list(known.losses) == [trial.loss for trial in trials[:2]]


@pytest.mark.parametrize(
    ("reported", "is_compared", "said"),
    [
        ({"accuracy": 0.5}, False, "none: the trials report accuracy, and not loss, which is"),
        ({"loss": 0.5}, False, "none: no trial reported its loss at a point of comparison"),
        ({"loss": 0.5}, True, "none"),
    ],
)
def test_if_none_is_pruned_the_summary_says_why(
    store: Store, mongo_uri: str, reported: dict[str, float], is_compared: bool, said: str
) -> None:
    """The worker's log says so too, but who runs the study may never see that."""

    def act(store: Store, trial: Trial) -> None:
        if is_compared:
            store.queue.reach(trial, "1/10", 0.5)
        result = {"status": "ok", "loss": 0.5, "history": [{"step": 1, **reported}]}
        store.queue.finish(trial.id, str(trial.token), result)

    lines = summary(run(store, mongo_uri, act, trials=2)).plain.splitlines()
    (line,) = [line for line in lines if line.startswith("pruned   ")]
    assert line[9:].startswith(said)
    assert (line[9:] == "none") == is_compared


def test_a_pruned_trial_counts_against_the_patience(store: Store, mongo_uri: str) -> None:
    """It has ended, and was no better one."""
    known = ({"x": 0.001}, {"x": 0.002}, {"x": 0.003})
    run(store, mongo_uri, known=known, trials=3)
    why = plan(patience=2).rules.why_stop(store.trials.find("s", SEARCH), 0.0)
    assert why == "2 trials ended without a better one than trial 0 (patience)"


def test_only_the_trials_of_the_search_are_pruned() -> None:
    """A specification without a pruner is that of an earlier version."""
    with_it, without = (Study(plan(pruner=pruner)) for pruner in ("asha", "none"))
    pruners = {purpose: with_it.draft(purpose, 0, {}).pruner for purpose in PURPOSES}
    assert pruners == {**dict.fromkeys(PURPOSES, "none"), SEARCH: "asha"}
    assert (with_it.spec()["pruner"], "pruner" in without.spec()) == ("asha", False)


def test_a_study_keeps_its_pruner(store: Store) -> None:
    """Its trials are to be treated alike."""
    open_study(store, plan(pruner="none"), None)
    with pytest.raises(StudyChanged, match="pruner was 'none' and is 'median'"):
        open_study(store, plan(trials=20), None)


def test_a_pruned_trial_is_called_so(store: Store) -> None:
    """In tables, in Python, in lines, beside other studies; hyperopt knows it as any other."""
    study(store)
    result = {"status": "ok", "loss": 0.5, "validation_accuracy": 0.5, "trained_on": {}}
    early = {**result, "pruned": True, "pruned_at": 0.25}
    done(store, 0, adam(0.01), result={**result, "loss": 0.25})
    done(store, 1, adam(0.02), result=early)
    done(store, 2, adam(0.03), result={**early, "diverged": True, "loss": math.inf})
    trials = store.trials.find("s")
    assert [row["status"] for row in rows(store, "s")] == ["done", "pruned", "pruned"]
    shown = [StudyTrial.of(trial, SimpleNamespace(store=store)) for trial in trials]
    assert [trial.state for trial in shown] == ["done", "pruned", "pruned"]
    assert list(map(outcome, trials)) == ["50.0 %", "pruned at 50.0 %", "diverged"]
    assert [trial.share for trial in trials] == [1.0, 0.25, 0.25]
    assert trials[1].metrics == {"loss": 0.5, "validation_accuracy": 0.5}
    assert [trial.tid for trial, _ in measured(trials)] == [0]
    assert "3 done (2 pruned), 0 failed" in plain(comparison(compare(store, ["s", "s"])))
    assert to_hyperopt_trials(store, "s").losses()[:2] == [0.25, 0.5]
    assert why_nothing(trials[1:]) == "2 of 2 results are of trials that were pruned"


def test_a_report_with_its_length_is_shown_as_that(store: Store) -> None:
    """``of`` is the number of steps, in every view."""
    study(store)
    done(store, 0, adam(0.01), result={"status": "ok", "loss": 0.25})
    trial = dataclasses.replace(
        store.trials.find("s")[0], progress={"step": 3, "of": 30, "loss": 0.5}
    )
    assert doing(trial) == "trial 0: step 3 of 30, loss 0.5"
    assert progress_in_words({"step": 3, "of": 30, "loss": 0.5}) == "step 3 of 30, loss 0.5"
