"""What the page gets for its questions, as JSON: made once for all who ask the same."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from typing import Any, Callable, Dict

from hyperhive.coordinator.figures.artifacts import read_artifacts
from hyperhive.coordinator.figures.source import notes_on
from hyperhive.coordinator.figures.timeline import only_attempt
from hyperhive.coordinator.live.fleet_json import fleet_json
from hyperhive.coordinator.live.live_study import LiveStudy, Made, key_of
from hyperhive.coordinator.live.readings import Reading, Readings
from hyperhive.coordinator.live.trial_page import trial_json
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import Trial

_Json = Dict[str, Any]

_REST = 5.0
"""Figures that took a second to make are made again after so many: a fifth of a core at most."""

_KEPT = 32
"""Answers that are kept for the next who asks the same."""


class Answers:
    """Answers the questions of all viewers of a store.

    One answer is made at a time, and kept for those who ask the same. So the work does not grow
    with the number of viewers, and that for a large study is a bounded share of the time.

    Args:
        store: where the studies are.
        readings: reads the fleet.
        clock: gives seconds.
    """

    def __init__(
        self, store: Store, readings: Readings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._readings = readings
        self._clock = clock
        self._making = threading.Lock()
        self._studies: dict[str, LiveStudy] = {}
        self._rest_until: dict[str, float] = {}
        self._kept: OrderedDict[Any, bytes] = OrderedDict()

    def event(self) -> _Json:
        """Return what viewers are told of the newest reading."""
        return _about(self._readings.newest())

    def fleet(self) -> bytes:
        """Return the studies and the workers."""
        reading = self._readings.newest()
        with self._making:
            fleet = reading.fleet
            content = self._once(
                ("fleet", reading.revision),
                lambda: encoded(None if fleet is None else fleet_json(fleet)),
            )
        about = encoded(_about(reading))
        return about[:-1] + b', "fleet": ' + content + b"}"

    def figures(self, name: str, since: int | None) -> bytes:
        """Return a study's figures, or what changed of them since a revision.

        Raises ``StoreError``. ``study`` is None if there is no study of that name.
        """
        reading = self._readings.newest()
        with self._making:
            if name not in reading.changes:
                self._studies.pop(name, None)
                return encoded({"revision": reading.revision, "whole": True, "study": None})
            made = self._made(reading, name)
            key = ("figures", name, since, made.revision)
            return self._once(key, lambda: encoded(made.since(since)))

    def trial(self, name: str, key: str) -> bytes | None:
        """Return a trial's page; None if there is no such trial. Raises ``StoreError``.

        Args:
            name: of its study.
            key: see ``key_of``.
        """
        reading = self._readings.newest()
        if name not in reading.changes:
            return None
        trials = reading.changes[name].state.trials
        found = next((trial for trial in trials if key_of(trial) == key), None)
        if found is None:
            return None
        with self._making:
            return self._once(
                ("trial", found.id, reading.revision), lambda: self._trial(reading, name, found)
            )

    def _trial(self, reading: Reading, name: str, found: Trial) -> bytes:
        trial = self._store.trials.get(found.id) or found
        several = self._store.trials.attempts(name, [found.id])
        attempts = several.get(found.id) or only_attempt(trial)
        files = read_artifacts(self._store, [trial])
        notes = [each for each in notes_on(self._store, name) if each["trial"] == trial.tid]
        shown = trial_json(trial, attempts, reading.descriptions)
        return encoded({**shown, "artifacts": files, "notes": notes})

    def _made(self, reading: Reading, name: str) -> Made:
        """Return the newest figures of a study, after those that are due."""
        study = self._studies.setdefault(name, LiveStudy(self._store, name))
        made, began = study.made, self._clock()
        is_due = began >= self._rest_until.get(name, 0.0)
        if made is None or (is_due and made.revision < reading.revision):
            made = study.follow(reading)
            ended = self._clock()
            self._rest_until[name] = ended + _REST * (ended - began)
        return made

    def _once(self, key: Any, make: Callable[[], bytes]) -> bytes:
        """Return an answer that was made before for the same question, or make it."""
        if key not in self._kept:
            self._kept[key] = make()
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]


def encoded(value: Any) -> bytes:
    """Return a value as JSON; raises ``ValueError`` for a number that JSON does not have."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _about(reading: Reading) -> _Json:
    return {
        "revision": reading.revision,
        "problem": reading.problem,
        "at": None if reading.at is None else reading.at.isoformat(timespec="seconds"),
    }
