"""From a model's logits to an answer: probabilities, and when the answer must be ``unknown``.

Everything here is NumPy, so that it is the same whichever engine computed the logits.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hyperhive.common.errors import CheckpointError, UsageError
from hyperhive.common.values import is_count, is_fraction, is_number
from hyperhive.model.membership.members import MemberStatistics
from hyperhive.model.temperature_scaling import best_temperature

CORRECT_KEPT = 0.99
"""Share of the correctly classified validation images that pass the threshold of confidence, and
the same share that passes the threshold of margin."""

MEMBERS_KEPT = 0.95
"""Share of training images, and of copies distorted as by a camera, that pass as members. Where a
classifier refuses photographs, 98 % pass by their distance and 97 % by the classifier."""

_CAUTION = 0.5
"""Standard errors of that share by which the threshold of membership is lowered. Of 48 images a few
decide where that threshold lies; with 5,000 it hardly makes a difference. A larger number refuses
fewer members, and fewer strangers (``benchmarks/small_sets.py``)."""

_BINS = 15


def fewest(kept: float) -> int:
    """Return how many images a threshold needs that this share of new ones passes.

    A new one is the lowest of n + 1 with chance 1/(n + 1). Of fewer images even the
    lowest would be a threshold that too many new ones fail, so there is none.
    """
    return math.ceil(round(1 / (1 - kept), 6)) - 1


@dataclass(frozen=True)
class Doubt:
    """Why an answer is ``unknown``: which number is below its threshold.

    Args:
        number: ``membership``, ``confidence`` or ``margin``.
        value: the picture's, 0 to 1.
        least: its threshold.
    """

    number: str
    value: float
    least: float

    @property
    def why(self) -> str:
        """Return the reason in a few words."""
        return _WHY[self.number]

    def __str__(self) -> str:
        """Return the reason with the two numbers, in as many digits as tell them apart."""
        both = (self.value, self.least)
        texts = [[f"{share:.{digits}f}" for share in both] for digits in (2, 3, 4, 6)]
        value, least = next((pair for pair in texts if pair[0] != pair[1]), texts[-1])
        return f"{self.why} ({self.number} {value} < {least})"


_WHY = {
    "membership": "unlike the training pictures",
    "confidence": "not sure enough",
    "margin": "torn between two classes",
}


@dataclass(frozen=True)
class Calibration:
    """How to turn logits into reliable probabilities, and when to answer ``unknown``.

    Args:
        temperature: divides the logits (Guo et al. 2017, arXiv:1706.04599); above 0.
        min_confidence: the answer is ``unknown`` if the likeliest class has a lower probability.
        min_margin: the answer is ``unknown`` if the likeliest class is less than this ahead of the
            second.
        min_membership: the answer is ``unknown`` for a picture with a lower membership; it is about
            the share of real members that are refused.
        members: the statistics of real members; with None every picture counts as a member.
        validated: number of images that the temperature was chosen by; None in a card of an earlier
            version.
        correct: how many of them were classified correctly, which thresholds of confidence and
            margin come from.
        error_before: expected calibration error of the plain softmax on the test split, in 0..1.
        error_after: expected calibration error of these probabilities on the test split.
    """

    temperature: float = 1.0
    min_confidence: float = 0.0
    min_margin: float = 0.0
    min_membership: float = 0.0
    members: MemberStatistics | None = None
    validated: int | None = None
    correct: int | None = None
    error_before: float | None = None
    error_after: float | None = None

    @classmethod
    def of(
        cls, logits: np.ndarray, labels: np.ndarray, members: MemberStatistics | None
    ) -> Calibration:
        """Return the calibration of a model, from images that it was not trained on.

        A threshold that fewer than ``fewest`` images would give is 0, which refuses nothing.

        Args:
            logits: the model's, float32 ``[N, classes]``, N of 1 or more.
            labels: int64 ``[N]``.
            members: the statistics of real members.
        """
        temperature = best_temperature(logits, labels)
        probabilities = cls(temperature).probabilities(logits)
        ordered = np.sort(probabilities[probabilities.argmax(axis=1) == labels], axis=1)
        confidence, margin = ordered[:, -1], ordered[:, -1] - ordered[:, -2]
        return cls(
            temperature,
            min_confidence=_threshold(CORRECT_KEPT, confidence),
            min_margin=_threshold(CORRECT_KEPT, margin),
            min_membership=_least_membership(members),
            members=members,
            validated=len(labels),
            correct=len(ordered),
        )

    @classmethod
    def from_json(cls, values: Any, channels: int) -> Calibration:
        """Build a calibration from untrusted JSON; raises ``CheckpointError``."""
        try:
            fields = dict(values)
            members = fields.pop("members")
            if members is not None:
                members = MemberStatistics.from_json(members, channels)
            calibration = cls(members=members, **fields)
        except (TypeError, ValueError, KeyError) as error:
            raise CheckpointError(
                "the model's calibration has missing, unknown or invalid fields"
            ) from error
        shares = [calibration.min_confidence, calibration.min_margin, calibration.min_membership]
        errors = (calibration.error_before, calibration.error_after)
        shares += [error for error in errors if error is not None]
        if not all(is_fraction(share) for share in shares):
            raise CheckpointError("the model's calibration has thresholds that are not in 0..1")
        temperature = calibration.temperature
        if not (is_number(temperature) and 1e-3 <= temperature <= 1e3):
            raise CheckpointError("the model's calibration does not have a valid temperature")
        if not (is_count(calibration.validated) and is_count(calibration.correct)):
            raise CheckpointError("the model's calibration has invalid numbers of images")
        return calibration

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as plain JSON, which ``from_json`` reads back."""
        return asdict(self)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return float32 ``[N, classes]``: softmax of logits ``[N, classes]`` / temperature."""
        scaled = logits.astype(np.float64) / self.temperature
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        probabilities: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
        return probabilities.astype(np.float32)

    def membership(self, pictures: np.ndarray) -> np.ndarray:
        """Return float32 ``[N]``, 0 to 1: how much each picture looks like one of any class.

        It is the share of training images, and of distorted copies of them, that look even less
        like the others, or more like photographs; see ``MemberStatistics.share_beyond``.

        Args:
            pictures: uint8 ``[N, S, S, C]``, the model's input.
        """
        if self.members is None:
            return np.ones(len(pictures), np.float32)
        return self.members.share_beyond(pictures)

    @property
    def ever_doubts(self) -> bool:
        """Whether any threshold is above 0."""
        return max(self.min_confidence, self.min_margin, self.min_membership) > 0

    def doubt(self, probabilities: np.ndarray, membership: float) -> Doubt | None:
        """Return why the likeliest class must not be the answer; None if it may be.

        Args:
            probabilities: ``[classes]``, of one picture.
            membership: of the same picture.
        """
        second, first = (float(share) for share in np.partition(probabilities, -2)[-2:])
        doubts = (
            Doubt("membership", membership, self.min_membership),
            Doubt("confidence", first, self.min_confidence),
            Doubt("margin", first - second, self.min_margin),
        )
        # Not `<`: a value that is no number is a doubt too.
        return next((each for each in doubts if not each.value >= each.least), None)

    def knows(self, probabilities: np.ndarray, membership: float) -> bool:
        """Return whether the likeliest class may be the answer; see ``doubt``."""
        return self.doubt(probabilities, membership) is None


PLAIN = Calibration()
"""The plain softmax, which never answers ``unknown``."""


@dataclass(frozen=True)
class Thresholds:
    """Thresholds that a person gives in place of the model's own; None keeps the model's.

    Raises ``UsageError`` for a threshold that is not in 0..1.
    """

    min_confidence: float | None = None
    min_margin: float | None = None
    min_membership: float | None = None

    def __post_init__(self) -> None:
        for name, value in self._given().items():
            if not 0 <= value <= 1:
                option = "--" + name.replace("_", "-")
                raise UsageError(f"{option} must be from 0 to 1, not {value}")

    @property
    def of_probabilities(self) -> bool:
        """True if a threshold of confidence or margin is given; those work for every model."""
        return self.min_confidence is not None or self.min_margin is not None

    def replacing(self, calibration: Calibration) -> Calibration:
        """Return a calibration with these thresholds in place of its own."""
        return replace(calibration, **self._given())

    def _given(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


NO_THRESHOLDS = Thresholds(0.0, 0.0, 0.0)
"""With these the answer is never ``unknown``."""


def require_finite(logits: np.ndarray) -> None:
    """Raise ``CheckpointError`` if a model's logits are not finite numbers."""
    if not np.isfinite(logits).all():
        raise CheckpointError(
            "the model's answers are not finite numbers, so its training must have diverged: "
            "choose another model"
        )


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the expected calibration error over 15 bins of confidence, in 0..1.

    It is the mean difference between confidence and the share of correct answers (Guo et al. 2017,
    arXiv:1706.04599, equation 3).

    Args:
        probabilities: ``[N, classes]``, N of 1 or more.
        labels: int64 ``[N]``.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    surplus = np.bincount(bins, weights=is_correct - confidence, minlength=_BINS)
    return float(np.abs(surplus).sum() / len(labels))


def _threshold(share: float, values: np.ndarray) -> float:
    """Return the threshold that at least this share of new values passes; 0 if too few are given.

    Of n values the k-th lowest is the threshold that a new value fails with chance k/(n + 1) (Vovk
    et al. 2005, "Algorithmic Learning in a Random World"). It is rounded down: rounded to nearest,
    it could be above every value, because many probabilities lie just below 1.
    """
    if len(values) < fewest(share):
        return 0.0
    rank = int(round((1 - share) * (len(values) + 1), 6))
    return math.floor(float(np.sort(values)[rank - 1]) * 1e4) / 1e4


def _least_membership(members: MemberStatistics | None) -> float:
    """Return the membership that most members have; 0 if there are too few members to tell."""
    if members is None or members.images is None or members.images < fewest(MEMBERS_KEPT):
        return 0.0
    refused = 1 - MEMBERS_KEPT
    return round(refused - _CAUTION * math.sqrt(refused * MEMBERS_KEPT / members.images), 4)
