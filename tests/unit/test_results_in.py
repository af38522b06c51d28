"""An exported study read, refused and imported."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.home import Home
from support.results import SPEC, adam, done, sgd, small_study, study

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.history import History
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.results import exported
from hyperhive.coordinator.results.ended import Added, EndedTrial, add
from hyperhive.coordinator.results.export import as_json
from hyperhive.coordinator.results.exported import read
from hyperhive.coordinator.results.table import rows
from hyperhive.coordinator.study import Study
from hyperhive.store.errors import StudyChanged, StudyWithdrawn, Unstorable
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft, Goal
from hyperhive.store.trials.terms import SEARCH, Status

TRIAL = {
    "tid": 0,
    "purpose": "search",
    "status": "done",
    "config": {"lr": 0.01},
    "vals": {"lr": 0.01},
    "result": {"loss": 0.5},
    "error": None,
    "started": "2024-05-31T09:15:00.000Z",
    "finished": None,
    "worker": "w",
    "attempts": 1,
}
FILE = {"hyperhive": 1, "study": "s", "spec": SPEC, "created": None, "trials": [TRIAL]}


def written(folder: Path, contents: Any) -> Path:
    """Write an exported study, as JSON or as these bytes."""
    file = folder / "s.json"
    data = contents if isinstance(contents, bytes) else json.dumps(contents).encode()
    file.write_bytes(data)
    return file


def changed(**trial: Any) -> dict[str, Any]:
    return {**FILE, "trials": [{**TRIAL, **trial}]}


def spec(**fields: Any) -> dict[str, Any]:
    return {**FILE, "spec": {**SPEC, **fields}}


def test_a_csv_is_told_from_damaged_json(tmp_path: Path) -> None:
    """It says which export can be imported."""
    path = tmp_path / "s.CSV"
    path.write_text("tid,loss\n0,0.5\n")
    with pytest.raises(UsageError, match=r"s\.CSV cannot be imported: .* with --json"):
        read(path)


FAILED = {"status": "failed", "result": None}
DEEP = b"[" * 200_000


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"", "is no valid JSON"),
        (b"\xff\xfe\x00", "is no valid JSON"),
        (b"not JSON", r"is no valid JSON: Expecting value: line 1 column 1"),
        (DEEP, "is no valid JSON"),
        (b"9" * 5000, "is no"),
        ([], "no study that `hyperhive study export --json` wrote"),
        ({"a": 1}, "no study that `hyperhive study export --json` wrote"),
        ({**FILE, "hyperhive": 2}, "hyperhive is 2, and this hyperhive reads 1"),
        ({**FILE, "study": "a/b"}, "study and spec: a study's name must be"),
        ({**FILE, "study": None}, "study and spec: a study's name must be"),
        ({**FILE, "spec": []}, "spec must be an object"),
        (spec(objective="hyperopt"), "study and spec: objective must be"),
        (spec(trials=True), "study and spec: trials must be a whole number"),
        (spec(space=1), "study and spec: search space: "),
        (spec(seed=2**70), "spec cannot be stored: seed: a number is too"),
        (spec(later=1), "study s was made by a newer hyperhive"),
        ({**FILE, "spec": {"objective": "x"}}, "spec.space is missing"),
        (spec(dataset={"name": "digits"}), "spec.dataset must have content_hash"),
        (spec(known=3), "spec.known must be a list"),
        ({**FILE, "trials": {}}, "trials must be a list"),
        ({**FILE, "trials": [TRIAL, TRIAL]}, r"trials\[0\]: another trial has the number 0 too"),
        ({**FILE, "trials": [TRIAL, 1]}, r"trials\[1\] must be an object"),
        (changed(tid=-1), r"trials\[0\].tid must be a whole number"),
        (changed(tid=1.0), r"trials\[0\].tid must be a whole number"),
        (
            changed(purpose="x"),
            r"trials\[0\].purpose must be one of search, baseline, repeat, refit",
        ),
        (changed(status=["done"]), r"trials\[0\].status must be one of waiting, running"),
        (changed(config=None), r"trials\[0\].config must be an object"),
        (changed(vals={"lr": "x"}), r"trials\[0\].vals.lr must be a number"),
        (changed(vals={"lr": True}), r"trials\[0\].vals.lr must be a number"),
        (changed(vals={"width": 3}), r"trials\[0\].vals.width is not in the search space"),
        (changed(result=None), r"trials\[0\].result must be an object"),
        (changed(result={"loss": "0"}), r"trials\[0\].result.loss must be a number or null"),
        (changed(result={"loss": float("nan")}), r"trials\[0\].result.loss is no finite number"),
        (json.dumps(changed(tid=0)).replace("0.5", "1e999").encode(), "loss is no finite number"),
        (changed(result={"n": 2**70}), r"trials\[0\] cannot be stored: result: a number is too"),
        (changed(result={"a\0b": 1}), r"trials\[0\] cannot be stored: result"),
        (changed(config={"x": "\ud800"}), r"trials\[0\] cannot be stored: config: the text"),
        (changed(**FAILED), r"trials\[0\].error must be an object"),
        (changed(**FAILED, error={"kind": "x"}), r"error.kind must be one of objective"),
        (changed(**FAILED, error={"kind": "device"}), r"error.message must be text"),
        (changed(started="yesterday"), r"trials\[0\].started must be a time in UTC"),
        (changed(finished="2024-02-31T00:00:00.000Z"), r"trials\[0\].finished must be a time"),
        (changed(worker=3), r"trials\[0\].worker must be text or null"),
    ],
)
def test_a_file_that_is_no_exported_study_is_refused(
    tmp_path: Path, contents: Any, said: str
) -> None:
    """One sentence names the file and the place, before a store is asked for anything."""
    file = written(tmp_path, contents)
    with pytest.raises(UsageError, match=said) as refused:
        read(file)
    assert str(refused.value).startswith(str(file))
    assert len(str(refused.value)) < len(str(file)) + 400


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(Plan)] + ["dataset"])
def test_a_specification_with_any_value_is_read_or_refused(tmp_path: Path, key: str) -> None:
    """A coordinator reads it again: what it cannot read must not come into the store."""
    values = [None, True, -1, 1.5, "", "x", [], [1], [[]], {}, {"a": 1}, {"distribution": []}]
    for value in [*values, {"distribution": "uniform"}, {"choices": 1}, {"x": {"choices": []}}]:
        file = written(tmp_path, spec(**{key: value}))
        with contextlib.suppress(UsageError):
            study = read(file).study
            assert Study.stored("s", study.spec()).spec() == study.spec()


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one without an end, nor one that is not there."""
    monkeypatch.setattr(exported, "LARGEST_FILE", 2 << 20)
    for file in (written(tmp_path, b" " * (3 << 20)), Path("/dev/zero")):
        with pytest.raises(UsageError, match="has more than 2 MiB"):
            read(file)
    with pytest.raises(UsageError, match=r"missing\.json cannot be read: No such file"):
        read(tmp_path / "missing.json")


