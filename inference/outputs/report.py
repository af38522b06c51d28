"""What predict-cam says of a series: a line a frame while it goes on, tables at its end."""

from __future__ import annotations

import time

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hyperhive.inference.drawing.text import percent, pretty, printable
from hyperhive.inference.labelling import Result, Tally
from hyperhive.inference.live import Changes, Pace
from hyperhive.inference.outputs.folder import Outputs
from hyperhive.inference.timings import Timings

_LINES_SHOWN = 20


class Report:
    """Counts results and tells a person of them.

    Args:
        out: where to print.
        live: whether the source was live, and may have had more frames than were labelled.
    """

    def __init__(self, out: Console, live: bool) -> None:
        self.tally = Tally()
        self._out = out
        self._live = live
        self._kept = 0
        self._changes = Changes()
        self._pace = Pace()

    def add(self, result: Result, kept: bool) -> None:
        """Count a result; tell of one that was kept, or that has another label in live mode."""
        self.tally.add(result)
        self._pace.add(result)
        line = self._changes.line(result, time.monotonic())
        if kept:
            self._kept += 1
            line = _line(result, self._kept)
        if line is not None:
            self._out.print(line)

    def conclude(self, timings: Timings, outputs: Outputs) -> None:
        """Tell what it all comes to; nothing if there was nothing."""
        if not self.tally.frames:
            return
        self._out.print(_labels(self.tally))
        if self.tally.expected:
            self._out.print(
                f"{self.tally.agreeing} of {self.tally.expected} agree with the folder they "
                f"lie in ({100 * self.tally.agreeing / self.tally.expected:.1f} %)"
            )
        self._out.print(_times(timings))
        if self._live:
            self._out.print(self._pace.line())
        for path in outputs.written():
            self._out.print(f"written: {path}")


def _line(result: Result, number: int) -> str | None:
    """Return a frame's line; only the first ones of many have one."""
    if number <= _LINES_SHOWN:
        top = [f"{pretty(name)} {percent(p)}" for name, p in result.prediction.top]
        label = top.pop(0) if result.prediction.known else pretty(result.prediction.label)
        return "{}: {} ({})".format(printable(result.frame.name), label, ", ".join(top))
    return "... (predictions.csv has every one)" if number == _LINES_SHOWN + 1 else None


def _labels(tally: Tally) -> Table:
    table = Table("label", box=box.SIMPLE)
    table.add_column("frames", justify="right")
    table.add_column("mean confidence", justify="right")
    for name, frames, probability in tally.rows():
        table.add_row(Text(pretty(name)), str(frames), percent(probability))
    return table


def _times(timings: Timings) -> Table:
    table = Table("ms a frame", box=box.SIMPLE)
    table.add_column("p50", justify="right")
    table.add_column("p95", justify="right")
    for part, median, most in timings.rows():
        table.add_row(part, f"{median:.2f}", f"{most:.2f}")
    return table
