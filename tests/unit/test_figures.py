"""The figures of a study, made from a real store."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from hyperhive.coordinator.figures.artifacts import as_url
from hyperhive.coordinator.figures.study import figures
from hyperhive.coordinator.figures.study_file import study_file
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.planning.study_file import read_file
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study import Study
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.model.interval import wilson_interval
from hyperhive.store.notes import new_note_id
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import (
    BASELINE,
    HYPEROPT,
    REFIT,
    REPEAT,
    ErrorKind,
    repeat_tid,
)
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

SPACE = {
    "learning_rate": {"distribution": "loguniform", "low": 0.001, "high": 0.1},
    "epochs": {"distribution": "quniform", "low": 2, "high": 30, "step": 1},
    "momentum": {"distribution": "uniform", "low": 0, "high": 0.95},
    "activation": {"choices": ["relu", "tanh"]},
}
CARD = {"name": "digits", "classes": ["0", "1"], "channels": 1, "train": 1000, "test": 200}
MAC, NANO = "mac-1-abcdef", "nano-2-abcdef"


def opened(store: Store, name: str = "s", **plan: Any) -> Study:
    usual = {"data": DatasetRequest("digits"), "trials": 9, "space": parse(SPACE)}
    study = Study(Plan(name=name, **{**usual, **plan}), "a" * 64, CARD)
    store.studies.open(name, study.spec())
    return study


def vals(tid: int) -> dict[str, Any]:
    return {"learning_rate": 0.01 * (tid + 1), "epochs": 4, "momentum": 0.5, "activation": tid % 2}


def taken(store: Store, worker: str = MAC, lease: float = 60.0) -> Trial:
    trial = store.queue.claim(worker, new_token(), ["lenet5"], lease=lease, pace=99.0)
    assert trial is not None
    return trial


def epochs(*accuracies: float) -> list[dict[str, Any]]:
    return [
        {"number": number, "validation_accuracy": share, "seconds": 2.0}
        for number, share in enumerate(accuracies, 1)
    ]


def finished(store: Store, trial: Trial, *accuracies: float, **result: Any) -> None:
    found = {
        "loss": 1 - accuracies[-1],
        "validation_accuracy": accuracies[-1],
        "history": epochs(*accuracies),
        "seconds": 2.0 * len(accuracies),
        **result,
    }
    assert store.queue.finish(trial.id, str(trial.token), found)


def searched(store: Store, study: Study, *accuracies: float) -> None:
    for tid, accuracy in enumerate(accuracies):
        store.queue.post(study.suggested(tid, vals(tid)))
        finished(store, taken(store), 0.1, accuracy)


def shown(store: Store, name: str = "s") -> dict[str, Any]:
    """Return a study's figures as a browser gets them."""
    document = json.loads(json.dumps(figures(store, [name]), allow_nan=False))
    (study,) = document["studies"]
    return dict(study)


def test_the_table_has_what_the_store_has(store: Store) -> None:
    """Each trial's state, value, parameters, device and epochs, by columns."""
    study = opened(store)
    searched(store, study, 0.5, 0.7)
    for tid in range(2, 7):
        store.queue.post(study.suggested(tid, vals(tid)))
    finished(store, taken(store, NANO), 0.2, pruned=True, pruned_at=0.25)
    finished(store, taken(store, NANO), 0.1, loss=100.0, diverged=True, validation_accuracy=None)
    store.queue.fail(taken(store, NANO), ErrorKind.BAD_PAYLOAD, "<script>alert(1)")
    store.queue.heartbeat(taken(store, NANO), {"epoch": 1, "epochs": 4})
    store.notes.add("s", new_note_id(), "too slow", "anna", 1)
    found = shown(store)
    trials = found["trials"]
    assert [note["text"] for note in found["notes"]] == ["too slow"]
    assert (trials["note"][1], trials["note"][2]) == ("too slow", None)
    words = [found["statuses"][status] for status in trials["status"]]
    assert words == ["done", "done", "pruned", "diverged", "failed", "running", "waiting"]
    counts = {word: words.count(word) for word in words}
    assert found["counts"] == {"budget": 9, **counts, "done": 4}  # with the pruned and diverged
    assert "trials: 4 of 9 done (1 pruned), 1 running, 1 waiting, 1 failed" in str(
        found["sentence"]
    )
    assert trials["value"] == [0.5, 0.7, 0.2, None, None, None, None]
    assert trials["params"]["learning_rate"] == [0.01 * (tid + 1) for tid in range(7)]
    assert trials["params"]["activation"] == [0, 1, 0, 1, 0, 1, 0]
    assert [found["devices"][place]["name"] for place in trials["device"][1:3]] == ["mac", "nano"]
    assert trials["epochs"] == [2, 2, 1, 1, None, 1, None]
    assert trials["pruned_at"][2] == 0.25
    assert trials["note"][4] == "failed (<script>alert(1))"
    assert (found["best"], found["sentence"][0]) == (1, "best: trial 1, 70.0 %")
    assert found["metric"] == {
        "name": "validation accuracy", "unit": "share", "maximise": True, "log": False
    }  # fmt: skip


