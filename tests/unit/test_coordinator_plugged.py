"""Algorithms of others: functions in hyperopt's form, Optuna's samplers, and what is imported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Iterable

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from support.printed import plain

import hyperhive
from hyperhive.common.errors import UsageError
from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.api.plans import plan_of
from hyperhive.coordinator.figures.study import figures
from hyperhive.coordinator.spaces.named import CLASSIC
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import Node, is_possible
from hyperhive.coordinator.suggest import Suggester, require_name, use
from hyperhive.coordinator.views.status import report
from hyperhive.store.store import Store

NUMBER = {"distribution": "uniform", "low": 0, "high": 1}
MIXED = parse(
    {
        "rate": {"distribution": "loguniform", "low": 1e-4, "high": 0.1},
        "share": {"distribution": "quniform", "low": 0.3, "high": 0.7, "step": 0.1},
        "units": {"distribution": "qloguniform", "low": 1, "high": 100, "step": 2},
        "shift": {"distribution": "qnormal", "mu": 0, "sigma": 2, "step": 0.5},
        "layers": {"distribution": "randint", "low": -3, "high": 4},
        "kind": {
            "choices": ["a", {"momentum": NUMBER}],
            "weights": [0.2, 0.8],
        },
    }
)
MINE = """
from hyperopt import rand
from threadpoolctl import threadpool_info

seen = []
threads = set()

def suggest(new_ids, domain, trials, seed):
    found = [(t["tid"], t["state"], t["result"].get("loss")) for t in trials.trials]
    seen.append((new_ids, found, sorted(domain.params)))
    threads.update(each["num_threads"] for each in threadpool_info())
    return rand.suggest(new_ids, domain, trials, seed)

def nothing(new_ids, domain, trials, seed):
    return []

def half(new_ids, domain, trials, seed):
    (document,) = rand.suggest(new_ids, domain, trials, seed)
    document["misc"]["vals"]["rate"] = []
    return [document]
"""


def known(space: Node, count: int, pending: Iterable[int] = ()) -> Known:
    """Return trials with random values, some of which have not ended."""
    draw, found = Suggester("random", space, 5, 1), Known(space)
    for tid in range(count):
        vals = draw.suggest(tid, found)
        loss = sum(abs(value) % 10 for value in vals.values())
        found.put(Observation(tid, vals, None if tid in pending else loss))
    return found


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a module with functions in hyperopt's form, as a person may have it."""
    (tmp_path / "mine_in_test.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_in_test", raising=False)
    use("hyperopt:mine_in_test.suggest")
    return sys.modules["mine_in_test"]


@pytest.mark.parametrize(
    ("function", "own", "count"),
    [("rand", "random", 1), ("anneal", "anneal", 9), ("tpe", "tpe", 25)],
)
def test_hyperopts_own_functions_suggest_what_ours_do(function: str, own: str, count: int) -> None:
    """To the last bit, and the same types; hyperopt's TPE begins after 20 trials."""
    algorithm = f"hyperopt:hyperopt.{function}.suggest"
    use(algorithm)
    for seed in range(3):
        found = Suggester(algorithm, MIXED, seed, 1).suggest(count, known(MIXED, count))
        expected = Suggester(own, MIXED, seed, 1).suggest(count, known(MIXED, count))
        assert found == expected
        assert list(map(type, found.values())) == list(map(type, expected.values()))


def test_a_function_sees_what_has_ended_and_what_runs(mine: Any) -> None:
    """From the first trial on: a trial that runs has hyperopt's state for that, and no loss.

    It has one thread of NumPy's libraries: the machine may train.
    """
    history = known(MIXED, 3, pending=[1])
    suggester = Suggester("hyperopt:mine_in_test.suggest", MIXED, 0, startup=10)
    suggester.suggest(3, history)
    ((new_ids, found, labels),) = mine.seen
    assert new_ids == [3]
    assert found == [(0, 2, history.losses[0]), (1, 1, None), (2, 2, history.losses[2])]
    assert labels == ["kind", "layers", "momentum", "rate", "share", "shift", "units"]
    assert mine.threads == {1}


@pytest.mark.parametrize(
    ("function", "said"), [("nothing", "no trial"), ("half", "which the search space cannot have")]
)
def test_a_suggestion_that_is_none_is_told(mine: Any, function: str, said: str) -> None:
    """The sentence names the algorithm, and says what it must return."""
    algorithm = f"hyperopt:mine_in_test.{function}"
    use(algorithm)
    with pytest.raises(UsageError, match=f"algorithm {algorithm} returned .*{said}.*must return"):
        Suggester(algorithm, MIXED, 0, 1).suggest(0, Known(MIXED))


