"""The dashboard in a browser: it shows the fleet, and recovers after its servers were away."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from support.browser import CHROMIUM, browsing
from support.home import until
from support.proxy import Proxy, anything, nothing

from hyperhive.coordinator.views.dashboard import Dashboard
from hyperhive.coordinator.views.dashboard_page import DashboardOptions, listen
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.updates import new_token

NAME = "<img src=x onerror=document.title='harmed'><script>document.title='harmed'"


def finish(store: Store, tid: int, accuracy: float) -> None:
    config = {"learning_rate": 0.05, "momentum": 0.5, "epochs": 7}
    store.queue.post(Draft(NAME, tid, config, {}, objective="lenet5"))
    trial = store.queue.claim("mac", new_token(), ["lenet5"])
    assert trial is not None
    result = {"loss": 1 - accuracy, "validation_accuracy": accuracy}
    assert store.queue.finish(trial.id, str(trial.token), result)


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the page is not looked at in a browser")
def test_the_page_goes_on_when_its_servers_are_back(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """It shows names as text and a chart in words, names a server that is away, and goes on.

    What was there before stays on the page meanwhile. A study can be chosen.
    """
    store.studies.open("other", {"trials": 3})
    store.studies.open(NAME, {"trials": 4})
    finish(store, 0, 0.25)
    finish(store, 1, 0.5)
    store.workers.report("nano", None, "cuda (<b>Tegra</b>)", {}, None)
    with contextlib.ExitStack() as opened:
        proxy = opened.enter_context(Proxy.of(mongo_uri))
        through = opened.enter_context(Store(proxy.uri(mongo_uri), timeout=2.0))
        dashboard = Dashboard(FleetReader(through))
        page = listen(dashboard, DashboardOptions(None, "127.0.0.1", 0, None))
        with page.running():
            browser = opened.enter_context(browsing(page.url, tmp_path))
            browser.shows(NAME, "#name")
            browser.shows("2 of 4 done, 0 running, 0 waiting, 0 failed", "#counts")
            browser.shows("best so far 50.0 % (trial 1: learning rate 0.05", "#best")
            browser.shows("cuda (<b>Tegra</b>)", "#workers")
            until(lambda: browser.count("#chart .point") == 2, "a point for each trial")
            assert browser.count("#chart .star") == 1
            said = browser.evaluate("document.getElementById('chart').getAttribute('aria-label')")
            assert "2 measured, from 25.0 % to 50.0 %" in said
            assert browser.count("#name *, #studies img, #workers b, #others script") == 0
            proxy.drop = anything
            browser.shows("the store: MongoDB at", "#problem")
            browser.shows("this page goes on by itself", "#problem")
            browser.shows("2 of 4 done", "#counts")
            proxy.drop = nothing
            finish(store, 2, 0.75)
            browser.shows("3 of 4 done", "#counts")
            assert browser.evaluate("document.getElementById('problem').textContent") == ""
        browser.shows("no connection: `hyperhive dashboard` has ended", "#problem")
        browser.shows("3 of 4 done", "#counts")
        again = listen(dashboard, DashboardOptions(None, *page.server_address[:2], None))
        with again.running():
            until(
                lambda: not browser.evaluate("document.getElementById('problem').textContent"), ""
            )
            browser.evaluate("[...document.querySelectorAll('#studies a')].at(-1).click()")
            browser.shows("other", "#name")
            browser.shows("0 of 3 done", "#counts")
        assert "harmed" not in browser.evaluate("document.title")
