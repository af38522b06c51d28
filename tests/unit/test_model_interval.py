"""The interval of a share that was measured, the mean over classes, and how a model has them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from hyperhive.coordinator.views.wording import on_test_images
from hyperhive.model.card import Card
from hyperhive.model.interval import mean_recall, wilson_interval


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
        # Medicine 17 (1998), 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_the_interval_is_the_one_in_the_literature(
    right: int, count: int, low: float, high: float
) -> None:
    """To four digits; at its ends it stays within 0 and 1, and is no point."""
    assert wilson_interval(right / count, count) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("share", "count"), [(-0.1, 5), (1.1, 5), (float("nan"), 5), (0.5, 0)])
def test_what_has_no_interval_is_refused(share: float, count: int) -> None:
    """A share is between 0 and 1, of something."""
    with pytest.raises(ValueError, match="there is no interval"):
        wilson_interval(share, count)


@pytest.mark.parametrize(
    ("confusion", "said"),
    [
        (
            [[1524, 476], [0, 0]],
            "76.2 % of test images, 95 % interval 74.3 to 78.0 % (2,000 images)",
        ),
        (None, "76.2 % of test images"),
        ([["x", None], 3, {}], "76.2 % of test images"),
    ],
)
def test_a_models_test_accuracy_is_said_with_its_interval(confusion: Any, said: str) -> None:
    """From the images that its card counts; a card that counts none has no interval."""
    card = Card(["a", "b"], 1, [0.5], [0.5], "", {}, {}, test_accuracy=0.762)
    assert on_test_images(dataclasses.replace(card, confusion=confusion)) == said


def test_the_balanced_accuracy_is_scikit_learns() -> None:
    """The mean of the recalls of the classes that have images; a card has it by its confusion."""
    random = np.random.RandomState(0)
    true, predicted = random.choice(4, 200, p=[0.7, 0.2, 0.1, 0]), random.randint(0, 3, 200)
    confusion = np.zeros((4, 4), int)
    np.add.at(confusion, (true, predicted), 1)
    expected = balanced_accuracy_score(true, predicted)
    assert mean_recall(confusion.tolist()) == pytest.approx(expected)
    card = Card(["a", "b", "c", "d"], 1, [0.5], [0.5], "", {}, {}, confusion=confusion.tolist())
    assert card.test_balanced_accuracy == pytest.approx(expected)
    assert Card.from_json(card.to_json()) == card  # no field: an earlier version reads it
    for rubbish in (None, [["x", None], 3, {}], []):
        assert mean_recall(rubbish) is None
