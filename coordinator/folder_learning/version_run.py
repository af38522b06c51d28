"""One version: its study from wherever it stands to its end, and what is told of it meanwhile."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import Callable, Union

from hyperhive.coordinator.folder_learning.helpers import Helpers
from hyperhive.coordinator.folder_learning.pictures import Pictures
from hyperhive.coordinator.folder_learning.versions import number_of
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.study_run import StudyRun
from hyperhive.coordinator.views.study_state import Snapshot, StudyState
from hyperhive.inference.teaching.states import LEARNING, Learned, Progress
from hyperhive.model.card import Card
from hyperhive.model.data.dataset import Dataset
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.store import Store

Tell = Callable[[Union[Progress, Learned]], None]

_LOOK_S = 2.0
NEW_PICTURES = "new pictures have come"


class Offer:
    """Tells of a study's model whenever it has another one."""

    def __init__(self, store: Store, study: str, tell: Tell) -> None:
        self._store = store
        self._study = study
        self._tell = tell
        self._told: str | None = None

    def look(self) -> None:
        """Tell of the model unless it is the one that was told of last; raises ``StoreError``."""
        stored = self._store.studies.get(self._study)
        model = None if stored is None else stored.model
        if model is None or model.weights.sha256 == self._told:
            return
        packed = self._store.blobs.get(model.weights)
        self._tell(Learned(packed, Card.from_json(model.card), number_of(self._study)))
        self._told = model.weights.sha256


class VersionRun:
    """Runs a version's study, and tells of its trials and better models.

    If other pictures come, the study ends with the trials that it has, but at least one.

    Args:
        store: where the study is.
        study: opened before.
        dataset: the study's.
        pictures: those that were in the folder when the version was begun; None if that is unknown.
        folder: of the pictures.
        models: the folder of the models of all studies.
        stop: ends it, when set.
        tell: gets what predict-cam is to know.
        offer: of the study.
    """

    def __init__(
        self,
        store: Store,
        study: Study,
        dataset: Dataset,
        pictures: Pictures | None,
        folder: Path,
        models: Path,
        stop: threading.Event,
        tell: Tell,
        offer: Offer,
    ) -> None:
        self._store = store
        self._study = study
        self._dataset = dataset
        self._pictures = pictures
        self._folder = folder
        self._models = models
        self._stop = stop
        self._tell = tell
        self._offer = offer
        self._seen: StudyState | None = None
        self._due = 0.0
        self._progress = Progress(
            LEARNING,
            Pictures.of(folder).counts,
            number_of(study.name),
            study.plan.trials,
        )

    def run(self, helpers: Helpers, replaces: tuple[str, ...] | None) -> Progress:
        """Run the study to its end; return what its trials came to.

        Args:
            helpers: its workers.
            replaces: the classes of the model that answers now. One with the same classes stays
                until this study has ended: it was trained on all pictures, as none is before.

        Raises what ``StudyRun.run`` does, and ``WorkersFailed``.
        """

        def watch(snapshot: Snapshot) -> None:
            helpers.look(snapshot)
            # The search waits for a server that is away, and this looks again then.
            with contextlib.suppress(StoreUnavailable):
                if replaces != self._dataset.classes:
                    self._look(snapshot.study)
                self._end_for_new_pictures(snapshot)
            self._show(snapshot.study)

        self._tell(self._progress)
        where = self._models / self._study.name
        StudyRun(self._store, self._study, self._dataset, where, True, watch, self._stop).run()
        return self._progress

    def _look(self, state: StudyState) -> None:
        if state is not self._seen:  # it is the same while nothing changed
            self._offer.look()
            self._seen = state

    def _show(self, state: StudyState) -> None:
        accuracies = tuple(trial.accuracy for trial in state.searched if trial.is_final)
        progress = Progress(
            LEARNING,
            self._progress.counts,
            self._progress.version,
            state.budget,
            accuracies,
        )
        if progress != self._progress:
            self._progress = progress
            self._tell(progress)

    def _end_for_new_pictures(self, snapshot: Snapshot) -> None:
        state, now = snapshot.study, time.monotonic()
        if self._pictures is None or state.best is None or now < self._due or state.finishing:
            return
        self._due = now + _LOOK_S
        if snapshot.is_reachable and Pictures.of(self._folder).to_learn != self._pictures.to_learn:
            self._store.studies.finish(self._study.name, NEW_PICTURES)