def test_parameters_have_the_bounds_of_their_space(store: Store) -> None:
    """A choice's options are categories; the values of a study are within its axes."""
    opened(store)
    rate, epochs, _, activation = shown(store)["parameters"]
    assert (rate["kind"], rate["log"], rate["low"], rate["high"]) == ("number", True, 0.001, 0.1)
    assert (epochs["kind"], epochs["log"], epochs["high"]) == ("integer", False, 30)
    assert (activation["kind"], activation["categories"]) == ("category", ["relu", "tanh"])


def test_the_best_so_far_has_the_band_of_its_images(store: Store) -> None:
    """It has a step for each trial that was better, and ends with the last trial."""
    study = opened(store, target="validation_accuracy >= 0.9")
    searched(store, study, 0.5, 0.4, 0.7, 0.6)
    store.queue.post(study.baselines()[0])
    finished(store, taken(store), 0.3)
    progress = shown(store)["progress"]
    assert (progress["tid"], progress["best"]) == ([0, 2, 3], [0.5, 0.7, 0.7])
    low, high = wilson_interval(0.7, 200)
    assert (progress["low"][1], progress["high"][1]) == pytest.approx((low, high), rel=1e-5)
    assert "200 validation images" in progress["noise"]
    assert progress["baselines"] == [{"name": "untuned", "value": 0.3}]
    assert progress["target"] == 0.9


def test_repeats_make_the_band(store: Store) -> None:
    """What luck in training makes of one run is measured, not derived."""
    study = opened(store, repeats=2)
    searched(store, study, 0.7)
    repeats = {"trial": 0, "metric": "validation_accuracy", "searched": 0.7, "failed": 0}
    repeats.update(values=[0.66, 0.70], losses=[0.34, 0.30], diverged=0)
    store.studies.conclude("s", {"winner": 0, "card": None, "repeats": [repeats]})
    progress = shown(store)["progress"]
    assert progress["low"] + progress["high"] == pytest.approx([0.7 - 0.0282843, 0.7282843])
    assert "2 repeats of trial 0" in progress["noise"]


def test_the_timeline_has_every_attempt(store: Store) -> None:
    """Also a lost one and a second copy, each with its device; what runs has no end."""
    study = opened(store)
    for tid in range(2):
        store.queue.post(study.suggested(tid, vals(tid)))
    taken(store, NANO, lease=0.0)
    finished(store, taken(store, MAC), 0.5)
    taken(store, MAC)
    store.queue.copy(NANO, new_token(), ["lenet5"], "s", 0.0)
    found = shown(store)
    names, kinds = [each["name"] for each in found["devices"]], found["timeline"]["kinds"]
    spans = [
        (names[device], tid, kinds[kind], end is None)
        for device, _, end, tid, kind in found["timeline"]["spans"]
    ]
    assert sorted(spans) == [
        ("mac", 0, "run", False), ("mac", 1, "run", True),
        ("nano", 0, "lost", False), ("nano", 1, "copy", True),
    ]  # fmt: skip
    assert [each["failures"] for each in found["devices"]] == [1, 0]
    assert found["devices"][1]["images_per_second"] == 400  # 800 to train on, 2 s an epoch


def test_what_is_beside_the_search_is_on_the_timeline_alone(store: Store) -> None:
    """Baselines, repeats and refits take a device's time, and are no rows of the table."""
    study = opened(store)
    searched(store, study, 0.5)
    for purpose, tid in ((BASELINE, 0), (REPEAT, repeat_tid(0, 1)), (REFIT, 0)):
        store.queue.post(Draft("s", tid, {}, {}, "lenet5", purpose))
        finished(store, taken(store), 0.6)
    found = shown(store)
    kinds = found["timeline"]["kinds"]
    spans = {(kinds[span[4]], span[3]) for span in found["timeline"]["spans"]}
    assert spans == {("run", 0), ("baseline", None), ("repeat", 0), ("refit", 0)}
    assert found["trials"]["tid"] == [0]


