"""What a suggestion knows depends on the trials' own times, not on when it is made."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from hyperhive.coordinator.history import History
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial

SPACE = parse({"x": {"distribution": "uniform", "low": 0, "high": 100}})
NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def trial(
    tid: int,
    claimed: float | None = None,
    ended: float | None = None,
    loss: float | None = 0.5,
    error: ErrorKind | None = None,
) -> Trial:
    """Return a trial that was first claimed, and that ended, these seconds after noon."""
    status = Status.NEW if claimed is None else Status.RUNNING
    if ended is not None:
        status = Status.DONE if error is None else Status.ERROR
    document: dict[str, Any] = {
        "_id": tid,
        "exp_key": "s",
        "tid": tid,
        "state": int(status),
        "misc": {"vals": {"x": [float(tid)]}, "cmd": ["objective", "lenet5"]},
        "issued": [] if claimed is None else [{"token": "t", "worker": "w", "at": at(claimed)}],
        "refresh_time": None if ended is None else at(ended),
        "result": {"loss": loss} if status is Status.DONE else {"status": "new"},
        "error": None if error is None else {"kind": error.value, "message": ""},
    }
    return Trial.from_document(document)


def taken(trials: list[Trial]) -> History:
    history = History(SPACE)
    for each in trials:
        history.take(each)
    return history


def shown(history: History, moment: datetime | None) -> dict[int, float | None]:
    known = history.known(moment)
    assert list(known.values("x")) == known.tids
    assert (known.count("x"), known.finished) == (len(known.tids), np.isfinite(known.losses).sum())
    return {t: None if np.isnan(loss) else loss for t, loss in zip(known.tids, known.losses)}


def losses(trials: list[Trial]) -> dict[int, float | None]:
    history = taken(trials)
    return shown(history, history.latest_claim)


def test_nothing_is_known_before_the_first_claim() -> None:
    """Trials that nobody has claimed are all pending."""
    assert taken([trial(0), trial(1)]).latest_claim is None
    assert losses([trial(0), trial(1)]) == {0: None, 1: None}


def test_only_what_ended_by_the_latest_claim_is_known() -> None:
    """A result that came after the moment at which the suggestion was due is still pending."""
    trials = [
        trial(0, claimed=0, ended=1, loss=0.1),
        trial(1, claimed=0, ended=2, loss=0.2),
        trial(2, claimed=1, ended=2.001, loss=0.3),
        trial(3, claimed=2),
        trial(4),
    ]
    assert losses(trials) == {0: 0.1, 1: 0.2, 2: None, 3: None, 4: None}


def test_a_trial_that_ends_in_the_millisecond_of_its_claim_is_still_pending() -> None:
    """Its claim made the suggestion due, so how fast it ended must not matter."""
    assert losses([trial(0, claimed=0, ended=1), trial(1, claimed=1, ended=1)]) == {0: 0.5, 1: None}


def test_a_late_coordinator_knows_what_a_prompt_one_knew() -> None:
    """The trial that was running when a suggestion was due stays pending even if it has ended."""
    before = [trial(0, claimed=0, ended=1), trial(1, claimed=1)]
    after = [trial(0, claimed=0, ended=1), trial(1, claimed=1, ended=5)]
    assert losses(after) == losses(before) == {0: 0.5, 1: None}


def test_only_failures_of_hyperparameters_are_learnt_from() -> None:
    """An objective's error counts like a pending trial, with the worst loss; others are omitted.

    What had not ended by then is pending, whatever became of it.
    """
    trials = [
        trial(0, claimed=0, ended=1, error=ErrorKind.OBJECTIVE),
        trial(1, claimed=0, ended=1, error=ErrorKind.WORKER_LOST),
        trial(2, claimed=0, ended=1, error=ErrorKind.CANCELLED),
        trial(3, claimed=0, ended=9, error=ErrorKind.WORKER_LOST),
        trial(4, claimed=0, ended=1, loss=float("nan")),
        trial(5, claimed=2),
    ]
    assert losses(trials) == {0: None, 3: None, 4: None, 5: None}


def test_suggestions_at_one_moment_know_each_other() -> None:
    """What is about to be posted is pending; once it was not, because of a fault, it is not."""
    history = taken([trial(0, claimed=0, ended=1), trial(1, claimed=2)])
    moment = history.latest_claim
    known = history.known(moment)
    history.expect(2, {"x": 2})
    history.expect(3, {"x": 3})
    assert known.tids == [0, 1, 2, 3]
    assert known.finished == 1
    history.take(trial(3))
    assert shown(history, moment) == {0: 0.5, 1: None, 3: None}


@pytest.mark.parametrize("seed", range(20))
def test_a_history_that_grew_knows_what_one_that_is_loaded_knows(seed: int) -> None:
    """Whatever comes in whatever order: claims, ends, late results, trials that are gone."""
    dice = random.Random(seed)
    grown, there = History(SPACE), {}
    for tid in [*range(8), *dice.choices(range(12), k=60)]:
        claimed = dice.choice([None, dice.randrange(30)])
        ended = None if claimed is None else dice.choice([None, claimed, claimed + 5])
        error = dice.choice([None, None, *ErrorKind])
        there[tid] = trial(tid, claimed, ended, float(dice.randrange(9)), error)
        grown.take(there[tid])
        if dice.random() < 0.1:
            gone = dice.choice(sorted(there))
            del there[gone]
            grown.forget(gone)
        loaded = taken(list(there.values()))
        # Of a trial that was read again, a claim may be no longer there.
        before = grown.latest_claim
        assert before is None or loaded.latest_claim is None or before >= loaded.latest_claim
        assert shown(grown, loaded.latest_claim) == shown(loaded, loaded.latest_claim)
