"""What ``hyperhive status`` prints."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hyperhive.common.wording import percent
from hyperhive.coordinator.views.fleet import Fleet, FleetReader
from hyperhive.coordinator.views.incidents import incidents
from hyperhive.coordinator.views.study_state import StudyState
from hyperhive.coordinator.views.wording import ago, done, named, outcome, report_of
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
    tables = [_studies(fleet), _workers(fleet)]
    return Group(*tables, *([problems] if problems.rows else []))


def _studies(fleet: Fleet) -> Table:
    table = Table(title=f"studies on {fleet.address}", title_justify="left")
    table.add_column("study", no_wrap=True)
    for column in ("done", "running", "waiting", "failed", "best", "test"):
        table.add_column(column)
    for study in fleet.studies:
        table.add_row(*_row(study))
    return table


def _row(study: StudyState) -> list[Text]:
    count, best, test = study.counts, study.best, study.test_accuracy
    others = {
        status: "".join(f"\n{trial.title}" for trial in study.others if trial.status is status)
        for status in Status
    }
    cells = [
        study.title + (" (cancelled)" if study.cancelled else " (fmin)" * study.is_experiment),
        done(study),
        *(f"{count[each]}{others[each]}" for each in (Status.RUNNING, Status.NEW, Status.ERROR)),
        "" if best is None else f"{outcome(best)} ({named(best)})",
        "" if test is None else percent(test),
    ]
    return [Text(cell) for cell in cells]  # a name that was written by hand is not markup


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
            table.add_row(Text(study.title), Text(line))
    return table
