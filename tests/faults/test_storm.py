"""All of it at random, in small: the long form is ``make faults``."""

from __future__ import annotations

import pytest
from support.home import Home
from support.storm import SHORT, Storm


@pytest.mark.long
def test_04_all_at_random(home: Home) -> None:
    """Workers, server and coordinator killed, workers frozen, replies lost: the books agree."""
    storm = Storm(home, seed=4, trials=15, seconds=0.2)
    books = storm.run(SHORT)
    assert books.trials == books.done
    assert storm.counts["workers killed"] == SHORT.workers_killed
