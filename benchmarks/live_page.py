"""Evidence: with 10,000 trials and 50 workers the first paint comes after 0.2 s, the study at 0.5.

An update takes 65 to 87 ms, and the server a tenth of a core, with 1 viewer and with 10. That is
one run on two cores that ran the test suite too.

    python benchmarks/live_page.py [--trials 10000] [--workers 50] [--viewers 1,10]

A store with so many finished trials and so many workers that each run one. ``first paint`` is the
time from the navigation of headless Chromium to its first contentful paint, and ``drawn`` to the
first figure of the study. ``update`` is the time from the server's answer with what changed to the
end of the browser's drawing, while each worker reports an epoch every two seconds. ``server`` is
the share of a core that the page's process uses then, with so many viewers, each of which asks for
what changed as a page does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.browser import Browser, browsing

from benchmarks._common import scratch
from benchmarks._filled import fill
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.views.dashboard_page import DashboardOptions, serving
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.trial import Trial

OBJECTIVE = "objective.py:train"
SPACE = {
    "learning_rate": {"distribution": "loguniform", "low": 0.0001, "high": 0.1},
    "momentum": {"distribution": "uniform", "low": 0.0, "high": 0.95},
    "weight_decay": {"distribution": "loguniform", "low": 0.000001, "high": 0.01},
    "dropout": {"distribution": "uniform", "low": 0.0, "high": 0.5},
    "width": {"distribution": "quniform", "low": 8, "high": 64, "step": 1},
}
CONFIG = {"learning_rate": 0.01, "momentum": 0.5, "weight_decay": 1e-4, "dropout": 0.1, "width": 16}
REPORT_EVERY_S = 2.0
MEASURED_S = 20.0
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
# From the end of an answer with figures to the frame after all that was drawn for it.
WATCH = """
window.updates = [];
document.addEventListener("shown", () => {
  const all = performance.getEntriesByType("resource");
  const answers = all.filter((one) => one.name.includes("figures.json"));
  const from = answers.length ? answers[answers.length - 1].responseEnd : performance.now();
  requestAnimationFrame(() => setTimeout(() => window.updates.push(performance.now() - from)));
});
"""


def filled(store: Store, trials: int, workers: int) -> list[Trial]:
    """Make the study; return the trials that run."""
    plan = Plan("s", None, trials=trials + workers, objective=OBJECTIVE, space=parse(SPACE))
    store.studies.open("s", Study(plan, None, {}).spec())
    fill(store, "s", trials, OBJECTIVE, workers)
    drafts = [Draft("s", trials + n, CONFIG, CONFIG, OBJECTIVE) for n in range(workers)]
    store.queue.post_all(drafts)
    held = []
    for number in range(workers):
        trial = store.queue.claim(f"worker-{number}", f"t{number}", [OBJECTIVE], lease=3600.0)
        assert trial is not None
        held.append(trial)
    return held


def report(store: Store, held: list[Trial], ended: threading.Event) -> None:
    """Let each worker report an epoch every so often."""
    step = 0
    while not ended.wait(REPORT_EVERY_S):
        step += 1
        for number, trial in enumerate(held):
            progress = {"step": step, "of": 1000, "loss": 1.0 / step, "accuracy": 0.5}
            store.queue.heartbeat(trial, progress, 3600.0)
            store.workers.report(f"worker-{number}", None, "cpu", {}, trial.label)


def serve(uri: str, ready: Any) -> None:
    """Serve the page in a process of its own, so that its time is its own."""
    options = DashboardOptions(None, "127.0.0.1", 0, None)
    with Store(uri) as store, serving(store, options, lambda line: None) as site:
        ready.send((site.url, multiprocessing.current_process().pid))
        ready.recv()


@contextlib.contextmanager
def page(uri: str) -> Iterator[tuple[str, int]]:
    """Give the address of the page, and its process."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(uri, theirs))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


def view(url: str, ended: threading.Event) -> None:
    """Ask as a page does: for what changed, when an event says so."""
    since: dict[str, Any] = {}
    with urllib.request.urlopen(url + "events") as events:
        for line in events:
            if ended.is_set():
                return
            if line.startswith(b"data: "):
                urllib.request.urlopen(url + "fleet.json").read()
                asked = urlencode({"study": "s", **since})
                with urllib.request.urlopen(f"{url}figures.json?{asked}") as answer:
                    since = {"since": json.load(answer)["revision"]}


def cpu_seconds(pid: int) -> float:
    """Return the time that a process has used of a core."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def share_with(url: str, pid: int, viewers: int) -> float:
    """Return the share of a core that the page's process uses with so many viewers."""
    ended = threading.Event()
    threads = [threading.Thread(target=view, args=(url, ended)) for _ in range(viewers)]
    for thread in threads:
        thread.start()
    time.sleep(5.0)
    before = cpu_seconds(pid)
    time.sleep(MEASURED_S)
    used = (cpu_seconds(pid) - before) / MEASURED_S
    ended.set()
    for thread in threads:
        thread.join()
    return used


def waited(holds: Callable[[], Any]) -> float:
    """Return how many milliseconds it took until something held."""
    began = time.perf_counter()
    while not holds():
        time.sleep(0.01)
    return 1000 * (time.perf_counter() - began)


def looked_at(browser: Browser, url: str) -> tuple[float, float, list[float]]:
    """Return the times of the first paint, of the first figure and of updates, in milliseconds."""
    browser.look(1366, 768)
    browser.open(url)
    drawn = waited(lambda: browser.count("#figures .progress canvas"))
    paint = browser.evaluate(PAINT)
    browser.evaluate(WATCH)
    waited(lambda: browser.evaluate("updates.length") >= 8)
    return float(paint), drawn, [float(each) for each in browser.evaluate("updates")]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--viewers", default="1,10")
    options = parser.parse_args()
    with scratch() as folder, embedded_server(folder / "mongo") as uri, Store(uri) as store:
        store.ensure_indexes()
        held, ended = filled(store, options.trials, options.workers), threading.Event()
        reports = threading.Thread(target=report, args=(store, held, ended))
        reports.start()
        try:
            with page(uri) as (url, pid):
                size = len(urllib.request.urlopen(f"{url}figures.json?study=s").read())
                print(f"figures of {options.trials:,} trials: {size / 1e6:.2f} MB", flush=True)
                with browsing("about:blank", folder / "browser") as browser:
                    paint, drawn, updates = looked_at(browser, url)
                print(f"first paint {paint:.0f} ms, first figure {drawn:.0f} ms")
                print(f"updates {min(updates):.0f} to {max(updates):.0f} ms", flush=True)
                for viewers in map(int, options.viewers.split(",")):
                    print(
                        f"{viewers} viewers: {100 * share_with(url, pid, viewers):.0f} % of a core"
                    )
        finally:
            ended.set()
            reports.join()


if __name__ == "__main__":
    main()
