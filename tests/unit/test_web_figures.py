"""The figures of a study in a browser: their numbers, brushes, the table, and who can read them."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from support.browser import CHROMIUM, Browser, browsing
from support.figure_pages import HOSTILE, MODULES, STATUSES, figures, page, study
from support.home import until

in_browser = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the figures are not looked at"),
]
Opens = Callable[..., Browser]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing("about:blank", tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path) -> Iterator[Opens]:
    """Give a function that opens a page of studies; nothing may go wrong on it."""

    def open_page(*studies: Any, dark: bool = False) -> Browser:
        file = tmp_path / "page.html"
        file.write_text(page(figures(*studies)), encoding="utf-8")
        chromium.look(1366, 768, dark)
        chromium.open(file.as_uri())
        until(lambda: chromium.evaluate("Boolean(window.figures)"), "the script")
        chromium.evaluate("figures.drawAll()")
        return chromium

    chromium.errors.clear()
    yield open_page
    assert chromium.errors == []
    assert chromium.evaluate("document.title") == "report"


def cells(browser: Browser, table: str) -> list[list[str]]:
    """Return the texts of a table's body."""
    lines = f"[...document.querySelectorAll({table + ' tbody tr'!r})]"
    found: list[list[str]] = browser.evaluate(
        f"{lines}.map((line) => [...line.children].map((cell) => cell.textContent))"
    )
    return found


def shown_trials(browser: Browser) -> list[int]:
    return [int(line[0]) for line in cells(browser, ".figure.trials")]


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


@pytest.fixture(scope="module")
def digits() -> Any:
    return study("digits", 60)


