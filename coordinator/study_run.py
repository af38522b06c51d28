"""One study from its plan to its result: open it, search, refit, test once, keep the weights.

PyTorch and Matplotlib are imported only when a model is calibrated, tested or drawn: for most of a
study's life the coordinator waits, on a device that may be small.
"""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperhive.common import files
from hyperhive.common.errors import CheckpointError, InputError
from hyperhive.common.values import is_fraction, number
from hyperhive.coordinator.best_so_far import BestModelPublisher
from hyperhive.coordinator.ranking import best_of, finite_loss, why_nothing
from hyperhive.coordinator.search import Search
from hyperhive.coordinator.study import Plan, Study, differences
from hyperhive.coordinator.views.study_state import Snapshot, Watch
from hyperhive.coordinator.views.summary import Result, baselines
from hyperhive.model.calibration import PLAIN, Calibration
from hyperhive.model.card import Card
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.model_files import OTHER_WEIGHTS_FILE, WEIGHTS_FILE, write
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import CorruptBlob, NotFound, StudyChanged, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredStudy
from hyperhive.store.trials.trial import LENET5, SEARCH, UNTUNED_TID, USUAL_TID, Trial

if TYPE_CHECKING:  # it would import PyTorch
    from hyperhive.model.metrics import Evaluation

PICTURE_FILE = "report.png"


class StudyFailed(InputError):
    """A study ended without a best trial, or LeNet-5's without a model."""


class NotAModel(InputError):
    """No model for predict-cam can be made of a trial; a clause that says why."""


@dataclass(frozen=True)
class _Model:
    """What a study of LeNet-5 ends with: weights, their card, and how they were evaluated."""

    packed: bytes
    weights: BlobRef
    card: Card
    calibration: Calibration | None
    evaluation: Evaluation


