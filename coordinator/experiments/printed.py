"""What ``hyperhive experiment`` prints: a table for each number of workers and budget."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from hyperhive.common.wording import counted
from hyperhive.coordinator.views.wording import literal


def tables(experiment: Mapping[str, Any]) -> Group:
    """Return the tables of what ``experiment.compared`` returned."""
    return Group(*(_table(experiment, group) for group in experiment["groups"]))


def _table(experiment: Mapping[str, Any], group: Mapping[str, Any]) -> Table:
    is_share, rows = experiment["is_share"], group["rows"]
    parts = (group["workers"], "worker"), (group["trials"], "trial"), (_seeds(rows), "seed")
    title = f"{experiment['name']}: {', '.join(counted(*part) for part in parts)}"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("algorithm", overflow="fold")
    target = loss_text(group["target"], is_share)
    for heading in (experiment["measure"], "", "rank", f"time to {target}", "suggestion"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*literal(row["algorithm"], *_cells(row, is_share)))
    return table


def _seeds(rows: Sequence[Mapping[str, Any]]) -> int:
    """Return how many seeds each row has at least: one that was stopped may have more of some."""
    return min(int(row["seeds"]) for row in rows)


def _cells(row: Mapping[str, Any], is_share: bool) -> list[str]:
    half = None if row["low"] is None else row["mean"] - row["low"]
    return [
        loss_text(row["mean"], is_share),
        "" if half is None else f"\u00b1 {loss_text(half, is_share)}",
        "" if row["rank"] is None else f"{row['rank']:.1f}",
        "not reached" if row["time"] is None else time_text(row["time"]),
        "" if row["milliseconds"] is None else f"{row['milliseconds']:.1f} ms",
    ]


def loss_text(loss: float, is_share: bool) -> str:
    """Return a loss or a difference of two; a share in per cent, with two decimals."""
    return f"{100 * loss:.2f} %" if is_share else f"{loss:.4g}"


def time_text(seconds: float) -> str:
    """Return a time in the unit that fits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