class TestInABrowser:
    """What a user sees and does."""

    pytestmark = in_browser

    def test_every_figure_has_the_numbers_of_the_study(self, opened: Opens, digits: Any) -> None:
        """Also of what is drawn: the arrow keys and the pointer find each mark's text."""
        browser = opened(digits)
        titles = browser.evaluate("[...document.querySelectorAll('h3')].map((h) => h.textContent)")
        assert titles == [
            *("Best so far", "Parallel coordinates", "Slices", "Importance", "Learning curves"),
            *("Timeline by device", "Devices", "The model on its test images", "Artifacts"),
            *("Notes", "All trials", "Run it again"),
        ]
        assert browser.text(".lines").splitlines() == digits["sentence"]
        best = f"trial {digits['best']}: {percent(digits['progress']['best'][-1])}"
        browser.evaluate("document.querySelector('.progress .cursor').focus()")
        browser.key("ArrowRight", 1 + digits["best"])
        assert said(browser, ".progress") == best
        x, y = browser.middle(".progress .front path.star")
        browser.hover(x, y)
        assert browser.text(".tooltip") == best
        shares = [percent(one["share"]) for one in digits["importance"]["shares"]]
        assert browser.text(".bars").splitlines()[1::2] == shares
        matrix = digits["classification"]["confusion"]
        assert [line[1:] for line in cells(browser, ".confusion")] == [
            [str(count) for count in counts] for counts in matrix
        ]
        assert [line[2:4] for line in cells(browser, ".figure.devices")] == [
            [str(one["trials"]), str(one["failures"])] for one in digits["devices"]
        ]
        kinds = Counter(
            digits["timeline"]["kinds"][span[4]] for span in digits["timeline"]["spans"]
        )
        counts = re.findall(r"\((\d+)\)", browser.text(".figure.timeline .legend"))
        assert sorted(map(int, counts)) == sorted(kinds.values())
        browser.click(".curves details summary")
        curves = len(digits["curves"]["of"])
        until(lambda: len(cells(browser, ".curves details")) == curves, "the curves' data")

    def test_brushes_select_the_trials_in_their_ranges(self, opened: Opens, digits: Any) -> None:
        """By pointer and by keyboard; a trial without the hyperparameter is in no range of it."""
        browser = opened(digits)
        left, top, width, height = browser.box(".brush:nth-of-type(1) .hit")
        middle = left + width / 2
        browser.drag((middle, top + height * 0.3), (middle, top + height * 0.7))
        low, high = (limit(browser, 1, end) for end in (1, 2))
        assert 0.0001 < low < high < 1
        rates = digits["trials"]["params"]["learning_rate"]
        wanted = {tid for tid, rate in enumerate(rates) if low <= rate <= high}
        assert 0 < len(wanted) < 50
        until(lambda: set(shown_trials(browser)) == wanted, "the table follows")
        assert browser.text(".count") == f"{len(wanted)} of 60 trials selected"
        browser.click(".brush:nth-of-type(3) .category:nth-of-type(1)")
        relu = {tid for tid in wanted if digits["trials"]["params"]["activation"][tid] == 0}
        until(lambda: set(shown_trials(browser)) == relu, "two brushes together")
        browser.evaluate("document.querySelector('.trials .controls button').click()")
        until(lambda: browser.text(".count") == "all 60 trials", "no brush")
        browser.evaluate("document.querySelector('.brush:nth-of-type(4) .handle').focus()")
        browser.key("ArrowUp")
        momenta = digits["trials"]["params"]["momentum"]
        least = limit(browser, 4, 1)
        some = {tid for tid, one in enumerate(momenta) if one is not None and one >= least}
        until(lambda: browser.text(".count").startswith(f"{len(some)} of"), "keys brush too")
        browser.key("Escape")
        until(lambda: browser.text(".count") == "all 60 trials", "Escape clears")

    def test_the_table_is_sorted_filtered_and_saved(
        self, opened: Opens, digits: Any, tmp_path: Path
    ) -> None:
        """The file has what the table shows, in its order; a spreadsheet runs none of it."""
        browser = opened(digits)
        trials = digits["trials"]
        browser.click(".trials [data-key='params.epochs']")
        until(lambda: "by epochs, ascending" in browser.text(".trials .summary"), "sorted")
        order = sorted(trials["tid"], key=lambda tid: (trials["params"]["epochs"][tid], tid))
        assert shown_trials(browser) == order[:50]
        browser.click(".trials nav button:last-child")
        until(lambda: shown_trials(browser) == order[50:], "the second page")
        browser.click(".trials input")
        browser.type("NANO-1 relu")
        words = [
            tid
            for tid in order
            if trials["device"][tid] == 1 and trials["params"]["activation"][tid] == 0
        ]
        until(lambda: shown_trials(browser) == words, "filtered")
        browser.evaluate("document.querySelector('.trials .controls button').click()")
        until(lambda: browser.text(".count") == "all 60 trials", "no filter")
        browser.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        browser.click(".trials .controls button:last-child")
        saved = tmp_path / "digits.csv"
        until(saved.exists, "the download")
        with saved.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        assert [int(line["trial"]) for line in lines] == order
        for line in lines:
            tid = int(line["trial"])
            value = trials["value"][tid]
            assert line["validation_accuracy"] == ("" if value is None else repr(value))
            assert float(line["learning_rate"]) == trials["params"]["learning_rate"][tid]
            assert line["state"] == STATUSES[trials["status"][tid]]
        notes = {int(line["trial"]): line["note"] for line in lines}
        assert notes[3] == HOSTILE
        assert notes[4] == "'=HYPERLINK(1)"

    def test_newer_data_keep_what_was_selected(self, opened: Opens, digits: Any) -> None:
        """The focus, a brush, the sorting and an open table stay while a trial is added."""
        browser = opened(digits)
        browser.click(".trials [data-key='seconds']")
        browser.click(".progress details summary")
        handle = ".brush:nth-of-type(2) .handle:nth-of-type(3)"
        browser.evaluate(f"document.querySelector({handle!r}).focus()")
        browser.key("ArrowUp", 5)
        least = limit(browser, 2, 1)
        newer = study("digits", 61)
        browser.evaluate(f"figures.update({json.dumps(figures(newer))}); figures.drawAll()")
        epochs = newer["trials"]["params"]["epochs"]
        count = sum(one >= least for one in epochs)
        until(lambda: browser.text(".count") == f"{count} of 61 trials selected", "the brush")
        assert browser.evaluate(f"document.activeElement.matches({handle!r})")
        assert "by took, ascending" in browser.text(".trials .summary")
        assert browser.evaluate("document.querySelector('.progress details').open")

    def test_studies_are_compared(self, opened: Opens, digits: Any) -> None:
        """All are in one chart, each with its own figures below."""
        other = study("random", 40, seed=3)
        browser = opened(digits, other)
        assert browser.count(".comparison .compared") == 2
        best = next(line for line in cells(browser, ".comparison") if line[0] == "best")
        assert best[1:] == [percent(one["progress"]["best"][-1]) for one in (digits, other)]
        assert browser.count(".study") == 2

    def test_hostile_text_is_text(self, opened: Opens, digits: Any) -> None:
        """No element and no script comes from a name, a note or a category."""
        browser = opened(digits)
        assert HOSTILE in browser.text(".notes")
        assert browser.count("main script, main img:not([src^='data:image/png'])") == 0

    @pytest.mark.skipif(
        importlib.util.find_spec("axe_core_python") is None, reason="axe-core-python is missing"
    )
    @pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
    def test_axe_finds_nothing_serious(self, opened: Opens, digits: Any, dark: bool) -> None:
        """Open tables and marked trials included."""
        browser = opened(digits, dark=dark)
        browser.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
        browser.click(".trials tbody button")
        found = axe(browser)
        assert [one for one in found if one["impact"] in ("serious", "critical")] == []


