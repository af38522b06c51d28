"""Reliable probabilities, and which pictures are of no class."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Iterator

import numpy as np
import pytest
import torch

from hyperhive.common.errors import CheckpointError, UsageError
from hyperhive.coordinator.evaluation import seen_by_camera
from hyperhive.model.augmentation.camera import CameraAugmentation
from hyperhive.model.calibration import (
    CORRECT_KEPT,
    NO_THRESHOLDS,
    Calibration,
    Thresholds,
    calibration_error,
)
from hyperhive.model.data.loading import digits
from hyperhive.model.membership import fitting
from hyperhive.model.membership.classifier import HIDDEN
from hyperhive.model.membership.members import MemberStatistics
from hyperhive.model.membership.numbers import LARGEST, PERCENTILES
from hyperhive.model.membership.statistics import OF_DISTANCE, statistics
from hyperhive.model.temperature_scaling import best_temperature


def answers(count: int, times: float) -> tuple[np.ndarray, np.ndarray]:
    """Return logits of 5 classes, multiplied by a factor, and labels drawn from the true ones."""
    random = np.random.RandomState(0)
    logits = random.standard_normal((count, 5)) * 2
    # The largest of logits plus Gumbel noise is each class with its softmax probability.
    labels = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    return (logits * times).astype(np.float32), labels


def blobs(count: int, channels: int, seed: int) -> np.ndarray:
    """Return pictures of one light disc each, with random place, size and colour."""
    random = np.random.RandomState(seed)
    down, across = np.mgrid[0:28, 0:28]
    pictures = np.empty((count, 28, 28, channels), np.uint8)
    for picture in pictures:
        row, column, radius = random.randint(10, 18), random.randint(10, 18), random.uniform(4, 9)
        picture[:] = random.randint(20, 80, channels)
        disc = (down - row) ** 2 + (across - column) ** 2 < radius**2
        picture[disc] = random.randint(150, 240, channels)
    return pictures


@pytest.fixture(scope="module", params=[1, 3])
def members(request: pytest.FixtureRequest) -> MemberStatistics:
    return MemberStatistics.of(seen_by_camera(blobs(500, request.param, 0)))


def channels_of(members: MemberStatistics) -> int:
    return next(channels for channels, size in OF_DISTANCE.items() if size == len(members.mean))


def landscapes(count: int, roughness: float, seed: int) -> np.ndarray:
    """Return ``[N, 28, 28, 1]``, noise as smooth as photographs: amplitudes fall with frequency."""
    random = np.random.RandomState(seed)
    frequency = np.hypot(np.fft.fftfreq(28)[:, None], np.fft.fftfreq(28))
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(random.standard_normal((count, 28, 28))) / frequency**roughness
    levels = np.fft.ifft2(spectrum).real
    levels *= random.uniform(20, 60, (count, 1, 1)) / levels.std(axis=(1, 2), keepdims=True)
    levels += random.uniform(80, 170, (count, 1, 1))
    return np.clip(levels, 0, 255).astype(np.uint8)[..., None]


def drawings(count: int, seed: int) -> np.ndarray:
    """Return ``[N, 28, 28, 1]``: landscapes in four shades."""
    return landscapes(count, 1.6, seed) // 64 * 64 + 32


def photographs(*roughness: float) -> np.ndarray:
    """Return landscapes of each roughness, and a copy of each as a camera sees it."""
    both = [seen_by_camera(landscapes(400, each, 0))[:2] for each in roughness]
    return np.stack(both).reshape(len(both), 800, 28, 28, 1)


@pytest.fixture(scope="module", autouse=True)
def _briefly() -> Iterator[None]:
    """Train classifiers for 150 steps: that suffices for what these tests tell apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_STEPS", 150)
        yield


@pytest.fixture(scope="module")
def told_apart() -> MemberStatistics:
    """Return the statistics of drawings, with a classifier that tells them from landscapes."""
    return MemberStatistics.of(seen_by_camera(drawings(400, 1))[:4], photographs(1.2, 1.6))


@pytest.mark.parametrize("times", [0.5, 1.0, 3.0])
def test_the_temperature_is_the_factor_of_the_logits(times: float) -> None:
    """Logits that are 3 times too large have the temperature 3, which makes the error small."""
    logits, labels = answers(5000, times)
    temperature = best_temperature(logits, labels)
    assert temperature == pytest.approx(times, rel=0.06)
    assert calibration_error(Calibration(temperature).probabilities(logits), labels) < 0.03


