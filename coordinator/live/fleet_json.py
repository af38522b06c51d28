"""The fleet as the page shows it: its studies, its workers, and what goes wrong."""

from __future__ import annotations

import itertools
from typing import Any, Dict

from hyperhive.coordinator.figures.numbers import text
from hyperhive.coordinator.live.live_study import key_of
from hyperhive.coordinator.views.fleet import Fleet
from hyperhive.coordinator.views.incidents import incidents
from hyperhive.coordinator.views.study_state import StudyState
from hyperhive.coordinator.views.wording import (
    ago,
    counts,
    others,
    outcome,
    report_of,
    state,
    time_left,
)
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import WorkerRecord

_Json = Dict[str, Any]


def fleet_json(fleet: Fleet) -> _Json:
    """Return the fleet as plain JSON.

    Names and messages are text as somebody wrote it; the page must not take them for HTML.
    """
    held, lost = fleet.held, fleet.lost
    newest = _newest(fleet)
    return {
        "address": fleet.address,
        "newest": newest and newest.name,
        "studies": [_study(study) for study in reversed(fleet.studies)],
        "workers": [
            _worker(worker, held, worker.id in lost) for worker in (*fleet.workers, *fleet.silent)
        ],
        "waiting": "; ".join(map(text, fleet.waiting)) or None,
        "incidents": [
            text(f"{study.title}: {line}")
            for study in fleet.studies
            for line in incidents(study.tally.notable, fleet.overdue)
        ],
    }


def _newest(fleet: Fleet) -> StudyState | None:
    """Return the newest study that has not ended, else the newest."""
    newest_first = fleet.studies[::-1]
    still_open = (study for study in newest_first if study.is_open)
    return next(itertools.chain(still_open, newest_first), None)


def _study(study: StudyState) -> _Json:
    """Return a study as the list of studies shows it; ``name`` is what the page asks for."""
    return {
        "name": study.name,
        "shown": text(study.title),
        "state": state(study),
        "is_open": study.is_open,
        "counts": counts(study),
        "budget": study.budget,
        "ended": study.ended,
        "others": text(others(study)),
        "left": time_left(study.seconds_left()),
        "best": study.best and f"best {text(outcome(study.best))}",
    }


def _worker(worker: WorkerRecord, held: dict[str, Trial], is_lost: bool) -> _Json:
    trial = held.get(worker.id)
    return {
        "name": text(worker.id),
        "device": text(worker.device),
        "does": text(report_of(worker, trial, is_lost)),
        "state": _state(worker, trial, is_lost),
        "heard": f"last heard of {ago(worker.seconds_ago)}" if is_lost else None,
        "study": trial and trial.study,
        "trial": trial and key_of(trial),
    }


def _state(worker: WorkerRecord, trial: Trial | None, is_lost: bool) -> str:
    if is_lost:
        return "lost"
    if worker.paused and not trial:
        return "paused"
    return "working" if trial else "idle"
