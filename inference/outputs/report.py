"""What predict-cam prints: a line per frame while it runs, tables at the end."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hyperhive.common import wording
from hyperhive.common.text import printable
from hyperhive.inference.labelling import Result
from hyperhive.inference.outputs.folder import OutputFolder
from hyperhive.inference.outputs.reasons import CloserOf, Reasons
from hyperhive.inference.timings import Timings
from hyperhive.inference.wording import percent, pretty

_LINES_SHOWN = 20
_BETWEEN_CHANGES_S = 1.0
_BETWEEN_TRIES_S = 1.0


class Report:
    """Counts results and prints them.

    Args:
        out: prints.
        live: whether frames are skipped, as in live mode.
        closer: see ``Reasons``.
    """

    def __init__(self, out: Console, live: bool, closer: CloserOf) -> None:
        self.tally = Tally()
        self._out = out
        self._live = live
        self._written = 0
        self._changes = Changes()
        self._pace = Pace()
        self._reasons = Reasons(closer, _BETWEEN_TRIES_S if live else 0.0)

    def add(self, result: Result, is_written: bool) -> None:
        """Count a result; print it if it is written, or in live mode if the label changes.

        A reason why pictures are unknown is printed when it first occurs.
        """
        self.tally.add(result)
        self._pace.add(result)
        line = self._changes.line(result, time.monotonic())
        if is_written:
            self._written += 1
            line = _line(result, self._written)
        if line is not None:
            self._out.print(line)
        for sentence in self._reasons.sentences(result, time.monotonic()):
            self._out.print(sentence)

    def conclude(
        self, timings: Timings, outputs: OutputFolder, remarks: Iterable[str] = ()
    ) -> None:
        """Print the summary, with these sentences at its end; nothing if there were no frames."""
        if not self.tally.frames:
            return
        self._out.print(_labels(self.tally))
        if self.tally.without_face:
            self._out.print(
                f"no face was found in {self.tally.without_face:,} of {self.tally.frames:,} frames"
            )
        if self.tally.expected:
            self._out.print(
                f"{self.tally.agreeing} of {self.tally.expected} agree with the name of their "
                f"folder ({wording.percent(self.tally.agreeing / self.tally.expected)})"
            )
        self._out.print(_times(timings))
        if self._live:
            self._out.print(self._pace.line())
        for path in outputs.written():
            self._out.print(f"written: {path}")
        for sentence in remarks:
            self._out.print(sentence)


class Tally:
    """Counts results: how often each label was given, with what probability, how many agree.

    It keeps counts and sums only, because live mode runs for days.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = defaultdict(int)
        self._sums: dict[str, float] = defaultdict(float)
        self.frames = 0
        self.of_faces = False
        self.without_face = 0
        self.agreeing = 0
        self.expected = 0

    def add(self, result: Result) -> None:
        """Count a result."""
        self.frames += 1
        self.of_faces |= result.faces is not None
        self.without_face += not result.answers
        for _, prediction in result.answers:
            self._counts[prediction.label] += 1
            self._sums[prediction.label] += prediction.probability
        if result.agrees is not None:
            self.expected += 1
            self.agreeing += result.agrees

    def rows(self) -> list[tuple[str, int, float]]:
        """Return each label, its count and its mean probability; the most frequent first."""
        rows = [(label, count, self._sums[label] / count) for label, count in self._counts.items()]
        return sorted(rows, key=lambda row: (-row[1], row[0]))


class Changes:
    """Prints the label when it changes, at most once per second."""

    def __init__(self) -> None:
        self._label: str | None = None
        self._printed_at = -_BETWEEN_CHANGES_S

    def line(self, result: Result, now: float) -> str | None:
        """Return the line to print at this moment of the monotonic clock, or None."""
        label = result.caption
        if label == self._label or now - self._printed_at < _BETWEEN_CHANGES_S:
            return None
        self._label, self._printed_at = label, now
        words = [time.strftime("%H:%M:%S"), pretty(label)]
        if result.prediction.known:
            words.append(percent(result.prediction.probability))
        return " ".join(words)


class Pace:
    """Counts the frames of a live source: those that were labelled, and those that were skipped."""

    def __init__(self) -> None:
        self.frames = 0
        self.skipped = 0
        self._last: int | None = None
        self._started_at = time.monotonic()

    def add(self, result: Result) -> None:
        """Count a result."""
        index = result.frame.index
        if self._last is None:
            self._started_at = time.monotonic()
        else:
            self.skipped += max(0, index - self._last - 1)
        self._last = index
        self.frames += 1

    def line(self) -> str:
        """Return the counts as a sentence."""
        passed = time.monotonic() - self._started_at
        rate = (self.frames - 1) / passed if passed > 0 else 0.0
        return (
            f"{self.frames:,} frames labelled, {rate:.1f} per second; {self.skipped:,} frames "
            "skipped in the meantime"
        )


def _line(result: Result, number: int) -> str | None:
    """Return a frame's line; of many frames, only the first ones have one."""
    if number > _LINES_SHOWN:
        is_next = number == _LINES_SHOWN + 1
        return "... (predictions.csv has all of them)" if is_next else None
    if result.faces is not None:
        return f"{printable(result.frame.name)}: {result.caption}"
    top = [f"{pretty(name)} {percent(probability)}" for name, probability in result.prediction.top]
    label = top.pop(0) if result.prediction.known else pretty(result.prediction.label)
    return f"{printable(result.frame.name)}: {label} ({', '.join(top)})"


def _labels(tally: Tally) -> Table:
    table = Table("label", box=box.SIMPLE)
    table.add_column("faces" if tally.of_faces else "frames", justify="right")
    table.add_column("mean confidence", justify="right")
    for name, frames, probability in tally.rows():
        table.add_row(Text(pretty(name)), str(frames), percent(probability))
    return table


def _times(timings: Timings) -> Table:
    table = Table("ms per frame", box=box.SIMPLE)
    table.add_column("p50", justify="right")
    table.add_column("p95", justify="right")
    for step, median, high in timings.rows():
        table.add_row(step, f"{median:.2f}", f"{high:.2f}")
    return table
