"""A study's teacher: trained once before the search, and what LeNet-5 learns from its answers."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import safetensors.numpy
from support.printed import plain
from support.stripes import stripes
from support.thread_workers import Act, working

from hyperhive.common.errors import ConfigError, UsageError
from hyperhive.common.wording import percent
from hyperhive.coordinator.api.enqueueing import enqueue
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.search import Interrupted
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.study_run import StudyFailed, StudyRun, open_study
from hyperhive.coordinator.views.status import report
from hyperhive.coordinator.views.study_state import Snapshot
from hyperhive.coordinator.views.summary import Result, summary
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.model.teacher import pack_answers, unpack_answers
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import CorruptBlob, NotFound
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import BASELINE, REFIT, SEARCH, TEACHER, ErrorKind
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.objectives.api import Context
from hyperhive.worker.objectives.lenet5 import LeNet5Objective

DATA = stripes(40)
SPACE: dict[str, Any] = {
    "learning_rate": {"distribution": "uniform", "low": 0.01, "high": 0.1},
    "epochs": 1,
    "momentum": 0.9,
}
CONFIG = {**SPACE, "learning_rate": 0.05}


@pytest.fixture(autouse=True)
def _no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "hyperhive.coordinator.views.picture.draw", lambda file, *_: file.touch() or file
    )


def plan(**changed: Any) -> Plan:
    given = {"name": "s", "data": DatasetRequest("folder"), "trials": 2, "space": parse(SPACE)}
    return Plan(**{**given, "teacher": True, **changed})


def training() -> Act:
    """Return what a worker does with a trial, with the objective of every worker."""
    objective = LeNet5Objective()

    def act(store: Store, trial: Trial) -> None:
        context = Context("cpu", lambda _: DATA, lambda *_: None, lambda: False, trial, store)
        outcome = objective(trial.config, context)
        artifact = store.blobs.put(outcome.weights or b"", "w").as_document()
        store.queue.finish(trial.id, str(trial.token), outcome.result, artifact)

    return act


def run(
    store: Store,
    uri: str,
    folder: Path,
    act: Act,
    watch: Callable[[Snapshot], None] = lambda _: None,
) -> Result:
    study = open_study(store, plan(), DATA)
    with working(uri, act):
        return StudyRun(store, study, DATA, folder, True, watch, threading.Event()).run()


def finished(store: Store, packed: bytes) -> Trial:
    """Return a study's teacher whose worker delivered these bytes."""
    draft = Study.of(plan(), DATA).teacher(may_mirror=True)
    assert draft is not None
    store.queue.post(draft)
    held = store.queue.claim("w", "t", ["lenet5"])
    assert held is not None
    artifact = store.blobs.put(packed, "w").as_document()
    store.queue.finish(held.id, "t", {"status": "ok", "loss": 0.1}, artifact)
    return store.trials.find("s", TEACHER)[0]


