"""``hyperhive.search`` in the program that calls it, with real workers on a real store."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from support.thread_workers import working

import hyperhive
from hyperhive import hp
from hyperhive.common.errors import ObjectiveError, UsageError
from hyperhive.coordinator.api.naming import fresh_name, given_name, objective_name
from hyperhive.coordinator.study_run import StudyFailed
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.local import WorkersFailed

SPACE = {"x": hp.uniform("x", -5, 5)}
JSON_SPACE = {"x": {"distribution": "uniform", "low": -5, "high": 5}}


def square(config: dict[str, Any], trial: Any) -> float:
    trial.report(1, guess=config["x"])
    return float(config["x"] ** 2)


def test_a_search_gives_a_study(
    store: Store, mongo_uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It shows its progress, and the study has the trials, the best one and its files."""
    pandas = pytest.importorskip("pandas")
    with hyperhive.search(square, SPACE, trials=4, store=mongo_uri, workers=1) as study:
        shown = capsys.readouterr().out
        assert f"study {study.name} on " in shown
        assert "[4/4] trial 3: loss " in shown
        assert "run `hyperhive worker" not in shown
        assert study.name.startswith("test_coordinator_api_search-")
        assert study.space == JSON_SPACE
        trials = study.trials
        assert [trial.number for trial in trials] == [0, 1, 2, 3]
        assert {trial.state for trial in trials} == {"done"}
        assert study.best == min(trials, key=lambda trial: trial.loss or 0)
        frame = study.dataframe()
        assert isinstance(frame, pandas.DataFrame)
        assert list(frame["config.x"]) == [trial.config["x"] for trial in trials]
        for name in ("t.csv", "t.json"):
            study.export(tmp_path / name)
        assert len((tmp_path / "t.csv").read_text().splitlines()) == 5
        assert len(json.loads((tmp_path / "t.json").read_text())["trials"]) == 4
        with pytest.raises(UsageError, match=r"must end with \.csv or \.json"):
            study.export(tmp_path / "t.xlsx")
        assert "4 of 4 trials ended" in repr(study)
    assert "was closed" in repr(study)


def test_a_named_study_is_resumed_extended_and_found_again(store: Store, mongo_uri: str) -> None:
    """The same once more runs nothing; with more trials only those are run."""

    def run(trials: int) -> list[int]:
        ended: list[int] = []
        study = hyperhive.search(
            square,
            JSON_SPACE,
            trials,
            name="s",
            store=mongo_uri,
            workers=1,
            progress=False,
            on_trial_end=lambda study, trial: ended.append(trial.number),
        )
        assert len(study.trials) == trials
        study.close()
        return ended

    assert run(2) == [0, 1]
    assert run(2) == []
    assert run(3) == [2]


def by_luck(config: dict[str, Any], trial: Any) -> float:
    """Be very good once, where x is 0: under the seed of the search."""
    noise = trial.seed % 100 / 1000
    return float(config["x"] + noise if config["x"] else 0 if trial.seed == 3 else 4)


def test_repeats_run_a_function_under_other_seeds(store: Store, mongo_uri: str) -> None:
    """What was only lucky in the search does not win."""
    how: Any = {"seed": 3, "repeats": 3, "try_first": [{"x": 0.0}, {"x": 1.0}]}
    with hyperhive.search(
        by_luck, JSON_SPACE, 2, store=mongo_uri, workers=1, progress=False, **how
    ) as study:
        assert study.best is not None
        assert (study.best.number, study.best.loss) == (1, 1.003)
        winner, lucky = study.repeats
        assert (winner.trial, len(set(winner.values)), lucky.values) == (1, 3, (4.0,) * 3)


