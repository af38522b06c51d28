"""What ``hyperhive status`` prints."""

from __future__ import annotations

import contextlib
from typing import Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hyperhive.common.errors import UsageError
from hyperhive.common.wording import percent
from hyperhive.coordinator.results.repeated import repeat_lines
from hyperhive.coordinator.views.fleet import Fleet, FleetReader
from hyperhive.coordinator.views.incidents import incidents
from hyperhive.coordinator.views.study_state import StudyState
from hyperhive.coordinator.views.wording import (
    ago,
    done,
    literal,
    named,
    others,
    outcome,
    report_of,
    state,
    with_interval,
)
from hyperhive.store.errors import NotAllowed
from hyperhive.store.orders import Order
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import AUTO, Status


def report(store: Store, name: str | None) -> Group:
    """Return tables of the studies and workers, and of what went wrong, if anything did.

    Args:
        store: what to report on.
        name: of one study; None for all.

    Raises ``NotFound`` if there is no study of that name.
    """
    fleet = FleetReader(store, name, briefly=True).read()
    tables = (_workers(fleet), _details(fleet, _chosen(store)), _incidents(fleet))
    workers, details, problems = ([table] if table.rows else [] for table in tables)
    if not fleet.studies:
        return Group(Text(f"no study yet on {fleet.address}"), *workers, *_orders(store, fleet))
    waiting = [Text(line, style="yellow") for line in fleet.waiting]
    return Group(_studies(fleet), *details, *waiting, *workers, *_orders(store, fleet), *problems)


def _orders(store: Store, fleet: Fleet) -> list[Text]:
    """Return a line for each order of which no worker is here: no other view names it."""
    orders: list[Order] = []
    with contextlib.suppress(NotAllowed):  # a viewer's login, or one that is older than orders
        orders = store.orders.all()
    absent = [order for order in orders if not any(order.is_for(each.id) for each in fleet.here)]
    return literal(
        *(
            f"{each.name} is {each.effect(False)}, and not here now: `hyperhive worker resume "
            f"{each.name}` lets it take trials again"
            for each in absent
        )
    )


def _studies(fleet: Fleet) -> Table:
    table = Table(title=f"studies on {fleet.address}", title_justify="left")
    for column in ("study", "done", "running", "waiting", "failed", "best", "test"):
        # A long name is folded, so that no number is.
        table.add_column(column, overflow="fold", no_wrap=column not in ("study", "best"))
    for study in fleet.studies:
        table.add_row(*_row(study))
    return table


def _row(study: StudyState) -> list[Text]:
    count, best, test = study.counts, study.best, study.test_accuracy
    return literal(
        study.title + (f" ({state(study)})" if state(study) else ""),
        done(study),
        *(str(count[each]) for each in (Status.RUNNING, Status.NEW, Status.ERROR)),
        "" if best is None else outcome(best),
        "" if test is None else percent(test),
    )


def _details(fleet: Fleet, chosen: Mapping[str, str]) -> Table:
    """Return what has no room in the table of studies.

    Args:
        fleet: with the studies.
        chosen: what ``auto`` chose, by the name of the study.
    """
    table = Table(title="their best trials, and those beside the search", title_justify="left")
    table.add_column("study", no_wrap=True)
    table.add_column("trials", overflow="fold")
    for study in fleet.studies:
        best = [f"best {named(study.best)}"] if study.best else []
        repeats = [f"{label}: {said}" for label, said in repeat_lines(study.repeat_results).items()]
        pruned = f"{study.pruned} of {study.counts[Status.DONE]} were pruned"
        test = study.test_accuracy
        tested = "" if test is None else f"test {with_interval(test, study.test_images)}"
        name = "" if study.is_experiment else chosen.get(study.name, "")
        algorithm = f"algorithm {name}, which auto chose" if name else ""
        pruned = pruned if study.pruned else ""
        lines = (*best, algorithm, pruned, *repeats, tested, others(study))
        for line in filter(None, lines):
            table.add_row(*literal(study.title, line))
    return table


def _chosen(store: Store) -> dict[str, str]:
    """Return the algorithm that ``auto`` chose, by study."""
    found: dict[str, str] = {}
    for name, spec in store.studies.specs_with(AUTO).items():
        from hyperhive.coordinator.study import Study  # most stores have none, and it needs NumPy

        # One that is malformed, or that a newer hyperhive made, has no such line.
        with contextlib.suppress(UsageError, KeyError, TypeError, ValueError):
            found[name] = Study.stored(name, spec).plan.chosen_algorithm
    return found


def _workers(fleet: Fleet) -> Table:
    table = Table(title="workers", title_justify="left")
    table.add_column("worker", no_wrap=True)
    for column in ("device", "does", "last heard of"):
        table.add_column(column, overflow="fold")
    held, lost = fleet.held, fleet.lost
    for worker in (*fleet.workers, *fleet.silent):
        work = report_of(worker, held.get(worker.id), worker.id in lost)
        cells = (worker.id, worker.device, work, ago(worker.seconds_ago))
        table.add_row(*literal(*cells))
    return table


def _incidents(fleet: Fleet) -> Table:
    table = Table(title="what went wrong", title_justify="left")
    table.add_column("study", no_wrap=True)
    table.add_column("what", overflow="fold")
    for study in fleet.studies:
        for line in incidents(study.tally.notable, fleet.overdue):
            table.add_row(*literal(study.title, line))
    return table
