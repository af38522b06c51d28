"""One study from its plan to its result: open it, search, refit, test once, keep the weights.

PyTorch and Matplotlib are imported when there is something to calibrate, to test or to draw: most
of a study's life the coordinator waits, on a device that may be small.
"""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperhive.common.errors import CheckpointError, InputError
from hyperhive.common.values import number
from hyperhive.coordinator.best_so_far import Offers
from hyperhive.coordinator.ranking import best_of, why_nothing
from hyperhive.coordinator.search import Search, Snapshot, Watch
from hyperhive.coordinator.study import Plan, Study, differences
from hyperhive.model.calibration import PLAIN, Calibration
from hyperhive.model.card import Card
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.model_files import WEIGHTS_FILE, write
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import CorruptBlob, NotFound, StudyChanged, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredStudy
from hyperhive.store.trial import SEARCH, Trial

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
    untuned_accuracy: float | None
    folder: Path
    picture: Path | None
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
            f"study {study.name} was cancelled: choose another name, or `hyperhive study "
            f"delete {study.name}` to "
            "begin it anew"
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
    timeout: float | None = None,
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
        raise StudyFailed(f"study {study.name} has no model: {why_nothing(trials)}")
    baseline = search.baseline()
    source = search.refit(winner) if refit else winner
    if source.artifact is None:
        raise StudyFailed(
            f"the refit of trial {winner.tid} gave no weights ({why_nothing([source])}): "
            "start again with --no-refit to keep the "
            "trial's own"
        )
    from hyperhive.coordinator.evaluation import judge, with_errors

    weights = BlobRef.from_document(source.artifact)
    packed = search.persist(lambda: store.blobs.get(weights))
    card = _card(study, dataset, winner, source, weights)
    calibration = search.persist(lambda: _calibration(store, study, dataset, winner))
    try:
        evaluation = judge(packed, card, dataset)
    except CheckpointError as error:
        raise StudyFailed(
            f"worker {source.owner} delivered weights for {source.label} that cannot be "
            f"used ({error}): start again with "
            "--no-refit, or under another --name without that worker"
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
    from hyperhive.coordinator.views.picture import Answers, draw

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
            f"trial {winner.tid} is the best, but no model can be made of it: the results "
            f"of objective {study.plan.objective} "
            "lack validation_accuracy or trained_on"
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


def _calibration(store: Store, study: Study, dataset: Dataset, winner: Trial) -> Calibration | None:
    """Return the calibration of the winner; None if there are no weights to calibrate it by.

    The model's card lacks one then, and the study's last words say so.
    """
    if winner.artifact is None:
        return None
    from hyperhive.coordinator.evaluation import calibrate

    try:
        weights = BlobRef.from_document(winner.artifact)
        packed = store.blobs.get(weights)
        return calibrate(packed, _card(study, dataset, winner, winner, weights), dataset)
    except (NotFound, CorruptBlob, CheckpointError):
        return None


def _write_again(store: Store, stored: StoredStudy, folder: Path) -> Result:
    result: dict[str, Any] = dict(stored.result or {})
    card = Card.from_json(result["card"])
    packed = store.blobs.get(BlobRef.from_document(result["weights"]))
    write(folder / WEIGHTS_FILE, packed, card)
    found = store.trials.find(stored.name, SEARCH, [result["winner"]])
    if not found:
        raise NotFound(
            f"the winner of study {stored.name} is in the store no more, somebody wrote "
            "into it; its model is "
            f"in {folder}"
        )
    (winner,) = found
    picture = folder / PICTURE_FILE
    drawn = picture if picture.exists() else None
    return Result(winner, card, result["untuned_accuracy"], folder, drawn, again=True)