def said(browser: Browser, figure: str) -> str:
    """Return what a screen reader says of the mark that the arrow keys have reached."""
    text = browser.evaluate(
        f"document.querySelector({figure + ' .cursor'!r}).getAttribute('aria-valuetext')"
    )
    return str(text)


def limit(browser: Browser, axis: int, end: int) -> float:
    """Return the lower (1) or upper (2) end of what is selected on an axis, counted from 1."""
    handle = f".brush:nth-of-type({axis}) .handle:nth-of-type({end + 2})"
    value = f"document.querySelector({handle!r}).getAttribute('aria-valuenow')"
    # The selection is drawn with the screen's next picture.
    next_picture = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    return float(browser.evaluate(f"{next_picture}.then(() => {value})"))


def axe(browser: Browser) -> list[dict[str, Any]]:
    """Return what axe-core finds wrong with the page, with its impact."""
    spec = importlib.util.find_spec("axe_core_python")
    assert spec is not None
    assert spec.origin is not None
    browser.evaluate(Path(spec.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
    found = browser.evaluate(
        "axe.run().then(({ violations }) => JSON.stringify(violations.map((one) => "
        "({ id: one.id, impact: one.impact, help: one.help, "
        "nodes: one.nodes.map((node) => node.html.slice(0, 200)).slice(0, 5) }))))"
    )
    violations: list[dict[str, Any]] = json.loads(found)
    return violations


def test_modules_can_be_joined_into_one_script() -> None:
    """No two have the same name at their top level, and each import is one line.

    None writes HTML, or style as an attribute. Together they are small.
    """
    texts = {path.name: path.read_text(encoding="utf-8") for path in MODULES.glob("*.js")}
    names = Counter(
        name
        for text in texts.values()
        for name in re.findall(
            r"^(?:export )?(?:async )?(?:function|const|let) (\w+)", text, re.MULTILINE
        )
    )
    assert [name for name, count in names.items() if count > 1] == []
    for name, text in texts.items():
        for line in re.findall(r"^import.*", text, re.MULTILINE):
            assert re.fullmatch(r'import \{ [\w, ]+ \} from "\./\w+\.js";', line), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|cssText|\bstyle:", text), name
    size = sum(path.stat().st_size for path in MODULES.iterdir())
    assert size < 150_000
