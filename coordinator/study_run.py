"""One study from its plan to its result: open it, search, refit, test once, keep the weights.

PyTorch and Matplotlib are imported only when a model is calibrated, tested or drawn: for most of a
study's life the coordinator waits, on a device that may be small.
"""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperhive.common.errors import CheckpointError, InputError
from hyperhive.common.values import number
from hyperhive.coordinator.best_so_far import BestModelPublisher
from hyperhive.coordinator.ranking import best_of, why_nothing
from hyperhive.coordinator.search import Search
from hyperhive.coordinator.study import Plan, Study, differences
from hyperhive.coordinator.views.study_state import Snapshot, Watch
from hyperhive.coordinator.views.summary import Result
from hyperhive.model.calibration import PLAIN, Calibration
from hyperhive.model.card import Card
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.model_files import WEIGHTS_FILE, write
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import CorruptBlob, NotFound, StudyChanged, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredStudy
from hyperhive.store.trial import SEARCH, Trial

if TYPE_CHECKING:  # it would import PyTorch
    from hyperhive.model.metrics import Evaluation

PICTURE_FILE = "report.png"


class StudyFailed(InputError):
    """A study ended without a model."""


def open_study(store: Store, plan: Plan, dataset: Dataset) -> Study:
    """Publish the data set and create the study, or check that the existing one is the same.

    The budget of a study may grow; that reopens it. Raises ``StudyChanged``, which says what
    differs, for any other change, and ``StudyWithdrawn`` for a study that was cancelled.
    """
    store.ensure_indexes()
    if not store.datasets.has(dataset.content_hash):
        store.datasets.publish(dataset.content_hash, dataset.pack(), dataset.card())
    study = Study.of(plan, dataset)
    spec = study.spec()
    stored = store.studies.open(study.name, spec)
    if stored.cancelled:
        raise StudyWithdrawn(
            f"study {study.name} was cancelled: choose another name, or run `hyperhive study "
            f"delete {study.name}` to start it again"
        )
    if stored.spec == spec:
        return study
    if {**stored.spec, "trials": plan.trials} == spec and plan.trials > stored.spec["trials"]:
        store.studies.extend(study.name, spec)
        return study
    differing = "; ".join(differences(stored.spec, spec))
    raise StudyChanged(
        f"study {study.name} is in the store with another specification ({differing}): choose "
        "another name, or the same specification (only its trials may grow)"
    )


