"""A study of another objective than LeNet-5, from its plan to its end, on a real store."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import numpy as np
import pytest
import safetensors.numpy
import torch
from support.live import fleet_of, study_of
from support.printed import plain
from support.stripes import stripes
from support.thread_workers import Act, working

from hyperhive.common.errors import DatasetError
from hyperhive.coordinator import stored_model
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.ranking import why_nothing
from hyperhive.coordinator.spaces.named import CLASSIC
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.stored_model import BestOptions
from hyperhive.coordinator.study_run import StudyFailed, StudyRun, open_study
from hyperhive.coordinator.views.status import report
from hyperhive.coordinator.views.study_state import Snapshot
from hyperhive.coordinator.views.summary import Result, summary
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.model.model_files import OTHER_WEIGHTS_FILE, WEIGHTS_FILE
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.store.errors import NotFound
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import BASELINE, REFIT, SEARCH, ErrorKind
from hyperhive.store.trials.trial import Trial

HIDDEN = {"distribution": "quniform", "low": 16, "high": 128, "step": 16}
LOSSES = {16: 0.31, 32: 0.2, 48: 0.11, 64: 0.047, 80: 0.09, 96: 0.1, 112: 0.13, 128: 0.4}
OTHER_NETWORK = pack_weights(torch.nn.Linear(2, 2))
DATA = stripes()


def plan(**changed: Any) -> Plan:
    fields: dict[str, Any] = {
        "name": "s",
        "data": DatasetRequest("folder"),
        "trials": 12,
        "algorithm": "random",
        "objective": "mine",
        "space": parse({"hidden": HIDDEN}),
    }
    return Plan(**{**fields, **changed})


def delivers(weights: bytes | None = None, **result: Any) -> Callable[[Store, Trial], None]:
    """Return what a worker of the objective does: its loss is known, its result may have more."""

    def act(store: Store, trial: Trial) -> None:
        artifact = None if weights is None else store.blobs.put(weights, "w").as_document()
        found = {"status": "ok", "loss": LOSSES[trial.config["hidden"]], **result}
        store.queue.finish(trial.id, str(trial.token), found, artifact)

    return act


def run(
    store: Store,
    uri: str,
    folder: Path,
    act: Act,
    refit: bool = True,
    watch: Callable[[Snapshot], None] = lambda snapshot: None,
    **changed: Any,
) -> Result:
    study = open_study(store, plan(**changed), DATA)
    with working(uri, act, objective="mine"):
        return StudyRun(store, study, DATA, folder, refit, watch, threading.Event()).run()


def best(store: Store, uri: str, name: str | None = "s", export: Path | None = None) -> str:
    """Return what ``hyperhive best`` says."""

    @contextlib.contextmanager
    def connect() -> Iterator[str]:
        yield uri

    options = BestOptions(name, None, export)
    return "".join(plain(text) for text in stored_model.run(options, connect))


def page(store: Store) -> Mapping[str, Any]:
    """Return what the dashboard's page gets, which is JSON."""
    return {**fleet_of(store), "study": study_of(store, fleet_of(store)["newest"])}


# -- without weights ---------------------------------------------------------------------------


@pytest.mark.parametrize("refit", [True, False])
def test_a_study_without_weights_ends_with_its_best_trial(
    store: Store, mongo_uri: str, tmp_path: Path, refit: bool
) -> None:
    """The best trial, its loss and its values are the result; no model, and nothing beside it."""
    result = run(store, mongo_uri, tmp_path / "s", delivers(), refit=refit)
    assert f"best     trial {result.winner.tid}: loss 0.047 (hidden 64)\n" in plain(summary(result))
    assert "none for predict-cam: objective mine delivers no weights" in plain(summary(result))
    assert (result.card, result.folder, result.picture) == (None, None, None)
    assert list(tmp_path.iterdir()) == []
    assert {trial.purpose for trial in store.trials.find("s")} == {SEARCH}
    (config,) = {tuple(sorted(trial.config)) for trial in store.trials.find("s")}
    assert config == ("dataset", "hidden", "seed", "split_seed", "validation_fraction")