def test_answers_that_are_all_right_determine_no_temperature() -> None:
    """Without an error the temperature is 1; with one narrow error it is not close to 0."""
    labels = np.arange(60) % 3
    logits = 4 * np.eye(3, dtype=np.float32)[labels]
    assert best_temperature(logits, labels) == 1.0
    logits[0] = [0.0, 0.01, 0.0]
    assert 0.5 < best_temperature(logits, labels) < 1.5


def test_the_calibration_error_is_that_of_the_paper() -> None:
    """Four answers at 90 %, two of them right, and four at 60 %, all right, give 40 %."""
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 4, np.float32)
    labels = np.array([0, 0, 1, 1, 0, 0, 0, 0])
    assert calibration_error(probabilities, labels) == pytest.approx(0.4)
    assert calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0.0


def test_logits_of_any_size_become_probabilities() -> None:
    """Logits of tens of thousands do not overflow."""
    rows = Calibration(0.05).probabilities(np.array([[1e4, -1e4], [0, 0]], np.float32))
    assert rows.tolist() == [[1.0, 0.0], [0.5, 0.5]]
    assert rows.dtype == np.float32


def test_thresholds_let_pass_what_they_promise(members: MemberStatistics) -> None:
    """99 % of correct answers pass confidence and margin, 95 % of new members pass membership."""
    logits, labels = answers(4000, 2.0)
    calibration = Calibration.of(logits, labels, members)
    probabilities = calibration.probabilities(logits)
    ordered = np.sort(probabilities[probabilities.argmax(axis=1) == labels], axis=1)
    assert (ordered[:, -1] >= calibration.min_confidence).mean() == pytest.approx(0.99, abs=0.003)
    assert (ordered[:, -1] - ordered[:, -2] >= calibration.min_margin).mean() == pytest.approx(
        0.99, abs=0.003
    )
    new = calibration.membership(blobs(400, channels_of(members), 1))
    assert (new >= calibration.min_membership).mean() >= 0.95


def test_a_very_sure_model_passes_its_own_thresholds() -> None:
    """If nearly all confidences are equal, rounding does not lift the threshold above them."""
    labels = np.arange(400) % 2
    logits = 8.0066 * np.eye(2, dtype=np.float32)[labels]
    calibration = Calibration.of(logits, labels, None)
    probabilities = calibration.probabilities(logits)
    assert probabilities.max() == pytest.approx(0.999667, abs=1e-6)
    known = [calibration.knows(row, membership=1.0) for row in probabilities]
    assert np.mean(known) >= CORRECT_KEPT


def test_a_model_that_is_never_right_has_a_calibration() -> None:
    """Without a correct answer, the thresholds of confidence and margin refuse nothing."""
    logits = np.array([[3.0, 0.0]] * 5, np.float32)
    calibration = Calibration.of(logits, np.ones(5, np.int64), None)
    assert NO_THRESHOLDS.replacing(calibration) == calibration


@pytest.mark.parametrize(
    ("probabilities", "membership", "known"),
    [
        ([0.6, 0.3, 0.1], 0.5, True),
        ([0.45, 0.25, 0.3], 0.5, False),
        ([0.1, 0.45, 0.55], 0.5, True),
        ([0.0, 0.48, 0.52], 0.5, False),
        ([0.6, 0.3, 0.1], 0.04, False),
    ],
)
def test_it_is_unknown_by_confidence_margin_or_membership(
    probabilities: list[float], membership: float, known: bool
) -> None:
    """One value that is too low is enough for unknown, in any order of the classes."""
    calibration = Calibration(min_confidence=0.5, min_margin=0.09, min_membership=0.05)
    assert calibration.knows(np.array(probabilities, np.float32), membership) is known
    assert NO_THRESHOLDS.replacing(calibration).knows(np.array(probabilities, np.float32), 0.0)


def test_a_person_may_ask_for_other_thresholds() -> None:
    """A given threshold replaces the card's, and the others stay; thresholds are from 0 to 1."""
    calibration = Calibration(2.0, 0.5, 0.1, 0.05)
    asked = Thresholds(min_confidence=0.9).replacing(calibration)
    assert asked == Calibration(2.0, 0.9, 0.1, 0.05)
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(UsageError, match="--min-margin must be from 0 to 1"):
            Thresholds(min_margin=wrong)


