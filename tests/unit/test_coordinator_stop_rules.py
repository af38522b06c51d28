"""Rules that end a search early, and configurations that are run first: a study without images."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from support.printed import plain
from support.thread_workers import working

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.planning.stop_rules import seconds_of
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study_run import StudyRun, open_study
from hyperhive.coordinator.views.summary import Result, summary
from hyperhive.store.errors import StudyChanged
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import SEARCH
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

KNOWN = ({"x": 0.5}, {"x": 0.25})
MORE = ({"x": 0.1},)


def plan(**changed: Any) -> Plan:
    space = parse({"x": {"distribution": "uniform", "low": 0, "high": 1}})
    fields = {"name": "s", "trials": 20, "objective": "mine", "space": space}
    return Plan(**{**fields, **changed})


def run(store: Store, uri: str, folder: Path, **changed: Any) -> Result:
    """Run a study whose loss is x and whose accuracy is 1 - x, with one worker."""
    study = open_study(store, plan(**changed), None)

    def act(store: Store, trial: Trial) -> None:
        loss = trial.config["x"]
        found = {"status": "ok", "loss": loss, "accuracy": 1 - loss}
        store.queue.finish(trial.id, str(trial.token), found)

    with working(uri, act, objective="mine"):
        return StudyRun(store, study, None, folder, True, lambda _: None, threading.Event()).run()


def losses(store: Store) -> list[float]:
    return [trial.config["x"] for trial in store.trials.find("s", SEARCH)]


def test_known_configurations_are_run_first_and_teach_the_algorithm(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """They are trials like any other, with values by which the algorithm knows them."""
    result = run(store, mongo_uri, tmp_path, trials=4, known=KNOWN)
    first, second, *_ = store.trials.find("s", SEARCH)
    assert (first.config, first.vals, second.vals) == (KNOWN[0], {"x": 0.5}, {"x": 0.25})
    assert len(losses(store)) == 4
    assert result.winner.loss == min(losses(store))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (0.25, "target reached: trial 1 has loss 0.25 (target: <= 0.25)"),
        ("accuracy >= 0.75", "target reached: trial 1 has accuracy 0.75 (target: >= 0.75)"),
    ],
)
def test_a_target_ends_a_study(
    store: Store, mongo_uri: str, tmp_path: Path, target: Any, said: str
) -> None:
    """The first trial that reaches it is the last that counts; the summary says which rule it was.

    The same study again has ended as it had; with another target it goes on.
    """
    result = run(store, mongo_uri, tmp_path, known=KNOWN, target=target)
    assert result.finish_reason == said
    assert f"ended by {said}" in plain(summary(result)).replace("  ", " ")
    ended = losses(store)
    assert len(ended) < 20
    again = run(store, mongo_uri, tmp_path, known=KNOWN, target=target)
    assert (again.again, again.finish_reason, losses(store)) == (True, said, ended)
    longer = run(store, mongo_uri, tmp_path, known=KNOWN, trials=21, target=-1.0)
    assert (longer.finish_reason, len(losses(store))) == (None, 21)


def test_patience_ends_a_study(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """So many trials ended after the best one, none of them better."""
    result = run(store, mongo_uri, tmp_path, known=({"x": 0.0},), patience=3)
    assert result.finish_reason is not None
    assert "trials ended without a better one than trial 0 (patience)" in result.finish_reason
    assert 4 <= len(losses(store)) < 20


def test_a_time_ends_a_study_and_a_stop_does_not_start_it_again(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """The time is that of all coordinators together: one that begins later has what is left."""
    study = open_study(store, plan(trials=10_000, max_time="2 s"), None)
    stop = threading.Event()
    spent = 0.0
    while spent < 1:  # a coordinator that ran for a while, and is no more
        spent = store.studies.spend("s")
    before = spent
    with working(mongo_uri, lambda store, trial: None, objective="other"):
        run_again = StudyRun(store, study, None, tmp_path, True, lambda _: None, stop)
        with pytest.raises(Exception, match="study s has no result"):
            run_again.run()
    stored = store.study("s")
    assert stored.finish_reason == "the time is over: it was 2 s (max_time)"
    assert before >= 1


def test_a_study_with_known_configurations_can_be_finished_and_go_on(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """Finished with fewer trials than it knows configurations, it can be read and extended."""
    run(store, mongo_uri, tmp_path, trials=1, known=KNOWN[:1])
    run(store, mongo_uri, tmp_path, trials=2, known=KNOWN[:1])
    with pytest.raises(StudyChanged, match="has run its 2 trials: start it with more"):
        open_study(store, plan(trials=2, known=KNOWN), None)
    study = open_study(store, plan(trials=9, known=KNOWN + MORE), None)
    store.studies.finish("s")  # while no worker is there
    StudyRun(store, study, None, tmp_path, True, lambda _: None, threading.Event()).run()
    assert store.study("s").spec["trials"] == 3
    again = run(store, mongo_uri, tmp_path, trials=4, known=KNOWN + MORE)
    assert again.winner.loss == min(losses(store)) <= 0.1
    store.studies.finish("s", "too late")
    assert store.study("s").finish_reason is None


def test_a_trial_that_cannot_be_ranked_reaches_no_target(store: Store) -> None:
    """A trial that says it failed is never the best, so it ends no search."""
    open_study(store, plan(target="accuracy >= 0.9"), None)
    store.queue.post(Draft("s", 0, {"x": 0.5}, {"x": 0.5}, objective="mine"))
    trial = store.queue.claim("w", new_token(), ["mine"])
    assert trial is not None
    store.queue.finish(trial.id, str(trial.token), {"status": "fail", "accuracy": 1.0})
    rules = plan(target="accuracy >= 0.9").rules
    assert rules.why_stop(store.trials.find("s", SEARCH), 0.0) is None


def test_a_study_may_not_search_less(store: Store) -> None:
    """Rules may change and known configurations be added; nothing may be taken away."""
    open_study(store, plan(known=KNOWN, patience=3), None)
    open_study(store, plan(known=(*KNOWN, {"x": 0.1}), patience=9, target=0.1), None)
    assert store.study("s").spec["patience"] == 9
    for changed in ({"known": KNOWN}, {"trials": 19}, {"metric": "accuracy"}, {"seed": 1}):
        with pytest.raises(StudyChanged):
            open_study(store, plan(**{"known": (*KNOWN, {"x": 0.1}), **changed}), None)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(90, 90), ("90", 90), ("90 s", 90), ("1.5min", 90), ("2 h", 7200), ("1 d", 86400)],
)
def test_a_time_has_a_unit_or_is_in_seconds(given: Any, seconds: float) -> None:
    """As people write it."""
    assert seconds_of(given) == seconds


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"target": "accuracy > 1"}, 'target must be a number, or a text such as "accuracy >='),
        ({"target": "accuracy >= x"}, "target must be a number"),
        ({"target": float("nan")}, "target must be a number"),
        ({"max_time": 0}, "max_time must be a number of seconds above 0"),
        ({"max_time": "1.2.3 h"}, "max_time must be a number of seconds"),
        ({"patience": 0}, "patience must be a whole number of trials, 1 or more"),
        ({"patience": True}, "patience must be a whole number of trials"),
        ({"direction": "up"}, "direction must be one of minimize, maximize"),
        ({"metric": ""}, "metric must be the name of a number"),
        ({"trials": 1, "known": KNOWN}, "try has 2 configurations, and the study only 1 trials"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rule: dict[str, Any], message: str) -> None:
    """One sentence that names the rule."""
    with pytest.raises(UsageError, match=message):
        plan(**rule)
