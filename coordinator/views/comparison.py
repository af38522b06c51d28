"""What ``hyperhive study compare`` prints."""

from __future__ import annotations

from typing import Callable

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hyperhive.common.text import printable
from hyperhive.common.wording import in_words
from hyperhive.coordinator.results.compare import Comparison, Standing
from hyperhive.coordinator.views.wording import hyperparameters, literal


def report(comparison: Comparison) -> Group:
    """Return a table with a column for each study, and whether they can be ranked."""
    table = Table(title="studies side by side", title_justify="left")
    table.add_column("", no_wrap=True)
    for each in comparison.standings:
        name = f"{each.name} (the best)" if each.name in comparison.leaders else each.name
        table.add_column(Text(printable(name)), overflow="fold")
    lines: dict[str, Callable[[Standing], str]] = {
        "trials": _trials,
        "best": _best,
        "hyperparameters": lambda each: hyperparameters(each.best) if each.best else "",
        "mean, median": _middle,
        "time": lambda each: f"{_time(each.span)} ({_time(each.seconds)} in trials)",
        "trials to the worst one's best": lambda each: str(each.trials_to_reach or "none did"),
        "devices": _devices,
    }
    if comparison.why_not_ranked is not None:
        del lines["trials to the worst one's best"]
    for label, line in lines.items():
        table.add_row(*literal(label, *map(line, comparison.standings)))
    why = comparison.why_not_ranked
    sentence = f"these studies cannot be ranked against each other: {why}"
    return Group(table, *([] if why is None else literal(sentence, style="yellow")))


def _trials(each: Standing) -> str:
    pruned = f" ({each.pruned} pruned)" if each.pruned else ""
    return f"{each.done} done{pruned}, {each.failed} failed"


def _best(each: Standing) -> str:
    if each.best is None:
        return "no result"
    return f"{each.best.title}: {in_words({each.goal.metric: each.value(each.best)})}"


def _middle(each: Standing) -> str:
    if each.mean is None or each.median is None:
        return ""
    return ", ".join(in_words({"": value}).strip() for value in (each.mean, each.median))


def _devices(each: Standing) -> str:
    return ", ".join(f"{device}: {count}" for device, count in each.devices.items())


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
