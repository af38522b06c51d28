"""What ``hyperhive study artifacts`` prints."""

from __future__ import annotations

from typing import Sequence

from rich.table import Table
from rich.text import Text

from hyperhive.common.wording import size
from hyperhive.coordinator.results.artifacts import why_none
from hyperhive.store.artifacts import artifacts_of
from hyperhive.store.trials.trial import Trial


def report(study: str, trials: Sequence[Trial]) -> Table | Text:
    """Return a table with a row for each file that these trials saved and still have."""
    table = Table(title=f"artifacts of {study}", title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("artifact", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    for trial in trials:
        for name, each in artifacts_of(trial).items():
            table.add_row(str(trial.tid), name, size(each.blob.length))
    if not table.row_count and len(trials) == 1:
        return Text(f"{trials[0].full_title} has no artifacts{why_none(trials[0])}")
    if not table.row_count:
        return Text(f"no trial of {study} has artifacts: a function saves one with trial.save")
    return table
