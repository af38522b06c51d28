"""The page of an experiment in a real browser: it opens offline, and shows what was compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.browser import CHROMIUM, browsing
from test_experiments import run

from hyperhive.coordinator.experiments.summary import summary
from hyperhive.coordinator.report.experiment import experiment_page

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
HOSTILE = "</script><script>alert(1)</script>"


def test_the_page_of_an_experiment_opens_from_a_file(tmp_path: Path) -> None:
    """A figure and a table for each number of workers and budget; what is written is text."""
    names = ["tpe", HOSTILE]
    runs = [
        run(name, seed, [0.5, 0.25 + seed / 10, place / 100], trials)
        for place, name in enumerate(names, 1)
        for seed in range(2)
        for trials in (3, 4)
    ]
    groups = summary(runs, names, 0.005)
    facts = {"name": "digits", "is_share": True, "measure": "regret", "minimum": 0.005, "runs": 8}
    file = tmp_path / "page.html"
    file.write_bytes(experiment_page({**facts, "wanted": 8, "groups": groups}))
    with browsing(file.as_uri(), tmp_path / "profile") as page:
        page.shows("digits: an experiment of 8 runs")
        page.shows("1 worker, 4 trials")
        page.shows(HOSTILE)
        page.shows("0.50 %")
        assert page.count("figure.experiment path.compared") == 4
        assert page.count("figure.experiment table tbody tr") == 4
        assert page.errors == []