class StudyRun:
    """One run of an opened study, from wherever it stands to its model in a folder.

    Args:
        store: where the study is.
        study: opened with ``open_study``.
        dataset: the study's.
        folder: where the weights, the card and the picture are written.
        refit: whether to train the winner on training and validation data before the test.
        watch: receives a snapshot several times per second.
        stop: ends the run with ``Interrupted``, when set.
        timeout: seconds without any worker that end the run; None waits forever.
    """

    def __init__(
        self,
        store: Store,
        study: Study,
        dataset: Dataset,
        folder: Path,
        refit: bool,
        watch: Watch,
        stop: threading.Event,
        timeout: float | None = None,
    ) -> None:
        self._store = store
        self._study = study
        self._dataset = dataset
        self._folder = folder
        self._refit = refit
        self._watch = watch
        self._publisher = BestModelPublisher(store, self.card_so_far)
        self._search = Search(store, study, self._look, stop, timeout)

    def run(self) -> Result:
        """Run the study to its end and write its model.

        A study that has ended before is not tested again: its weights are written as they were.

        Raises ``Interrupted`` when stopped, ``NoWorker`` after ``timeout`` seconds without one,
        ``StudyFailed`` if no trial gave a model, ``StoreError``.
        """
        stored = self._store.studies.get(self._study.name)
        if stored is not None and stored.result is not None:
            return self._write_again(stored, stored.result)
        trials = self._search.run()
        winner = best_of(trials)
        if winner is None:
            raise StudyFailed(f"study {self._study.name} has no model: {why_nothing(trials)}")
        untuned = self._search.baseline().accuracy
        source, weights = self._source(winner)
        packed = self._search.persist(lambda: self._store.blobs.get(weights))
        card = self._card(winner, source, weights)
        calibration = self._search.persist(lambda: self._calibration(winner))
        evaluation = self._evaluation(packed, card, source)
        card = self._evaluated(card, calibration, evaluation)
        write(self._folder / WEIGHTS_FILE, packed, card)
        self._conclude(winner, card, weights, untuned)
        # Last: if drawing fails, the study is concluded and its one test is done.
        picture = self._draw(trials, winner, untuned, calibration, evaluation)
        return Result(winner, card, untuned, self._folder, picture)

    def card_so_far(self, trial: Trial, weights: BlobRef) -> Card:
        """Return the card of a trial's model while the study runs: calibrated, but not tested.

        Raises ``StudyFailed`` if no model can be made of the trial.
        """
        card = self._card(trial, trial, weights)
        return dataclasses.replace(card, calibration=self._calibration(trial))

    def _look(self, snapshot: Snapshot) -> None:
        self._publisher.look(snapshot.study)
        self._watch(snapshot)

    def _source(self, winner: Trial) -> tuple[Trial, BlobRef]:
        """Return the trial whose weights the model has, and where they are: the refit's if any."""
        source = self._search.refit(winner) if self._refit else winner
        if source.artifact is None:
            raise StudyFailed(
                f"the refit of trial {winner.tid} gave no weights ({why_nothing([source])}): "
                "start again with --no-refit to keep the trial's own"
            )
        return source, BlobRef.from_document(source.artifact)

    def _card(self, winner: Trial, source: Trial, weights: BlobRef) -> Card:
        """Return the card; raises ``StudyFailed`` if the trials' results lack what it needs."""
        # An objective may report null: it validated nothing.
        reported = winner.result.get("validation_accuracy", "missing")
        is_invalid = reported is not None and winner.accuracy is None
        if is_invalid or "trained_on" not in source.result:
            raise StudyFailed(
                f"trial {winner.tid} is the best, but no model can be made of it: the results of "
                f"objective {self._study.plan.objective} lack validation_accuracy or trained_on"
            )
        return Card.of(
            self._dataset,
            weights.sha256,
            source.config,
            dataset={**self._study.dataset_card, "content_hash": self._study.dataset_hash},
            study=self._study.name,
            trial=winner.tid,
            validation_accuracy=winner.accuracy,
            trained_on=source.result["trained_on"],
        )

    def _calibration(self, winner: Trial) -> Calibration | None:
        """Return the winner's calibration, by its own weights; None if they cannot be used.

        Then the model's card has none, and the summary says so.
        """
        if winner.artifact is None:
            return None
        from hyperhive.coordinator.evaluation import calibrate

        try:
            weights = BlobRef.from_document(winner.artifact)
            packed = self._store.blobs.get(weights)
            return calibrate(packed, self._card(winner, winner, weights), self._dataset)
        except (NotFound, CorruptBlob, CheckpointError):
            return None

    def _evaluation(self, packed: bytes, card: Card, source: Trial) -> Evaluation:
        """Return the one evaluation on the test split."""
        from hyperhive.coordinator.evaluation import judge

        try:
            return judge(packed, card, self._dataset)
        except CheckpointError as error:
            raise StudyFailed(
                f"worker {source.owner} delivered weights for {source.full_title} that cannot be "
                f"used ({error}): start again with --no-refit, or under another --name without "
                "that worker"
            ) from error

    def _evaluated(
        self, card: Card, calibration: Calibration | None, evaluation: Evaluation
    ) -> Card:
        """Return the card with what the test found."""
        from hyperhive.coordinator.evaluation import with_errors

        return dataclasses.replace(
            card,
            test_accuracy=evaluation.accuracy,
            confusion=evaluation.confusion,
            calibration=calibration and with_errors(calibration, evaluation, self._dataset),
        )

    def _conclude(self, winner: Trial, card: Card, weights: BlobRef, untuned: float | None) -> None:
        result = {
            "winner": winner.tid,
            "card": card.to_json(),
            "weights": weights.as_document(),
            "untuned_accuracy": untuned,
        }
        self._search.persist(lambda: self._store.studies.conclude(self._study.name, result))

    def _draw(
        self,
        trials: list[Trial],
        winner: Trial,
        untuned: float | None,
        calibration: Calibration | None,
        evaluation: Evaluation,
    ) -> Path:
        from hyperhive.coordinator.views.picture import Answers, draw

        answers = Answers.of(evaluation, calibration or PLAIN, self._dataset)
        path = self._folder / PICTURE_FILE
        return draw(path, trials, winner, untuned, self._dataset, answers)

    def _write_again(self, stored: StoredStudy, result: dict[str, Any]) -> Result:
        """Write the model of a study that had ended, as it is in the store."""
        card = Card.from_json(result["card"])
        packed = self._store.blobs.get(BlobRef.from_document(result["weights"]))
        write(self._folder / WEIGHTS_FILE, packed, card)
        winners = self._store.trials.find(stored.name, SEARCH, [result["winner"]])
        if not winners:
            raise NotFound(
                f"the winner of study {stored.name} is no longer in the store, somebody wrote into "
                f"it; its model is in {self._folder}"
            )
        untuned = number(result["untuned_accuracy"])
        picture = self._folder / PICTURE_FILE
        if not picture.exists():  # drawing it failed, or this is another folder
            trials = self._store.trials.find(stored.name, SEARCH)
            evaluation = self._evaluation(packed, card, winners[0])
            self._draw(trials, winners[0], untuned, card.calibration, evaluation)
        return Result(winners[0], card, untuned, self._folder, picture, again=True)
