"""Training: the same seed gives the same weights, and only training images are learned from."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import time
from typing import Any, Iterator

import numpy as np
import pytest
import torch
from support.stripes import config, stripes
from torch.nn import functional

from hyperhive.model.augmentation.camera import CameraAugmentation
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import digits
from hyperhive.model.metrics import evaluate
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.model.training import Epoch, Trained, TrainingData, TrainingStopped, train

CPU = torch.device("cpu")


def replaced(dataset: Dataset, which: np.ndarray) -> Dataset:
    """Return the data set with some training images replaced by their negatives."""
    images = dataset.train_images.copy()
    images[which] = 255 - images[which]
    return Dataset(
        dataset.name,
        dataset.classes,
        images,
        dataset.train_labels,
        dataset.test_images,
        dataset.test_labels,
    )


def weights(trained: Trained) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in trained.model.state_dict().items()}


def same(one: Trained, other: Trained) -> bool:
    mine, theirs = weights(one), weights(other)
    return all(np.array_equal(mine[name], theirs[name]) for name in mine)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Train on one thread, as workers do: two threads on a busy core wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Give a small data set, ready to train on."""
    return TrainingData(stripes(), CPU)


# -- it learns --------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_digits_are_learned_in_a_few_epochs(schedule: str) -> None:
    """The loss falls, and more than nine of ten held-out digits are classified correctly."""
    epochs = 6
    given = config(learning_rate=0.02, epochs=epochs, batch_size=32, schedule=schedule)
    trained = train(given, TrainingData(digits(), CPU))
    assert not trained.diverged
    assert [epoch.number for epoch in trained.epochs] == list(range(1, epochs + 1))
    first, last = trained.epochs[0], trained.epochs[-1]
    assert last.train_loss < first.train_loss / 2
    assert last.validation_accuracy is not None
    assert last.validation_accuracy > 0.9


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [("constant", [1.0, 1.0, 1.0, 1.0]), ("cosine", [1.0, 0.853553, 0.5, 0.146447])],
)
def test_the_weights_are_those_of_plain_gradient_descent(
    data: TrainingData, schedule: str, shares: list[float]
) -> None:
    """Four full-batch steps equal gradient descent with a constant rate, or half a cosine."""
    given = config(
        learning_rate=0.5, momentum=0.0, epochs=4, batch_size=32, train_on_all=True, seed=3
    )
    trained = train(dataclasses.replace(given, schedule=schedule), data)
    torch.manual_seed(3)
    model = LeNet5(1, 2)
    images, labels, _, _ = data.split(given)
    for share in shares:
        model.zero_grad()
        functional.cross_entropy(model(data.normalise(images)), labels).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter -= 0.5 * share * parameter.grad
    for name, tensor in model.state_dict().items():
        assert np.allclose(weights(trained)[name], tensor.numpy(), atol=1e-5)


# -- it is decided by the seed ----------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"schedule": "constant"},
        {"train_on_all": True},
        {"augment": "camera", "mirror": True, "shift": 0.5, "cutout": 0.5, "colour": 0.5},
        {"rotate": 0.5, "scale": 0.5, "averaging": 0.5, "decoupled": True, "weight_decay": 0.01},
        {"activation": "tanh", "pooling": "average", "label_smoothing": 0.1, "nesterov": True},
    ],
)
def test_the_same_seed_gives_the_same_weights(changes: dict[str, Any]) -> None:
    """Two runs of one configuration give equal weights, to the last bit."""
    one = train(config(**changes), TrainingData(stripes(), CPU))
    torch.rand(3)  # other random numbers of the process must not matter
    two = train(config(**changes), TrainingData(stripes(), CPU))
    assert same(one, two)
    assert [e.train_loss for e in one.epochs] == [e.train_loss for e in two.epochs]


