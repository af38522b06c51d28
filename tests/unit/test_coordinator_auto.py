"""What ``auto`` stands for, and who is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from support.printed import plain

from hyperhive.coordinator.figures.study import figures
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.searching.outcome import drawn
from hyperhive.coordinator.spaces.named import CLASSIC, EXTENDED
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.views.status import report
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial

NUMBER = {"distribution": "uniform", "low": 0, "high": 1}
CHOICES = parse({"a": {"choices": [1, 2]}, "b": {"choices": [1, {"c": NUMBER}]}, "d": NUMBER})


def plan(algorithm: str = "auto", trials: int = 30, space: Any = CLASSIC, **settings: Any) -> Plan:
    return Plan("s", None, trials, algorithm, objective="f.py:f", space=space, **settings)


def done(tid: int) -> Trial:
    fields = {"state": int(Status.DONE), "misc": {}, "result": {"loss": 1.0}}
    return Trial.from_document({"_id": tid, "tid": tid, "exp_key": "s", **fields})


@pytest.mark.parametrize(
    ("space", "trials", "algorithm"),
    [
        (CLASSIC, 30, "gp"),
        (CLASSIC, 2000, "tpe"),
        (EXTENDED, 30, "turbo+tpe"),
        (CHOICES, 30, "mtpe"),
    ],
)
def test_auto_goes_by_the_space_and_the_budget(space: Any, trials: int, algorithm: str) -> None:
    """The rule is in docs/algorithms.md; any other name stands for itself."""
    assert plan("auto", trials, space).chosen_algorithm == algorithm
    assert plan("anneal", trials, space).chosen_algorithm == "anneal"


@pytest.mark.parametrize(
    ("algorithm", "ended", "said"),
    [
        ("auto", 20, "by gp, which auto chose"),
        ("auto", 3, "all trials spread evenly: gp, which auto chose, begins when 10 have finished"),
        ("gp", 3, "all trials spread evenly: gp begins when 10 have finished"),
        ("gp", 20, None),
        ("sobol", 3, None),
        ("optuna:TPESampler", 3, None),
    ],
)
def test_the_summary_says_how_trials_were_drawn(
    algorithm: str, ended: int, said: str | None
) -> None:
    """What ``auto`` chose, and an algorithm that never began; otherwise nothing."""
    found = drawn(plan(algorithm), [done(tid) for tid in range(ended)])
    assert found == said if said is None else str(found).startswith(said)


def test_status_and_report_say_what_auto_chose(store: Store) -> None:
    """Of no other study, and of none whose specification is malformed."""
    for name, algorithm in (("s", "auto"), ("other", "gp"), ("bad", "auto")):
        spec = {**Study(plan(algorithm)).spec(), **({"space": 1} if name == "bad" else {})}
        store.studies.open(name, spec)
    assert plain(report(store, None)).count("algorithm gp, which auto chose") == 1
    said = [study["sentence"] for study in figures(store, ["s", "other"])["studies"]]
    assert ["algorithm: gp, which auto chose" in lines for lines in said] == [True, False]