def test_members_are_told_from_other_pictures(members: MemberStatistics) -> None:
    """Noise and walls are farther away than 95 % of members; most new members are not."""
    channels = channels_of(members)
    random = np.random.RandomState(2)
    noise = random.randint(0, 256, (50, 28, 28, channels)).astype(np.uint8)
    walls = np.full_like(noise, 130) + random.randint(0, 4, noise.shape).astype(np.uint8)
    assert (members.share_beyond(noise) < 0.05).all()
    assert (members.share_beyond(walls) < 0.05).all()
    assert (members.share_beyond(blobs(200, channels, 3)) >= 0.05).mean() > 0.9


def test_a_member_that_a_camera_distorts_mildly_stays_one(members: MemberStatistics) -> None:
    """Most copies that a camera has distorted mildly still pass as members."""
    pictures = torch.from_numpy(blobs(200, channels_of(members), 4).transpose(0, 3, 1, 2).copy())
    seen = CameraAugmentation(torch.Generator().manual_seed(5), strength=0.6)(pictures).permute(
        0, 2, 3, 1
    )
    assert (members.share_beyond(seen.byte().numpy()) >= 0.05).mean() > 0.8


def test_photographs_are_told_from_members_by_a_classifier(told_apart: MemberStatistics) -> None:
    """It refuses those of a kind that it has not seen, which the distance alone does not."""
    assert told_apart.photographs is not None
    alone = dataclasses.replace(told_apart, photographs=None)
    new, unseen = drawings(200, 2), landscapes(200, 1.4, 3)
    assert (told_apart.share_beyond(new) >= 0.05).mean() > 0.9
    assert (told_apart.share_beyond(unseen) < 0.05).mean() > 0.95
    assert (alone.share_beyond(unseen) < 0.05).mean() < 0.9


def test_members_like_photographs_have_no_classifier() -> None:
    """Where a photograph cannot be told from them, the card says so, and the distance is alone."""
    versions = seen_by_camera(landscapes(400, 1.4, 1))[:4]
    members = MemberStatistics.of(versions, photographs(1.4, 1.4))
    assert members.photographs is None
    assert members.separation is not None
    assert members.separation < 0.25
    assert (members.share_beyond(landscapes(200, 1.4, 2)) >= 0.05).mean() > 0.9


def test_identical_pictures_are_members() -> None:
    """A data set of identical pictures has finite statistics, and its pictures are members."""
    same = np.full((10, 28, 28, 3), 7, np.uint8)
    two = photographs(1.2, 1.6).repeat(3, axis=4)
    members = MemberStatistics.of(np.stack([same, same]), two)
    assert members.photographs is not None
    assert np.isfinite(members.distance(same)).all()
    assert (members.share_beyond(same) >= 0.05).all()
    assert (members.share_beyond(255 - same) == 0).all()


def test_statistics_do_not_depend_on_their_neighbours() -> None:
    """A picture has the same statistics alone and among more pictures than one batch."""
    pictures = blobs(300, 3, 0)
    assert np.allclose(statistics(pictures)[-1:], statistics(pictures[-1:]), atol=1e-6)


# -- in a card --------------------------------------------------------------------------------


def test_a_calibration_survives_the_card(members: MemberStatistics) -> None:
    """A calibration comes back equal from JSON, and gives the same memberships."""
    logits, labels = answers(200, 1.0)
    written = dataclasses.replace(Calibration.of(logits, labels, members), error_before=0.2)
    read = Calibration.from_json(json.loads(json.dumps(written.to_json())), channels_of(members))
    assert read == written
    pictures = blobs(5, channels_of(members), 6)
    assert (read.membership(pictures) == written.membership(pictures)).all()
    assert len(json.dumps(written.to_json())) < 12_000


def test_a_classifier_survives_the_card(told_apart: MemberStatistics) -> None:
    """It comes back equal, gives the same memberships, and makes the card 10 kB longer at most."""
    written = Calibration(members=told_apart).to_json()
    alone = Calibration(members=dataclasses.replace(told_apart, photographs=None)).to_json()
    assert len(json.dumps(written)) < len(json.dumps(alone)) + 10_000
    read = Calibration.from_json(json.loads(json.dumps(written)), 1)
    pictures = landscapes(5, 1.4, 4)
    assert read.members == told_apart
    assert (read.membership(pictures) == told_apart.share_beyond(pictures)).all()


