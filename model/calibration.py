"""From a model's numbers to what may be said: probabilities, and whether it knows at all.

Everything here is NumPy, so that it is the same whatever computed the numbers.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Mapping

import numpy as np

from hyperhive.common.errors import CheckpointError, UsageError
from hyperhive.common.values import is_number
from hyperhive.model.membership import LARGEST, PERCENTILES, STATISTICS, Members

RIGHT_KEPT = 0.99
"""Of the rightly named validation images, what either of confidence and margin lets pass."""

MEMBERS_KEPT = 0.95
"""Of all validation images, and of copies as a camera distorts them, what passes for a member."""

_BINS = 15


@dataclass(frozen=True)
class Calibration:
    """What turns logits into probabilities one may believe, and when to say ``unknown``.

    Args:
        temperature: divides the logits (Guo et al. 2017, arXiv:1706.04599); above 0.
        min_confidence: a likeliest class of less is ``unknown``.
        min_margin: so is one that is less than this above the second.
        min_membership: so is a picture of less: the share of real members that would be refused.
        members: what real members look like; None, and every picture passes for one.
        error_before: expected calibration error on the test split of the plain softmax, in 0..1.
        error_after: and that of these probabilities.
    """

    temperature: float = 1.0
    min_confidence: float = 0.0
    min_margin: float = 0.0
    min_membership: float = 0.0
    members: Members | None = None
    error_before: float | None = None
    error_after: float | None = None

    @classmethod
    def of(cls, logits: np.ndarray, labels: np.ndarray, members: Members | None) -> Calibration:
        """Return that of a model by what it says of images that it was not trained on.

        Args:
            logits: float32 ``[N, classes]``, N of 1 or more.
            labels: int64 ``[N]``.
            members: what real members look like.
        """
        temperature = best_temperature(logits, labels)
        probabilities = cls(temperature).probabilities(logits)
        ordered = np.sort(probabilities[probabilities.argmax(axis=1) == labels], axis=1)
        confidence, margin = ordered[:, -1], ordered[:, -1] - ordered[:, -2]
        return cls(
            temperature,
            min_confidence=_passed_by(RIGHT_KEPT, confidence),
            min_margin=_passed_by(RIGHT_KEPT, margin),
            min_membership=0.0 if members is None else round(1 - MEMBERS_KEPT, 9),
            members=members,
        )

    @classmethod
    def from_json(cls, values: Any, channels: int) -> Calibration:
        """Build it from untrusted JSON; raises ``CheckpointError``."""
        try:
            fields = dict(values)
            members = fields.pop("members")
            found = cls(members=None if members is None else _members(members, channels), **fields)
        except (TypeError, ValueError, KeyError) as error:
            raise CheckpointError("the model's calibration is not one of ours") from error
        numbers = [found.min_confidence, found.min_margin, found.min_membership]
        numbers += [e for e in (found.error_before, found.error_after) if e is not None]
        if not all(is_number(value) and 0 <= value <= 1 for value in numbers):
            raise CheckpointError("the model's calibration has thresholds that are not in 0..1")
        if not (is_number(found.temperature) and 1e-3 <= found.temperature <= 1e3):
            raise CheckpointError("the model's calibration has no temperature")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, which ``from_json`` reads back."""
        return asdict(self)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return float32 ``[N, classes]``: softmax of logits ``[N, classes]`` / temperature."""
        scaled = logits.astype(np.float64) / self.temperature
        shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        probabilities: np.ndarray = shares / shares.sum(axis=1, keepdims=True)
        return probabilities.astype(np.float32)

    def membership(self, pictures: np.ndarray) -> np.ndarray:
        """Return float32 ``[N]``, 0 to 1: how much each picture looks as if it were of any class.

        It is the share of validation images and of distorted copies of them that look even less
        like the training images.

        Args:
            pictures: uint8 ``[N, 28, 28, C]``, what the model saw.
        """
        if self.members is None:
            return np.ones(len(pictures), np.float32)
        return self.members.share_beyond(pictures)

    def knows(self, probabilities: np.ndarray, membership: float) -> bool:
        """Return whether the likeliest class may be said.

        Args:
            probabilities: ``[classes]`` of one picture.
            membership: of that picture.
        """
        second, first = np.partition(probabilities, -2)[-2:]
        return bool(
            first >= self.min_confidence
            and first - second >= self.min_margin
            and membership >= self.min_membership
        )


PLAIN = Calibration()
"""Softmax as it is, and never ``unknown``."""


@dataclass(frozen=True)
class Thresholds:
    """What a person asks for in place of a model's own thresholds; None leaves those.

    Raises ``UsageError`` for what is not in 0..1.
    """

    min_confidence: float | None = None
    min_margin: float | None = None
    min_membership: float | None = None

    def __post_init__(self) -> None:
        for name, value in self._asked().items():
            if not 0 <= value <= 1:
                option = "--" + name.replace("_", "-")
                raise UsageError(f"{option} must be from 0 to 1, not {value}")

    @property
    def of_probabilities(self) -> bool:
        """Whether there is one of confidence or margin, which every model can be asked for."""
        return self.min_confidence is not None or self.min_margin is not None

    def replacing(self, calibration: Calibration) -> Calibration:
        """Return a calibration with these in place of its own."""
        return replace(calibration, **self._asked())

    def _asked(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


NO_THRESHOLDS = Thresholds(0.0, 0.0, 0.0)
"""Always an answer."""


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature, 0.05 to 20, at which labels ``[N]`` are the likeliest.

    Their negative log-likelihood has one minimum over the inverse temperature, in which it is
    convex, so a search by thirds of the logarithm finds it. Each label counts for 1 - 1/(N + 2),
    the other classes for the rest (Platt 1999, "Probabilistic Outputs for Support Vector
    Machines", 2.2): of few images hardly one is named wrongly, and the likeliest temperature would
    be next to none. Where none is, nothing tells it, and it is 1.
    """
    count, classes = logits.shape
    if (logits.argmax(axis=1) == labels).all():
        return 1.0
    targets = np.full(logits.shape, 1 / (count + 2) / (classes - 1))
    targets[np.arange(count), labels] = 1 - 1 / (count + 2)

    def loss(logarithm: float) -> float:
        scaled = logits.astype(np.float64) / math.exp(logarithm)
        scaled -= scaled.max(axis=1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(axis=1)) - (targets * scaled).sum(axis=1)).mean())

    low, high = math.log(0.05), math.log(20)
    while high - low > 1e-4:
        third = (high - low) / 3
        if loss(low + third) < loss(high - third):
            high -= third
        else:
            low += third
    return round(math.exp((low + high) / 2), 4)