def test_a_trained_models_parameters_have_memory_of_their_own(data: TrainingData) -> None:
    """A pickled state holds each weight once, not all of them for each parameter."""
    model = train(config(epochs=1), data).model
    untrained = LeNet5(model.channels, model.classes)
    sizes = [len(pickle.dumps(each.state_dict())) for each in (model, untrained)]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"split_seed": 1},
        {"learning_rate": 0.051},
        {"momentum": 0.8},
        {"augment": "camera"},
        {"schedule": "one-cycle"},
        {"decoupled": True},
        {"nesterov": True},
        {"weight_decay": 0.1},
        {"mirror": True},
        {"label_smoothing": 0.1},
        {"averaging": 0.5},
        {"activation": "tanh"},
        {"pooling": "average"},
    ],
)
def test_another_configuration_gives_other_weights(
    data: TrainingData, changes: dict[str, Any]
) -> None:
    """Each seed and each hyperparameter changes the weights."""
    assert not same(train(config(), data), train(config(**changes), data))


def test_training_leaves_the_processs_random_numbers_alone(data: TrainingData) -> None:
    """Training does not change the caller's random stream of PyTorch."""
    torch.manual_seed(5)
    expected = torch.rand(3).tolist()
    torch.manual_seed(5)
    train(config(epochs=1), data)
    assert torch.rand(3).tolist() == expected


def test_data_can_be_trained_on_again(data: TrainingData) -> None:
    """Training does not change the data, which a worker keeps between trials."""
    before = data.dataset.content_hash
    first = train(config(), data)
    train(config(seed=3, learning_rate=1.0), data)
    assert same(train(config(), data), first)
    assert data.dataset.content_hash == before