def test_a_study_without_weights_is_shown_everywhere(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """Losses stand where accuracies do: while it runs, and in status, dashboard and best."""
    seen: list[str] = []

    def watch(snapshot: Snapshot) -> None:
        if snapshot.study.best is not None and not seen:
            seen.append(best(store, mongo_uri))

    result = run(store, mongo_uri, tmp_path / "s", delivers(), watch=watch)
    assert "the best so far: the study has not ended" in seen[0]
    status = plain(report(store, None))
    assert "loss 0.047" in status
    assert f"best trial {result.winner.tid}: hidden 64" in status
    study = page(store)["study"]
    assert (study["state"], study["progress"]["baselines"]) == ("ended", [])
    assert "loss 0.047" in study["sentence"][0]
    assert "hyperparameters: hidden 64" in study["sentence"]
    for name in ("s", None):
        said = best(store, mongo_uri, name)
        assert "state    ended, 12 trials\n" in said
        assert f"best     trial {result.winner.tid}: loss 0.047 (hidden 64)" in said
        assert "none for predict-cam: objective mine delivers no weights" in said
        assert not {"batch", "schedule", "accuracy", "so far", "unknown"} & set(said.split())
    with pytest.raises(NotFound, match="ended without a model for predict-cam: `hyperhive best s`"):
        best(store, mongo_uri, "s", tmp_path / "model.onnx")


def test_a_study_without_weights_has_ended_when_it_is_started_again(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """It says the same again and posts nothing; with a larger budget it goes on."""
    first = run(store, mongo_uri, tmp_path / "s", delivers())
    before = store.trials.find("s")
    again = run(store, mongo_uri, tmp_path / "s", delivers())
    assert again == dataclasses.replace(first, again=True)
    assert "nothing was run again" in plain(summary(again))
    assert store.trials.find("s") == before
    larger = run(store, mongo_uri, tmp_path / "s", delivers(), trials=14)
    assert larger.winner.loss == 0.047
    assert len(store.trials.find("s")) == 14


def test_an_accuracy_is_shown_where_there_is_one(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """An objective that reports a validation accuracy, and no weights, is shown by it."""
    result = run(store, mongo_uri, tmp_path / "s", delivers(validation_accuracy=0.93))
    assert f"trial {result.winner.tid}: 93.0 % (hidden " in plain(summary(result))


def test_a_failed_study_gives_no_advice_that_does_not_fit(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """No learning rate is to be lowered where there is none, and nothing diverged that did not."""
    with pytest.raises(StudyFailed) as failed:
        run(store, mongo_uri, tmp_path / "s", delivers(loss=float("nan")), trials=2)
    no_loss = "study s has no result: no loss among 2 results is a finite number; its 2 trials are "
    assert str(failed.value).startswith(no_loss)
    assert "learning rate" not in str(failed.value)
    trials = [dataclasses.replace(t, result={"diverged": True}) for t in store.trials.find("s")]
    assert why_nothing(trials) == "2 of 2 diverged"


# -- with weights ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ({}, "the results of objective mine lack validation_accuracy (0 to 1) or trained_on"),
        (
            {"validation_accuracy": 0.9, "trained_on": {}},
            "no lenet5 for these images: the weights ",
        ),
        ({"validation_accuracy": 93, "trained_on": {}}, "the results of objective mine lack"),
    ],
)
def test_weights_of_another_network_are_kept(
    store: Store, mongo_uri: str, tmp_path: Path, result: dict[str, Any], why: str
) -> None:
    """The winner's weights lie in the study's folder as they are; nobody is blamed for them.

    They are never published as a model, neither while the study runs nor afterwards.
    """
    act = delivers(OTHER_NETWORK, **result)
    models: list[Any] = []

    def watch(snapshot: Snapshot) -> None:
        models.append(store.study("s").model)

    ended = run(store, mongo_uri, tmp_path / "s", act, watch=watch)
    path = tmp_path / "s" / OTHER_WEIGHTS_FILE
    assert ended.weights == path
    assert path.read_bytes() == OTHER_NETWORK
    assert set(safetensors.numpy.load_file(path)) == {"weight", "bias"}
    assert [each.name for each in path.parent.iterdir()] == [OTHER_WEIGHTS_FILE]
    assert str(path) in plain(summary(ended))
    assert why in plain(summary(ended))
    assert why in best(store, mongo_uri)
    assert f"weights  {OTHER_WEIGHTS_FILE} in the study's folder" in best(store, mongo_uri)
    assert set(models) == {None}
    assert store.study("s").model is None
    path.unlink()
    assert run(store, mongo_uri, tmp_path / "s", act).weights == path
    assert path.read_bytes() == OTHER_NETWORK


@pytest.mark.long
def test_weights_of_a_lenet5_become_a_model(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """Of any objective whose results say what a card needs: tested, calibrated and drawn.

    Its values are those of its own space, and no baseline stands beside it.
    """
    torch.manual_seed(0)
    packed = pack_weights(LeNet5(1, 2))
    act = delivers(packed, validation_accuracy=0.9, trained_on={"device": "cpu"})
    result = run(store, mongo_uri, tmp_path / "s", act)
    assert result.card is not None
    assert result.card.calibration is not None
    assert result.card.test_accuracy is not None
    assert (tmp_path / "s" / WEIGHTS_FILE).read_bytes() == packed
    said = plain(summary(result))
    assert "hidden " in said
    assert not {"untuned", "usual", "(refitted"} & set(said.split())
    assert store.trials.find("s", BASELINE) == []
    assert "hidden " in best(store, mongo_uri)
    assert "batch size" not in best(store, mongo_uri)


# -- the refit ---------------------------------------------------------------------------------


def test_a_winner_is_refitted_as_its_objective_says(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """The result says what changes in the configuration; those weights are the study's."""

    def act(store: Store, trial: Trial) -> None:
        weights = OTHER_NETWORK if trial.purpose == REFIT else b"of a search trial"
        delivers(weights, refit={"everything": True})(store, trial)

    run(store, mongo_uri, tmp_path / "s", act)
    (refit,) = store.trials.find("s", REFIT)
    (winner,) = store.trials.find("s", SEARCH, [refit.tid])
    assert refit.config == {**winner.config, "everything": True}
    assert (tmp_path / "s" / OTHER_WEIGHTS_FILE).read_bytes() == OTHER_NETWORK


def test_a_refit_that_loses_the_weights_is_told(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """The way out is right: with --no-refit the study ends with the trial's own weights."""

    def act(store: Store, trial: Trial) -> None:
        weights = None if trial.purpose == REFIT else OTHER_NETWORK
        delivers(weights, refit={"everything": True})(store, trial)

    with pytest.raises(StudyFailed, match=r"gave no weights \(it delivered none\): start again"):
        run(store, mongo_uri, tmp_path / "s", act)
    assert run(store, mongo_uri, tmp_path / "s", act, refit=False).weights is not None


def test_a_refit_that_fails_without_weights_ends_nothing(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """There is nothing that the refit could have given: the best trial is the result."""

    def act(store: Store, trial: Trial) -> None:
        if trial.purpose == REFIT:
            store.queue.fail(trial, ErrorKind.BAD_PAYLOAD, "no")
        else:
            delivers(refit={"everything": True})(store, trial)

    assert run(store, mongo_uri, tmp_path / "s", act).winner.loss == 0.047


def test_a_result_of_an_earlier_lenet5_is_refitted(store: Store) -> None:
    """Its worker did not say how; a result that says nonsense has no refit."""
    study = open_study(store, plan(objective="lenet5", space=CLASSIC), DATA)
    values = {"learning_rate": 0.02, "epochs": 3.0, "momentum": 0.5}
    store.queue.post(study.draft(SEARCH, 0, study.config(values), values))
    (trial,) = store.trials.find("s")
    for result in ({}, {"refit": {"train_on_all": True}}):
        draft = study.refit(dataclasses.replace(trial, result=result))
        assert draft is not None
        assert draft.config == {**trial.config, "train_on_all": True}
        assert (draft.purpose, draft.tid, draft.cost) == (REFIT, 0, 3)
    assert study.refit(dataclasses.replace(trial, result={"refit": 3})) is None


# -- before a study is posted ------------------------------------------------------------------


def test_a_refused_study_takes_no_name(store: Store) -> None:
    """What the coordinator can know of the data is told before the study is in the store."""
    labels = np.zeros_like(DATA.train_labels)
    labels[0] = 1
    few = dataclasses.replace(DATA, train_labels=labels)
    for objective, space in (("lenet5", CLASSIC), ("mine", plan().space)):
        with pytest.raises(DatasetError, match="class level has 1 training image"):
            open_study(store, plan(objective=objective, space=space), few)
    assert store.studies.all() == []
    assert store.client.hyperhive.fs.files.count_documents({}) == 0
