"""How a study's image model answers the test images: confusion, classes, calibration, mistakes.

The model is tested once, when its study ends. Then what the figure shows beyond the card's
confusion is kept in the study's result, as ``answers``: 12 images and 15 bins, some 50 kB. So a
page or a report runs no model. For a study that an earlier version ended, ``classification_of``
runs it if it is asked to.
"""

from __future__ import annotations

import base64
import io
import re
from typing import Any, Mapping, Sequence

import numpy as np
from PIL import Image

from hyperhive.common.errors import CheckpointError, DatasetError
from hyperhive.common.values import is_fraction, mapping, sequence, whole
from hyperhive.coordinator.figures.numbers import rounded, text
from hyperhive.model.calibration import PLAIN
from hyperhive.model.card import Card
from hyperhive.model.data.cache import DatasetCache
from hyperhive.model.interval import wilson_interval
from hyperhive.model.model_files import require_hash
from hyperhive.store.errors import CorruptBlob, NotAllowed, NotFound
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredStudy

HARDEST = 12
"""The most wrong answers that are shown."""

LARGEST = 56
"""Pixels of the longer side of an image that is kept."""

MOST_CLASSES = 100
"""Of a confusion matrix that is shown: of more, nobody can read one."""

_BINS = 15
"""As ``model.calibration.calibration_error`` has: the error that a page works out is the card's."""

_MOST_IMAGES = 10**9
_LONGEST_NAME = 100
_LONGEST_IMAGE = 40_000
"""Characters of base64: 56x56 pixels of three bytes are 12,544 of them, and PNG adds little."""

_PREFIX = "data:image/png;base64,"
_BASE64_PNG = re.compile(r"iVBORw0KGgo[A-Za-z0-9+/]*={0,2}")


def answers(probabilities: np.ndarray, labels: np.ndarray, images: np.ndarray) -> dict[str, Any]:
    """Return what is kept of a model's answers for N labelled images, as plain JSON.

    ``calibration`` has, for each of 15 bins of confidence that has any, the mean ``confidence``,
    the ``accuracy`` and how many ``images``. ``hardest`` has the wrong answers of the highest
    probability: ``image`` (PNG, base64), ``label`` and ``answer`` (classes), ``probability``.

    Args:
        probabilities: float32 ``[N, classes]``, N of 1 or more.
        labels: int64 ``[N]``.
        images: uint8 ``[N, S, S, C]``.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:HARDEST]
    return {
        "calibration": _bins(confidence, predicted == labels),
        "hardest": [
            {
                "image": _png(images[index]),
                "label": int(labels[index]),
                "answer": int(predicted[index]),
                "probability": rounded(confidence[index]),
            }
            for index in worst
        ],
    }


def classification_of(
    store: Store, study: StoredStudy, may_run: bool = False
) -> dict[str, Any] | None:
    """Return the figure of a study's model; None if it has none that was tested.

    Args:
        store: where the study is.
        study: what it found is untrusted.
        may_run: run the model on the test images if the study's result has no answers, and the data
            set is in this machine's cache or in the store. Otherwise, and where PyTorch is not
            installed, the figure has no calibration and no images.
    """
    result = mapping(study.result)
    if not result.get("card"):
        return None
    try:
        card = Card.from_json(mapping(result["card"]))
    except CheckpointError:  # somebody wrote into the store; `hyperhive best` says what is wrong
        return None
    kept = result.get("answers")
    if kept is None and may_run:
        kept = _run(store, study, card)
    return figure(card, mapping(kept))


def figure(card: Card, kept: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the figure; None if the card does not count the answers for each class.

    Args:
        card: of a model that was tested.
        kept: as ``answers`` made it, as untrusted JSON.
    """
    confusion = _confusion(card)
    if confusion is None:
        return None
    names = [text(name, _LONGEST_NAME) for name in card.classes]
    total, right = int(confusion.sum()), int(confusion.trace())
    low, high = wilson_interval(right / total, total)
    return {
        "classes": names,
        "confusion": confusion.tolist() if len(names) <= MOST_CLASSES else [],
        "of": [_of_class(name, confusion, number) for number, name in enumerate(names)],
        "calibration": _kept_bins(kept),
        "hardest": _kept_images(kept, names),
        "accuracy": [rounded(low), rounded(right / total), rounded(high)],
        "split": "test",
    }


