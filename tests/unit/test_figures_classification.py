"""How a model answers its test images: from the study's result, untrusted, and computed later."""

from __future__ import annotations

import base64
import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.lenets import trained
from test_coordinator_run import run, tiny

from hyperhive.coordinator.evaluation import judge
from hyperhive.coordinator.figures.classification import (
    HARDEST,
    LARGEST,
    answers,
    classification_of,
    figure,
)
from hyperhive.model.calibration import PLAIN, calibration_error
from hyperhive.model.card import Card
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.loading import digits
from hyperhive.model.device import CPU
from hyperhive.model.training import TrainingData
from hyperhive.store.store import Store


@pytest.fixture(scope="module")
def tested() -> tuple[Card, dict[str, Any], Any]:
    """Return the card of a model of digits after one epoch, its answers, and its evaluation."""
    data = digits()
    config = TrainConfig(data.content_hash, learning_rate=0.1, epochs=1, momentum=0.9)
    packed, card = trained(TrainingData(data, CPU), config)
    test = judge(packed, card, data)
    card = dataclasses.replace(card, confusion=test.confusion, test_accuracy=test.accuracy)
    return card, answers(test.probabilities, data.test_labels, data.test_images), test


def test_the_figure_is_what_the_model_answers(tested: tuple[Card, dict[str, Any], Any]) -> None:
    """Counts, precision, recall, bins and mistakes agree with the model's own probabilities."""
    card, kept, test = tested
    shown = figure(card, kept)
    assert shown is not None
    labels, predicted = digits().test_labels, test.probabilities.argmax(axis=1)
    assert shown["classes"] == list(digits().classes)
    assert shown["confusion"] == test.confusion
    low, share, high = shown["accuracy"]
    assert share == pytest.approx((predicted == labels).mean(), abs=1e-6)
    assert low < share < high
    for number, each in enumerate(shown["of"]):
        is_class, is_answer = labels == number, predicted == number
        both = (is_class & is_answer).sum()
        assert each["images"] == is_class.sum()
        assert each["recall"] == pytest.approx(both / is_class.sum(), abs=1e-6)
        if is_answer.any():
            assert each["precision"] == pytest.approx(both / is_answer.sum(), abs=1e-6)
    error = sum(
        each["images"] * abs(each["accuracy"] - each["confidence"]) for each in shown["calibration"]
    )
    expected = calibration_error(PLAIN.probabilities(test.logits), labels)
    assert error / len(labels) == pytest.approx(expected, abs=1e-5)
    wrong = test.probabilities.max(axis=1)[predicted != labels]
    worst = [each["probability"] for each in shown["hardest"]]
    assert worst == pytest.approx(sorted(wrong, reverse=True)[:HARDEST], abs=1e-6)
    assert all(each["label"] != each["answer"] for each in shown["hardest"])


def test_an_image_is_small_and_is_the_image(tested: tuple[Card, dict[str, Any], Any]) -> None:
    """One of 28x28 is as it was; a larger one is made smaller, so that a result stays short."""
    data, (_, kept, test) = digits(), tested
    predicted = test.probabilities.argmax(axis=1)
    confidence = np.where(predicted != data.test_labels, test.probabilities.max(axis=1), -1)
    first = Image.open(io.BytesIO(base64.b64decode(kept["hardest"][0]["image"])))
    assert (np.asarray(first) == data.test_images[confidence.argmax()][..., 0]).all()
    noise = np.random.RandomState(0).randint(0, 256, (20, 224, 224, 3)).astype(np.uint8)
    large = answers(np.tile([[0.3, 0.7]], (20, 1)), np.zeros(20, np.int64), noise)
    images = [base64.b64decode(each["image"]) for each in large["hardest"]]
    assert len(images) == HARDEST
    assert Image.open(io.BytesIO(images[0])).size == (LARGEST, LARGEST)
    assert sum(map(len, images)) < 12 * 10_000
    names = [f"class {number}" for number in range(10)]
    card = dataclasses.replace(tested[0], classes=names)
    assert len((figure(card, large) or {})["hardest"]) == HARDEST


def test_what_somebody_wrote_into_the_result_is_left_out(
    tested: tuple[Card, dict[str, Any], Any],
) -> None:
    """Other pictures than short PNG images, classes that there are not, numbers that are none."""
    card, kept, _ = tested
    good = kept["hardest"][0]
    for bad in (
        *({"image": text} for text in ("<svg onload=x>", "iVBORw0KGgo\n", good["image"] * 200, 3)),
        *({"label": 10}, {"answer": -1}, {"probability": float("nan")}, {"probability": "1"}),
    ):
        shown = figure(card, {"hardest": [{**good, **bad}, good, 7], "calibration": "x"})
        assert shown is not None
        assert len(shown["hardest"]) == 1
        assert shown["calibration"] == []
    bins = [{"confidence": 2, "accuracy": 0.5, "images": 3}, {"images": "many"}, None]
    assert (figure(card, {"calibration": bins}) or {})["calibration"] == []
    for confusion in (None, [[1]], [[-1] * 10] * 10, [[0] * 10] * 10, "x"):
        assert figure(dataclasses.replace(card, confusion=confusion), kept) is None


def test_a_study_keeps_its_answers(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """So the figure needs no model. One that an earlier version ended is tested again if asked."""
    run(store, mongo_uri, tmp_path, refit=False)
    ended = store.study("s")
    shown = classification_of(store, ended)
    assert shown is not None
    assert shown["classes"] == ["dark", "light"]
    assert shown["calibration"]
    data = tiny()
    store.datasets.publish(data.content_hash, data.pack(), data.card())
    assert ended.result is not None
    earlier = {name: each for name, each in ended.result.items() if name != "answers"}
    older = dataclasses.replace(ended, result=earlier)
    assert classification_of(store, older, may_run=True) == shown
    in_short = classification_of(store, older)
    assert in_short == {**shown, "calibration": [], "hardest": []}
    assert classification_of(store, dataclasses.replace(ended, result=None)) is None