def test_an_exported_study_is_imported_as_it_was(store: Store, tmp_path: Path) -> None:
    """Rows of ended trials are the same but for attempts; a second time nothing is added."""
    small_study(store, metric="accuracy", direction="maximize")
    store.workers.report("w", None, "cpu", {}, None)
    before = rows(store, "s")
    file = read(written(tmp_path, as_json(store, "s")), "t")
    assert (file.study.name, file.unfinished, file.refits) == ("t", 2, 0)
    assert add(store, file.study, file.trials) == Added(3, 0, 0)
    assert add(store, file.study, file.trials) == Added(0, 3, 0)
    after = rows(store, "t")
    assert [{**row, "attempts": 1} for row in after] == before[:3]
    assert store.study("t").spec == store.study("s").spec
    trials = store.trials.find("t")
    assert {trial.goal for trial in trials} == {Goal("accuracy", "maximize")}
    assert {trial.imported for trial in trials} == {True}
    assert [trial.vals for trial in trials] == [t.vals for t in store.trials.find("s")[:3]]
    assert store.sweep() == 0
    assert store.queue.claim("w", "token", [SPEC["objective"]], "t") is None


def test_a_refit_is_left_out(store: Store, tmp_path: Path) -> None:
    """It is there for its weights, which are not exported: the winner is trained again."""
    study(store)
    done(store, 0, adam(0.01), result={"loss": 1.0})
    done(store, 0, adam(0.01), result={"loss": 1.0}, purpose="refit")
    file = read(written(tmp_path, as_json(store, "s")))
    assert [(trial.purpose, trial.tid) for trial in file.trials] == [(SEARCH, 0)]
    assert file.refits == 1


