"""Repeats: the best of a search run again under other seeds, and the mean chooses."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import threading
from pathlib import Path
from typing import Any

import pytest
from support.live import fleet_of, study_of
from support.printed import plain
from support.stripes import stripes
from support.thread_workers import working

import hyperhive
from hyperhive.common.errors import UsageError
from hyperhive.coordinator import stored_model
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.results import exported
from hyperhive.coordinator.results.ended import add
from hyperhive.coordinator.results.export import as_json
from hyperhive.coordinator.results.repeated import (
    FINALISTS,
    Repeated,
    by_mean,
    in_full,
    repeat_lines,
)
from hyperhive.coordinator.results.table import rows
from hyperhive.coordinator.search import Interrupted, Search
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.study_run import StudyRun, open_study
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.coordinator.views.status import report as status_report
from hyperhive.coordinator.views.study_state import Snapshot
from hyperhive.coordinator.views.summary import Result, summary
from hyperhive.coordinator.views.wording import others, state
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.errors import StudyChanged
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Goal
from hyperhive.store.trials.terms import REPEAT, SEARCH, ErrorKind, Status, repeat_tid
from hyperhive.store.trials.trial import Trial

KNOWN = tuple({"x": x} for x in (0.1, 0.2, 0.3, 0.4, 0.5))
LUCKY = 0.1


def plan(**changed: Any) -> Plan:
    fields: dict[str, Any] = {
        "name": "s",
        "trials": 5,
        "known": KNOWN,
        "objective": "noisy",
        "space": parse({"x": {"distribution": "uniform", "low": 0, "high": 1}}),
    }
    return Plan(**{**fields, **changed})


def loss_of(trial: Trial) -> float:
    """Return x and some noise. The first trial is lucky: its other runs are the worst of all."""
    if trial.config["x"] == LUCKY:
        return 0.1 if trial.purpose == SEARCH else 0.9
    return float(trial.config["x"]) + trial.tid % 10 / 100 * (trial.purpose == REPEAT)


def deliver(store: Store, trial: Trial) -> None:
    store.queue.finish(trial.id, str(trial.token), {"status": "ok", "loss": loss_of(trial)})


def fail(store: Store, trial: Trial) -> None:
    """Deliver what the search finds; no repeat can be run."""
    if trial.purpose == SEARCH:
        deliver(store, trial)
    else:
        store.queue.fail(trial, ErrorKind.BAD_PAYLOAD, "out of reach")


def run(
    store: Store, uri: str, folder: Path, act: Any = deliver, watch: Any = None, **changed: Any
) -> Result:
    study = open_study(store, plan(**changed), None)
    stop = threading.Event()
    with working(uri, act, workers=2, objective="noisy"):
        return StudyRun(
            store, study, None, folder, True, watch or (lambda snapshot: None), stop
        ).run()


def repeats(store: Store) -> list[Trial]:
    return store.trials.find("s", REPEAT)


# -- the choice ------------------------------------------------------------------------------------


def ended(tid: int, loss: float | None, purpose: str = REPEAT, **result: Any) -> Trial:
    """Return a trial with this loss; None for one that failed."""
    state = Status.ERROR if loss is None else Status.DONE
    document = {"_id": tid, "tid": tid, "exp_key": f"s/{purpose}", "state": int(state)}
    return Trial.from_document({**document, "result": {"loss": loss, **result}})


FIRST, SECOND, THIRD = (ended(tid, 0.1 * tid, SEARCH) for tid in (1, 2, 3))


@pytest.mark.parametrize(
    ("losses", "order"),
    [
        ({1: [0.9, 0.9], 2: [0.3, 0.1], 3: [0.4, 0.4]}, [2, 3, 1]),  # not by what the search found
        ({1: [0.5, None], 2: [None, None], 3: [0.6, 0.2]}, [3, 1, 2]),
        ({1: [0.5, math.inf], 2: [0.9, 0.9], 3: [math.nan, 0.1]}, [2, 1, 3]),
        ({1: [0.25, 0.75], 2: [0.5, 0.5], 3: [0.5, None]}, [1, 2, 3]),
        ({1: [None, None], 2: [None, None], 3: [None, None]}, [1, 2, 3]),
    ],
    ids=["the mean", "failures", "diverged", "ties", "nothing"],
)
def test_the_mean_of_the_repeats_chooses(losses: dict[int, list[Any]], order: list[int]) -> None:
    """A failure is left out; what diverged counts; of equals, the better in the search."""
    given = [
        ended(repeat_tid(tid, number), loss)
        for tid, each in losses.items()
        for number, loss in enumerate(each, 1)
    ]
    chosen = by_mean([FIRST, SECOND, THIRD], given)
    assert [each.trial for each in chosen] == order
    for each in chosen:
        assert each.failed == losses[each.trial].count(None)
        assert Repeated.from_document(each.as_document()) == each


def test_what_they_gave_is_said_with_its_spread() -> None:
    """In the units of the study, with what the search had found, and with what is missing."""
    accuracies = {"searched": 0.758, "values": (0.739, 0.75, 0.756), "losses": (0.3, 0.3, 0.2)}
    one = Repeated(17, "validation_accuracy", failed=0, **accuracies)
    assert in_full(one) == (
        "validation accuracy 74.8 % ± 0.9 over 3 repeats (73.9 to 75.6 %); 75.8 % in the search"
    )
    other = Repeated(4, "loss", None, (0.25,), (0.25, math.inf), failed=1, diverged=1)
    said = "0.25 over 1 repeat, 1 repeat diverged, 1 repeat failed"
    assert repeat_lines([one, other])["others"] == f"trial 4: {said}"
    assert in_full(other) == f"loss {said}"
    exploded = Repeated(4, "loss", 1.0, (), (math.inf, math.inf), failed=0, diverged=2)
    assert in_full(exploded) == "2 repeats diverged; 1 in the search"
    assert Repeated(4, "loss", 1.0, (1e300, 3e300), (1e300, 3e300), 0).deviation == pytest.approx(
        2**0.5 * 1e300
    )
    assert repeat_lines([]) == {}


def test_a_function_that_is_chosen_by_its_loss_is_said_by_its_loss() -> None:
    """Only the loss of LeNet-5 is 1 - validation accuracy; and a missing value did not diverge."""
    one = ended(1, 0.2, SEARCH, validation_accuracy=0.9)
    again = [ended(1001, 0.3, validation_accuracy=0.95), ended(1002, 0.5)]
    assert in_full(Repeated.of(one, again)) == (
        "loss 0.4 ± 0.14 over 2 repeats (0.3 to 0.5); 0.2 in the search"
    )
    lenet5 = dataclasses.replace(one, objective="lenet5")
    assert in_full(Repeated.of(lenet5, again)) == (
        "validation accuracy 95.0 % over 1 repeat; 90.0 % in the search"
    )


def test_the_metric_of_the_study_is_what_is_said() -> None:
    """Its sign is the metric's, and not that of the loss that is made of it."""
    goal = Goal("accuracy", "maximize")
    first, again = (
        dataclasses.replace(ended(tid, -accuracy, purpose, accuracy=accuracy), goal=goal)
        for tid, accuracy, purpose in ((1, 0.9, SEARCH), (1001, 0.8, REPEAT))
    )
    assert in_full(Repeated.of(first, [again])) == "accuracy 0.8 over 1 repeat; 0.9 in the search"


