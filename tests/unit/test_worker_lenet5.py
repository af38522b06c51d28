"""The objective lenet5: what it reports and returns, and how it ends early."""

from __future__ import annotations

import dataclasses
from typing import Any, Mapping

import numpy as np
import pytest
import safetensors.numpy
import torch

from hyperhive.common.errors import ConfigError, DeviceError
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.training import Trained, TrainingData, train
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import LENET5
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_document
from hyperhive.worker.objectives.api import Context, Stopped
from hyperhive.worker.objectives.lenet5 import WORST_LOSS, LeNet5Objective


def dark_and_light() -> Dataset:
    """Return two classes that a network separates after a few steps."""
    labels = np.arange(60, dtype=np.int64) % 2
    noise = np.random.RandomState(0).randint(0, 60, (60, 28, 28, 1))
    images = (noise + 120 * labels[:, None, None, None]).astype(np.uint8)
    return Dataset("tiny", ("dark", "light"), images, labels, images, labels)


DATASET = dark_and_light()


class Bench:
    """A context that records what an objective does with it."""

    def __init__(self, stop_after: float = float("inf"), prunes: bool = False) -> None:
        self.reports: list[tuple[Mapping[str, Any], float]] = []
        self.asked: list[str] = []
        self.context = Context(
            "cpu",
            lambda name: self.asked.append(name) or DATASET,  # type: ignore[func-returns-value]
            lambda progress, seconds: self.reports.append((progress, seconds)),
            lambda: len(self.reports) >= stop_after,
            Trial.from_document({"_id": 0, **new_document(Draft("s", 0, {}, {}, LENET5))}),
            None,  # type: ignore[arg-type]  # LeNet-5 alone uses neither the store
            None,  # type: ignore[arg-type]  # nor saved files
            lambda: prunes,
        )


def config(**changed: Any) -> dict[str, Any]:
    base = TrainConfig(DATASET.content_hash, 0.05, 3, 0.9, batch_size=16).to_json()
    return {**base, **changed}


def test_a_result_has_what_the_coordinator_needs() -> None:
    """The loss is the share of misclassified validation images; weights and history are there."""
    bench = Bench()
    outcome = LeNet5Objective()(config(), bench.context)
    result = outcome.result
    assert result["status"] == "ok"
    assert result["diverged"] is False
    assert result["loss"] == pytest.approx(1 - result["validation_accuracy"])
    assert [epoch["number"] for epoch in result["history"]] == [1, 2, 3]
    assert result["history"][-1]["validation_accuracy"] == result["validation_accuracy"]
    assert result["seconds"] == pytest.approx(sum(each["seconds"] for each in result["history"]))
    assert set(result["trained_on"]) == {"device", "python", "torch"}
    assert result["refit"] == {"train_on_all": True}
    assert outcome.weights is not None
    assert safetensors.numpy.load(outcome.weights)["classifier.5.weight"].shape == (2, 84)


def test_a_network_that_is_not_installed_is_for_another_worker() -> None:
    """This device says what to install, and no attempt of the trial is used up."""
    bench = Bench()
    with pytest.raises(DeviceError, match=r"network 'elsewhere' is not known here: .* install"):
        LeNet5Objective()(config(network="elsewhere"), bench.context)
    assert bench.asked == []


def test_each_epoch_is_reported_with_the_time_that_is_left() -> None:
    """Progress has epoch, epochs and what is done; the seconds left decrease to 0."""
    bench = Bench()
    LeNet5Objective()(config(), bench.context)
    assert bench.reports.pop(0) == ({"done": 0}, 0.0)
    assert [report["epoch"] for report, _ in bench.reports] == [1, 2, 3]
    assert {report["epochs"] for report, _ in bench.reports} == {3}
    assert [report["done"] for report, _ in bench.reports] == [1, 2, 3]
    left = [seconds for _, seconds in bench.reports]
    assert left[0] > 0
    assert left[-1] == 0


def test_the_same_configuration_gives_the_same_weights() -> None:
    """A trial that runs again in another process of this device has the same weights."""
    first, second = (LeNet5Objective()(config(), Bench().context).weights for _ in range(2))
    assert first == second
    assert LeNet5Objective()(config(seed=1), Bench().context).weights != first


def test_a_diverged_training_is_a_result_with_the_worst_loss() -> None:
    """If the training loss is not finite, the loss is the worst, and there are no weights."""
    bench = Bench()
    outcome = LeNet5Objective()(config(learning_rate=1e9), bench.context)
    assert outcome.result["diverged"] is True
    assert outcome.result["loss"] == WORST_LOSS == 1.0
    assert outcome.result["validation_accuracy"] is None
    assert outcome.weights is None
    last, left = bench.reports[-1]
    assert last["epoch"] < last["epochs"]
    assert left == 0


def test_a_refit_reports_its_training_loss() -> None:
    """With train_on_all there is no validation, and the loss is the last epoch's training loss."""
    outcome = LeNet5Objective()(config(train_on_all=True), Bench().context)
    assert outcome.result["validation_accuracy"] is None
    assert outcome.result["loss"] == outcome.result["history"][-1]["train_loss"]
    assert outcome.weights is not None


