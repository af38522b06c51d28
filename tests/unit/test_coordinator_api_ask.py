"""Ask and tell: a program takes a study's trials, says what they gave, and ends the study."""

from __future__ import annotations

import gc
import re
import threading
from typing import Any, Callable, Iterator

import numpy as np
import pytest
from hyperopt import Trials, fmin, rand
from support.home import until
from support.thread_workers import claim

import hyperhive
from hyperhive import Study, hp
from hyperhive.common.errors import UsageError
from hyperhive.coordinator.api import asking
from hyperhive.coordinator.api.plans import plan_of
from hyperhive.coordinator.study_run import StudyRun
from hyperhive.coordinator.study_run import open_study as opened_by_coordinator
from hyperhive.coordinator.views.summary import Result
from hyperhive.store.errors import LeaseLost, NotFound, StudyChanged, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import SEARCH, ErrorKind, Status
from hyperhive.worker.objectives.api import BadResult, Stopped

SPACE = {"x": hp.uniform("x", -5, 5), "kind": hp.choice("kind", ["a", "b"])}
Opened = Callable[..., Study]


@pytest.fixture
def opened(store: Store, mongo_uri: str) -> Iterator[Opened]:
    """Give a function that opens study s, as a program of its own would."""
    studies = []

    def open_it(space: Any = SPACE, **settings: Any) -> Study:
        studies.append(hyperhive.open_study("s", space, store=mongo_uri, **settings))
        return studies[-1]

    yield open_it
    for study in studies:
        study.close()


def test_a_loop_of_ask_and_tell_ends_with_the_budget(opened: Opened, store: Store) -> None:
    """Every trial counts once, the best is known, and the study has its result."""
    study = opened(trials=5)
    losses = {}
    while True:
        trial = study.ask()
        if trial is None:
            break
        losses[trial.number] = trial.config["x"] ** 2
        study.tell(trial, losses[trial.number])
    assert sorted(losses) == [0, 1, 2, 3, 4]
    assert [trial.loss for trial in study.trials] == [losses[number] for number in range(5)]
    assert study.best is not None
    assert study.best.loss == min(losses.values())
    stored = store.study("s")
    assert stored.result is not None
    assert stored.result["winner"] == study.best.number


def test_a_trial_is_pruned_whatever_is_told_of_it(opened: Opened, store: Store) -> None:
    """It is worse than another at the same step, so it ends with what it reported."""
    study = opened(trials=3, pruner="asha")
    stopped = []
    for loss in (0.1, 0.2, 0.3):
        trial = study.ask()
        assert trial is not None
        for step in (1, 2):
            if not trial.should_stop():
                trial.report(step, loss=loss + 1 / step)
        stopped.append(trial.should_stop())
        study.tell(trial, error="no matter") if stopped[-1] else study.tell(trial, loss)
    assert stopped == [False, True, True]
    assert [(trial.state, trial.loss) for trial in study.trials] == [
        *[("done", 0.1), ("pruned", 1.2), ("pruned", 1.3)]
    ]
    assert study.best is not None
    assert (study.best.number, study.ask()) == (0, None)
    assert "3 of 3 trials ended" in repr(study)


def end_leases(store: Store) -> None:
    """End the leases of all trials, once their program has renewed them: it does so at once."""
    until(lambda: store.workers.present("s"), "the first renewal")
    store.database.jobs.update_many({}, [{"$set": {"lease_until": "$$NOW"}}])


def searched(evaluations: int, seed: int) -> Trials:
    """Return the trials of a random search of hyperopt's."""
    trials = Trials()
    fmin(
        lambda config: config["x"] ** 2,
        SPACE,
        algo=rand.suggest,
        max_evals=evaluations,
        trials=trials,
        rstate=np.random.default_rng(seed),
        show_progressbar=False,
    )
    return trials


def test_hyperopts_trials_come_into_a_study_and_out_of_it(opened: Opened) -> None:
    """Fmin's trials count and teach; the study's can be given to fmin again."""
    trials = searched(4, seed=0)
    study = opened(trials=6)
    assert (study.add(trials), study.add(trials)) == (4, 0)
    asked = study.ask()
    assert asked is not None
    assert asked.number == 4
    study.tell(asked, 1.0)
    again = study.to_hyperopt()
    assert again.losses() == [*trials.losses(), 1.0]
    with pytest.raises(UsageError, match="has other trials with 1 of these numbers"):
        study.add(searched(1, seed=1))


def test_threads_of_a_program_may_ask_and_tell(opened: Opened) -> None:
    """No two of them get one trial."""
    study = opened(trials=12)
    asked = []

    def work() -> None:
        while (trial := study.ask()) is not None:
            asked.append(trial.number)
            study.tell(trial, trial.config["x"] ** 2)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(asked) == list(range(12))