# -- what is run -----------------------------------------------------------------------------------


def test_each_repeat_has_a_seed_of_its_own() -> None:
    """The same in every process, and another for each; the images stay split as they were."""
    data = DatasetRequest("folder")
    study = Study.of(Plan("s", data, repeats=3, seed=7), stripes())
    config = study.baselines()[0].config
    trials = [dataclasses.replace(FIRST, tid=tid, config=config) for tid in (0, 17)]
    drafts = [draft for trial in trials for draft in study.repeats(trial)]
    assert [draft.tid for draft in drafts] == [1, 2, 3, 17001, 17002, 17003]
    seeds = [draft.config["seed"] for draft in drafts]
    assert seeds[-1] == 1464820458
    assert len({7, *seeds}) == 7
    for draft in drafts:
        assert draft.seed == draft.config["seed"]
        assert draft.config == {**config, "seed": draft.seed}
    own = Study(plan(repeats=1, seed=7))
    assert own.repeats(FIRST)[0].config == FIRST.config  # a seed there would be searched
    assert own.repeats(FIRST)[0].seed not in (7, None)
    assert own.suggested(0, {"x": 0.5}).seed == 7
    last = dataclasses.replace(FIRST, purpose=REPEAT, tid=17002)
    assert last.title == "repeat 2 of trial 17"


