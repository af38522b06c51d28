"""What ``hyperhive status`` prints."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hyperhive.coordinator.views.fleet import Fleet, FleetReader
from hyperhive.coordinator.views.incidents import incidents
from hyperhive.coordinator.views.study_state import StudyState
from hyperhive.coordinator.views.wording import ago, outcome, percent, report_of, state
from hyperhive.store.store import Store
from hyperhive.store.trial import Status


def report(store: Store, name: str | None) -> Group:
    """Return tables of the studies, of the workers, and of what went wrong, if anything did.

    Args:
        store: what to report on.
        name: of one study; None for all.

    Raises ``NotFound`` if there is no study of that name.
    """
    fleet = FleetReader(store, name).read()
    if not fleet.studies:
        return Group(Text(f"no study yet on {fleet.address}"))
    problems = _incidents(fleet)
    waiting = [Text(line, style="yellow") for line in fleet.waiting]
    recovered = [problems] if problems.rows else []
    return Group(_studies(fleet), *waiting, _workers(fleet), *recovered)


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
        study.name + (f" ({state(study)})" if state(study) else ""),
        f"{count[Status.DONE]} of {study.budget}",
        str(count[Status.RUNNING]),
        str(count[Status.NEW]),
        str(count[Status.ERROR]),
        "" if best is None else f"{outcome(best)} (trial {best.tid})",
        "" if test is None else percent(test),
    ]


def _workers(fleet: Fleet) -> Table:
    table = Table(title="workers", title_justify="left")
    table.add_column("worker", no_wrap=True)
    for column in ("device", "does", "last heard of"):
        table.add_column(column)
    held = fleet.held
    for worker in (*fleet.workers, *fleet.silent):
        work = report_of(worker, held.get(worker.id), worker in fleet.silent)
        cells = (worker.id, worker.device, work, ago(worker.seconds_ago))
        table.add_row(*map(Text, cells))  # what a worker wrote is not markup
    return table


def _incidents(fleet: Fleet) -> Table:
    table = Table(title="what went wrong, and was recovered", title_justify="left")
    table.add_column("study", no_wrap=True)
    table.add_column("what")
    for study in fleet.studies:
        for line in incidents(study.trials, fleet.overdue):
            table.add_row(study.name, line)
    return table
