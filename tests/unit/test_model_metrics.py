"""Losses, accuracies and confusion matrices, compared with values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from hyperhive.model.metrics import evaluate
from hyperhive.model.normalise import Normaliser, to_tensor

CPU = torch.device("cpu")
AS_IT_IS = Normaliser([0.0], [1 / 255], CPU)
"""Leaves the pixel values unchanged."""


class FirstPixels(nn.Module):
    """Returns an image's first pixels as its logits, so that a test can choose them."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.seen_training = False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the first pixels, and record whether the model is in training mode."""
        self.seen_training |= self.training
        return images.flatten(1)[:, : self.classes]


def images_with(*logits: tuple[int, ...]) -> torch.Tensor:
    images = torch.zeros(len(logits), 1, 28, 28, dtype=torch.uint8)
    for image, values in zip(images, logits):
        image.view(-1)[: len(values)] = torch.tensor(values, dtype=torch.uint8)
    return images


def test_an_evaluation_agrees_with_a_hand_computed_one() -> None:
    """Loss, accuracy, probabilities and confusion are right for three images of two classes."""
    images = images_with((0, 0), (2, 0), (0, 1))
    labels = torch.tensor([0, 0, 0])
    evaluation = evaluate(FirstPixels(2), images, labels, AS_IT_IS)
    probabilities = [0.5, 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(1))]
    assert evaluation.loss == pytest.approx(-sum(map(math.log, probabilities)) / 3, abs=1e-6)
    assert evaluation.probabilities[:, 0] == pytest.approx(probabilities, abs=1e-6)
    assert evaluation.accuracy == pytest.approx(2 / 3)
    assert evaluation.confusion == [[2, 1], [0, 0]]


def test_the_confusions_rows_are_the_true_classes() -> None:
    """Each count is at the row of the true class and the column of the predicted class."""
    taken_for = [0, 1, 1, 2, 0, 2]
    images = images_with(*[tuple(9 * (c == k) for c in range(3)) for k in taken_for])
    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    evaluation = evaluate(FirstPixels(3), images, labels, AS_IT_IS)
    assert evaluation.confusion == [[1, 2, 0], [0, 0, 1], [1, 0, 1]]
    assert [sum(row) for row in evaluation.confusion] == torch.bincount(labels).tolist()
    assert evaluation.accuracy == pytest.approx(2 / 6)


def test_more_images_than_a_batch_give_the_same() -> None:
    """2,500 images in three batches are counted once each and averaged correctly."""
    images = images_with((0, 0), (2, 0)).repeat(1250, 1, 1, 1)
    evaluation = evaluate(FirstPixels(2), images, torch.zeros(2500, dtype=torch.int64), AS_IT_IS)
    assert evaluation.probabilities.shape == (2500, 2)
    assert evaluation.confusion == [[2500, 0], [0, 0]]
    assert evaluation.loss == pytest.approx(
        (math.log(2) + math.log(1 + math.exp(-2))) / 2, abs=1e-5
    )


@pytest.mark.parametrize("training", [True, False])
def test_evaluating_leaves_the_model_as_it_was(training: bool) -> None:
    """The model runs in evaluation mode and has its own mode again afterwards."""
    model = FirstPixels(2).train(training)
    evaluate(model, images_with((1, 0)), torch.tensor([0]), AS_IT_IS)
    assert model.training is training
    assert not model.seen_training


def test_evaluating_keeps_no_gradients() -> None:
    """Evaluation leaves no gradients."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 2))
    evaluate(model, images_with((1, 0)), torch.tensor([0]), AS_IT_IS)
    assert all(weights.grad is None for weights in model.parameters())


# -- normalisation ----------------------------------------------------------------------------


def test_normalised_training_images_have_mean_zero_and_variance_one() -> None:
    """Each channel is normalised with its own mean and deviation; the order of channels stays."""
    pixels = np.random.RandomState(0).randint(0, [80, 160, 256], (50, 28, 28, 3)).astype(np.uint8)
    share = pixels.reshape(-1, 3) / 255
    normalise = Normaliser(share.mean(axis=0).tolist(), share.std(axis=0).tolist(), CPU)
    normalised = normalise(to_tensor(pixels, CPU))
    assert normalised.dtype == torch.float32
    assert normalised.shape == (50, 3, 28, 28)
    assert normalised.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-5)
    assert normalised.std(dim=(0, 2, 3)).tolist() == pytest.approx([1] * 3, abs=1e-4)
    expected = (share.reshape(50, 28, 28, 3) - share.mean(axis=0)) / share.std(axis=0)
    assert np.allclose(normalised.numpy().transpose(0, 2, 3, 1), expected, atol=1e-5)
