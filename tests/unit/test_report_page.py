"""The report in a real browser: it opens offline, from a file, and shows what the store has."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.browser import CHROMIUM, browsing
from test_report import SCRIPT, searched

from hyperhive.coordinator.report.writing import report
from hyperhive.store.store import Store

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


def test_a_report_opens_from_a_file(store: Store, tmp_path: Path) -> None:
    """All its figures are drawn under its own policy, and the console shows no error."""
    for name in ("first", "second"):
        searched(store, name)
    file = tmp_path / "report.html"
    file.write_bytes(report(store, ["first", "second"]))
    with browsing(file.as_uri(), tmp_path / "profile") as page:
        page.shows("best: trial 0, loss 0.25")
        page.shows("Run it again")
        page.shows(SCRIPT)
        assert page.count("section.study") == 2
        assert page.errors == []