def test_a_study_is_extended_by_its_name(opened: Opened) -> None:
    """What is not given stays; what cannot change is refused without what can."""
    study = opened(trials=1, seed=7, metric="accuracy", direction="maximize")
    longer = opened(None, trials=3, target="accuracy >= 0.9", try_first=[{"x": 0.5, "kind": "a"}])
    asked = [longer.ask() for _ in range(3)]
    assert 0.5 in [trial.config["x"] for trial in asked if trial is not None]
    with pytest.raises(UsageError, match="has its seed: omit that"):
        opened(None, seed=8)
    with pytest.raises(StudyChanged, match=r"\(seed was 7 and is 8\)"):
        opened(trials=9, seed=8, metric="accuracy", direction="maximize", target=0.5)
    with pytest.raises(UsageError, match="takes a trial that this study's ask has returned"):
        study.tell(0, 0.5)  # type: ignore[arg-type]


def test_a_study_that_has_ended_can_be_extended(opened: Opened) -> None:
    """With more trials it goes on where it was."""
    study = opened(trials=1)
    study.tell(study.ask(), 1)
    assert study.ask() is None
    more = opened(trials=2)
    trial = more.ask()
    assert trial is not None
    assert trial.number == 1


def test_two_programs_share_a_study(opened: Opened) -> None:
    """No trial is given twice, and each sees what the other has told."""
    one, other = opened(trials=4), opened(None)
    asked = [study.ask() for study in (one, other, one, other)]
    assert sorted(trial.number for trial in asked if trial) == [0, 1, 2, 3]
    assert one.ask() is None  # the others are held, and may yet end
    for study, trial in zip((one, other, one, other), asked):
        assert trial is not None
        study.tell(trial, trial.number)
    assert [trial.loss for trial in other.trials] == [0, 1, 2, 3]
    assert "4 of 4 trials ended" in repr(one)


def test_reports_are_kept_and_make_the_metric(opened: Opened) -> None:
    """A trial reports as a function's does, and the metric of the study makes its loss."""
    study = opened(trials=1, metric="accuracy", direction="maximize")
    trial = study.ask()
    assert trial is not None
    trial.report(1, accuracy=0.5)
    trial.report(2, accuracy=0.75)
    for found, said in (
        (None, "nothing (None): it must be the accuracy"),
        ({"accuracy": ""}, "''"),
    ):
        with pytest.raises(BadResult, match=re.escape(f"the program told {said}")):
            study.tell(trial, found)
    with pytest.raises(BadResult, match="the program reported step 1 after step 2"):
        trial.report(1)
    study.tell(trial, {"note": "done"})
    [ended] = study.trials
    assert (ended.loss, ended.metrics) == (-0.75, {"accuracy": 0.75})
    assert [entry["step"] for entry in ended.history] == [1, 2]


def test_a_number_that_is_told_is_the_metric(opened: Opened) -> None:
    """As a number that a function returns."""
    study = opened(trials=1, metric="yield", direction="maximize")
    study.tell(study.ask(), 0.75)
    [ended] = study.trials
    assert (ended.loss, ended.metrics) == (-0.75, {"yield": 0.75})


def test_a_trial_that_failed_is_asked_again_until_its_attempts_are_used_up(
    opened: Opened,
) -> None:
    """Then its error is the study's; a study without any result stays open."""
    study = opened(trials=1, max_attempts=2)
    for _ in range(2):
        trial = study.ask()
        assert trial is not None
        study.tell(trial, error="no convergence")
    assert study.ask() is None
    [failed] = study.trials
    assert (failed.state, failed.error) == ("failed", "no convergence")
    assert study.best is None


def test_what_was_told_cannot_be_told_differently(opened: Opened) -> None:
    """The same again changes nothing."""
    study = opened(trials=2)
    trial = study.ask()
    study.tell(trial, 0.5)
    study.tell(trial, 0.5)
    with pytest.raises(UsageError, match="was told before"):
        study.tell(trial, 0.6)
    assert [trial.loss for trial in study.trials] == [0.5]


def test_a_rule_ends_the_asking(opened: Opened) -> None:
    """No coordinator runs, and yet patience counts; the reason is kept."""
    study = opened(trials=50, patience=2)
    for loss in (1.0, 2.0, 3.0):
        study.tell(study.ask(), loss)
    assert study.ask() is None
    assert "(patience)" in str(study.finish_reason)
    assert "ended by: " in repr(study)


def test_known_points_come_first(opened: Opened) -> None:
    """An asker posts them as a coordinator would."""
    study = opened(trials=3, try_first=[{"x": 1.0, "kind": "b"}, {"x": 2.0, "kind": "a"}])
    asked = [study.ask() for _ in range(3)]
    assert [trial.config for trial in asked[:2] if trial] == [
        {"x": 1.0, "kind": "b"},
        {"x": 2.0, "kind": "a"},
    ]


