"""One run of a trial's objective, as its worker sees it."""

from __future__ import annotations

import logging
import time
from typing import Any, Mapping

from hyperhive.common.signals import StopRequest
from hyperhive.common.values import number
from hyperhive.common.wording import in_words, percent
from hyperhive.store.encoding import encoded
from hyperhive.worker.claiming import Claimer
from hyperhive.worker.heartbeat import Heartbeat, Held
from hyperhive.worker.pausing import PausePolicy, pause_holding
from hyperhive.worker.pruning.pruner import Pruner

log = logging.getLogger(__name__)

_LOG_EVERY_S = 10.0
LARGEST_PROGRESS = 1 << 20
"""Bytes of BSON. It is sent with every heartbeat, and kept beside the result."""


class TrialRun:
    """Passes an objective's progress on, pauses it, and tells it when to stop.

    ``report``, ``should_stop`` and ``is_pruned`` are those of the objective's ``Context``.

    Args:
        held: the trial, as the heartbeat holds it.
        heartbeat: stores the progress.
        claimer: learns this worker's pace.
        pruner: ends the trial early, if it is to.
        policy: when the worker must pause.
        stop: the request to stop the worker.
        grace: seconds that a worker may take to finish the trial when it is to stop or pause.
    """

    def __init__(
        self,
        held: Held,
        heartbeat: Heartbeat,
        claimer: Claimer,
        pruner: Pruner,
        policy: PausePolicy,
        stop: StopRequest,
        grace: float,
    ) -> None:
        self._held = held
        self._heartbeat = heartbeat
        self._claimer = claimer
        self._pruner = pruner
        self._policy = policy
        self._stop = stop
        self._grace = grace
        self._started_at = time.monotonic()
        self._logged_at = self._started_at
        self._paused_s = 0.0
        # Unknown before the first report; in the past, so that the objective has the whole grace
        # to make that report.
        self._expected_end = 0.0
        self._told: list[bool] = []

    def report(self, progress: Mapping[str, Any], seconds_left: float) -> None:
        """Take progress from the objective; return after the pause, if there must be one.

        Raises ``Unstorable``, in the objective, for progress that the store could not hold: the
        heartbeat, which sends it, has no one to tell.
        """
        encoded("the reported progress", progress, LARGEST_PROGRESS)
        reported_at = time.monotonic()
        # A pause says nothing about the device's pace.
        worked_s = reported_at - self._started_at - self._paused_s
        self._claimer.learn_pace(self._held.trial, progress, worked_s)
        self._heartbeat.report(self._held, progress)
        self._pruner.take_report(progress)
        # A finished run delivers its result before any pause, and one that is to end soon ends.
        if seconds_left > 0 and self._held.pause is None and not self.is_pruned():
            pause_holding(self._policy, self._heartbeat, self._stop, self._held)
            self._paused_s += time.monotonic() - reported_at
        now = time.monotonic()
        self._expected_end = now + seconds_left
        words = progress_in_words(progress)  # none, of a report that only begins
        if words and now - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = now
            log.info("%s: %s", self._held.trial.full_title, words)

    def should_stop(self) -> bool:
        """Return whether the objective must stop now."""
        return (
            self._held.lost.is_set()
            or self._held.cancelled.is_set()
            or self.is_pruned()
            or self._held.pause_expired
            or self._must_give_back()
        )

    def is_pruned(self) -> bool:
        """Return whether the trial ends early, with what it has reported as its result."""
        return self._pruner.has_pruned

    def _must_give_back(self) -> bool:
        """Return whether the worker stops, or pauses by an order, before this trial could end.

        Logs which it is.
        """
        pause = self._held.pause
        requests = [self._stop] if pause is None else [self._stop, pause]
        must = any(request.ends(self._expected_end, self._grace) for request in requests)
        if (pause is not None or self._stop.asked.is_set()) and must not in self._told:
            self._told.append(must)
            left = self._expected_end - time.monotonic()
            known = f", {left:.0f} s left" if left > 0 else ""
            end = "ends" if self._stop.asked.is_set() else "pauses"
            doing = "giving it back" if must else f"finishing it before this worker {end}"
            log.info("%s: %s%s", self._held.trial.full_title, doing, known)
        return must


def progress_in_words(progress: Mapping[str, Any]) -> str:
    """Return progress as one line: ``epoch 3 of 21, train loss 0.532, validation accuracy 61.2 %``.

    ``done`` is omitted: it is for the store, and an objective also says it in its own words.
    """
    rest = {key: value for key, value in progress.items() if key != "done" and value is not None}
    for part, whole in (("epoch", "epochs"), ("step", "of")):
        if {part, whole} <= set(rest):
            rest[part] = f"{rest[part]} of {rest.pop(whole)}"
    accuracy = number(rest.get("validation_accuracy"))
    if accuracy is not None:
        rest["validation_accuracy"] = percent(accuracy)
    return in_words(rest)
