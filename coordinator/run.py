"""One study from its plan to its result: open it, search, refit, test once, keep the weights.

PyTorch and Matplotlib are imported when there is something to calibrate, to test or to draw: most
of a study's life the coordinator waits, on a device that may be small.
"""

import dataclasses
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional

from coordinator.offers import Offers
from coordinator.ranking import best_of, number, why_nothing
from coordinator.search import Search, Snapshot, Watch
from coordinator.study import Plan, Study, differences
from model.calibration import PLAIN, Calibration
from model.card import WEIGHTS_FILE, Card, write
from model.dataset import Dataset
from model.errors import CheckpointError, InputError
from store.blobs import BlobRef
from store.connection import Store
from store.errors import CorruptBlob, NotFound, StudyChanged, StudyWithdrawn
from store.studies import StoredStudy
from store.trial import SEARCH, Trial

PICTURE_FILE = "report.png"


class StudyFailed(InputError):
    """A study ended without a model."""


@dataclass(frozen=True)
class Result:
    """How a study ended. ``folder`` holds the weights, their card and, if drawn, the picture.

    ``again`` says that it had ended before, and that nothing was run for this.
    """

    winner: Trial
    card: Card
    untuned_accuracy: Optional[float]
    folder: Path
    picture: Optional[Path]
    again: bool = False


def open_study(store: Store, plan: Plan, dataset: Dataset) -> Study:
    """Publish the data set and create the study, or check that it is the one that is there.

    The budget of a study may grow: then it is reopened. Raises ``StudyChanged``, which says what
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
            "study {0} was cancelled: choose another name, or `hyperhive study delete {0}` to "
            "begin it anew".format(study.name)
        )
    if stored.spec == spec:
        return study
    if {**stored.spec, "trials": plan.trials} == spec and plan.trials > stored.spec["trials"]:
        store.studies.extend(study.name, spec)
        return study
    raise StudyChanged(
        "study {} is in the store with another specification ({}): choose another name, or ask "
        "for the same (only its trials may grow)".format(
            study.name, "; ".join(differences(stored.spec, spec))
        )
    )


def run_study(
    store: Store,
    study: Study,
    dataset: Dataset,
    models: Path,
    refit: bool,
    watch: Watch,
    stop: threading.Event,
    timeout: Optional[float] = None,
) -> Result:
    """Run a study to its end and write ``models/<study>/``.

    A study that has ended before is not tested again: its weights are written as they were.

    Raises ``Interrupted`` when stopped, ``NoWorker`` after ``timeout`` seconds without one,
    ``StudyFailed`` if no trial gave a model, ``StoreError``.
    """
    stored = store.studies.get(study.name)
    folder = models / study.name
    if stored is not None and stored.result is not None:
        return _write_again(store, stored, folder)
    offers = Offers(store, lambda trial, at: _card_so_far(store, study, dataset, trial, at))

    def look(snapshot: Snapshot) -> None:
        offers.look(snapshot)
        watch(snapshot)

    search = Search(store, study, look, stop, timeout)
    trials = search.run()
    winner = best_of(trials)
    if winner is None:
        raise StudyFailed("study {} has no model: {}".format(study.name, why_nothing(trials)))
    baseline = search.baseline()
    source = search.refit(winner) if refit else winner
    if source.artifact is None:
        raise StudyFailed(
            "the refit of trial {} gave no weights ({}): start again with --no-refit to keep the "
            "trial's own".format(winner.tid, why_nothing([source]))
        )
    from coordinator.judging import judge, with_errors

    weights = BlobRef.from_document(source.artifact)
    packed = search.persist(lambda: store.blobs.get(weights))
    card = _card(study, dataset, winner, source, weights)
    calibration = search.persist(lambda: _calibration(store, study, dataset, winner))
    try:
        evaluation = judge(packed, card, dataset)
    except CheckpointError as error:
        raise StudyFailed(
            "worker {} delivered weights for {} that cannot be used ({}): start again with "
            "--no-refit, or under another --name without that worker".format(
                source.owner, source.label, error
            )
        ) from error
    card = dataclasses.replace(
        card,
        test_accuracy=evaluation.accuracy,
        confusion=evaluation.confusion,
        calibration=calibration and with_errors(calibration, evaluation, dataset),
    )
    untuned = number(baseline.result.get("validation_accuracy"))
    write(folder / WEIGHTS_FILE, packed, card)
    ended = {
        "winner": winner.tid,
        "card": card.to_json(),
        "weights": weights.as_document(),
        "untuned_accuracy": untuned,
    }
    search.persist(lambda: store.studies.conclude(study.name, ended))
    from coordinator.picture import Answers, draw

    # Last: whatever a picture may stumble over, the study is concluded and its test done once.
    said = Answers.of(evaluation, calibration or PLAIN, dataset)
    picture = draw(folder / PICTURE_FILE, trials, winner, untuned, dataset, said)
    return Result(winner, card, untuned, folder, picture)


def _card(study: Study, dataset: Dataset, winner: Trial, source: Trial, weights: BlobRef) -> Card:
    """Return the card; raises ``StudyFailed`` if the results of the study's objective lack it."""
    accuracy = winner.result.get("validation_accuracy")
    if not {"validation_accuracy", "trained_on"} <= set(winner.result) & set(source.result) or (
        accuracy is not None and number(accuracy) is None
    ):
        raise StudyFailed(
            "trial {} is the best, but no model can be made of it: the results of objective {} "
            "lack validation_accuracy or trained_on".format(winner.tid, study.plan.objective)
        )
    return Card.of(
        dataset,
        weights.sha256,
        source.config,
        dataset={**study.dataset_card, "content_hash": study.dataset_hash},
        study=study.name,
        trial=winner.tid,
        validation_accuracy=accuracy,
        trained_on=source.result["trained_on"],
    )


def _card_so_far(
    store: Store, study: Study, dataset: Dataset, trial: Trial, weights: BlobRef
) -> Card:
    """Return the card of a trial that is the best until now: calibrated, and never tested."""
    card = _card(study, dataset, trial, trial, weights)
    return dataclasses.replace(card, calibration=_calibration(store, study, dataset, trial))


def _calibration(
    store: Store, study: Study, dataset: Dataset, winner: Trial
) -> Optional[Calibration]:
    """Return the calibration of the winner; None if there are no weights to calibrate it by.

    The model's card lacks one then, and the study's last words say so.
    """
    if winner.artifact is None:
        return None
    from coordinator.calibrating import calibrate

    try:
        weights = BlobRef.from_document(winner.artifact)
        packed = store.blobs.get(weights)
        return calibrate(packed, _card(study, dataset, winner, winner, weights), dataset)
    except (NotFound, CorruptBlob, CheckpointError):
        return None


def _write_again(store: Store, stored: StoredStudy, folder: Path) -> Result:
    result: Dict[str, Any] = dict(stored.result or {})
    card = Card.from_json(result["card"])
    packed = store.blobs.get(BlobRef.from_document(result["weights"]))
    write(folder / WEIGHTS_FILE, packed, card)
    found = store.trials.find(stored.name, SEARCH, [result["winner"]])
    if not found:
        raise NotFound(
            "the winner of study {} is in the store no more, somebody wrote into it; its model is "
            "in {}".format(stored.name, folder)
        )
    (winner,) = found
    picture = folder / PICTURE_FILE
    drawn = picture if picture.exists() else None
    return Result(winner, card, result["untuned_accuracy"], folder, drawn, again=True)
