"""What the dashboard's page shows, as JSON, read from the store while somebody watches."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict

from hyperhive.common.values import number
from hyperhive.coordinator.ranking import hyperparameters
from hyperhive.coordinator.views.fleet import Fleet, FleetReader, StudyState
from hyperhive.coordinator.views.incidents import mended
from hyperhive.coordinator.views.terminal import NO_WORKER, ago, does, outcome, time_left
from hyperhive.store.errors import StoreError
from hyperhive.store.trial import Status, Trial
from hyperhive.store.workers import WorkerRecord

REFRESH_S = 2.0
"""The page asks so often. However many watch, the store is read no more often."""

_POINTS = 400
"""Of more trials, each point of the chart stands for several: for the best of them."""

_BEST = 10
_FAILURES = 5
_LONGEST = 300
"""Letters of a text that somebody else wrote: an error's message, a worker's name."""

_Json = Dict[str, Any]


@dataclass(frozen=True)
class _View:
    """What the last reading gave; ``fleet`` is older if there was a problem."""

    asked: float
    fleet: Fleet | None = None
    read: float = 0.0
    problem: str | None = None
    said: dict[str | None, str] = field(default_factory=dict)


class Dashboard:
    """The newest state of the fleet, for any number of viewers.

    The store is read when a viewer asks and what there is is older than ``REFRESH_S``: once for
    all, and never while nobody asks. Nobody waits for a reading but who asks for the first, and
    the one viewer whose question began it.

    Args:
        reader: reads the fleet.
        clock: gives seconds.
    """

    def __init__(self, reader: FleetReader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._reading = threading.Lock()
        self._view = _View(-REFRESH_S)

    def read(self) -> None:
        """Read the store now. Raises ``StoreError``, and goes on with what there was."""
        now = self._clock()
        try:
            self._view = _View(now, self._reader.read(), self._clock())
        except StoreError as error:
            before = self._view
            self._view = _View(now, before.fleet, before.read, _text(error), before.said)
            raise

    def look(self, study: str | None = None) -> bytes:
        """Return what the page shows, as JSON, with the details of this study or the newest.

        ``problem`` says what is wrong with the store, ``age`` how many seconds old the rest is.
        """
        first = self._view.fleet is None and self._view.problem is None
        if self._reading.acquire(blocking=first):
            try:
                # A little less: a page that asks every two seconds finds it has been two.
                if self._clock() - self._view.asked >= 0.9 * REFRESH_S:
                    self.read()
            except StoreError:
                pass  # the view says it
            finally:
                self._reading.release()
        return self._answer(self._view, study)

    def _answer(self, view: _View, study: str | None) -> bytes:
        age, said = 0.0, "null"
        if view.fleet is not None:
            age = self._clock() - view.read
            chosen = _chosen(view.fleet, study)
            name = None if chosen is None else chosen.name
            if name not in view.said:
                view.said[name] = json.dumps(content(view.fleet, chosen), allow_nan=False)
            said = view.said[name]
        head = json.dumps({"problem": view.problem, "age": round(age, 1)})
        return f'{head[:-1]}, "fleet": {said}}}'.encode()


def _chosen(fleet: Fleet, name: str | None) -> StudyState | None:
    """Return the study of that name, else the newest that has not ended, else the newest."""
    found: tuple[StudyState | None, ...] = (
        *(study for study in fleet.studies if study.name == name),
        *(study for study in reversed(fleet.studies) if study.is_open),
        *reversed(fleet.studies),
        None,
    )
    return found[0]


def content(fleet: Fleet, chosen: StudyState | None) -> _Json:
    """Return the fleet as the page shows it, with the details of one study.

    Names and messages are text as somebody wrote it, and nothing that may be taken for HTML.
    """
    held = fleet.held
    workers = (*fleet.workers, *fleet.silent)
    lonely = not fleet.workers and any(study.is_open for study in fleet.studies)
    return {
        "address": fleet.address,
        "studies": [_line(study) for study in reversed(fleet.studies)],
        "study": chosen and _details(chosen),
        "workers": [_worker(worker, held, worker in fleet.silent) for worker in workers],
        "no_worker": NO_WORKER.format("any more" if fleet.silent else "yet") if lonely else None,
        "troubles": [
            _text(f"{study.name}: {line}")
            for study in fleet.studies
            for line in mended(list(study.trials), fleet.overdue)
        ],
    }


def _line(study: StudyState) -> _Json:
    """Return a study as the list of studies shows it."""
    count = study.counts
    return {
        "name": study.name,
        "state": _state(study),
        "counts": f"{count[Status.DONE]} of {study.summary.budget} done, {count[Status.RUNNING]} "
        f"running, {count[Status.NEW]} waiting, {count[Status.ERROR]} failed",
        "best": study.best and f"best {_text(outcome(study.best))}",
    }


def _state(study: StudyState) -> str:
    if study.summary.cancelled:
        return "cancelled"
    return "ended" if study.summary.has_ended else ""


def _details(study: StudyState) -> _Json:
    count, best, test = study.counts, study.best, study.test_accuracy
    untuned = study.untuned_accuracy
    failed = [trial for trial in study.searched if trial.status is Status.ERROR]
    return {
        **_line(study),
        "budget": study.summary.budget,
        "ended": count[Status.DONE] + count[Status.ERROR],
        "left": time_left(study.seconds_left()),
        "best": best and _ranked(best),
        "test": None if test is None else f"{test:.1%}",
        "untuned": None if untuned is None else f"{untuned:.1%}",
        "chart": _chart(study),
        "top": [_ranked(trial) for trial in study.ranked[:_BEST]],
        "failures": [
            _text(f"trial {trial.tid}: {outcome(trial)}") for trial in failed[-_FAILURES:][::-1]
        ],
    }


def _ranked(trial: Trial) -> _Json:
    return {
        "trial": trial.tid,
        "outcome": _text(outcome(trial)),
        "hyperparameters": hyperparameters(trial),
    }


def _chart(study: StudyState) -> _Json:
    """Return what the chart draws: points are a tid and an accuracy, 0 to 1, by tid."""
    measured = [(trial.tid, accuracy) for trial, accuracy in _measured(study.searched)]
    bad = [
        trial.tid
        for trial in study.searched
        if trial.status is Status.ERROR or trial.result.get("diverged")
    ]
    best = [(trial.tid, accuracy) for trial, accuracy in _measured(study.ranked[:1])]
    together = -(-len(measured) // _POINTS) or 1
    return {
        "last": max([study.summary.budget - 1, *(trial.tid for trial in study.searched[-1:])]),
        "points": [
            max(measured[start : start + together], key=lambda point: point[1])
            for start in range(0, len(measured), together)
        ],
        "together": together,
        "best": best[0] if best else None,
        "bad": bad[:: -(-len(bad) // _POINTS) or 1],
        "untuned": study.untuned_accuracy,
        "text": _chart_in_words(study, [accuracy for _, accuracy in measured], len(bad)),
    }


def _measured(trials: Any) -> list[tuple[Trial, float]]:
    """Return the trials that have a validation accuracy, with it; a worker may write anything."""
    found = []
    for trial in trials:
        accuracy = number(trial.result.get("validation_accuracy"))
        if accuracy is not None and 0 <= accuracy <= 1 and not trial.result.get("diverged"):
            found.append((trial, round(accuracy, 4)))
    return found


def _chart_in_words(study: StudyState, accuracies: list[float], bad: int) -> str:
    """Return what the chart shows, for who does not see it."""
    if not accuracies:
        return "Validation accuracy by trial: no trial has one yet."
    text = (
        f"Validation accuracy by trial: {len(accuracies)} measured, "
        f"from {min(accuracies):.1%} to {max(accuracies):.1%}."
    )
    if study.best is not None:
        text += f" The best is trial {study.best.tid}: {_text(outcome(study.best))}."
    if study.untuned_accuracy is not None:
        text += f" Untuned: {study.untuned_accuracy:.1%}."
    return text + (f" {bad} diverged or failed." if bad else "")


def _worker(worker: WorkerRecord, held: Any, is_silent: bool) -> _Json:
    return {
        "name": _text(worker.id),
        "device": _text(worker.device),
        "does": _text(does(worker, held.get(worker.id), is_silent)),
        "heard": f"heard of {ago(worker.seconds_ago)}",
        "silent": is_silent,
    }


def _text(said: object) -> str:
    text = str(said)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