def _bins(confidence: np.ndarray, is_right: np.ndarray) -> list[dict[str, Any]]:
    """Return the bins of a reliability diagram: Guo et al. 2017, arXiv:1706.04599, section 2."""
    numbers = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return [
        {
            "confidence": rounded(confidence[inside].mean()),
            "accuracy": rounded(is_right[inside].mean()),
            "images": int(inside.sum()),
        }
        for inside in (numbers == number for number in np.unique(numbers))
    ]


def _png(pixels: np.ndarray) -> str:
    """Return an image, uint8 ``[S, S, C]``, as base64 of a PNG of at most ``LARGEST`` pixels."""
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    image.save(packed, "PNG", optimize=True)
    return base64.b64encode(packed.getvalue()).decode("ascii")


def _run(store: Store, study: StoredStudy, card: Card) -> dict[str, Any] | None:
    """Return the answers of a study's model; None if the model or the data is not at hand."""
    content_hash = card.dataset.get("content_hash")
    try:
        from hyperhive.coordinator.evaluation import judge

        model = study.model
        if model is None or not isinstance(content_hash, str):
            return None
        packed = store.blobs.get(model.weights)
        require_hash(packed, card.weights_sha256)
        dataset = DatasetCache().get(content_hash, store.datasets.fetch)
        if list(dataset.classes) != card.classes:
            return None
        test = judge(packed, card, dataset)
    except (NotFound, NotAllowed, CorruptBlob, CheckpointError, DatasetError, ModuleNotFoundError):
        return None
    probabilities = (card.calibration or PLAIN).probabilities(test.logits)
    return answers(probabilities, dataset.test_labels, dataset.test_images)


def _confusion(card: Card) -> np.ndarray | None:
    """Return a card's counts, int64 ``[true class, predicted class]``; None if it has none."""
    rows, count = sequence(card.confusion), len(card.classes)
    if len(rows) != count or any(len(sequence(row)) != count for row in rows):
        return None
    counts = np.array([[min(whole(each, 0), _MOST_IMAGES) for each in row] for row in rows])
    return counts if counts.min() >= 0 and counts.any() else None


def _of_class(name: str, confusion: np.ndarray, number: int) -> dict[str, Any]:
    """Return a class's precision and recall, None where no image decides."""
    right, images = int(confusion[number, number]), int(confusion[number].sum())
    answered = int(confusion[:, number].sum())
    return {
        "class": name,
        "precision": rounded(right / answered) if answered else None,
        "recall": rounded(right / images) if images else None,
        "images": images,
    }


def _kept_bins(kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [mapping(each) for each in sequence(kept.get("calibration"))[:_BINS]]
    return [
        {**{name: each[name] for name in ("confidence", "accuracy")}, "images": images}
        for each, images in ((each, whole(each.get("images"), 0)) for each in found)
        if images > 0 and is_fraction(each.get("confidence")) and is_fraction(each.get("accuracy"))
    ]


def _kept_images(kept: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    shown = []
    for each in map(mapping, sequence(kept.get("hardest"))[:HARDEST]):
        image, share = each.get("image"), each.get("probability")
        classes = [whole(each.get(name), -1) for name in ("label", "answer")]
        is_class = all(0 <= number < len(names) for number in classes)
        if is_class and is_fraction(share) and _is_png(image):
            label, answer = (names[number] for number in classes)
            picture = {"image": f"{_PREFIX}{image}", "label": label}
            shown.append({**picture, "answer": answer, "probability": share})
    return shown


def _is_png(image: Any) -> bool:
    is_short = isinstance(image, str) and len(image) <= _LONGEST_IMAGE
    return is_short and _BASE64_PNG.fullmatch(image) is not None
