"""One study from its plan to its result: open it, search, repeat, refit, test once, keep it."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

from hyperhive.common import files
from hyperhive.common.errors import InputError, UsageError
from hyperhive.common.values import number
from hyperhive.coordinator.best_so_far import BestModelPublisher
from hyperhive.coordinator.changes.extending import as_raised, with_more_trials
from hyperhive.coordinator.model_maker import ModelMaker, NotAModel
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.ranking import best_of, why_nothing
from hyperhive.coordinator.results.repeated import Repeated, by_mean, finalists, repeated_of
from hyperhive.coordinator.search import Search
from hyperhive.coordinator.searching.outcome import drawn, no_result, pruned
from hyperhive.coordinator.study import Study, differences
from hyperhive.coordinator.views.study_state import Snapshot, Watch
from hyperhive.coordinator.views.summary import Result
from hyperhive.model.card import Card
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.model_files import OTHER_WEIGHTS_FILE
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import NotFound, StudyChanged, StudyExtended, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredStudy
from hyperhive.store.trials.terms import (
    SEARCH,
    TEACHER,
    THREE_TUNED_TID,
    UNTUNED_TID,
    USUAL_TID,
)
from hyperhive.store.trials.trial import Trial


class StudyFailed(InputError):
    """A study ended without a best trial, or without the model that its objective makes."""


def open_study(store: Store, plan: Plan, dataset: Dataset | None) -> Study:
    """Publish the data set and create the study, or check that the existing one is the same.

    A study may do more: with more trials or repeats, other rules that stop it, or further known
    configurations; that reopens it. Raises ``StudyChanged``, which says what differs, for any other
    change, ``StudyWithdrawn`` for a study that was cancelled, and, before the name is taken,
    ``DatasetError`` for data that no trial could use. The study that is returned has more trials
    than the plan if somebody has raised its budget: see ``as_raised``.
    """
    study = Study.of(plan, dataset)
    store.ensure_indexes()
    if dataset is not None and not store.datasets.has(dataset.content_hash):
        store.datasets.publish(dataset.content_hash, dataset.pack(), dataset.card())
    return open_specified(store, study)


def open_specified(store: Store, study: Study) -> Study:
    """Create a study, extend the one that is there, or find that it is the same; see above."""
    stored = store.studies.open(study.name, study.spec())
    if stored.cancelled:
        raise StudyWithdrawn(
            f"study {study.name} was cancelled: choose another name, or run `hyperhive study "
            f"delete {study.name}` to start it again"
        )
    before = Study.stored(study.name, stored.spec)  # what an earlier version wrote, as we write it
    study = as_raised(study, stored)
    if before.spec() == study.spec():
        return study
    if stored.result is not None and study.has_no_room_after(before):
        raise StudyChanged(
            f"study {study.name} has run its {before.plan.trials} trials: start it with more, for "
            "the configurations that are to be tried too"
        )
    if before.is_extended_by(study):
        try:
            store.studies.extend(study.name, study.spec(), stored.extended)
        except StudyExtended:  # somebody else was faster
            return open_specified(store, study)
        return study
    lasting = differences(before.lasting(), study.lasting())
    differing = "; ".join(lasting or differences(before.spec(), study.spec()))
    raise StudyChanged(
        f"study {study.name} is in the store with another specification ({differing}): choose "
        "another name, or the same specification (only its trials, repeats and known "
        "configurations may grow, and the rules that stop it change; "
        f"`hyperhive study finish {study.name}` ends it with fewer trials)"
    )


class StudyRun:
    """One run of an opened study, from wherever it stands to its model in a folder.

    Args:
        store: where the study is.
        study: opened with ``open_study``.
        dataset: the study's; None if its objective brings its own data.
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
        dataset: Dataset | None,
        folder: Path,
        refit: bool,
        watch: Watch,
        stop: threading.Event,
        timeout: float | None = None,
    ) -> None:
        self._store = store
        self._dataset = dataset
        self._folder = folder
        self._refit = refit
        self._watch = watch
        self._stop = stop
        self._timeout = timeout
        self._extended: int | None = None
        self._restarts: int | None = None
        self._teacher: Trial | None = None
        self._may_mirror = dataset is not None and dataset.may_mirror
        self._begin(study)

    def _begin(self, study: Study) -> None:
        """Know nothing but the study: the store has the rest."""
        self._study = study
        self._search = Search(self._store, study, self._look, self._stop, self._timeout)
        self._maker: ModelMaker | None = None
        if self._dataset is not None:
            how = (self._store, study, self._dataset, self._folder, self._search.persist)
            self._maker = ModelMaker(*how)
            self._publisher = BestModelPublisher(self._store, self._maker.card_so_far)

    def run(self, goes_on: bool = True) -> Result:
        """Run the study to its end and write what it found: a model, if its objective makes one.

        A study that has ended before is not tested again: its weights are written as they were. If
        it is given more trials meanwhile, it ``goes_on`` with them. Raises ``Interrupted`` when
        stopped, ``NoWorker`` after ``timeout`` seconds without one, ``StudyFailed`` if no trial
        gave a result, or none the model that its objective makes, ``StudyExtended`` if the study
        was started again with more, or has more and must not go on, ``StoreError``.
        """
        while True:
            try:
                return self._run()
            except StudyExtended:
                if not goes_on:
                    raise
                self._take_more_trials()

    def _take_more_trials(self) -> None:
        """Begin anew with the trials that the study was given; raises ``StudyExtended``."""
        stored = self._search.persist(lambda: self._store.study(self._study.name))
        self._begin(with_more_trials(self._study, self._restarts, stored))

    def _run(self) -> Result:
        concluded = self._concluded()
        if concluded is None:
            self._plan_refit()
            self._teach()
            trials = self._search.run()
            repeated = self._repeated(trials)
            concluded = self._concluded()  # another coordinator may have been faster
        if concluded is not None:
            return concluded
        winner = self._winner(repeated[0].trial) if repeated else best_of(trials)
        if winner is None:
            raise StudyFailed(no_result(self._study.plan, trials))
        return self._ended(winner, trials, repeated)

    def _teach(self) -> None:
        """Have the study's teacher trained, if it has one."""
        self._teacher = teacher = self._search.teach(self._may_mirror)
        if teacher is not None and teacher.artifact is None:
            reason = "it delivered none" if best_of([teacher]) else why_nothing([teacher])
            raise StudyFailed(
                f"the teacher of study {self._study.name} gave no answers ({reason}): run "
                f"`hyperhive study delete {self._study.name}` and start it again, without a "
                "teacher or with another"
            )

    def _repeated(self, trials: list[Trial]) -> tuple[Repeated, ...]:
        """Have the best trials run again, and return what that gave, the best first.

        The first to know which are the best, and then what their repeats gave, decides that for
        all who run the study: a lost worker's result may come between two of them.
        """
        name = self._study.name
        best = [trial.tid for trial in finalists(trials)]
        if not (best and self._study.plan.repeats):
            return ()
        tids = self._decided("finalists", best)
        found = self._search.persist(lambda: self._store.trials.find(name, SEARCH, tids))
        known = sorted(found, key=lambda trial: tids.index(trial.tid))
        results = by_mean(known, self._search.repeats(known))
        decided = self._decided("repeats", [each.as_document() for each in results])
        return repeated_of({"repeats": decided})

    def _decided(self, what: str, value: Any) -> Any:
        decide, name = self._store.studies.decide_once, self._study.name
        return self._search.persist(lambda: decide(name, what, value, self._extended))

    def _winner(self, tid: int) -> Trial:
        """Return the trial of the search that won; raises ``NotFound`` if it cannot be read."""
        name = self._study.name
        for trial in self._search.persist(lambda: self._store.trials.find(name, SEARCH, [tid])):
            return trial
        raise NotFound(f"trial {tid}, the best of study {name}, is no longer in the store")

    def _ended(self, winner: Trial, trials: list[Trial], repeated: tuple[Repeated, ...]) -> Result:
        """Conclude the study with its winner, and a model if its objective makes one."""
        accuracies = {trial.tid: trial.accuracy for trial in self._search.baselines()}
        source = self._source(winner)
        ended = Result(
            winner,
            untuned_accuracy=accuracies.get(UNTUNED_TID),
            usual_accuracy=accuracies.get(USUAL_TID),
            tuned_accuracy=accuracies.get(THREE_TUNED_TID),
            drawn=drawn(self._study.plan, trials),
            pruned=pruned(self._study.plan, trials),
            finish_reason=self._search.finish_reason,
            repeated=repeated,
            teacher=self._teacher,
        )
        if self._maker is None:
            return self._end_without_model(ended, source, None, len(trials))
        try:
            model = self._maker.make(winner, source)
        except NotAModel as reason:
            if self._study.plan.recipe.makes_model:
                raise StudyFailed(
                    f"worker {source.owner} delivered weights for {source.full_title} that cannot "
                    f"be used ({reason}): start again with --no-refit, or under another --name "
                    "without that worker"
                ) from reason
            return self._end_without_model(ended, source, str(reason), len(trials))
        self._maker.write(model.packed, model.card)
        answers = self._maker.answers(model)
        ended = dataclasses.replace(ended, card=model.card, folder=self._folder, answers=answers)
        self._conclude(ended, model.weights, len(trials))
        # Last: if drawing fails, the study is concluded and its one test is done.
        return dataclasses.replace(ended, picture=self._maker.draw(trials, ended, model))

    def _look(self, snapshot: Snapshot) -> None:
        if self._maker is not None:
            self._publisher.look(snapshot.study)
        self._watch(snapshot)

    def _source(self, winner: Trial) -> Trial:
        """Return the trial whose weights are kept: the refit if there is one, else the winner."""
        refit = self._search.refit(winner) if self._search.refits else None
        if refit is None:
            if winner.imported and self._study.plan.recipe.makes_model:
                raise StudyFailed(
                    f"the best, trial {winner.tid}, was imported, and no weights with it: start "
                    "again without --no-refit, and it is trained again"
                )
            return winner
        if refit.artifact is None and winner.artifact is not None:
            reason = "it delivered none" if best_of([refit]) else why_nothing([refit])
            raise StudyFailed(
                f"the refit of trial {winner.tid} gave no weights ({reason}): start again with "
                "--no-refit to keep the trial's own"
            )
        return refit

    def finish(self) -> None:
        """Ask for the study's end with the trials that have ended: the next ``run`` comes to it."""
        self._plan_refit()  # before the mark: whoever sees that comes to the same end
        self._search.finish()

    def _plan_refit(self) -> None:
        refits = self._refit
        self._search.persist(lambda: self._store.studies.plan_refit(self._study.name, refits))

    def _end_without_model(
        self, ended: Result, source: Trial, reason: str | None, trials: int
    ) -> Result:
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
            "answers": ended.answers,
            "untuned_accuracy": ended.untuned_accuracy,
            "usual_accuracy": ended.usual_accuracy,
            "tuned_accuracy": ended.tuned_accuracy,
            "why_no_model": ended.why_no_model,
            "repeats": [each.as_document() for each in ended.repeated],
        }
        self._search.withdraw_unfinished()  # another coordinator may just have posted one
        # A rule ended it, or its budget: the same command again is to find it as it is.
        budget = max(trials, len(self._study.plan.known))  # a plan has room for what it knows
        kept = None if ended.finish_reason else budget
        conclude, name = self._store.studies.conclude, self._study.name
        self._search.persist(lambda: conclude(name, result, kept, self._extended))

    def _concluded(self) -> Result | None:
        """Return the result of a study that has ended, its model written; None if it has not.

        Raises ``StudyExtended`` if it has not, and was started again with another plan.
        """
        stored = self._search.persist(lambda: self._store.studies.get(self._study.name))
        if stored is None:
            return None
        if stored.result is not None:
            return self._write_again(stored, stored.result)
        if Study.stored(stored.name, stored.spec).spec() != self._study.spec():
            raise StudyExtended(stored.name)
        self._extended, self._restarts = stored.extended, stored.restarts
        self._search.expect(stored.extended)
        return None

    def _write_again(self, stored: StoredStudy, result: dict[str, Any]) -> Result:
        """Write what a study that had ended found, as it is in the store."""
        weights = result["weights"] and BlobRef.from_document(result["weights"])
        card = result["card"] and Card.from_json(result["card"])
        if card:
            self._its_maker().write(self._store.blobs.get(weights), card)
        trials = self._store.trials.find(stored.name, SEARCH, in_short=True)
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
            tuned_accuracy=number(result.get("tuned_accuracy")),
            drawn=drawn(self._study.plan, trials),
            pruned=pruned(self._study.plan, trials),
            card=card,
            folder=self._folder if card else None,
            finish_reason=stored.finish_reason,
            why_no_model=result.get("why_no_model"),
            weights=self._keep(weights) if weights and not card else None,
            repeated=repeated_of(result),
            teacher=next(iter(self._store.trials.find(stored.name, TEACHER, in_short=True)), None),
            again=True,
        )
        if not card:
            return ended
        picture = self._its_maker().picture(trials, ended, card, weights)
        return dataclasses.replace(ended, picture=picture)

    def _its_maker(self) -> ModelMaker:
        if self._maker is None:  # only somebody who wrote into the store makes this happen
            raise UsageError(f"study {self._study.name} has a model, but no data set")
        return self._maker
