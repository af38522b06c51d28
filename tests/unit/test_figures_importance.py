"""Importance of hyperparameters: the same as Optuna's, and what it says without an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.importance_cases import PEERS, TABLE, asked_of_optuna, study

from hyperhive.coordinator.figures.importance import NEEDED, importance

TOLERANCE = 2e-6
"""Of a share. Ours are rounded to six digits."""

KEPT = json.loads(TABLE.read_text(encoding="utf-8"))


def shares(given: dict[str, Any]) -> dict[str, float]:
    found = importance(given)
    assert found["problem"] is None
    assert [each["share"] for each in found["shares"]] == sorted(
        (each["share"] for each in found["shares"]), reverse=True
    )
    return {each["name"]: each["share"] for each in found["shares"]}


@pytest.mark.parametrize("case", KEPT, ids=lambda case: str(case["trials"]))
def test_shares_are_those_that_optuna_gave(case: dict[str, Any]) -> None:
    """On numbers, integers, categories, a conditional one; minimised, maximised, with ties."""
    expected = pytest.approx(case["shares"], abs=TOLERANCE)
    assert shares(study(case["seed"], case["trials"])) == expected


@pytest.mark.long
@pytest.mark.skipif(not PEERS.exists(), reason="no Optuna: `make .venv-peers/.installed` makes it")
def test_shares_are_optunas() -> None:
    """On the same trials, of 34 to 500 in each of 40 studies."""
    studies = [study(seed, 34 + (seed * 97) % 467) for seed in range(100, 140)]
    for given, expected in zip(studies, asked_of_optuna(studies)):
        assert shares(given) == pytest.approx(expected, abs=TOLERANCE)


def test_without_an_answer_it_says_what_it_needs() -> None:
    """Too few trials, trials that are equally good, and nothing that differs."""
    few = study(1, NEEDED)  # two of them failed
    assert importance(few) == {
        "shares": [],
        "trials": NEEDED - 2,
        "problem": f"importance needs {NEEDED} trials with a result, and has {NEEDED - 2}",
    }
    same = study(1, 60)
    same["trials"]["value"] = [None if each is None else 0.5 for each in same["trials"]["value"]]
    assert "all are equally good" in importance(same)["problem"]
    fixed = study(1, 60)
    fixed["trials"]["params"] = {n: [c[0]] * 60 for n, c in fixed["trials"]["params"].items()}
    assert "needs a hyperparameter that differs" in importance(fixed)["problem"]


def test_what_cannot_matter_has_no_share() -> None:
    """A hyperparameter that never changed, one that no trial has, and a range of one value."""
    given = study(1, 60)
    columns = given["trials"]["params"]
    columns["x"], columns["wide"] = [1.0] * 60, [None] * 60
    given["parameters"] = [
        {**each, "low": 0.5, "high": 0.5} if each["name"] == "noise" else each
        for each in given["parameters"]
    ]
    found = shares(given)
    assert (found["x"], found["wide"], found["noise"]) == (0, 0, 0)
    assert max(found, key=lambda name: found[name]) == "rate"


def test_values_beyond_the_range_count_as_its_ends() -> None:
    """As those of a trial that somebody asked for; a range without an end goes to the values."""
    given = study(1, 60)
    given["trials"]["params"]["rate"][:3] = [-1.0, 0.0, 40.0]
    clipped = study(1, 60)
    clipped["trials"]["params"]["rate"][:3] = [1e-5, 1e-5, 1.0]
    assert importance(given) == importance(clipped)
    given["parameters"] = [
        each if each["log"] or each["kind"] == "category" else {**each, "low": None, "high": None}
        for each in given["parameters"]
    ]
    assert importance(given)["problem"] is None
