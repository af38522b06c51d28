"""One run: from a source, through a model, to the outputs and the viewers."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from hyperhive.inference.acting.actions import Actions
from hyperhive.inference.collecting.keeper import Keeper
from hyperhive.inference.frames import Say, Source
from hyperhive.inference.labelling import Sight, label
from hyperhive.inference.outputs.folder import OutputFolder
from hyperhive.inference.outputs.report import Report
from hyperhive.inference.predictor import Predictor
from hyperhive.inference.sight.guide import Guide
from hyperhive.inference.smoothing import Smoother
from hyperhive.inference.views.display import QUIT, SNAPSHOT, Display


class Snapshots:
    """Decides which frames are written: requested ones, and one per interval.

    Args:
        interval: seconds; 0 writes every frame, None only requested ones.
    """

    def __init__(self, interval: float | None) -> None:
        self._interval = interval
        self._due = time.monotonic() + (interval or 0.0)

    def takes(self, is_requested: bool, now: float) -> bool:
        """Return whether to write the frame of this moment of the monotonic clock.

        Args:
            is_requested: whether a person asks for it.
            now: the moment.
        """
        if self._interval is not None and now >= self._due:
            # Counted from now on: after a time without frames, nothing is made up for.
            self._due = now + self._interval
            return True
        return is_requested


@dataclass(frozen=True)
class Session:
    """The parts of a run; a series writes every frame, and has no ``smoother``.

    ``keeper`` is there if doubtful pictures are kept.
    """

    source: Source
    predictor: Predictor
    snapshots: Snapshots
    smoother: Smoother | None
    outputs: OutputFolder
    display: Display
    report: Report
    actions: Actions
    sight: Sight = field(default_factory=Guide)
    keeper: Keeper | None = None

    def run(self, stop: threading.Event, left_out: Say) -> bool:
        """Classify frames until the source ends or ``stop`` is set.

        Args:
            stop: ends it early once set.
            left_out: is called with a sentence about each part that could not be read.

        Returns:
            False if a person ended it with q in the window.
        """
        results = label(self.source, self.predictor, stop, left_out, self.smoother, self.sight)
        for result in results:
            self.actions.see(result)
            key = self.display.obey(self.display.show(result))
            is_written = self.snapshots.takes(key == SNAPSHOT, time.monotonic())
            if is_written:
                self.outputs.add(result)
            self.outputs.add_to_video(result)
            self.report.add(result, is_written)
            if self.keeper is not None:
                self.keeper.offer(result)
            if key == QUIT:
                return False
        return True