@pytest.mark.parametrize(
    ("algorithm", "said"),
    [
        ("hyperopt:nowhere.suggest", "module nowhere cannot be imported .*PYTHONPATH"),
        ("hyperopt:hyperopt.tpe.sugest", "module hyperopt.tpe has no function sugest"),
        ("optuna:CmaEsSampler", "there are GPSampler, TPESampler, RandomSampler"),
        ("hyperopt:tpe", "must be one of tpe, random, .*hyperopt:MODULE.FUNCTION"),
        (None, "must be one of tpe"),
    ],
)
def test_an_algorithm_that_is_not_there_is_one_sentence(algorithm: Any, said: str) -> None:
    """It is told when a person names it, before a study is posted."""
    with pytest.raises(UsageError, match=said):
        plan_of("s", "f.py:f", {"x": NUMBER}, algorithm=algorithm)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan with the algorithm can be read without the package, but not started."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    require_name("optuna:TPESampler")
    with pytest.raises(ModuleNotFoundError, match="no optuna"):
        plan_of("s", "f.py:f", {"x": NUMBER}, algorithm="optuna:TPESampler")


def test_a_function_that_stands_only_in_the_store_is_not_imported(
    store: Store, mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write there cannot have a module imported: only a person's own words can."""
    (tmp_path / "planted.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    space = {"rate": NUMBER}
    algorithm = "hyperopt:planted.suggest"
    hyperhive.open_study("s", space, store=mongo_uri, trials=3).close()
    store.database.studies.update_one({"_id": "s"}, {"$set": {"spec.algorithm": algorithm}})
    with hyperhive.open_study("s", store=mongo_uri) as study:
        with pytest.raises(UsageError, match=f"{algorithm}, and a function is imported only where"):
            study.ask()
        study.enqueue({"rate": 0.5})
    plain(report(store, None))
    figures(store, ["s"])
    assert "planted" not in sys.modules
    with hyperhive.open_study("s", space, store=mongo_uri, trials=3, algorithm=algorithm) as study:
        asked = [study.ask() for _ in range(2)]
    assert [trial is not None and trial.config["rate"] == 0.5 for trial in asked] == [True, False]
    assert len(sys.modules["planted"].seen) == 1


GP = pytest.param("GPSampler", marks=pytest.mark.long)


@pytest.mark.parametrize("sampler", ["TPESampler", "RandomSampler", GP])
def test_a_sampler_of_optunas_searches_any_space(sampler: str) -> None:
    """Its suggestions are decided by seed, number and history, and always in the space."""
    algorithm, history = f"optuna:{sampler}", known(MIXED, 12, pending=[3, 11])
    use(algorithm)
    for seen in (Known(MIXED), history):
        vals = Suggester(algorithm, MIXED, 7, startup=99).suggest(12, seen)
        assert is_possible(MIXED, vals)
        assert 1e-4 <= vals["rate"] <= 0.1
        assert vals["share"] in [step * 0.1 for step in range(3, 8)]
        assert vals["units"] % 2 == vals["shift"] % 0.5 == 0
        assert Suggester(algorithm, MIXED, 7, startup=99).suggest(12, seen) == vals
        assert Suggester(algorithm, MIXED, 8, startup=99).suggest(12, seen) != vals
        assert Suggester(algorithm, MIXED, 7, startup=99).suggest(13, seen) != vals


@pytest.mark.parametrize("sampler", ["TPESampler", GP])
def test_a_sampler_suggests_what_it_suggests_to_optunas_own_study(sampler: str) -> None:
    """That study is asked with the distributions that a user of Optuna would write."""
    distributions = {
        "learning_rate": FloatDistribution(0.001, 0.1, log=True),
        "epochs": FloatDistribution(2, 30, step=1),
        "momentum": FloatDistribution(0, 0.95),
    }
    history, seed = known(CLASSIC, 14, pending=[13]), 3
    use(f"optuna:{sampler}")
    found = Suggester(f"optuna:{sampler}", CLASSIC, seed, 1).suggest(14, history)
    stream = int(np.random.SeedSequence([seed, 14]).generate_state(1)[0])
    theirs = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=stream))
    for row, loss in enumerate(history.losses.tolist()):
        values = {label: float(history.values(label)[row]) for label in distributions}
        state = optuna.trial.TrialState.RUNNING if row == 13 else optuna.trial.TrialState.COMPLETE
        value = None if row == 13 else loss
        trial = optuna.trial.create_trial(
            state=state, params=values, distributions=distributions, value=value
        )
        theirs.add_trial(trial)
    assert found == pytest.approx(theirs.ask(distributions).params)
