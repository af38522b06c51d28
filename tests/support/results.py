"""Studies in a store whose trials ended in a test, without a coordinator or worker."""

from __future__ import annotations

from typing import Any

from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft, Goal
from hyperhive.store.trials.terms import ErrorKind
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

SPACE = {
    "lr": {"distribution": "loguniform", "low": 0.001, "high": 0.1},
    "optimizer": {
        "choices": [
            {"kind": "adam"},
            {
                "kind": "sgd",
                "momentum": {"distribution": "uniform", "low": 0, "high": 0.95},
            },
        ]
    },
}
SPEC: dict[str, Any] = {
    "objective": "digits.py:train",
    "space": SPACE,
    "algorithm": "tpe",
    "seed": 0,
    "startup": 2,
    "max_attempts": 3,
    "trials": 10,
}


def sgd(lr: float, momentum: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a configuration of ``SPACE`` and its values."""
    config = {"lr": lr, "optimizer": {"kind": "sgd", "momentum": momentum}}
    return config, {"lr": lr, "optimizer": 1, "momentum": momentum}


def adam(lr: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return another one, which has no momentum."""
    config = {"lr": lr, "optimizer": {"kind": "adam"}}
    return config, {"lr": lr, "optimizer": 0, "momentum": None}


def study(store: Store, name: str = "s", **spec: Any) -> dict[str, Any]:
    """Make a study without trials; return its specification."""
    return store.studies.open(name, {**SPEC, **spec}).spec


def claimed(
    store: Store,
    tid: int,
    point: tuple[dict[str, Any], dict[str, Any]],
    study: str = "s",
    worker: str = "w",
    **fields: Any,
) -> Trial:
    """Post a trial and claim it."""
    objective = fields.pop("objective", SPEC["objective"])
    store.queue.post(Draft(study, tid, *point, objective=objective, **fields))
    trial = store.queue.claim(worker, new_token(), [objective], study)
    assert trial is not None
    assert trial.tid == tid
    return trial


def done(store: Store, tid: int, point: tuple[dict[str, Any], dict[str, Any]], **how: Any) -> None:
    """Post a trial that is done; ``result`` is what it returned."""
    result = how.pop("result")
    trial = claimed(store, tid, point, **how)
    store.queue.finish(trial.id, str(trial.token), result)


def failed(
    store: Store, tid: int, point: tuple[dict[str, Any], dict[str, Any]], message: str, **how: Any
) -> None:
    """Post a trial whose objective failed."""
    trial = claimed(store, tid, point, max_attempts=1, **how)
    store.queue.fail(trial, ErrorKind.OBJECTIVE, message)


def small_study(store: Store, name: str = "s", **goal: Any) -> None:
    """Make a study with two trials that are done, and one that failed, runs and waits each."""
    study(store, name, **goal)
    how: dict[str, Any] = {"study": name, "goal": Goal(**goal)}
    history = [{"step": 1, "accuracy": 0.5}, {"step": 2, "accuracy": 0.75}]
    done(store, 0, sgd(0.01, 0.5), result={"loss": 0.25, "history": history}, **how)
    done(store, 1, adam(0.02), result={"loss": 0.5, "note": "=1+1"}, **how)
    failed(store, 2, adam(0.03), "ValueError: no such layer", **how)
    claimed(store, 3, adam(0.04), **how)
    store.queue.post(Draft(name, 4, *adam(0.05), objective=SPEC["objective"]))
