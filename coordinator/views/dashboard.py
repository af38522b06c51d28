"""What the dashboard's page shows, as JSON, read from the store while somebody watches."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Callable, Dict

from hyperhive.common.text import printable, shortened
from hyperhive.common.wording import percent
from hyperhive.coordinator.results.repeated import repeat_lines
from hyperhive.coordinator.results.tally import measured, values
from hyperhive.coordinator.views.fleet import Fleet, FleetReader
from hyperhive.coordinator.views.incidents import incidents
from hyperhive.coordinator.views.study_state import StudyState
from hyperhive.coordinator.views.wording import (
    ago,
    counts,
    hyperparameters,
    named,
    others,
    outcome,
    report_of,
    state,
    time_left,
    with_interval,
)
from hyperhive.store.errors import StoreError
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import WorkerRecord

REFRESH_S = 2.0
"""Seconds between two questions of a page. The store is read no more often, for all viewers."""

_POINTS = 400
"""The most points in the chart. With more trials, each point is the best of several."""

_BEST = 10
_FAILURES = 5
_LONGEST = 300
"""Characters of a text that somebody else wrote: an error's message, a worker's name."""

_Json = Dict[str, Any]


@dataclass(frozen=True)
class _View:
    """The result of the last reading; ``fleet`` is of an earlier one if there was a problem.

    ``contents`` has the fleet as JSON, by the study whose details it shows. It is filled as viewers
    ask.
    """

    asked_at: float
    fleet: Fleet | None = None
    read_at: float = 0.0
    problem: str | None = None
    contents: dict[str | None, _Json] = field(default_factory=dict)


class Dashboard:
    """The newest state of the fleet, for any number of viewers.

    The store is read when a viewer asks and the last reading is older than ``REFRESH_S``: once for
    all viewers, and never while nobody asks. Only the first viewer, and the viewer whose question
    begins a reading, wait for it.

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
        """Read the store now. Raises ``StoreError``, and keeps what was read before."""
        now = self._clock()
        try:
            self._view = _View(now, self._reader.read(), self._clock())
        except StoreError as error:
            before = self._view
            self._view = _View(now, before.fleet, before.read_at, _text(error), before.contents)
            raise

    def look(self, study: str | None = None) -> bytes:
        """Return what the page shows, as JSON, with the details of this study or the newest.

        ``problem`` says what is wrong with the store, ``age`` how many seconds old the rest is.
        """
        is_first = self._view.fleet is None and self._view.problem is None
        if self._reading.acquire(blocking=is_first):
            try:
                # A little less than REFRESH_S: a page's timer is not exact.
                if self._clock() - self._view.asked_at >= 0.9 * REFRESH_S:
                    self.read()
            except StoreError:
                pass  # the view has it as its problem
            finally:
                self._reading.release()
        return self._answer(self._view, study)

    def _answer(self, view: _View, study: str | None) -> bytes:
        age = 0.0 if view.fleet is None else self._clock() - view.read_at
        answer = {
            "problem": view.problem,
            "age": round(age, 1),
            "fleet": None if view.fleet is None else _content_once(view, view.fleet, study),
        }
        return json.dumps(answer, allow_nan=False).encode()


def _content_once(view: _View, fleet: Fleet, study: str | None) -> _Json:
    chosen = _chosen(fleet, study)
    name = None if chosen is None else chosen.name
    if name not in view.contents:
        view.contents[name] = content(fleet, chosen)
    return view.contents[name]


def _chosen(fleet: Fleet, name: str | None) -> StudyState | None:
    """Return the study of that name, else the newest that has not ended, else the newest."""
    newest_first = fleet.studies[::-1]
    candidates = (
        *(study for study in newest_first if study.name == name),
        *(study for study in newest_first if study.is_open),
        *newest_first,
    )
    return candidates[0] if candidates else None


def content(fleet: Fleet, chosen: StudyState | None) -> _Json:
    """Return the fleet as the page shows it, with the details of one study.

    Names and messages are text as somebody wrote it; the page must not take them for HTML.
    """
    held = fleet.held
    workers = (*fleet.workers, *fleet.silent)
    return {
        "address": fleet.address,
        "studies": [_line(study) for study in reversed(fleet.studies)],
        "study": chosen and _details(chosen),
        "workers": [_worker(worker, held, worker in fleet.silent) for worker in workers],
        "waiting": "; ".join(map(_text, fleet.waiting)) or None,
        "incidents": [
            _text(f"{study.title}: {line}")
            for study in fleet.studies
            for line in incidents(study.tally.notable, fleet.overdue)
        ],
    }