def test_a_study_that_is_extended_while_it_is_concluded_goes_on(
    opened: Opened, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program that would have ended it gets another trial."""

    class Run(StudyRun):
        def run(self, goes_on: bool = True) -> Result:
            if store.study("s").extended == 0:
                store.studies.extend("s", {**store.study("s").spec, "trials": 2})
            return super().run(goes_on)

    study = opened(trials=1)
    first = study.ask()
    assert first is not None
    monkeypatch.setattr(asking, "StudyRun", Run)
    study.tell(first, 1)
    assert store.study("s").result is None
    second = study.ask()
    assert second is not None
    study.tell(second, 2)
    assert (store.study("s").result or {})["winner"] == 0


def test_a_program_may_help_a_study_of_workers(
    opened: Opened, store: Store, mongo_uri: str
) -> None:
    """It takes trials of the objective that the workers have."""
    opened_by_coordinator(store, plan_of("s", "digits.py:train", SPACE, 3), None)
    study = opened(None)
    trial = study.ask()
    assert trial is not None
    study.tell(trial, 1)
    [ended] = store.trials.find("s", SEARCH)
    assert (ended.objective, ended.status) == ("digits.py:train", Status.DONE)


def test_a_cancelled_study_says_so(opened: Opened, store: Store) -> None:
    """The trial in hand is told to stop; the next ask says why."""
    study = opened(trials=3, lease=1)
    trial = study.ask()
    assert trial is not None
    store.cancel_study("s")
    until(trial.should_stop, "the heartbeat")
    with pytest.raises(Stopped):
        trial.report(1)
    with pytest.raises(StudyWithdrawn, match="was cancelled"):
        study.ask()


def test_a_result_of_a_trial_that_was_deleted_says_so(opened: Opened, store: Store) -> None:
    """It cannot count any more."""
    study = opened(trials=3)
    trial = study.ask()
    store.queue.remove("s")
    with pytest.raises(LeaseLost, match="was deleted, or its study ended without it"):
        study.tell(trial, 1)


def test_closing_gives_back_what_was_not_told(opened: Opened, store: Store) -> None:
    """No attempt is charged for it; and so does the garbage collector."""
    study = opened(trials=3)
    assert study.ask() is not None
    study.close()
    [trial] = store.trials.find("s", SEARCH)
    assert (trial.status, trial.attempts) == (Status.NEW, 0)
    with pytest.raises(UsageError, match="was closed"):
        _ = study.best
    again = hyperhive.open_study("s", store=store_uri(study))
    assert again.ask() is not None  # the trial itself is not kept
    del again
    gc.collect()
    until(lambda: store.trials.find("s", SEARCH)[0].status is Status.NEW, "the collector")


def store_uri(study: Study) -> str:
    return study.uri


def test_a_trial_in_use_keeps_its_study(opened: Opened, store: Store, mongo_uri: str) -> None:
    """A program may forget the study until it tells."""
    opened(trials=3)
    trial = hyperhive.open_study("s", store=mongo_uri).ask()
    gc.collect()
    assert trial is not None
    trial.study.tell(trial, 1)
    assert store.trials.find("s", SEARCH)[0].status is Status.DONE
    trial.study.close()


def test_a_result_after_the_lease_counts_unless_another_came_first(
    opened: Opened, store: Store
) -> None:
    """The one that does not count is kept, and its program is told."""
    study = opened(trials=2)
    first, second = study.ask(), study.ask()
    assert first is not None
    assert second is not None
    end_leases(store)
    objective = "ask-and-tell"
    taken = [claim(store, "other", objective=objective) for _ in range(2)]
    study.tell(first, 1)  # nobody has delivered yet
    assert taken[1] is not None
    store.queue.finish(taken[1].id, str(taken[1].token), {"status": "ok", "loss": 7})
    for _ in range(2):
        with pytest.raises(LeaseLost, match="does not count"):
            study.tell(second, 2)
    assert [trial.loss for trial in study.trials] == [1, 7]
    assert store.trials.find("s", SEARCH)[1].late == 1


def test_opening_says_what_is_wrong(opened: Opened, store: Store, mongo_uri: str) -> None:
    """A name that no study has, other settings, settings without a space."""
    with pytest.raises(NotFound, match="there is no study 's'"):
        opened(None)
    opened(trials=3)
    with pytest.raises(StudyChanged, match="seed was 0 and is 1"):
        opened(trials=3, seed=1)
    with pytest.raises(UsageError, match="a study that is there has its seed"):
        opened(None, seed=4)
    with pytest.raises(TypeError, match="budget"):
        opened(budget=3)


def test_a_lost_program_is_ended_by_the_next_that_asks(opened: Opened, store: Store) -> None:
    """A trial that has killed its programs until no attempt is left ends as lost."""
    study = opened(trials=1, max_attempts=1)
    other = opened(None)
    assert other.ask() is not None
    end_leases(store)
    assert study.ask() is None
    [lost] = store.trials.find("s", SEARCH)
    assert (lost.error or {})["kind"] == ErrorKind.WORKER_LOST.value