@pytest.mark.long
def test_every_trial_of_the_search_learns_from_one_teacher(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """It is trained first, counts as no trial, and its answers stay until the study is deleted."""
    seen: list[Snapshot] = []
    result = run(store, mongo_uri, tmp_path, training(), seen.append)
    (teacher,) = store.trials.find("s", TEACHER)
    assert teacher.artifact is not None
    answers = unpack_answers(store.answers("s", teacher.artifact["sha256"]))
    assert answers.shape == (40, 2)
    assert (answers.argmax(1) == DATA.train_labels).mean() > 0.9
    learners = [*store.trials.find("s", SEARCH), *store.trials.find("s", REFIT)]
    assert {trial.config["teacher"] for trial in learners} == {teacher.artifact["sha256"]}
    assert len(learners) == 3
    assert not any("teacher" in trial.config for trial in store.trials.find("s", BASELINE))
    first = [each for each in seen if each.phase == "training the teacher"]
    assert first
    assert not any(each.study.searched for each in first)
    assert result.teacher is not None
    said = f"parameters, {percent(result.teacher.accuracy)} of validation images"
    again = run(store, mongo_uri, tmp_path, training())
    for shown in (summary(result), summary(again)):
        assert said in plain(shown)
    assert said in plain(report(store, "s"))
    # To the last parameter, the student is a LeNet-5.
    packed = store.blobs.get(BlobRef.from_document(store.trials.find("s", REFIT)[0].artifact or {}))
    sizes = [each.size for each in safetensors.numpy.load(packed).values()]
    assert sum(sizes) == 61_706 - 8 * 85
    assert store.collect_orphans(older_than=0) == 0
    store.answers("s", teacher.artifact["sha256"])
    store.delete_study("s")
    with pytest.raises(NotFound):
        store.blobs.get(BlobRef.from_document(teacher.artifact))


def test_a_teacher_without_answers_ends_the_study(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """As with a worker of an earlier version, which does not know what it is to train."""

    def refuse(store: Store, trial: Trial) -> None:
        store.queue.fail(trial, ErrorKind.BAD_PAYLOAD, "unknown keys in a training configuration")

    with pytest.raises(StudyFailed, match=r"teacher of study s gave no answers .*unknown keys"):
        run(store, mongo_uri, tmp_path, refuse)
    assert store.trials.find("s", SEARCH) == []


def test_answers_that_are_not_those_of_the_hash_are_refused(store: Store) -> None:
    """Each is one sentence: another hash, bytes that were changed, and what are no answers."""
    right = pack_answers(np.zeros((40, 2), np.float32))
    teacher = finished(store, right)
    assert teacher.artifact is not None
    sha256 = teacher.artifact["sha256"]
    assert store.answers("s", sha256) == right
    with pytest.raises(NotFound, match=r"answers ffffffffffff... are not in study s"):
        store.answers("s", "f" * 64)
    chunks = store.database["fs.chunks"]
    chunks.update_one({"files_id": teacher.artifact["file_id"]}, {"$set": {"data": b"x" * 400}})
    with pytest.raises(CorruptBlob):
        store.answers("s", sha256)
    for wrong in (b"x", safetensors.numpy.save({"logits": np.zeros(3, np.int64)})):
        with pytest.raises(ConfigError, match="teacher's answers"):
            unpack_answers(wrong)


def test_a_configuration_waits_until_the_teacher_is_trained(store: Store) -> None:
    """Whoever posts one beside the coordinator would post it without the answers."""
    open_study(store, plan(space=parse({**SPACE, "teacher_weight": 0.25})), DATA)
    with pytest.raises(UsageError, match="which has not been trained yet"):
        enqueue(store, "s", CONFIG)
    teacher = finished(store, pack_answers(np.zeros((40, 2), np.float32)))
    enqueue(store, "s", CONFIG)
    (trial,) = store.trials.find("s", SEARCH)
    assert trial.config["teacher"] == (teacher.artifact or {})["sha256"]
    assert trial.config["teacher_weight"] == 0.25


def test_a_teacher_is_mirrored_only_where_its_images_may_be(store: Store, tmp_path: Path) -> None:
    """Of a study that is read from the store too, as ``hyperhive study finish`` reads it."""
    signs = dataclasses.replace(DATA, may_mirror=False)
    study = Study.stored("s", open_study(store, plan(), signs).spec())
    stop = threading.Event()
    with pytest.raises(Interrupted):
        StudyRun(store, study, signs, tmp_path, True, lambda _: stop.set(), stop).run()
    (teacher,) = store.trials.find("s", TEACHER)
    assert "mirror" not in teacher.config
    assert "views" not in teacher.config


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"folds": 5}, "a teacher does not go with folds"),
        ({"space": parse({**SPACE, "teacher": "x"})}, "search space, teacher: "),
        ({"teacher": False, "space": parse({**SPACE, "teacher_weight": 0.5})}, "need a teacher"),
        ({"objective": "mine", "data": None}, "a teacher is for objective lenet5"),
        ({"teacher": ""}, "teacher must be true, false or the name of a network"),
    ],
)
def test_a_plan_that_no_teacher_goes_with_is_refused(changed: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        plan(**changed)


def test_the_search_may_choose_how_much_is_learned() -> None:
    """A space may have the weight and the temperature; the teacher's network may be another."""
    space = parse({**SPACE, "teacher_weight": 0.25, "teacher_temperature": 3})
    study = Study.of(plan(space=space, teacher="torchvision:resnet18"), DATA)
    teacher = study.teacher(may_mirror=True)
    assert teacher is not None
    assert teacher.config["network"] == "torchvision:resnet18"
    assert teacher.config["seed"] == study.plan.seed
