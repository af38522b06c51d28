"""The live page in a browser: it follows a fleet, and recovers after its servers were away."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from support.browser import CHROMIUM, browsing
from support.fleet import Fleet
from support.home import Home, until
from support.proxy import Proxy, anything, nothing

from hyperhive.coordinator.figures.columns import STATUSES
from hyperhive.coordinator.figures.study import figures
from hyperhive.coordinator.views.dashboard_page import DashboardOptions, serving
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.updates import new_token

NAME = "<img src=x onerror=window.harmed=1><script>window.harmed=1"

DONE = STATUSES.index("done")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the page is not looked at"),
]


def finish(store: Store, study: str, tid: int, accuracy: float) -> None:
    config = {"learning_rate": 0.05, "momentum": 0.5, "epochs": 7}
    store.queue.post(Draft(study, tid, config, config, objective="lenet5"))
    trial = store.queue.claim("mac", new_token(), ["lenet5"])
    assert trial is not None
    result = {"loss": 1 - accuracy, "validation_accuracy": accuracy}
    assert store.queue.finish(trial.id, str(trial.token), result)


def options(port: int = 0) -> DashboardOptions:
    return DashboardOptions(None, "127.0.0.1", port, None)


def figures_of(url: str, study: str) -> Any:
    """Return the figures that the page would get now."""
    with urllib.request.urlopen(f"{url}figures.json?{urlencode({'study': study})}") as answer:
        return json.load(answer)["study"]


def test_the_page_goes_on_when_its_servers_are_back(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """It shows names as text, says which server is away and of when its figures are, and goes on.

    What was there before stays on the page meanwhile.
    """
    store.studies.open(NAME, {"trials": 4})
    finish(store, NAME, 0, 0.25)
    finish(store, NAME, 1, 0.5)
    store.workers.report("nano", None, "cuda (<b>Tegra</b>)", {}, None)
    with contextlib.ExitStack() as opened:
        proxy = opened.enter_context(Proxy.of(mongo_uri))
        through = opened.enter_context(Store(proxy.uri(mongo_uri), timeout=2.0))
        with serving(through, options(), lambda line: None) as site:
            browser = opened.enter_context(browsing(site.url, tmp_path))
            browser.shows("2 of 4 done, 0 running, 0 waiting, 0 failed", "#studies")
            browser.shows("50.0 %", "#figures .lines")
            browser.shows("cuda (<b>Tegra</b>)", "#workers")
            assert browser.count("#figures img, #studies img, #workers b, main script") == 0
            assert browser.errors == []
            proxy.drop = anything
            browser.shows("the store: MongoDB at", "#problem")
            browser.shows("this page shows what was there at", "#problem")
            browser.shows("2 of 4 done", "#studies")
            proxy.drop = nothing
            finish(store, NAME, 2, 0.75)
            browser.shows("75.0 %", "#figures .lines")
            assert browser.text("#problem") == ""
        browser.shows("no connection", "#problem")
        browser.shows("75.0 %", "#figures .lines")
        finish(store, NAME, 3, 0.875)
        with serving(store, options(site.port), lambda line: None):
            browser.shows("87.5 %", "#figures .lines")
            until(lambda: browser.text("#problem") == "", "no problem")
        assert NAME in browser.evaluate("document.title")
        assert browser.evaluate("window.harmed") is None


def test_studies_are_compared_and_filtered(store: Store, tmp_path: Path) -> None:
    """Two that are chosen are drawn side by side; a filter leaves what it names; then back to one.

    A trial has its own page.
    """
    for number in range(10):
        name = f"study-{number}"
        store.studies.open(name, {"trials": 4})
        finish(store, name, 0, (number + 1) / 16)
    with contextlib.ExitStack() as opened:
        site = opened.enter_context(serving(store, options(), lambda line: None))
        browser = opened.enter_context(browsing(site.url, tmp_path))
        browser.shows("62.5 %", "#figures .lines")
        browser.click("#find-study")
        browser.type("study-3")
        until(lambda: browser.count("#studies li") == 1, "one study")
        browser.click("#studies input")
        browser.evaluate("document.querySelector('#find-study').value = ''")
        browser.click("#find-study")
        browser.type("study-7")
        browser.shows("study-7", "#studies")
        until(lambda: browser.count("#studies li") == 1, "only that one")
        browser.click("#studies input")
        browser.shows("Compare 2 studies", "#compare")
        browser.click("#compare")
        until(lambda: browser.count("#figures > .study") == 2, "two studies")
        for shown in ("25.0 %", "50.0 %"):
            browser.shows(shown, "#figures")
        browser.open(f"{site.url}#{urlencode({'study': 'study-3', 'trial': 0})}")
        browser.shows("study-3, trial 0", "#trial")
        browser.shows("mac takes it", "#trial .log")
        browser.click("#trial a")
        browser.shows("25.0 %", "#figures .lines")
        assert browser.count("#trial:not([hidden])") == 0
        assert browser.errors == []


def test_page_report_and_store_agree_while_a_study_runs(home: Home, tmp_path: Path) -> None:
    """Each figure is the store's; a killed worker is lost within its lease; nothing goes wrong.

    The page is that of the coordinator, which says its address once.
    """
    fleet = Fleet(home, lease=5.0)
    coordinator = fleet.coordinator("s", 6, "--dashboard")
    coordinator.says("the dashboard is at ")
    url = coordinator.said().partition("the dashboard is at ")[2].split()[0]
    with fleet.store() as store, browsing(url, tmp_path) as browser:
        first = until(lambda: store.trials.find("s", "search"), "a trial")[0]
        with fleet.held_back(first.config):  # so the study goes on, and the page with it
            killed = fleet.worker()
            browser.shows("1 running", "#studies")
            fleet.worker()
            browser.shows("5 of 6 done", "#studies")
            fleet.kill(killed)
            until(lambda: browser.count("#workers .tag.lost") == 1, "a lost worker", 60.0)

            def agree() -> bool:
                page = figures_of(url.partition("#")[0], "s")
                (report,) = figures(store, ["s"])["studies"]
                return all(page[part] == report[part] for part in ("trials", "progress", "counts"))

            until(agree, "the same figures", 60.0)
            trials = store.trials.find("s", "search")
            done = {trial.tid for trial in trials if trial.status is Status.DONE}
            page = figures_of(url.partition("#")[0], "s")["trials"]
            shown = zip(page["tid"], page["status"])
            assert done == {tid for tid, status in shown if status == DONE}
            assert browser.errors == []
