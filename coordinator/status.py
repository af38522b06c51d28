"""What ``hyperhive status`` tells."""

from typing import List, Optional

from rich.console import Group
from rich.table import Table
from rich.text import Text

from coordinator.display import at_work, doing, outcome
from coordinator.mended import mended
from coordinator.ranking import best_of
from store.connection import Store
from store.studies import StoredStudy
from store.trial import SEARCH, Status, Trial
from store.workers import WorkerRecord


def report(store: Store, name: Optional[str]) -> Group:
    """Return a table of the studies, or of one, one of the live workers, and one of mishaps.

    Raises ``NotFound`` for a study that is not there.
    """
    studies = store.studies.all() if name is None else [store.study(name)]
    if not studies:
        return Group(Text("no study yet on {}".format(store.address)))
    table = Table(title="studies on {}".format(store.address), title_justify="left")
    table.add_column("study", no_wrap=True)
    for column in ("done", "running", "waiting", "failed", "best", "test"):
        table.add_column(column)
    table_of_mishaps = Table(title="what went wrong, and was mended", title_justify="left")
    table_of_mishaps.add_column("study", no_wrap=True)
    table_of_mishaps.add_column("what")
    overdue = {trial.id for trial in store.trials.overdue()}
    running: List[Trial] = []
    for study in studies:
        trials = store.trials.find(study.name)
        running += [trial for trial in trials if trial.status is Status.RUNNING]
        table.add_row(*_row(study, [trial for trial in trials if trial.purpose == SEARCH]))
        for line in mended(trials, overdue):
            table_of_mishaps.add_row(study.name, line)
    workers = _workers(store.workers.present(name), store.workers.silent(name), running)
    tables = [table, workers]
    return Group(*tables, *([table_of_mishaps] if table_of_mishaps.rows else []))


def _row(study: StoredStudy, trials: List[Trial]) -> List[str]:
    count = {status: sum(trial.status is status for trial in trials) for status in Status}
    best = best_of(trials)
    test = (study.result or {}).get("card", {}).get("test_accuracy")
    return [
        study.name + (" (cancelled)" if study.cancelled else ""),
        "{} of {}".format(count[Status.DONE], study.spec["trials"]),
        str(count[Status.RUNNING]),
        str(count[Status.NEW]),
        str(count[Status.ERROR]),
        "" if best is None else "{} (trial {})".format(outcome(best), best.tid),
        "" if test is None else "{:.1%}".format(test),
    ]


def _workers(
    workers: List[WorkerRecord], silent: List[WorkerRecord], running: List[Trial]
) -> Table:
    table = Table(title="workers", title_justify="left")
    table.add_column("worker", no_wrap=True)
    for column in ("device", "does", "heard of"):
        table.add_column(column)
    held = at_work(running)
    for worker in [*workers, *silent]:
        trial = held.get(worker.id)
        does = "{}, {}".format(trial.study, doing(trial)) if trial else "idle"
        if worker in silent:
            does = "silent: killed, asleep or cut off"
        if worker.undelivered:
            does += "; results that wait on its device: {}".format(worker.undelivered)
        table.add_row(worker.id, worker.device, does, _ago(worker.seconds_ago))
    return table


def _ago(seconds: float) -> str:
    return (
        "{:.0f} s ago".format(seconds) if seconds < 120 else "{:.0f} min ago".format(seconds / 60)
    )