def require_finite(logits: np.ndarray) -> None:
    """Raise ``CheckpointError`` where a model's answers are no numbers."""
    if not np.isfinite(logits).all():
        raise CheckpointError(
            "the model's answers are not finite numbers, its training must have diverged: "
            "choose another"
        )


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the expected calibration error over 15 bins of confidence, in 0..1.

    Guo et al. 2017, arXiv:1706.04599, equation 3: by how much confidence ``[N, classes]`` and the
    share of right answers differ on average.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    surplus = np.bincount(bins, weights=right - confidence, minlength=_BINS)
    return float(np.abs(surplus).sum() / len(labels))


def _passed_by(share: float, values: np.ndarray) -> float:
    """Return the threshold that a share of the values passes at least; 0 where there are none.

    Rounded to nearest it could be above them all: probabilities crowd below 1.
    """
    return math.floor(np.quantile(values, 1 - share) * 1e4) / 1e4 if len(values) else 0.0


def _members(values: Mapping[str, Any], channels: int) -> Members:
    """Build it from untrusted JSON; raises ``ValueError`` and ``TypeError``."""
    members = Members(**values)
    size = STATISTICS[channels]
    _require_numbers(members.mean, size)
    _require_numbers(members.distances, PERCENTILES)
    if members.distances != sorted(members.distances) or len(members.precision) != size:
        raise ValueError("not percentiles, or no matrix")
    for place, row in enumerate(members.precision):
        _require_numbers(row, place + 1)
    return members


def _require_numbers(values: Any, count: int) -> None:
    if not (isinstance(values, list) and len(values) == count and all(map(_is_moderate, values))):
        raise ValueError(f"not {count} numbers")


def _is_moderate(value: Any) -> bool:
    return is_number(value) and abs(value) <= LARGEST
