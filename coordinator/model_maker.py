"""The model that a study of images ends with: its card, its one test, its files and its picture.

PyTorch and Matplotlib are imported only when a model is calibrated, tested or drawn: for most of a
study's life the coordinator waits, on a device that may be small.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Protocol, TypeVar

from hyperhive.common.errors import CheckpointError, InputError
from hyperhive.common.values import is_fraction
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.views.summary import Result, baselines
from hyperhive.model.calibration import PLAIN, Calibration
from hyperhive.model.card import Card
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.model_files import WEIGHTS_FILE, write
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import CorruptBlob, NotFound
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import Trial

if TYPE_CHECKING:  # it would import PyTorch
    from hyperhive.model.metrics import Evaluation

PICTURE_FILE = "report.png"

_T = TypeVar("_T")


class Persist(Protocol):
    """Does a step that is safe to repeat, again and again until the server answers."""

    def __call__(self, step: Callable[[], _T]) -> _T:
        """Return what the step returns."""
        ...


class NotAModel(InputError):
    """No model for predict-cam can be made of a trial; a clause that says why."""


@dataclass(frozen=True)
class Model:
    """What a study of images ends with: weights, their card, and how they were evaluated."""

    packed: bytes
    weights: BlobRef
    card: Card
    evaluation: Evaluation


class ModelMaker:
    """Makes the models of one study.

    Args:
        store: where the study is.
        study: of images.
        dataset: the study's.
        folder: where the weights, the card and the picture are written.
        persist: see ``Search.persist``.
    """

    def __init__(
        self,
        store: Store,
        study: Study,
        dataset: Dataset,
        folder: Path,
        persist: Persist,
    ) -> None:
        self._store = store
        self._study = study
        self._dataset = dataset
        self._folder = folder
        self._persist = persist

    def card_so_far(self, trial: Trial, weights: BlobRef) -> Card:
        """Return the card of a trial's model while the study runs: calibrated, but not tested.

        Raises ``NotAModel`` or ``CheckpointError`` if no model can be made of the trial.
        """
        from hyperhive.coordinator.evaluation import require_usable

        card = self._card(trial, trial, weights)
        try:
            packed = self._store.blobs.get(weights)
        except NotFound as error:
            raise NotAModel(str(error)) from error
        require_usable(packed, card)
        return dataclasses.replace(card, calibration=self._calibrated(packed, card))

    def make(self, winner: Trial, source: Trial) -> Model:
        """Return a winner's model with a source's weights, tested once; raises ``NotAModel``."""
        from hyperhive.coordinator.evaluation import with_errors

        if source.artifact is None:
            raise NotAModel(f"objective {self._study.plan.objective} delivers no weights")
        weights = BlobRef.from_document(source.artifact)
        card = self._card(winner, source, weights)
        packed = self._persist(lambda: self._store.blobs.get(weights))
        evaluation = self._evaluation(packed, card)
        calibration = self._persist(lambda: self._calibration(winner))
        card = dataclasses.replace(
            card,
            test_accuracy=evaluation.accuracy,
            confusion=evaluation.confusion,
            calibration=calibration and with_errors(calibration, evaluation, self._dataset),
        )
        return Model(packed, weights, card, evaluation)

    def answers(self, model: Model) -> dict[str, Any]:
        """Return what the study's result keeps of the model's test: its mistakes, in short."""
        from hyperhive.coordinator.figures.classification import answers

        probabilities = (model.card.calibration or PLAIN).probabilities(model.evaluation.logits)
        return answers(probabilities, self._dataset.test_labels, self._dataset.test_images)

    def write(self, packed: bytes, card: Card) -> None:
        """Write a model into the study's folder."""
        write(self._folder / WEIGHTS_FILE, packed, card)

    def draw(self, trials: list[Trial], ended: Result, model: Model) -> Path:
        """Draw the study's picture; return its file."""
        from hyperhive.coordinator.views.picture import Answers, draw

        answers = Answers.of(model.evaluation, model.card.calibration or PLAIN, self._dataset)
        path = self._folder / PICTURE_FILE
        return draw(path, trials, ended.winner, baselines(ended), self._dataset, answers)

    def picture(self, trials: list[Trial], ended: Result, card: Card, weights: BlobRef) -> Path:
        """Return the picture of a model that was made before; it is drawn if it is not there.

        Drawing it failed then, or this is another folder.
        """
        path = self._folder / PICTURE_FILE
        if path.exists():
            return path
        packed = self._store.blobs.get(weights)
        evaluation = self._evaluation(packed, card)
        return self.draw(trials, ended, Model(packed, weights, card, evaluation))

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
        try:
            weights = BlobRef.from_document(winner.artifact)
            packed = self._store.blobs.get(weights)
        except (NotFound, CorruptBlob):
            return None
        return self._calibrated(packed, self._card(winner, winner, weights))

    def _calibrated(self, packed: bytes, card: Card) -> Calibration | None:
        from hyperhive.coordinator.evaluation import calibrate

        try:
            return calibrate(packed, card, self._dataset)
        except CheckpointError:
            return None

    def _evaluation(self, packed: bytes, card: Card) -> Evaluation:
        """Return the one evaluation on the test split; raises ``NotAModel``."""
        from hyperhive.coordinator.evaluation import judge

        try:
            return judge(packed, card, self._dataset)
        except CheckpointError as error:
            raise NotAModel(f"no {card.architecture} for these images: {error}") from error
