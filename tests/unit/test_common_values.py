"""Values of untrusted JSON or BSON."""

from __future__ import annotations

from typing import Any

import pytest

from hyperhive.common.values import number

HUGE = 10**400


@pytest.mark.parametrize("value", [None, "1", True, [1], float("nan"), float("inf")])
def test_what_is_not_a_finite_number_is_none(value: Any) -> None:
    """Text, true and false, lists, NaN and infinity are not."""
    assert number(value) is None


def test_a_whole_number_that_no_float_can_hold_is_none() -> None:
    """JSON allows them."""
    assert number(HUGE) is None
    assert number(-HUGE) is None


@pytest.mark.parametrize("value", [0, -2, 0.5, 1.7976931348623157e308])
def test_a_finite_number_is_a_float(value: Any) -> None:
    """Any other number keeps its value."""
    assert number(value) == value
    assert isinstance(number(value), float)
