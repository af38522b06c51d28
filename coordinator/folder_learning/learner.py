"""Learns a folder that grows, one version after another, for as long as it is asked to."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass
from pathlib import Path

from hyperhive.common.errors import DatasetError, HyperhiveError
from hyperhive.coordinator.api.connection import Connection, patiently
from hyperhive.coordinator.folder_learning.curve import keep_curve, kept_curve, measure
from hyperhive.coordinator.folder_learning.helpers import Helpers
from hyperhive.coordinator.folder_learning.pictures import Pictures
from hyperhive.coordinator.folder_learning.version_run import Offer, Tell, VersionRun
from hyperhive.coordinator.folder_learning.versions import (
    newest,
    next_plan,
    number_of,
    version_name,
    winner_of,
)
from hyperhive.coordinator.search import Interrupted
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.study_run import StudyFailed, open_study
from hyperhive.inference.teaching.states import DONE, FAILED, WAITING, Progress
from hyperhive.model.card import Card
from hyperhive.model.data.cache import DatasetCache
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.training import TrainingStopped
from hyperhive.store.errors import StudyChanged, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredStudy
from hyperhive.store.trials.terms import SEARCH

_LOOK_S = 1.0
_QUIET = 2
"""So many looks in a row see the same pictures before they are learned: a burst is one lot."""


@dataclass(frozen=True)
class LearnerSettings:
    """What is learned: see ``LearningSettings`` of ``inference/teaching``."""

    folder: Path
    trials: int
    mongo: str | None
    models: Path


class FolderLearner:
    """Learns whatever a folder has, until it is stopped.

    The folder and the store have all that it needs to know, so it may be killed at any moment.

    Args:
        settings: what is learned.
        connection: of the store.
        is_shared: whether other machines may have workers on the server.
        stop: ends it, when set.
        tell: gets what predict-cam is to know.
    """

    def __init__(
        self,
        settings: LearnerSettings,
        connection: Connection,
        is_shared: bool,
        stop: threading.Event,
        tell: Tell,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._is_shared = is_shared
        self._stop = stop
        self._tell = tell
        self._pictures: Pictures | None = None
        self._told_of: Pictures | None = None
        """The pictures that a problem is about."""
        self._answering: tuple[str, ...] | None = None
        self._progress = Progress()

    def run(self) -> None:
        """Go on with the version that has not ended, then wait for pictures and learn the next.

        Raises ``StoreError``, ``WorkersFailed`` and what else ends a study: starting again goes on.
        """
        store, folder = self._connection.store, self._settings.folder
        patiently(store.ensure_indexes)
        try:
            before = patiently(lambda: newest(store, folder))
            if before is not None and not self._has_ended(before):
                self._offer_version(number_of(before.name) - 1)
                self._learn(*_as_stored(store, before))
            elif before is not None and before.result is not None:
                offer = Offer(store, before.name, self._tell)
                self._conclude(*_as_stored(store, before), self._shown(before), offer)
            while True:
                self._learn_next()
        except (Interrupted, TrainingStopped):
            return

    def _learn_next(self) -> None:
        """Learn the next version, or the one that another predict-cam began meanwhile."""
        store, folder = self._connection.store, self._settings.folder
        before = patiently(lambda: newest(store, folder))
        try:
            self._learn(*self._next(before))
        except StudyChanged:
            begun = patiently(lambda: newest(store, folder))
            if begun is not None and not self._has_ended(begun):
                self._learn(*_as_stored(store, begun))

    def _offer_version(self, number: int) -> None:
        """Tell of the model of a version that has ended, if there is one."""
        store = self._connection.store
        name = version_name(self._settings.folder, number)
        stored = patiently(lambda: store.studies.get(name))
        if stored is not None and stored.model is not None:
            patiently(Offer(store, name, self._tell).look)
            self._answering = tuple(Card.from_json(stored.model.card).classes)

    def _has_ended(self, stored: StoredStudy) -> bool:
        return stored.result is not None or stored.cancelled

    def _shown(self, stored: StoredStudy) -> Progress:
        """Return the progress of a version that ended before."""
        find = self._connection.store.trials.find
        trials = patiently(lambda: find(stored.name, SEARCH, in_short=True))
        accuracies = tuple(trial.accuracy for trial in trials)
        counts = Pictures.of(self._settings.folder).counts
        return Progress(DONE, counts, number_of(stored.name), len(trials), accuracies)

    # -- waiting ----------------------------------------------------------------------------------

    def _next(self, before: StoredStudy | None) -> tuple[Study, Dataset]:
        """Wait until there are other pictures than the last version's; open the next study."""
        store, settings = self._connection.store, self._settings
        dataset = self._awaited(None if before is None else before.spec["dataset"]["content_hash"])
        plan = patiently(lambda: next_plan(store, settings.folder, before, settings.trials))
        return patiently(lambda: open_study(store, plan, dataset)), dataset

    def _awaited(self, known: str | None) -> Dataset:
        """Return the pictures, once there are enough, and others than those with this hash."""
        seen, times = Pictures(self._settings.folder), 0
        while True:
            now = Pictures.of(self._settings.folder)
            times = times + 1 if now == seen else 0
            seen = now
            self._say_waiting(now)
            is_new = self._pictures is None or now.to_learn != self._pictures.to_learn
            if now.are_enough and is_new and times >= _QUIET:
                self._pictures = now
                dataset = self._read(now)
                if dataset is not None and dataset.content_hash != known:
                    return dataset
            if self._stop.wait(_LOOK_S):
                raise Interrupted

    def _read(self, pictures: Pictures) -> Dataset | None:
        """Return the pictures as a data set; None, and tell why, if they are none."""
        try:
            return pictures.read(self._settings.folder.name, seed=0)
        except DatasetError as error:
            self._told_of = pictures
            self._say(dataclasses.replace(self._progress, problem=str(error)))
            return None

    def _say_waiting(self, pictures: Pictures) -> None:
        """Tell the counts; what was learned before stays told."""
        progress = dataclasses.replace(self._progress, counts=pictures.counts)
        if pictures != self._told_of:
            if progress.phase != DONE:
                progress = Progress(WAITING, pictures.counts, progress.version)
            progress = dataclasses.replace(progress, problem=None)
        self._say(progress)

    def _say(self, progress: Progress) -> None:
        if progress != self._progress:
            self._progress = progress
            self._tell(progress)

    # -- learning ---------------------------------------------------------------------------------

    def _learn(self, study: Study, dataset: Dataset) -> None:
        """Run a version's study to its end, and see whether its pictures were enough."""
        store, settings = self._connection.store, self._settings
        offer = Offer(store, study.name, self._tell)
        where = (settings.folder, settings.models, self._stop, self._tell, offer)
        run = VersionRun(store, study, dataset, self._pictures, *where)
        with Helpers(self._connection.uri, study.name, self._is_shared) as helpers:
            try:
                progress = run.run(helpers, self._answering)
            except (StudyFailed, StudyWithdrawn) as error:  # other pictures may do better
                self._give_up(study, error)
                return
        self._conclude(study, dataset, progress, offer)

    def _give_up(self, study: Study, error: HyperhiveError) -> None:
        number = number_of(study.name)
        self._told_of = Pictures.of(self._settings.folder)
        self._say(
            dataclasses.replace(self._progress, phase=FAILED, version=number, problem=str(error))
        )

    def _conclude(self, study: Study, dataset: Dataset, progress: Progress, offer: Offer) -> None:
        """Tell of the model that a version ended with, and of its learning curve."""
        store, settings = self._connection.store, self._settings
        patiently(offer.look)
        self._answering = dataset.classes
        done = dataclasses.replace(progress, phase=DONE)
        self._say(done)
        folder = settings.models / study.name
        curve = kept_curve(folder, dataset)
        if curve is None:
            stored = patiently(lambda: store.study(study.name))
            [winner] = patiently(lambda: winner_of(store, stored))
            curve = measure(dataset, winner.config, self._stop.is_set)
            keep_curve(curve, folder, dataset)
        self._say(dataclasses.replace(done, enough=curve.sentence))


def _as_stored(store: Store, stored: StoredStudy) -> tuple[Study, Dataset]:
    """Return a version's study and data set as the store has them."""
    study = Study.stored(stored.name, stored.spec)
    content_hash = str(study.dataset_hash)
    return study, patiently(lambda: DatasetCache().get(content_hash, store.datasets.fetch))
