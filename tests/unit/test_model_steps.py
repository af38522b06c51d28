"""Steps and targets: what a configuration trains with, by numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.stripes import config, stripes

from hyperhive.common.errors import ConfigError
from hyperhive.model.learners.steps import Sgd, Step, share, steps
from hyperhive.model.training import TrainingData

CPU = torch.device("cpu")


def test_one_cycle_rises_for_a_quarter_and_falls_to_nothing() -> None:
    """Its highest rate is a quarter of the way; no step is wasted at a rate of 0."""
    shares = [share("one-cycle", step, 99) for step in range(99)]
    assert shares[:25] == pytest.approx([(step + 1) / 25 for step in range(25)])
    half_way_down = 24 + 75 / 2
    assert (shares[math.floor(half_way_down)] + shares[math.ceil(half_way_down)]) / 2 == (
        pytest.approx(0.5)
    )
    assert shares[24:] == sorted(shares[24:], reverse=True)
    assert 0 < shares[-1] < 1e-3
    assert share("one-cycle", 0, 1) > 0


def test_decoupled_values_do_not_depend_on_each_other() -> None:
    """The rate is that of one image's whole effect; weights shrink without the learning rate."""
    given = config(decoupled=True, schedule="constant", learning_rate=0.5, weight_decay=0.001)
    assert next(steps(given, 10)) == pytest.approx(Step(0.5 * 0.1 * 8 / 64, 0.001 * 8 / 64))
    assert Sgd.of(given, 10) == Sgd(0.9)
    with pytest.raises(ConfigError, match=r"weight_decay must be below 64 / batch_size"):
        config(decoupled=True, weight_decay=0.5, batch_size=128)
    plain = config(learning_rate=0.5, weight_decay=0.001, averaging=0.3, nesterov=True)
    assert next(steps(plain, 10)) == Step(0.5)
    assert Sgd.of(plain, 10) == Sgd(0.9, True, 0.001, pytest.approx(3.0))


def test_targets_are_smoothed_labels_mixed_with_the_teachers_answers() -> None:
    """Each image has its own label and its own answer, in training order too."""
    answers = np.zeros((32, 2), np.float32)
    answers[:, 0] = np.arange(32)
    data = TrainingData(stripes(), CPU).with_answers(answers)
    given = {"label_smoothing": 0.1, "teacher": "ab" * 32, "teacher_weight": 0.25}
    mixed = config(**given, teacher_temperature=4.0)
    kept, _ = data.dataset.validation_split(0.2, 0)
    expected = [
        0.75 * (0.05 if label else 0.95) + 0.25 / (1 + math.exp(-index / 4))
        for index, label in zip(kept, data.dataset.train_labels[kept])
    ]
    targets = data.split(mixed).targets
    assert targets[:, 0].tolist() == pytest.approx(expected, rel=1e-5)
    assert torch.allclose(targets.sum(dim=1), torch.ones(len(kept)))
    assert data.split(config()).targets.dtype is torch.int64
    with pytest.raises(ConfigError, match="no teacher's answers"):
        data.with_answers(None).split(mixed)
    with pytest.raises(ConfigError, match="not those to this data set's images"):
        data.with_answers(answers[1:])