def test_a_study_with_another_specification_is_not_changed(store: Store) -> None:
    """What differs is named; budget and stop rules may differ, and the stored ones stay."""
    study(store)
    trial = EndedTrial(0, *sgd(0.01, 0.5), {"loss": 1.0})
    other = copy.deepcopy(SPEC)
    other["space"]["lr"]["high"] = 1.0
    said = r"another specification \(space.lr.high was 0.1 and is 1.0\): choose another name"
    with pytest.raises(StudyChanged, match=said):
        add(store, Study.stored("s", other), [trial])
    assert store.trials.find("s") == []
    longer = {**SPEC, "trials": 99, "target": 0.1}
    assert add(store, Study.stored("s", longer), [trial]).new == 1
    assert store.study("s").spec == SPEC
    store.cancel_study("s")
    with pytest.raises(StudyWithdrawn, match="study s was cancelled"):
        add(store, Study.stored("s", SPEC), [trial])


def test_a_number_of_another_trial_is_told(store: Store) -> None:
    """A coordinator that went on meanwhile may have used it: neither trial is changed."""
    study(store)
    store.queue.post(Draft("s", 1, *adam(0.5), objective=SPEC["objective"]))
    trials = [EndedTrial(tid, *adam(0.01), {"loss": 1.0}) for tid in range(2)]
    assert add(store, Study.stored("s", SPEC), trials) == Added(1, 0, 1)
    assert [trial.status for trial in store.trials.find("s")] == [Status.DONE, Status.NEW]


def test_nothing_is_written_if_one_trial_cannot_be(store: Store) -> None:
    """The study is not made either."""
    trials = [
        EndedTrial(0, *adam(0.01), {"loss": 1.0}),
        EndedTrial(1, *adam(0.01), {"loss": 1.0, "big": "x" * (9 << 20)}),
    ]
    with pytest.raises(Unstorable, match=r"trial 1 cannot be stored: it has 9\.4 MB"):
        add(store, Study.stored("s", SPEC), trials)
    assert store.studies.get("s") is None


def test_imported_trials_are_known_to_the_algorithm_at_once(store: Store) -> None:
    """Before any trial was claimed here, and whatever their own times are."""
    add(store, Study.stored("s", SPEC), [EndedTrial(0, *sgd(0.01, 0.5), {"loss": 1.0})])
    history = History(Study.stored("s", SPEC).plan.space)
    for trial in store.trials.find("s"):
        history.take(trial)
    assert list(history.known(None).losses) == [1.0]


def test_the_command_tells_what_was_imported(home: Home, store: Store, mongo_uri: str) -> None:
    """Also under another name, and what was left out."""
    small_study(store)
    file = written(home.work, as_json(store, "s"))

    def imported(*arguments: str) -> tuple[int, str]:
        ran = home.call("study", "import", str(file), *arguments, HYPERHIVE_MONGO=mongo_uri)
        return ran.returncode, ran.stdout + ran.stderr

    left = "2 left out, as they had not ended\n"
    said = f"study t: trials: 3 imported, 0 there already, {left}"
    assert imported("--name", "t") == (0, said)
    said = f"study t: trials: 0 imported, 3 there already, {left}"
    assert imported("--name", "t") == (0, said)
    said = f"study s: trials: 0 imported, 3 there already, {left}"
    assert imported() == (0, said)
    code, said = imported("--name", "t/u")
    assert (code, bool(re.match("error: a study's name must be", said))) == (2, True)
