"""What a study's trials come to is the same, whether it was counted step by step or at once."""

from __future__ import annotations

import dataclasses
import datetime
import random
from typing import Any

import pytest

from hyperhive.coordinator.results.tally import Tally
from hyperhive.store.trials.terms import BASELINE, REPEAT, SEARCH, Status, experiment_key
from hyperhive.store.trials.trial import Trial

BEGAN = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)


def drawn(dice: random.Random, number: int) -> Trial:
    """Return a trial that may have ended in any way, or not."""
    state = Status(dice.randrange(4))
    result: dict[str, Any] = {"loss": dice.choice([0.5, dice.random(), float("nan")])}
    result["validation_accuracy"] = dice.choice([None, dice.random(), 7.0])
    result["pruned"], result["diverged"] = dice.random() < 0.2, dice.random() < 0.1
    purpose = dice.choice([SEARCH] * 8 + [BASELINE, REPEAT])
    claims = [{"token": "t", "worker": "w", "at": BEGAN}] * dice.choice([1, 1, 2])
    ended = BEGAN + datetime.timedelta(seconds=dice.randrange(1000))
    return Trial.from_document(
        {
            "_id": number,
            "exp_key": experiment_key("s", purpose),
            "tid": number,
            "state": int(state),
            "misc": {"cmd": ["objective", "o"]},
            "result": result if state is Status.DONE else {},
            "error": {"kind": "objective", "message": "no"} if state is Status.ERROR else None,
            "issued": claims,
            "owner": dice.choice(["a", "b", "c"]),
            "cost": dice.choice([None, 1.0, 2.0]),
            "book_time": BEGAN,
            "refresh_time": dice.choice([None, ended]),
        }
    )


def seen(tally: Tally) -> dict[str, Any]:
    """Return all that a tally says."""
    parts = (tally, tally.costs, tally.times)
    stored = {n: each for part in parts for n, each in vars(part).items() if n[0] != "_"}
    stored["counts"] = sorted((+tally.counts).items())
    stored["by_worker"] = sorted(tally.times.by_worker.items())
    del stored["costs"], stored["times"]
    said = ("others", "notable", "latest", "last_tid")
    return {**stored, **{name: getattr(tally, name) for name in said}}


@pytest.mark.parametrize("seed", range(3))
def test_counted_step_by_step_it_is_what_it_is_at_once(seed: int) -> None:
    """Trials come, end in any way, and change after that, as by a late result."""
    dice = random.Random(seed)
    trials: dict[int, Trial] = {}
    tally = Tally()
    for _ in range(40):
        before, told, was = tally, repr(seen(tally)), dict(trials)
        for number in dice.sample(range(90), 3):
            known = trials.get(number)
            if known is None or not known.is_final:
                trials[number] = drawn(dice, number)
            elif dice.random() < 0.5:
                trials[number] = dataclasses.replace(known, late=known.late + 1, artifact=None)
        now = tuple(trials[number] for number in sorted(trials))
        news = [trial for number, trial in trials.items() if trial is not was.get(number)]
        tally = tally.following(now) if dice.random() < 0.5 else tally.taking(now, news)
        assert repr(seen(tally)) == repr(seen(Tally().following(tally.trials)))
        assert repr(seen(before)) == told
    fewer = tuple(trials[number] for number in sorted(trials) if number % 3)
    assert seen(tally.following(fewer))["trials"] == fewer
    assert repr(seen(tally.following(fewer))) == repr(seen(Tally().following(fewer)))