def _line(study: StudyState) -> _Json:
    """Return a study as the list of studies shows it; ``name`` is what the page asks for."""
    return {
        "name": study.name,
        "shown": _text(study.title),
        "state": state(study),
        "counts": counts(study),
        "best": study.best and f"best {_text(outcome(study.best))}",
    }


def _details(study: StudyState) -> _Json:
    best, test = study.best, study.test_accuracy
    untuned, usual, tuned = study.untuned_accuracy, study.usual_accuracy, study.tuned_accuracy
    failed = [trial for trial in study.tally.notable if trial.status is Status.ERROR]
    return {
        **_line(study),
        "budget": study.budget,
        "ended": study.ended,
        "others": _text(others(study)),
        "left": time_left(study.seconds_left()),
        "best": best and _ranked(best),
        "repeats": _text(repeat_lines(study.repeat_results).get("repeats", "")),
        "test": None if test is None else with_interval(test, study.test_images),
        "untuned": None if untuned is None else percent(untuned),
        "usual": None if usual is None else percent(usual),
        "tuned": None if tuned is None else percent(tuned),
        "chart": _chart(study),
        "top": [_ranked(trial) for trial in study.ranked(_BEST)],
        "failures": [
            _text(f"{trial.title}: {outcome(trial)}") for trial in failed[-_FAILURES:][::-1]
        ],
    }


def _ranked(trial: Trial) -> _Json:
    return {
        "trial": trial.tid,
        "outcome": _text(outcome(trial)),
        "hyperparameters": _text(hyperparameters(trial)),
        "named": _text(named(trial)),
    }


def _chart(study: StudyState) -> _Json:
    """Return what the chart draws: points are a tid and an accuracy, 0 to 1, by tid."""
    tally = study.tally
    points = values(tally.points)
    best = measured([study.best] if study.best else [])
    bad = [trial.tid for trial in values(tally.bad)]
    together = -(-len(points) // _POINTS) or 1
    return {
        "last": max([study.budget - 1, *(trial.tid for trial in tally.latest[-1:])]),
        "points": [
            max(points[start : start + together], key=itemgetter(1))
            for start in range(0, len(points), together)
        ],
        "together": together,
        "best": next(((trial.tid, round(accuracy, 4)) for trial, accuracy in best), None),
        "bad": bad[:: -(-len(bad) // _POINTS) or 1],
        "untuned": study.untuned_accuracy,
        "usual": study.usual_accuracy,
        "tuned": study.tuned_accuracy,
        "text": _chart_in_words(study, [accuracy for _, accuracy in points], len(bad)),
    }


def _chart_in_words(study: StudyState, accuracies: list[float], bad: int) -> str:
    """Return what the chart shows, for readers who do not see it."""
    if study.is_experiment:
        return "hyperopt's trials have a loss and no accuracy: the table has the best of them."
    if not accuracies:
        none = "no trial has one, they report losses" if study.best else "no trial has one yet"
        return f"Validation accuracy by trial: {none}."
    text = (
        f"Validation accuracy by trial: {len(accuracies)} measured, "
        f"from {percent(min(accuracies))} to {percent(max(accuracies))}."
    )
    if study.best is not None:
        text += f" The best is trial {study.best.tid}: {_text(outcome(study.best))}."
    if study.untuned_accuracy is not None:
        text += f" Untuned: {percent(study.untuned_accuracy)}."
    if study.usual_accuracy is not None:
        text += f" Usual settings: {percent(study.usual_accuracy)}."
    if study.tuned_accuracy is not None:
        text += f" Three numbers tuned: {percent(study.tuned_accuracy)}."
    text += f" {study.pruned} were pruned." if study.pruned else ""
    return text + (f" {bad} diverged or failed." if bad else "")


def _worker(worker: WorkerRecord, held: dict[str, Trial], is_silent: bool) -> _Json:
    return {
        "name": _text(worker.id),
        "device": _text(worker.device),
        "does": _text(report_of(worker, held.get(worker.id), is_silent)),
        "heard": f"last heard of {ago(worker.seconds_ago)}",
        "silent": is_silent,
    }


def _text(value: object) -> str:
    return shortened(printable(str(value)), _LONGEST)
