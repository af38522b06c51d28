"""What is fitted to few pictures does no harm, and is off where they are too few."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from benchmarks._shapes import FAR, MEMBERS, STRANGERS, Random, data_set, frames
from hyperhive.coordinator.evaluation import seen_by_camera
from hyperhive.model.calibration import (
    CORRECT_KEPT,
    MEMBERS_KEPT,
    PLAIN,
    Calibration,
    Doubt,
    calibration_error,
    fewest,
)
from hyperhive.model.data.images import fit
from hyperhive.model.membership.members import MemberStatistics
from hyperhive.model.membership.numbers import folds_of
from hyperhive.model.temperature_scaling import best_temperature


def members_of(each: int, seed: int) -> MemberStatistics:
    return MemberStatistics.of(seen_by_camera(data_set(each, seed).train_images))


def nothing_sure(members: MemberStatistics) -> Calibration:
    """Return the calibration of a model whose nine validation images tell little."""
    labels = np.arange(9) % 3
    return Calibration.of(np.eye(3, dtype=np.float32)[labels], labels, members)


def as_input(shown: list[np.ndarray]) -> np.ndarray:
    return np.stack([fit(frame, 3) for frame in shown])


@pytest.mark.long
def test_cards_in_a_room_are_members_of_few_drawings() -> None:
    """New cards that a camera sees are members, 9 of 10; 7 of 10 strangers are not (2 seeds)."""
    kept, refused = [], []
    for seed in range(2):
        calibration, random = nothing_sure(members_of(20, seed)), Random(100 + seed)
        assert 0.02 < calibration.min_membership < 0.05
        for names, found in ((MEMBERS * 12, kept), (STRANGERS * 8, refused)):
            membership = calibration.membership(as_input(frames(names, random)))
            found.append((membership >= calibration.min_membership).mean())
    assert np.mean(kept) >= 0.9
    assert np.mean(refused) <= 0.3


def test_a_picture_that_is_too_small_is_no_member_and_enlarged_is_one() -> None:
    """Most cards that fill half to two thirds of the guide are unlike the pictures."""
    calibration = nothing_sure(members_of(40, 0))
    shown = frames(MEMBERS * 10, Random(7), FAR)
    away = calibration.membership(as_input(shown)) < calibration.min_membership
    assert away.mean() > 0.5
    margins = (55, 90, 120)  # 1.3, 1.6 and 2 times as large
    enlarged = [
        calibration.membership(as_input([f[m : 480 - m, 80 + m : 560 - m] for f in shown]))
        for m in margins
    ]
    assert (np.max(enlarged, axis=0)[away] >= 0.2).mean() > 0.6


def drawn_answers(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return logits of three classes whose softmax is right, and labels drawn by it."""
    random = np.random.RandomState(seed)
    logits = random.standard_normal((count, 3)) * 1.5
    return logits.astype(np.float32), (logits + random.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.mark.parametrize("count", [6, 9, 20, 40])
def test_few_images_do_not_spoil_right_probabilities(count: int) -> None:
    """Where the temperature 1 is right, the chosen one costs 0.01 nats at most, on average."""
    logits, labels = drawn_answers(4000, 999)
    costs = []
    for seed in range(60):
        temperature = best_temperature(*drawn_answers(count, seed))
        assert 0.2 < temperature < 5
        right = Calibration(temperature).probabilities(logits)[np.arange(4000), labels]
        costs.append(-np.log(right).mean())
    best = -np.log(PLAIN.probabilities(logits)[np.arange(4000), labels]).mean()
    assert np.mean(costs) < best + 0.01


def test_a_temperature_is_used_only_where_cross_validation_shows_its_gain() -> None:
    """Nine images that a model at chance guesses give none; hundreds of overconfident ones do."""
    random = np.random.RandomState(0)
    guesses = random.standard_normal((9, 3)).astype(np.float32) * 0.01
    assert best_temperature(guesses, np.arange(9) % 3) == 1.0
    logits, labels = drawn_answers(400, 1)
    assert best_temperature(logits * 3, labels) == pytest.approx(3.0, rel=0.2)
    assert best_temperature(logits, labels) == pytest.approx(1.0, abs=0.25)


def test_a_temperature_of_one_leaves_the_calibration_error() -> None:
    """Where no temperature is better, the error with it is exactly the error without."""
    logits, labels = drawn_answers(12, 5)
    before, after = (
        calibration_error(each.probabilities(logits), labels) for each in (PLAIN, Calibration(1.0))
    )
    assert before == after


def sure_answers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return logits that are all right, the margin of each a little above the last one's."""
    labels = np.arange(count) % 2
    return np.eye(2)[labels] * np.linspace(1, 3, count)[:, None], labels


def test_too_few_images_set_no_threshold() -> None:
    """Confidence needs 99 correct images, membership 19; the card holds how many there were."""
    assert (fewest(CORRECT_KEPT), fewest(MEMBERS_KEPT)) == (99, 19)
    few = Calibration.of(*sure_answers(98), None)
    assert (few.min_confidence, few.min_margin) == (0.0, 0.0)
    assert (few.validated, few.correct) == (98, 98)
    enough = Calibration.of(*sure_answers(99), None)
    lowest = enough.probabilities(sure_answers(99)[0]).max(axis=1).min()
    assert enough.min_confidence == math.floor(lowest * 1e4) / 1e4 > 0.5
    for count, is_on in ((18, False), (19, True)):
        members = MemberStatistics.of(seen_by_camera(data_set(10, 0).train_images[:count]))
        assert members.images == count
        assert (nothing_sure(members).min_membership > 0) is is_on


def test_series_are_left_out_whole() -> None:
    """A picture is not measured by others of its series, so it is as far away as a new one."""
    series = np.repeat(np.arange(8), 3)
    folds = folds_of(24, 4, series)
    assert sorted(set(folds)) == [0, 1, 2, 3]
    assert all(len(set(folds[series == one])) == 1 for one in range(8))
    assert len(set(folds_of(24, 4, np.zeros(24, int)))) == 4
    assert sorted(folds_of(24, 20)) == sorted(folds_of(24, 20, np.arange(24)))
    once = data_set(8, 0).train_images[:12]
    alike = seen_by_camera(np.concatenate([once, once]))
    drawn = np.random.RandomState(0).permutation(24)
    singly = MemberStatistics.of(alike).distances
    whole = MemberStatistics.of(alike, series=np.tile(np.arange(12), 2)[drawn]).distances
    assert whole[50] > 1.2 * singly[50]


def test_one_image_says_nothing_of_a_temperature() -> None:
    """Whether one answer is right or wrong, the temperature is 1."""
    answer = np.float32([[2.0, 0.0, 1.0]])
    assert [best_temperature(answer, np.array([label])) for label in range(3)] == [1.0] * 3


def test_more_images_make_the_threshold_of_membership_sharper() -> None:
    """It is half a standard error below 0.05: 0.034 for 48 images, nearly 0.05 for thousands."""
    members = members_of(20, 0)
    assert members.images == 48
    assert nothing_sure(members).min_membership == pytest.approx(0.0343, abs=1e-4)
    many = MemberStatistics(members.mean, members.precision, members.distances, images=5000)
    assert nothing_sure(many).min_membership == pytest.approx(0.0485, abs=1e-4)


def test_a_card_of_an_earlier_version_answers_as_before() -> None:
    """One without numbers of images or a classifier is read, and its thresholds are used."""
    now = nothing_sure(members_of(20, 0)).to_json()
    earlier = {**now, "min_membership": 0.05, "min_confidence": 0.4, "members": {**now["members"]}}
    del earlier["validated"], earlier["correct"]
    for later in ("images", "photographs", "separation"):
        del earlier["members"][later]
    read = Calibration.from_json(json.loads(json.dumps(earlier)), 3)
    assert (read.min_membership, read.min_confidence, read.validated) == (0.05, 0.4, None)
    doubt = read.doubt(np.float32([0.5, 0.3, 0.2]), 0.01)
    assert str(doubt) == "unlike the training pictures (membership 0.01 < 0.05)"


def test_a_doubt_names_its_number_in_digits_that_differ() -> None:
    """Membership comes first, then confidence, then margin; 0.0499 is not shown as 0.05."""
    strict = Calibration(min_confidence=0.6, min_margin=0.1, min_membership=0.05)
    assert strict.doubt(np.float32([0.7, 0.2, 0.1]), 0.5) is None
    unsure, close = np.float32([0.42, 0.35, 0.23]), np.float32([0.49, 0.48, 0.03])
    assert str(strict.doubt(unsure, 0.5)) == "not sure enough (confidence 0.42 < 0.60)"
    assert "membership 0.0499 < 0.0500" in str(strict.doubt(unsure, 0.0499))
    lenient = Calibration(min_margin=0.1)
    assert str(lenient.doubt(close, 0.5)) == "torn between two classes (margin 0.01 < 0.10)"
    assert Doubt("margin", 0.1, 0.1000001).why == "torn between two classes"