def grey() -> dict[str, Any]:
    size = OF_DISTANCE[1]
    return Calibration(
        members=MemberStatistics(
            mean=[0.0] * size,
            precision=[[0.0] * (place + 1) for place in range(size)],
            distances=[float(place) for place in range(PERCENTILES)],
        )
    ).to_json()


def spoilt(**changed: Any) -> dict[str, Any]:
    return {**grey(), **changed}


def spoilt_members(**changed: Any) -> dict[str, Any]:
    return spoilt(members={**grey()["members"], **changed})


def spoilt_classifier(**changed: Any) -> dict[str, Any]:
    """Return a calibration whose classifier has other values; without any it is valid."""
    classifier = {
        "hidden": [[0.0] * 47] * HIDDEN,
        "output": [0.0] * (HIDDEN + 1),
        "probabilities": [0.5] * PERCENTILES,
    }
    return spoilt_members(photographs={**classifier, **changed}, separation=0.5)


@pytest.mark.parametrize(
    "values",
    [
        7,
        [],
        {},
        "members",
        spoilt(temperature=0),
        spoilt(temperature=float("nan")),
        spoilt(temperature="2"),
        spoilt(temperature=True),
        spoilt(temperature=None),
        spoilt(min_confidence=1.5),
        spoilt(min_margin=-1),
        spoilt(min_membership=None),
        spoilt(error_after="none"),
        spoilt(validated=-1),
        spoilt(correct="6"),
        spoilt(colour="red"),
        spoilt(members=5),
        spoilt_members(mean=None),
        spoilt_members(mean=[0.0] * OF_DISTANCE[3]),
        spoilt_members(precision=[[0.0] * OF_DISTANCE[1]]),
        spoilt_members(precision=[0.0] * OF_DISTANCE[1]),
        spoilt_members(precision=[[LARGEST * 10] * (i + 1) for i in range(OF_DISTANCE[1])]),
        spoilt_members(precision=[[0.0] * OF_DISTANCE[1]] * OF_DISTANCE[1]),
        spoilt_members(distances=[1.0]),
        spoilt_members(distances=[1.0, 0.0] + [2.0] * (PERCENTILES - 2)),
        spoilt_members(distances=[float("nan")] * PERCENTILES),
        spoilt_members(distances=["1"] * PERCENTILES),
        spoilt_members(images=True),
        spoilt_members(images=2.5),
        spoilt_members(more=1),
        spoilt_members(separation=1.5),
        spoilt_members(separation="all"),
        spoilt_members(photographs=[]),
        spoilt_members(photographs={}),
        spoilt_classifier(hidden=None),
        spoilt_classifier(hidden=[[0.0] * 47] * (HIDDEN + 1)),
        spoilt_classifier(hidden=[[0.0] * 46] * HIDDEN),
        spoilt_classifier(hidden=[[LARGEST * 10] * 47] * HIDDEN),
        spoilt_classifier(output=[float("nan")] * (HIDDEN + 1)),
        spoilt_classifier(output=["1"] * (HIDDEN + 1)),
        spoilt_classifier(probabilities=[0.5]),
        spoilt_classifier(probabilities=[0.5, 0.4] + [0.5] * (PERCENTILES - 2)),
        spoilt_classifier(probabilities=[1.5] * PERCENTILES),
        spoilt_classifier(more=1),
    ],
)
def test_an_invalid_calibration_is_refused(values: Any) -> None:
    """Wrong types and sizes, and numbers out of range, are refused before they are used."""
    for valid in (grey(), spoilt_classifier()):
        read = Calibration.from_json(valid, 1)
        assert read.membership(np.zeros((1, 28, 28, 1), np.uint8)) == 1.0
    with pytest.raises(CheckpointError, match="calibration"):
        Calibration.from_json(values, 1)


def test_digits_are_members_of_the_digits_alone() -> None:
    """For real digits, nine of ten new ones pass as members, and inverted ones do not."""
    dataset = digits()
    images = dataset.train_images
    members = MemberStatistics.of(seen_by_camera(images))
    assert (members.share_beyond(dataset.test_images) >= 0.05).mean() > 0.9
    assert (members.share_beyond(255 - dataset.test_images) >= 0.05).mean() < 0.1
