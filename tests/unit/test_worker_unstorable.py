"""What an objective raises, reports or returns never ends its worker, whatever it is made of."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import numpy as np
import pytest
from support.bench import Bench, post, succeeds, the_trial

from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import LONGEST_MESSAGE
from hyperhive.worker.objectives.api import Context, Outcome

Run = Callable[..., Trial]

A_FILE = os.fsdecode(b"/data/caf\xe9.csv")  # as Python has the name of a file that is not UTF-8


class Wordless(RuntimeError):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no words")


class NoException(BaseException):
    """Some packages end their threads with one of these."""


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.fixture
def run(mongo_uri: str, tmp_path: Path, store: Store) -> Iterator[Run]:
    """Give a function that has a worker run one trial, and then another with a good objective."""
    with contextlib.ExitStack() as stack:

        def run(objective: Any) -> Trial:
            bench = Bench(mongo_uri, tmp_path / "outbox", objective)
            stack.enter_context(bench)
            post(store, 0, max_attempts=2)
            assert bench.run_one()
            trial = the_trial(store)
            post(store, 1)
            bench.objectives["lenet5"] = succeeds
            assert bench.run_one()
            assert the_trial(store, 1).status is Status.DONE
            return trial

        yield run


def raising(error: BaseException) -> Any:
    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        raise error

    return objective


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError(f"cannot parse {A_FILE}"), "ValueError: cannot parse /data/caf\\xe9.csv"),
        (Wordless(), "Wordless: <"),
        (KeyboardInterrupt(), "RuntimeError: objective lenet5 raised KeyboardInterrupt"),
        (SystemExit(7), "RuntimeError: objective lenet5 called sys.exit(7)"),
        (GeneratorExit("x"), "RuntimeError: objective lenet5 raised GeneratorExit: x"),
        (NoException("gone"), "NoException: gone"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_an_objective_raises_is_its_trials_error(
    run: Run, error: BaseException, said: str
) -> None:
    """The error is stored in words, the trial has another attempt, and the worker goes on."""
    trial = run(raising(error))
    assert (trial.status, trial.attempts) == (Status.NEW, 1)
    assert said in (trial.error or {})["message"]
    assert (trial.error or {})["message"].endswith(", in objective)")


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, MemoryError])
def test_an_error_that_quotes_its_data_is_cut(
    run: Run, caplog: pytest.LogCaptureFixture, kind: type[Exception]
) -> None:
    """20 MB of text become some thousand characters, in the store and in the log."""
    with caplog.at_level(logging.ERROR):
        trial = run(raising(kind("1.5, " * 4_000_000)))
    message = (trial.error or {})["message"]
    assert len(message) == LONGEST_MESSAGE
    assert message.startswith(f"{kind.__name__}: 1.5, ")
    (record,) = caplog.messages
    assert len(record) < 10 * LONGEST_MESSAGE


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"curve": b"0" * (9 << 20)}, "it has 9.4 MB"),
        ({"rows": 10**30}, "rows: a number is too large"),
        ({"path": A_FILE}, "path: the text /data/caf\\xe9.csv is no valid Unicode"),
        ({A_FILE: 1}, "is no valid Unicode"),
        ({"by_epoch": {1: 0.5}}, "by_epoch: "),
        ({"by_epoch": {float("nan"): 0.5}}, "key was nan"),
        ({"a\0b": 1}, "NUL"),
        ({"flag": np.bool_(True)}, "flag: "),
        ({"weights": np.zeros(10_000)}, "numpy.ndarray"),
        ({"kinds": {"a", "b"}}, "'set'"),
        ({"loop": endless()}, "loop: it contains itself"),
        ({"tree": deep(150)}, "more than 100 levels deep"),
    ],
    ids=lambda value: next(iter(value), "")[:12] if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("reports", [False, True], ids=["returned", "reported"])
def test_what_the_store_cannot_hold_is_the_trials_error_after_one_run(
    run: Run, found: dict[str, Any], why: str, reports: bool
) -> None:
    """The error names the field and the reason; the objective is not run again for it."""

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        if reports:
            context.report(found, 1.0)
        return Outcome({"status": "ok", "loss": 0.5, **({} if reports else found)})

    trial = run(objective)
    assert (trial.status, trial.attempts) == (Status.ERROR, 1)
    error = trial.error or {}
    assert error["kind"] == "bad_payload"
    assert error["message"].startswith(
        "the reported progress cannot" if reports else "the result cannot"
    )
    assert why in error["message"]
    assert len(error["message"]) < 400


def test_names_with_dots_and_dollars_are_kept(run: Run) -> None:
    """The store takes any other text as the name of a value, in results and in progress."""
    found = {"top.1": 0.5, "$cost": 1, "": "empty", "c": {"a.$b": ["x\0y"]}}

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        context.report(found, 1.0)
        return Outcome({"status": "ok", "loss": 0.5, **found})

    trial = run(objective)
    assert trial.status is Status.DONE
    assert trial.result == {"status": "ok", "loss": 0.5, **found}