@pytest.mark.parametrize(
    "wrong",
    [{"momentum": 1.5}, {"epochs": 2.5}, {"colour": "red"}, {"learning_rate": "0.1"}],
)
def test_a_configuration_that_no_worker_can_run_is_refused(wrong: dict[str, Any]) -> None:
    """A value out of range or of a wrong type, or an unknown key, is a ConfigError."""
    bench = Bench()
    with pytest.raises(ConfigError):
        LeNet5Objective()(config(**wrong), bench.context)
    assert bench.asked == []


def test_a_training_that_must_stop_stops() -> None:
    """When should_stop returns true, the objective raises Stopped within the epoch."""
    bench = Bench(stop_after=2)
    with pytest.raises(Stopped):
        LeNet5Objective()(config(epochs=1000), bench.context)
    assert len(bench.reports) == 2


def test_a_training_that_is_pruned_has_the_epochs_so_far() -> None:
    """Its loss is the one that it reported last, and there are no weights."""
    bench = Bench(stop_after=3, prunes=True)
    outcome = LeNet5Objective()(config(epochs=1000), bench.context)
    last, _ = bench.reports[-1]
    assert [epoch["number"] for epoch in outcome.result["history"]] == [1, 2]
    assert (outcome.result["loss"], outcome.weights) == (last["loss"], None)
    assert outcome.result["validation_accuracy"] == last["validation_accuracy"]


def test_a_trial_with_folds_trains_on_each() -> None:
    """Its loss is their mean, its weights are the first one's, and its length is that of all."""
    of_folds = [one_fold(fold) for fold in range(3)]
    accuracies = [trained.epochs[-1].validation_accuracy or 0.0 for trained in of_folds]
    assert len(set(accuracies)) > 1  # else the mean would say nothing
    bench = Bench()
    outcome = LeNet5Objective()(config(folds=3, epochs=2, learning_rate=0.02), bench.context)
    result = outcome.result
    assert result["fold_accuracies"] == accuracies
    assert result["fold_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    assert result["validation_accuracy"] == pytest.approx(np.mean(accuracies))
    assert result["loss"] == pytest.approx(1 - np.mean(accuracies))
    assert outcome.weights == pack_weights(of_folds[0].model)
    assert result["refit"] == {"train_on_all": True, "folds": 0}
    reports = [report for report, _ in bench.reports[1:]]
    assert [each["done"] for each in reports] == [1, 2, 3, 4, 5, 6]
    assert {each["epochs"] for each in reports} == {6}
    assert bench.reports[-1][1] == 0
    # Until the second fold has ended, the first is what is known.
    means = [accuracies[0], accuracies[0], np.mean(accuracies[:2])]
    assert [each["validation_accuracy"] for each in reports[1:4]] == pytest.approx(means)


def one_fold(fold: int) -> Trained:
    """Return what the training of one of three folds gives, each under a seed of its own."""
    settings = TrainConfig.from_json(config(folds=3, epochs=2, learning_rate=0.02, seed=fold))
    return train(settings, TrainingData(DATASET, torch.device("cpu")), fold=fold)


def test_a_fold_that_diverges_ends_the_trial() -> None:
    """Its figures are those of a trial that diverged, and there are no weights."""
    bench = Bench()
    outcome = LeNet5Objective()(config(folds=3, learning_rate=1e9), bench.context)
    assert (outcome.result["diverged"], outcome.result["loss"]) == (True, WORST_LOSS)
    assert (outcome.result["balanced_error"], outcome.weights) == (WORST_LOSS, None)
    assert "fold_accuracies" not in outcome.result
    last, left = bench.reports[-1]
    assert (last["epochs"], left) == (9, 0)


def test_the_error_may_count_classes_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that knows only the class that most images are of is half right."""
    labels = (np.arange(60) % 6 == 0).astype(np.int64)
    monkeypatch.setattr(f"{__name__}.DATASET", dataclasses.replace(DATASET, train_labels=labels))
    settings = config(dataset=DATASET.content_hash, learning_rate=1e-6, epochs=1)
    bench = Bench()
    result = LeNet5Objective()(settings, bench.context).result
    assert (result["validation_balanced_accuracy"], result["balanced_error"]) == (0.5, 0.5)
    assert result["validation_accuracy"] != 0.5
    assert result["history"][-1]["validation_balanced_accuracy"] == 0.5
    assert bench.reports[-1][0]["balanced_error"] == 0.5


def test_a_data_set_is_kept_for_the_next_trial() -> None:
    """The second trial on the same data does not fetch it again; one on other data does."""
    objective, bench = LeNet5Objective(), Bench()
    for _ in range(2):
        objective(config(epochs=1), bench.context)
    assert bench.asked == [DATASET.content_hash]
    objective(config(epochs=1, dataset="another"), bench.context)
    assert bench.asked == [DATASET.content_hash, "another"]
