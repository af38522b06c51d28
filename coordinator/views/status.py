"""What ``hyperhive status`` tells."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hyperhive.coordinator.views.fleet import Fleet, FleetReader, StudyState
from hyperhive.coordinator.views.incidents import mended
from hyperhive.coordinator.views.terminal import ago, does, outcome
from hyperhive.store.store import Store
from hyperhive.store.trial import Status


def report(store: Store, name: str | None) -> Group:
    """Return a table of the studies, or of one, one of the live workers, and one of mishaps.

    Raises ``NotFound`` for a study that is not there.
    """
    fleet = FleetReader(store, name).read()
    if not fleet.studies:
        return Group(Text(f"no study yet on {fleet.address}"))
    mishaps = _mishaps(fleet)
    tables = [_studies(fleet), _workers(fleet)]
    return Group(*tables, *([mishaps] if mishaps.rows else []))


def _studies(fleet: Fleet) -> Table:
    table = Table(title=f"studies on {fleet.address}", title_justify="left")
    table.add_column("study", no_wrap=True)
    for column in ("done", "running", "waiting", "failed", "best", "test"):
        table.add_column(column)
    for study in fleet.studies:
        table.add_row(*_row(study))
    return table


def _row(study: StudyState) -> list[str]:
    count, best, test = study.counts, study.best, study.test_accuracy
    return [
        study.name + (" (cancelled)" if study.summary.cancelled else ""),
        f"{count[Status.DONE]} of {study.summary.budget}",
        str(count[Status.RUNNING]),
        str(count[Status.NEW]),
        str(count[Status.ERROR]),
        "" if best is None else f"{outcome(best)} (trial {best.tid})",
        "" if test is None else f"{test:.1%}",
    ]


def _workers(fleet: Fleet) -> Table:
    table = Table(title="workers", title_justify="left")
    table.add_column("worker", no_wrap=True)
    for column in ("device", "does", "heard of"):
        table.add_column(column)
    held = fleet.held
    for worker in (*fleet.workers, *fleet.silent):
        said = does(worker, held.get(worker.id), worker in fleet.silent)
        cells = (worker.id, worker.device, said, ago(worker.seconds_ago))
        table.add_row(*map(Text, cells))  # a worker's words are no markup
    return table


def _mishaps(fleet: Fleet) -> Table:
    table = Table(title="what went wrong, and was mended", title_justify="left")
    table.add_column("study", no_wrap=True)
    table.add_column("what")
    for study in fleet.studies:
        for line in mended(list(study.trials), fleet.overdue):
            table.add_row(study.name, line)
    return table