def test_each_epoch_is_augmented_anew(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each epoch distorts its batches differently; validation images are not distorted."""
    seen: list[torch.Tensor] = []
    distort = CameraAugmentation.__call__

    def watched(self: CameraAugmentation, images: torch.Tensor) -> torch.Tensor:
        seen.append(distort(self, images))
        return seen[-1]

    monkeypatch.setattr(CameraAugmentation, "__call__", watched)
    train(config(augment="camera", epochs=2, batch_size=26), data)
    assert [len(batch) for batch in seen] == [26, 26]  # the other six of 32 are held out
    assert not torch.equal(seen[0].sort(dim=0).values, seen[1].sort(dim=0).values)


# -- what it learns from ----------------------------------------------------------------------


def test_held_out_images_are_never_learned_from() -> None:
    """Changed held-out images change no weight; one changed training image does."""
    dataset = stripes()
    kept, held_out = dataset.validation_split(0.2, 0)
    trained = train(config(), TrainingData(dataset, CPU))
    elsewhere = train(config(), TrainingData(replaced(dataset, held_out), CPU))
    assert same(trained, elsewhere)
    validated = [epoch.validation_loss for epoch in trained.epochs]
    assert validated != [epoch.validation_loss for epoch in elsewhere.epochs]
    assert not same(trained, train(config(), TrainingData(replaced(dataset, kept[:1]), CPU)))


def test_the_test_split_is_not_touched() -> None:
    """Test images influence neither training nor validation."""
    dataset = stripes()
    negative = Dataset(
        dataset.name,
        dataset.classes,
        dataset.train_images,
        dataset.train_labels,
        255 - dataset.test_images,
        dataset.test_labels,
    )
    one, two = (train(config(), TrainingData(each, CPU)) for each in (dataset, negative))
    assert same(one, two)
    assert [e.validation_loss for e in one.epochs] == [e.validation_loss for e in two.epochs]


def test_validation_sees_what_the_configuration_says(data: TrainingData) -> None:
    """It is that of the delivered model: averaged weights, and both views of each image."""
    seen = []
    for changes in ({}, {"views": "mirrored"}, {"views": "both", "averaging": 0.5}):
        given = config(**changes)
        trained, split = train(given, data), data.split(given)
        found = evaluate(
            trained.model, split.held_images, split.held_labels, data.normalise, given.views
        )
        seen.append(trained.epochs[-1].validation_loss)
        assert found.loss == pytest.approx(seen[-1], rel=1e-4)
    assert len(set(seen)) == 3


def test_a_split_has_every_image_once(data: TrainingData) -> None:
    """Training and held-out images together are all images, with their own labels."""
    images, labels, held_images, held_labels = data.split(config(validation_fraction=0.25))
    assert images.shape == (24, 1, 28, 28)
    assert held_images.shape == (8, 1, 28, 28)
    both = torch.cat([images, held_images]).flatten(1).numpy()
    assert len(np.unique(both, axis=0)) == len(np.unique(data.dataset.train_images, axis=0))
    assert torch.bincount(labels).tolist() == [12, 12]
    assert torch.bincount(held_labels).tolist() == [4, 4]
    rows_alike = (held_images == held_images[:, :, :, :1]).flatten(1).all(dim=1)
    assert rows_alike.long().tolist() == held_labels.tolist()


def test_training_on_all_has_no_validation(data: TrainingData) -> None:
    """With ``train_on_all`` the held-out images are trained on and there is no validation."""
    trained = train(config(train_on_all=True), data)
    assert [e.validation_loss for e in trained.epochs] == [None, None]
    assert [e.validation_accuracy for e in trained.epochs] == [None, None]
    dataset = stripes()
    held_out = dataset.validation_split(0.2, 0)[1]
    other = TrainingData(replaced(dataset, held_out), CPU)
    assert not same(trained, train(config(train_on_all=True), other))


def test_a_batch_larger_than_the_data_is_all_of_the_data(data: TrainingData) -> None:
    """Training works with one step per epoch."""
    trained = train(config(batch_size=10_000, epochs=3), data)
    assert trained.epochs[-1].train_loss < trained.epochs[0].train_loss


# -- how it ends ------------------------------------------------------------------------------


def test_a_diverging_training_ends_at_once(data: TrainingData) -> None:
    """An extreme learning rate ends training early, as diverged."""
    trained = train(config(learning_rate=1e6, epochs=50), data)
    assert trained.diverged
    assert len(trained.epochs) < 5
    last = trained.epochs[-1]
    assert not math.isfinite(last.train_loss)
    assert (last.validation_loss, last.validation_accuracy) == (None, None)


def test_a_training_that_diverges_in_its_last_step_has_diverged(data: TrainingData) -> None:
    """Training has diverged even if only the validation shows weights that are not finite."""
    trained = train(config(learning_rate=1e30, epochs=1, batch_size=10_000), data)
    assert math.isfinite(trained.epochs[-1].train_loss)
    assert trained.diverged


def test_each_epoch_is_reported_when_it_ends(data: TrainingData) -> None:
    """``report`` is called once per epoch, with the entry of the result, which is plain JSON."""
    reported: list[Epoch] = []
    started_at = time.perf_counter()
    trained = train(config(epochs=3), data, reported.append)
    assert reported == trained.epochs
    assert 0 < sum(epoch.seconds for epoch in reported) < time.perf_counter() - started_at
    assert json.loads(json.dumps(reported[0].to_json()))["number"] == 1


def test_a_diverged_epoch_is_reported_too(data: TrainingData) -> None:
    """``report`` is called for the diverged epoch too."""
    reported: list[Epoch] = []
    assert train(config(learning_rate=1e6), data, reported.append).epochs == reported


@pytest.mark.parametrize("batches", [0, 1, 5])
def test_training_stops_before_the_next_batch(data: TrainingData, batches: int) -> None:
    """``should_stop`` is called before each batch, and True ends training before that batch."""
    asked: list[bool] = []
    reported: list[Epoch] = []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) > batches

    with pytest.raises(TrainingStopped):
        train(config(), data, reported.append, should_stop)
    assert len(asked) == batches + 1
    assert len(reported) == batches // 4  # 26 images are four batches of eight


def test_a_stop_nobody_asks_for_changes_nothing(data: TrainingData) -> None:
    """Calling ``should_stop`` does not change the weights."""
    assert same(train(config(), data), train(config(), data, should_stop=lambda: False))