def test_curves_are_of_the_best_the_pruned_and_what_runs(store: Store) -> None:
    """Each has the points of its history; the best is marked."""
    study = opened(store)
    searched(store, study, 0.5, 0.7)
    for tid in (2, 3):
        store.queue.post(study.suggested(tid, vals(tid)))
    finished(store, taken(store), 0.2, pruned=True)
    store.queue.heartbeat(taken(store), {"epoch": 1, "epochs": 4, "validation_accuracy": 0.3})
    curves = shown(store)["curves"]
    assert (curves["step"], curves["metric"]) == ("epoch", "validation accuracy")
    assert [(each["tid"], each["best"], each["points"]) for each in curves["of"]] == [
        (1, True, [[1, 0.1], [2, 0.7]]),
        (0, False, [[1, 0.1], [2, 0.5]]),
        (2, False, [[1, 0.2]]),
        (3, False, [[1, 0.3]]),
    ]


def test_an_experiment_of_hyperopts_has_figures(store: Store) -> None:
    """It has no plan: its metric is the loss, and its parameters are what its jobs have."""
    for tid in range(3):
        store.queue.post(Draft("fmin", tid, {}, {"x": 10.0 ** (2 * tid), "c": 1}, HYPEROPT))
        trial = store.queue.claim(MAC, new_token(), [HYPEROPT])
        assert trial is not None
        store.queue.finish(trial.id, str(trial.token), {"status": "ok", "loss": float(tid)})
    found = shown(store, "fmin")
    assert (found["state"], found["best"], found["counts"]["budget"]) == ("fmin", 0, None)
    assert found["metric"]["name"] == "loss"
    assert not found["metric"]["maximise"]
    assert [(each["name"], each["log"]) for each in found["parameters"]] == [
        ("x", True), ("c", False),
    ]  # fmt: skip
    assert found["trials"]["value"] == [0, 1, 2]
    assert (found["study_file"], found["command"]) == (None, None)


def test_a_metric_to_maximise_is_shown_as_it_was_reported(store: Store) -> None:
    """A worker stores it negated, as a loss."""
    plan = {"objective": "train.py:train", "metric": "f1", "direction": "maximize", "data": None}
    study = Study(Plan(name="s", space=parse(SPACE), **plan))
    store.studies.open("s", study.spec())
    store.queue.post(study.suggested(0, vals(0)))
    trial = store.queue.claim(MAC, new_token(), ["train.py:train"])
    assert trial is not None
    result = {"status": "ok", "loss": -0.8, "f1": 0.8, "history": [{"step": 5, "f1": 0.8}]}
    store.queue.finish(trial.id, str(trial.token), result)
    found = shown(store)
    assert (found["metric"]["name"], found["trials"]["value"]) == ("f1", [0.8])
    assert (found["curves"]["step"], found["curves"]["of"][0]["points"]) == ("step", [[5, 0.8]])
    assert found["progress"]["noise"] is None


def test_the_study_file_makes_the_same_plan(tmp_path: Path) -> None:
    """Space, settings and what it tries first; images by their hash, which the store has."""
    space = {
        **SPACE,
        "odd key": {"choices": [{"kind": "a\n\x7f\u7a7a"}, {"kind": "sgd", "nesterov": True}]},
    }
    known: dict[str, Any] = {"learning_rate": 0.01, "epochs": 3, "momentum": 0.5}
    known["activation"] = "tanh"
    known["odd key"] = {"kind": "sgd", "nesterov": True}
    plan = Plan(
        name="s", objective="f.py:f", space=parse(space), trials=7, target="loss <= 0.1",
        known=(known,), seed=3,
    )  # fmt: skip
    text = study_file(Study(plan))
    assert text is not None
    file = tmp_path / "again.toml"
    file.write_text(text, encoding="utf-8")
    assert Plan(**{**read_file(file), "name": "s"}) == plan
    images = Study(Plan(name="i", data=DatasetRequest("digits")), "a" * 64, CARD)
    assert f'name = "sha256:{"a" * 64}"' in str(study_file(images))


def test_only_pictures_become_data_urls() -> None:
    """What a worker called chart.png may be anything: its first bytes decide."""
    assert str(as_url(b"\x89PNG\r\n\x1a\n....")).startswith("data:image/png;base64,")
    assert as_url(b"<svg onload=alert(1)>") is None
    assert as_url(b"RIFF....WAVE") is None


def test_times_are_from_the_studys_start(store: Store) -> None:
    """Seconds by the server's clock; a study that has ended lasts to its last trial's end."""
    study = opened(store)
    searched(store, study, 0.5, 0.6)
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    for tid in range(2):
        begin = start + timedelta(seconds=100 * tid)
        times = {"book_time": begin, "issued.0.at": begin}
        times["refresh_time"] = begin + timedelta(seconds=40)
        store.database["jobs"].update_one({"tid": tid}, {"$set": times})
    store.studies.cancel("s")
    found = shown(store)
    assert (found["started"], found["seconds"]) == ("2026-01-01T00:00:00.000Z", 140)
    assert (found["trials"]["started"], found["trials"]["seconds"]) == ([0, 100], [40, 40])