def test_a_plan_without_repeats_is_stored_as_before() -> None:
    """And a specification of an earlier version reads as one without."""
    spec = Study(plan()).spec()
    assert "repeats" not in spec
    assert Study.stored("s", spec).plan.repeats == 0
    assert Study.stored("s", Study(plan(repeats=2)).spec()).plan.repeats == 2


@pytest.mark.parametrize("repeats", [-1, 1000, 1.5, True])
def test_a_number_of_repeats_that_no_study_can_have_is_refused(repeats: Any) -> None:
    """In one sentence, as all that a plan cannot have."""
    with pytest.raises(UsageError, match="repeats must be"):
        plan(repeats=repeats)


def test_a_study_that_programs_ask_has_no_repeats() -> None:
    """Nobody would run them; it is said before the study is made."""
    with pytest.raises(UsageError, match="repeats are for workers, and programs ask for"):
        plan(repeats=1, objective="ask-and-tell")


# -- a study ---------------------------------------------------------------------------------------


def test_a_lucky_trial_loses(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """The winner is the best on average. Every view knows it, and a second start runs nothing."""
    seen: list[Snapshot] = []
    result = run(store, mongo_uri, tmp_path, repeats=3, watch=seen.append)
    assert (result.winner.tid, result.winner.purpose) == (1, SEARCH)
    found = {trial.tid: trial.attempts for trial in repeats(store)}
    assert found == {repeat_tid(tid, k): 1 for tid in range(FINALISTS) for k in (1, 2, 3)}
    assert [each.trial for each in result.repeated] == [1, 2, 0]
    assert result.repeated[0].values == pytest.approx((0.21, 0.22, 0.23))
    said = "loss 0.22 ± 0.01 over 3 repeats (0.21 to 0.23); 0.2 in the search"
    runners_up = "trial 2: 0.32 ± 0.01 over 3 repeats; trial 0: 0.9 ± 0 over 3 repeats"
    lines = plain(summary(result), 200).splitlines()
    assert lines[0] == "best     trial 1: x 0.2"  # how good it is, its mean says
    assert lines[-2:] == [f"repeats  {said}", f"others   {runners_up}"]
    during = [each for each in seen if each.phase == "repeating the best 3"]
    assert during
    assert sum(each.is_final for each in during[-1].study.repeated) == 9  # the last is shown too
    for each in during[:-1]:
        assert (state(each.study), each.study.ended) == ("repeating the best", 5)
        assert " of 9 repeats done" in others(each.study)
    again = run(store, mongo_uri, tmp_path, repeats=3, act=fail)
    assert (again.again, again.winner, again.repeated) == (True, result.winner, result.repeated)
    with hyperhive.open_study("s", store=mongo_uri) as study:
        assert study.best is not None
        assert (study.best.number, study.repeats) == (1, list(result.repeated))
        assert len(study.trials) == 5
        assert said in repr(study)
        assert "best: trial 1, loss 0.2 in the search" in repr(study)
        assert repr(study.repeats[0]).startswith("Repeated(trial=1, mean=0.22, deviation=0.00999")
    described = stored_model.best_without_model(store, "s")
    assert described == result.winner
    assert said in plain(stored_model.describe_trial(store, "s", result.winner))
    shown = plain(status_report(store, "s"), 250)
    assert "5 of 5" in shown
    assert f"repeats: {said}" in shown
    assert "best trial 1: x 0.2" in shown
    fleet = FleetReader(store).read()
    page = study_of(store, fleet.studies[0].name)
    assert f"repeats: {said}" in page["sentence"]
    assert (page["best"], fleet_of(store)["studies"][0]["others"]) == (1, "")


def test_if_no_repeat_gives_a_result_the_best_of_the_search_wins(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """And the summary says so."""
    result = run(store, mongo_uri, tmp_path, repeats=1, act=fail)
    assert result.winner.tid == 0
    said = plain(summary(result))
    assert "repeats  none gave a result, so the best of the search won" in said
    assert "0 of 3 repeats done, 3 failed" in plain(status_report(store, "s"), 250)


def test_repeats_that_another_has_decided_decide(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """A lost worker's result that came since must not give two coordinators two winners."""
    study = open_study(store, plan(repeats=1), None)
    store.studies.decide_once("s", "finalists", [4, 3])
    other = [ended(4, 0.5, SEARCH), ended(3, 0.4, SEARCH)]
    decided = by_mean(other, [ended(4001, 0.3), ended(3001, 0.35)])
    store.studies.decide_once("s", "repeats", [each.as_document() for each in decided])
    result = run(store, mongo_uri, tmp_path, repeats=1)
    assert (result.winner.tid, result.repeated) == (4, tuple(decided))
    assert [trial.tid for trial in repeats(store)] == [3001, 4001]
    assert store.studies.decide_once("s", "finalists", [0]) == [4, 3]
    store.studies.extend("s", study.spec())
    assert store.studies.decide_once("s", "finalists", [0]) == [0]


def test_a_study_may_be_made_surer_but_not_less_sure(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """More repeats reopen it, and those that were run stay; a forgotten option changes nothing."""
    assert run(store, mongo_uri, tmp_path).winner.tid == 0
    assert run(store, mongo_uri, tmp_path, repeats=1).winner.tid == 1
    before = repeats(store)
    assert len(before) == 3
    with pytest.raises(StudyChanged, match=r"\(repeats was 1 and is 0\)"):
        open_study(store, plan(), None)
    with hyperhive.open_study("s", store=mongo_uri, repeats=2):
        assert store.study("s").result is None
    run(store, mongo_uri, tmp_path, repeats=2)
    assert [trial for trial in repeats(store) if trial.tid % 10 == 1] == before
    assert len(repeats(store)) == 6


def test_a_search_that_ends_early_has_its_repeats(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """A rule ends the search, and not the repeats."""
    last_is_lucky = {"known": (*KNOWN[1:], KNOWN[0]), "target": LUCKY}
    result = run(store, mongo_uri, tmp_path, repeats=2, trials=50, **last_is_lucky)
    assert result.finish_reason is not None
    assert result.winner.tid == 0
    assert {trial.status for trial in repeats(store)} == {Status.DONE}


def test_a_repeat_that_has_ended_is_not_read_at_each_look(
    store: Store, mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its history may be long. All are read once more at the end."""
    asked: list[list[int]] = []
    polls: list[int] = []
    is_enough = threading.Event()
    find = store.trials.find

    def spied(study: str, purpose: Any = None, tids: Any = None, **more: Any) -> list[Trial]:
        if purpose == REPEAT:
            asked.append(list(tids))
        return find(study, purpose, tids, **more)

    def act(store: Store, trial: Trial) -> None:
        if (trial.purpose, trial.tid) == (REPEAT, 2001):
            is_enough.wait(60)
        deliver(store, trial)

    def watch(snapshot: Snapshot) -> None:
        polls.extend([1] if sum(each.is_final for each in snapshot.study.repeated) == 2 else [])
        if len(polls) > 3:
            is_enough.set()

    monkeypatch.setattr(store.trials, "find", spied)
    run(store, mongo_uri, tmp_path, act=act, watch=watch, repeats=1)
    assert asked.count([2001]) >= 3
    assert asked[-2:] == [[2001], [1, 1001, 2001]]


def test_repeats_of_former_finalists_are_withdrawn(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """A study that searches on first searches: its old repeats neither run nor show."""
    stop = threading.Event()

    def only_search(store: Store, trial: Trial) -> None:
        if trial.purpose == SEARCH:
            deliver(store, trial)
        else:
            stop.wait(60)
            store.queue.give_back(trial)

    study = open_study(store, plan(repeats=1), None)
    with working(mongo_uri, only_search, objective="noisy"), pytest.raises(Interrupted):
        StudyRun(
            store,
            *(study, None, tmp_path, True),
            lambda snapshot: stop.set() if snapshot.study.repeated else None,
            stop,
        ).run()
    assert [trial.status for trial in repeats(store)] == [Status.NEW] * 3
    longer = plan(repeats=1, trials=6, known=(*KNOWN, {"x": 0.01}))
    shown: list[tuple[str, str]] = []

    def watch(snapshot: Snapshot) -> None:
        if not shown:  # before that, a worker could take one: nobody knows yet that it is obsolete
            workers.enter_context(working(mongo_uri, deliver, objective="noisy"))
        (seen,) = FleetReader(store).read().studies
        shown.append((snapshot.phase, state(seen)))

    study = open_study(store, longer, None)
    with contextlib.ExitStack() as workers:
        nobody = threading.Event()
        result = StudyRun(store, study, None, tmp_path, True, watch, nobody).run()
    assert result.winner.tid == 5
    assert {each for phase, each in shown if phase == "searching"} == {""}
    assert [trial.tid for trial in repeats(store)] == [1, 1001, 5001]


def test_weights_of_repeats_are_dropped(store: Store, mongo_uri: str) -> None:
    """The winner keeps its own; nobody needs those of a repeat."""

    def with_weights(store: Store, trial: Trial) -> None:
        weights = store.blobs.put(b"weights", "w").as_document()
        saved = {"name": "a", **store.blobs.put(b"saved", "a").as_document()}
        result = {"status": "ok", "loss": loss_of(trial)}
        store.queue.finish(trial.id, str(trial.token), result, weights, [saved])

    study = open_study(store, plan(repeats=1), None)
    search = Search(store, study, lambda snapshot: None, threading.Event())
    with working(mongo_uri, with_weights, objective="noisy"):
        trials = search.run()
        ended = search.repeats(trials[:1])
    assert ended[0].artifact is not None
    assert ended[0].artifacts
    (repeat,) = repeats(store)
    assert (repeat.status, repeat.artifact, repeat.artifacts) == (Status.DONE, None, ())
    assert len(list(store.database["fs.files"].find())) == 2 * len(trials)


def test_repeats_go_out_and_come_in_again(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """As rows of a purpose of their own; an imported study does not run them again."""
    run(store, mongo_uri, tmp_path, repeats=1)
    table = [(row["number"], row["purpose"]) for row in rows(store, "s")]
    assert table[-3:] == [(1, "repeat"), (1001, "repeat"), (2001, "repeat")]
    file = tmp_path / "s.json"
    file.write_bytes(as_json(store, "s"))
    assert len(json.loads(file.read_text())["trials"]) == 8
    before = {trial.tid: trial.result for trial in repeats(store)}
    seeds = {trial.tid: trial.seed for trial in repeats(store)}
    store.delete_study("s")
    read = exported.read(file)
    assert add(store, read.study, read.trials).new == 8
    assert {trial.tid: trial.result for trial in repeats(store)} == before
    assert {trial.tid: trial.seed for trial in repeats(store)} == seeds
    assert run(store, mongo_uri, tmp_path, repeats=1).winner.tid == 1
    assert {trial.tid: trial.imported for trial in repeats(store)} == dict.fromkeys(before, True)
