"""One run: from a source, through a model, to the output folder and whoever watches."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from hyperhive.inference.frames import Say, Source
from hyperhive.inference.labelling import label
from hyperhive.inference.live import Snapshots
from hyperhive.inference.outputs.folder import Outputs
from hyperhive.inference.outputs.report import Report
from hyperhive.inference.predictor import Predictor
from hyperhive.inference.smoothing import Smoother
from hyperhive.inference.views.views import QUIT, SNAPSHOT, Views


@dataclass(frozen=True)
class Session:
    """What a run is made of; a series keeps every frame, and has no ``smoother``."""

    source: Source
    predictor: Predictor
    snapshots: Snapshots
    smoother: Smoother | None
    outputs: Outputs
    views: Views
    report: Report

    def run(self, stop: threading.Event, left_out: Say) -> bool:
        """Label until the source ends, or ``stop`` is set; return False if q in the window did it.

        Args:
            stop: ends it early once set.
            left_out: is told of what could not be read while the rest goes on.
        """
        for result in label(self.source, self.predictor, stop, left_out, self.smoother):
            key = self.views.show(result)
            kept = self.snapshots.takes(key == SNAPSHOT, time.monotonic())
            if kept:
                self.outputs.add(result)
            self.outputs.film(result)
            self.report.add(result, kept)
            if key == QUIT:
                return False
        return True
