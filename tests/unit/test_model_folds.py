"""Folds: which images each holds out, the same on every device, and what has none."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from hyperhive.common.errors import ConfigError
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset, stratified_fold

LABELS = np.array([0] * 11 + [1] * 5 + [2] * 7)


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_each_image_is_held_out_once(folds: int) -> None:
    """Folds, and the classes in them, differ by one image at most; what is not out is kept."""
    splits = [stratified_fold(LABELS, folds, fold, 7) for fold in range(folds)]
    assert sorted(np.concatenate([out for _, out in splits])) == list(range(len(LABELS)))
    assert np.ptp([len(out) for _, out in splits]) <= 1
    counts = np.array([np.bincount(LABELS[out], minlength=3) for _, out in splits])
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert counts.min() >= 1
    for kept, out in splits:
        assert sorted([*kept, *out]) == list(range(len(LABELS)))


def test_a_fold_is_the_same_everywhere() -> None:
    """RandomState's stream never changes, so neither do the folds of a seed."""
    _, out = stratified_fold(LABELS, 5, 0, 0)
    assert out.tolist() == FIRST
    assert stratified_fold(LABELS, 5, 0, 1)[1].tolist() != FIRST


FIRST = [1, 4, 5, 11, 22]


def dataset(labels: np.ndarray = LABELS, **changed: Any) -> Dataset:
    images = np.zeros((len(labels), 28, 28, 1), np.uint8)
    return Dataset("set", ("ash", "elm", "fir"), images, labels, images, labels, **changed)


def test_a_data_set_that_has_no_folds_says_why() -> None:
    """Its validation images are its own, or a class is too small: a ConfigError for any trial."""
    kept, out = dataset().validation_split(0.2, 0, folds=5, fold=2)
    assert (len(kept), len(out)) == (18, 5)
    with pytest.raises(ConfigError, match="folds = 6, but class elm has only 5 training images"):
        dataset().validation_split(0.2, 0, folds=6)
    own = dataset(np.array([0, 1, 2] * 4), validation=3)
    with pytest.raises(ConfigError, match="data set set has validation images of its own"):
        own.validation_split(0.2, 0, folds=2)


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ({"train_on_all": True}, "folds do not go with train_on_all"),
        ({"teacher": "a" * 64}, "a teacher does not go with folds"),
    ],
)
def test_what_does_not_go_with_folds_is_refused(without: dict[str, Any], said: str) -> None:
    """Where nothing is held out, and where a teacher has seen what is."""
    config = TrainConfig("", 0.1, 1, 0.5, folds=5)
    with pytest.raises(ConfigError, match=said):
        dataclasses.replace(config, **without)