def open_study(store: Store, plan: Plan, dataset: Dataset) -> Study:
    """Publish the data set and create the study, or check that the existing one is the same.

    The budget of a study may grow; that reopens it. Raises ``StudyChanged``, which says what
    differs, for any other change, ``StudyWithdrawn`` for a study that was cancelled, and, before
    the name is taken, ``DatasetError`` for data that no trial could use.
    """
    study = Study.of(plan, dataset)
    store.ensure_indexes()
    if not store.datasets.has(dataset.content_hash):
        store.datasets.publish(dataset.content_hash, dataset.pack(), dataset.card())
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
        "another name, or the same specification (only its trials may grow; `hyperhive study "
        f"finish {study.name}` ends it with fewer)"
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
        timeout: seconds without a worker that could go on that end the run; None waits forever.
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
        """Run the study to its end and write what it found: a model, if its objective makes one.

        A study that has ended before is not tested again: its weights are written as they were.
        Raises ``Interrupted`` when stopped, ``NoWorker`` after ``timeout`` seconds without one,
        ``StudyFailed`` if no trial gave a result, or LeNet-5's no model, ``StoreError``.
        """
        concluded = self._concluded()
        if concluded is None:
            self._plan_refit()
            trials = self._search.run()
            concluded = self._concluded()  # another coordinator may have been faster
        if concluded is not None:
            return concluded
        winner = best_of(trials)
        if winner is None:
            raise StudyFailed(f"study {self._study.name} has no result: {why_nothing(trials)}")
        accuracies = {trial.tid: trial.accuracy for trial in self._search.baselines()}
        source = self._source(winner)
        ended = Result(
            winner,
            untuned_accuracy=accuracies.get(UNTUNED_TID),
            usual_accuracy=accuracies.get(USUAL_TID),
            drawn=self._drawn(trials),
        )
        try:
            model = self._model(winner, source)
        except NotAModel as reason:
            if self._study.plan.objective == LENET5:
                raise StudyFailed(
                    f"worker {source.owner} delivered weights for {source.full_title} that cannot "
                    f"be used ({reason}): start again with --no-refit, or under another --name "
                    "without that worker"
                ) from reason
            return self._end_without_model(ended, source, str(reason), len(trials))
        write(self._folder / WEIGHTS_FILE, model.packed, model.card)
        ended = dataclasses.replace(ended, card=model.card, folder=self._folder)
        self._conclude(ended, model.weights, len(trials))
        # Last: if drawing fails, the study is concluded and its one test is done.
        return dataclasses.replace(ended, picture=self._draw(trials, ended, model))

    def card_so_far(self, trial: Trial, weights: BlobRef) -> Card:
        """Return the card of a trial's model while the study runs: calibrated, but not tested.

        Raises ``NotAModel`` or ``CheckpointError`` if no model can be made of the trial.
        """
        from hyperhive.coordinator.evaluation import require_usable

        card = self._card(trial, trial, weights)
        try:
            require_usable(self._store.blobs.get(weights), card)
        except NotFound as error:
            raise NotAModel(str(error)) from error
        return dataclasses.replace(card, calibration=self._calibration(trial))

    def _look(self, snapshot: Snapshot) -> None:
        self._publisher.look(snapshot.study)
        self._watch(snapshot)

    def _source(self, winner: Trial) -> Trial:
        """Return the trial whose weights are kept: the refit if there is one, else the winner."""
        refit = self._search.refit(winner) if self._search.refits else None
        if refit is None:
            return winner
        if refit.artifact is None and winner.artifact is not None:
            reason = "it delivered none" if best_of([refit]) else why_nothing([refit])
            raise StudyFailed(
                f"the refit of trial {winner.tid} gave no weights ({reason}): start again with "
                "--no-refit to keep the trial's own"
            )
        return refit

    def _model(self, winner: Trial, source: Trial) -> _Model:
        """Return the model, tested once; raises ``NotAModel``."""
        if source.artifact is None:
            raise NotAModel(f"objective {self._study.plan.objective} delivers no weights")
        weights = BlobRef.from_document(source.artifact)
        card = self._card(winner, source, weights)
        packed = self._search.persist(lambda: self._store.blobs.get(weights))
        evaluation = self._evaluation(packed, card)
        calibration = self._search.persist(lambda: self._calibration(winner))
        card = self._evaluated(card, calibration, evaluation)
        return _Model(packed, weights, card, calibration, evaluation)

    def _card(self, winner: Trial, source: Trial, weights: BlobRef) -> Card:
        """Return the card; raises ``NotAModel`` if the trials' results lack what it needs."""
        # An objective may report null: it validated nothing.
        reported = winner.result.get("validation_accuracy", "missing")
        is_invalid = reported is not None and not is_fraction(reported)
        if is_invalid or "trained_on" not in source.result:
            raise NotAModel(
                f"the results of objective {self._study.plan.objective} lack "
                "validation_accuracy (0 to 1) or trained_on"
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

    def _evaluation(self, packed: bytes, card: Card) -> Evaluation:
        """Return the one evaluation on the test split; raises ``NotAModel``."""
        from hyperhive.coordinator.evaluation import judge

        try:
            return judge(packed, card, self._dataset)
        except CheckpointError as error:
            raise NotAModel(f"no LeNet-5 for these images: {error}") from error

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

    def finish(self) -> None:
        """Ask for the study's end with the trials that have ended: the next ``run`` comes to it."""
        self._plan_refit()  # before the mark: whoever sees that comes to the same end
        self._search.finish()

    def _plan_refit(self) -> None:
        refits = self._refit
        self._search.persist(lambda: self._store.studies.plan_refit(self._study.name, refits))

    def _end_without_model(self, ended: Result, source: Trial, reason: str, trials: int) -> Result:
        """Conclude the study with its best trial, and keep its weights if it has any."""
        weights = BlobRef.from_document(source.artifact) if source.artifact else None
        ended = dataclasses.replace(ended, why_no_model=reason)
        if weights:
            ended = dataclasses.replace(ended, weights=self._keep(weights))
        self._conclude(ended, weights, trials)
        return ended

    def _keep(self, weights: BlobRef) -> Path:
        """Write weights that are no model of ours as they are; return their file."""
        packed = self._search.persist(lambda: self._store.blobs.get(weights))
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / OTHER_WEIGHTS_FILE
        files.write(path, packed)
        return path

    def _conclude(self, ended: Result, weights: BlobRef | None, trials: int) -> None:
        result = {
            "winner": ended.winner.tid,
            "card": ended.card and ended.card.to_json(),
            "weights": weights and weights.as_document(),
            "untuned_accuracy": ended.untuned_accuracy,
            "usual_accuracy": ended.usual_accuracy,
            "why_no_model": ended.why_no_model,
        }
        self._search.withdraw_unfinished()  # another coordinator may just have posted one
        self._search.persist(lambda: self._store.studies.conclude(self._study.name, result, trials))

    def _draw(self, trials: list[Trial], ended: Result, model: _Model) -> Path:
        from hyperhive.coordinator.views.picture import Answers, draw

        answers = Answers.of(model.evaluation, model.calibration or PLAIN, self._dataset)
        path = self._folder / PICTURE_FILE
        return draw(path, trials, ended.winner, baselines(ended), self._dataset, answers)

    def _picture(self, trials: list[Trial], ended: Result, weights: BlobRef | None) -> Path | None:
        """Return the picture of a model that was made before; it is drawn if it is not there."""
        path = self._folder / PICTURE_FILE
        if ended.card is None or weights is None or path.exists():
            return path if ended.card else None
        # Drawing it failed, or this is another folder.
        packed = self._store.blobs.get(weights)
        evaluation = self._evaluation(packed, ended.card)
        calibration = ended.card.calibration
        return self._draw(
            trials, ended, _Model(packed, weights, ended.card, calibration, evaluation)
        )

    def _drawn(self, trials: list[Trial]) -> str | None:
        """Return a sentence if every trial was drawn at random, though an algorithm was chosen."""
        plan = self._study.plan
        finished = sum(finite_loss(trial) is not None for trial in trials)
        # The last suggestion knew no more than all others.
        if plan.algorithm == "random" or min(finished, len(trials) - 1) >= plan.startup:
            return None
        return (
            f"all trials at random: {plan.algorithm} begins when {plan.startup} have finished "
            f"(startup), and this study ended with {finished}"
        )

    def _concluded(self) -> Result | None:
        """Return the result of a study that has ended, its model written; None if it has not."""
        stored = self._search.persist(lambda: self._store.studies.get(self._study.name))
        if stored is None or stored.result is None:
            return None
        return self._write_again(stored, stored.result)

    def _write_again(self, stored: StoredStudy, result: dict[str, Any]) -> Result:
        """Write what a study that had ended found, as it is in the store."""
        weights = result["weights"] and BlobRef.from_document(result["weights"])
        card = result["card"] and Card.from_json(result["card"])
        if card:
            write(self._folder / WEIGHTS_FILE, self._store.blobs.get(weights), card)
        trials = self._store.trials.find(stored.name, SEARCH)
        winners = [trial for trial in trials if trial.tid == result["winner"]]
        if not winners:
            its_model = f"; its model is in {self._folder}" if card else ""
            raise NotFound(
                f"the winner of study {stored.name} is no longer in the store, somebody wrote into "
                f"it{its_model}"
            )
        ended = Result(
            winners[0],
            untuned_accuracy=number(result["untuned_accuracy"]),
            usual_accuracy=number(result.get("usual_accuracy")),  # an earlier version had none
            drawn=self._drawn(trials),
            card=card,
            folder=self._folder if card else None,
            why_no_model=result.get("why_no_model"),
            weights=self._keep(weights) if weights and not card else None,
            again=True,
        )
        return dataclasses.replace(ended, picture=self._picture(trials, ended, weights))
