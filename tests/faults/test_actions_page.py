"""Actions in a browser: nothing happens before the second question, and only if it is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.browser import CHROMIUM, browsing
from support.clients import only, post
from support.home import until

from hyperhive.coordinator.views.dashboard_page import DashboardOptions, serving
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status

CANCEL = ".actions button[value='cancel study']"


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the page is not looked at in a browser")
def test_a_study_is_cancelled_from_the_page_after_a_second_question(
    store: Store, tmp_path: Path
) -> None:
    """Escape leaves it as it is; a page that was started without them shows no action."""
    store.studies.open("s", {"trials": 4, "objective": "lenet5", "space": {}})
    post(store)
    said: list[str] = []
    options = DashboardOptions(None, "127.0.0.1", 0, None, allow_actions=True)
    with serving(store, options, said.append) as site, browsing(site.url, tmp_path) as browser:
        assert site.key is not None  # on this machine too: it may have other users
        until(lambda: browser.count(".actions form:not([hidden]) button") > 3, "the actions")
        browser.click(".actions summary")
        browser.click(CANCEL)
        browser.shows("Cancel study s, and its 1 unfinished trial?", "dialog")
        browser.key("Escape")
        browser.shows("nothing was changed", ".said")
        assert not store.study("s").cancelled
        browser.click(CANCEL)
        browser.shows("Cancel the study", "dialog .yes")
        browser.click("dialog .yes")
        browser.shows("study s cancelled, 1 trial with it", ".said")
        assert browser.count("dialog") == 0
        assert browser.errors == []
    assert store.study("s").cancelled
    assert only(store).status is Status.ERROR
    off = DashboardOptions(None, "127.0.0.1", 0, None)
    with serving(store, off, said.append) as site, browsing(site.url, tmp_path) as browser:
        browser.shows("cancelled", "#beside")
        assert browser.count("#actions *") == 0