def test_a_callback_sees_each_end_once_and_may_end_the_search(
    store: Store, mongo_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without progress nothing is printed."""
    seen = []

    def on_end(study: hyperhive.Study, trial: Any) -> None:
        assert trial.loss == trial.config["x"] ** 2
        seen.append(trial.number)
        if len(seen) == 2:
            study.stop("enough")

    with hyperhive.search(
        square, SPACE, 50, store=mongo_uri, workers=1, on_trial_end=on_end, progress=False
    ) as study:
        assert study.finish_reason == "enough"
        assert seen == [trial.number for trial in study.trials]
    assert capsys.readouterr().out == ""


@pytest.mark.long
def test_an_error_of_a_callback_ends_the_search_and_loses_nothing(
    store: Store, mongo_uri: str
) -> None:
    """The trial is there, and the study can go on."""

    def on_end(study: Any, trial: Any) -> None:
        raise ZeroDivisionError("in the callback")

    how: Any = {"name": "s", "store": mongo_uri, "workers": 1, "progress": False}
    with pytest.raises(ZeroDivisionError, match="in the callback"):
        hyperhive.search(square, SPACE, 3, on_trial_end=on_end, **how)
    assert store.trials.find("s")[0].status is Status.DONE
    with hyperhive.search(square, SPACE, 3, **how) as study:
        assert [trial.state for trial in study.trials] == ["done"] * 3


def test_a_function_that_always_fails_says_why(store: Store, mongo_uri: str) -> None:
    """The first error is the search's."""

    def broken(config: Any) -> float:
        raise ValueError("no such layer")

    with pytest.raises(StudyFailed, match="the first of 2 errors was: ValueError: no such layer"):
        hyperhive.search(broken, SPACE, 2, max_attempts=1, store=mongo_uri, progress=False)


def test_it_works_in_a_thread_beside_another(store: Store, mongo_uri: str) -> None:
    """Two searches in one program, neither in the main thread."""
    found: dict[int, Any] = {}

    def run(number: int) -> None:
        how: Any = {"seed": number, "store": mongo_uri, "workers": 1}
        with hyperhive.search(lambda config: config["x"], SPACE, 2, **how) as study:
            found[number] = study.best

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 1]
    assert found[0].config != found[1].config


def test_what_cannot_be_searched_leaves_no_study_behind(store: Store, mongo_uri: str) -> None:
    """A function that cannot be called, or cannot be given to workers; settings that cannot be."""
    lock = threading.Lock()

    def locked(config: Any) -> float:
        with lock:
            return 0.0

    for train, how, words in [
        (3, {}, "search needs a function"),
        (lambda: 0, {}, "search needs a function"),
        (locked, {}, "because of lock"),
        (square, {"workers": -1}, "workers must be"),
        (square, {"patience": 0}, "patience must be"),
    ]:
        with pytest.raises((ObjectiveError, UsageError), match=words):
            hyperhive.search(train, SPACE, 2, store=mongo_uri, **how)  # type: ignore[arg-type]
    assert store.studies.all() == []


def test_workers_that_cannot_start_say_why(
    store: Store, mongo_uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What they said is the error, and the search does not wait for others."""
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    monkeypatch.setattr("hyperhive.worker.local._log_file", lambda: tmp_path / "log")
    monkeypatch.setenv("XDG_DATA_HOME", str(blocked))
    with pytest.raises(WorkersFailed, match=r"ended: .*blocked"):
        hyperhive.search(square, SPACE, 2, store=mongo_uri, workers=1, progress=False)


def test_a_function_is_named_by_the_file_that_has_it() -> None:
    """A worker with that file finds it under this name; a lambda has no name there."""
    assert objective_name(square) == "test_coordinator_api_search.py:square"
    assert objective_name(lambda config: 0) == "train"
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("def fit(config): return 0", scope)  # as a notebook or a REPL does
    assert objective_name(scope["fit"]) == "fit"
    assert objective_name(hyperhive.command("true")) == "train"
    assert given_name(square) == "test_coordinator_api_search:square"
    assert given_name("lenet5") == "lenet5"
    assert fresh_name("digits.py:train").startswith("digits-2")
    assert fresh_name("fit") != fresh_name("fit")


def test_only_its_own_workers_get_a_function(store: Store, mongo_uri: str) -> None:
    """A worker elsewhere that has a file of the same name may have another version of it."""

    def other_version(store: Store, trial: Trial) -> None:
        store.queue.finish(trial.id, str(trial.token), {"status": "ok", "loss": -100.0})

    with working(mongo_uri, other_version, objective=objective_name(square)):
        study = hyperhive.search(square, SPACE, 4, store=mongo_uri, workers=1, progress=False)
    assert study.best is not None
    assert study.best.loss >= 0
    study.close()


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the commands say it; `except ImportError` catches it."""
    monkeypatch.setitem(hyperhive._HOMES, "search", "hyperopt_is_not_here")
    with pytest.raises(ModuleNotFoundError, match="hyperopt_is_not_here"):
        _ = hyperhive.search
    monkeypatch.setattr("hyperhive.common.extras._EXTRAS", {"hyperopt_is_not_here": "coordinator"})
    with pytest.raises(ImportError, match=r"pip install 'hyperhive\[coordinator\]'"):
        _ = hyperhive.search


def test_the_variable_of_the_commands_names_the_server(
    store: Store, mongo_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ``store``, a program uses what a command would."""
    monkeypatch.setenv("HYPERHIVE_MONGO", mongo_uri)
    with hyperhive.open_study("s", SPACE) as study:
        assert study.uri == mongo_uri
    assert os.environ["HYPERHIVE_MONGO"] == mongo_uri
    with pytest.raises(UsageError, match="store is empty"):
        hyperhive.open_study("s", store=" ")
