"""The studies of a folder that grows: one version after another, each with what is known so far."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

from hyperhive.coordinator.planning.plan import Plan, study_name
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import configuration
from hyperhive.coordinator.study import Study
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.model.data.sources.known import FOLDER
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredStudy
from hyperhive.store.trials.terms import SEARCH
from hyperhive.store.trials.trial import Trial

_ALWAYS: dict[str, Any] = {
    "decoupled": True,
    "momentum": 0.9,
    "nesterov": True,
    "schedule": "one-cycle",
    "averaging": 0.1,
    "label_smoothing": 0.1,
}
START = {**_ALWAYS, "learning_rate": 0.3, "epochs": 100, "weight_decay": 5e-4}
"""The first trial of the first version: 60 pictures give 400 steps. What comes of it is measured by
``benchmarks/teach.py``."""

SPACE = parse(
    {
        **_ALWAYS,
        "learning_rate": {"distribution": "loguniform", "low": 0.1, "high": 0.6},
        "epochs": {"distribution": "quniform", "low": 60, "high": 140, "step": 1},
        "weight_decay": {"distribution": "loguniform", "low": 2e-4, "high": 2e-3},
    }
)
"""``quick`` for few pictures: more epochs, as an epoch has few steps, and no mirrored pictures, as
nobody has said whether the things may be mirrored."""

_BATCH = 16


def version_name(folder: Path, number: int) -> str:
    """Return the name of a version's study: ``teach-things-1f3a-2``.

    Another machine, or another folder of this name, has other digits before the number.
    """
    path = folder.resolve()
    digits = hashlib.sha256(f"{platform.node()}\n{path}".encode()).hexdigest()[:4]
    return study_name(path.name, prefix="teach-", suffix=f"-{digits}-{number}")


def number_of(study: str) -> int:
    """Return the number in the name of a version's study."""
    return int(study.rpartition("-")[2])


def newest(store: Store, folder: Path) -> StoredStudy | None:
    """Return the study of a folder's newest version; None if there is none."""
    names = {summary.name for summary in store.studies.summaries()}
    number = 0
    while version_name(folder, number + 1) in names:
        number += 1
    return store.studies.get(version_name(folder, number)) if number else None


def next_plan(store: Store, folder: Path, before: StoredStudy | None, trials: int) -> Plan:
    """Return the plan of the next version: first comes the best configuration of the last one."""
    known = [] if before is None else _best_config(store, before)
    return Plan(
        version_name(folder, 1 if before is None else number_of(before.name) + 1),
        DatasetRequest(FOLDER, folder),
        trials=trials,
        space=SPACE,
        augment="camera",
        batch_size=_BATCH,
        known=tuple(known or [START]),
    )


def winner_of(store: Store, ended: StoredStudy) -> list[Trial]:
    """Return the trial that won a version; none if it has not ended, or was deleted."""
    if ended.result is None:
        return []
    return store.trials.find(ended.name, SEARCH, [ended.result["winner"]], in_short=True)


def _best_config(store: Store, before: StoredStudy) -> list[dict[str, Any]]:
    """Return the configuration that won a version; none if that had another space, or no end."""
    if Study.stored(before.name, before.spec).plan.space != SPACE:
        return []
    return [configuration(SPACE, trial.vals) for trial in winner_of(store, before)]
