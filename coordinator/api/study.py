"""A study as a program holds it: ``hyperhive.Study`` and ``hyperhive.open_study``."""

from __future__ import annotations

import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from hyperhive.common import files
from hyperhive.common.errors import HyperhiveError, UsageError
from hyperhive.common.wording import in_words
from hyperhive.coordinator.api.asking import AskedTrial, Asker
from hyperhive.coordinator.api.connection import Connection, fetching
from hyperhive.coordinator.api.enqueueing import enqueue
from hyperhive.coordinator.api.leases import Leases
from hyperhive.coordinator.api.plans import dataset_of, plan_of
from hyperhive.coordinator.api.trial import StudyTrial
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.results.artifacts import with_refits
from hyperhive.coordinator.results.ended import add
from hyperhive.coordinator.results.export import as_csv, as_json, require_target
from hyperhive.coordinator.results.hyperopt_trials import from_hyperopt_trials, to_hyperopt_trials
from hyperhive.coordinator.results.repeated import (
    Repeated,
    best_of_study,
    repeat_lines,
    repeated_of,
)
from hyperhive.coordinator.results.table import dataframe, rows
from hyperhive.coordinator.spaces.search_space import to_json
from hyperhive.coordinator.stored_model import from_store
from hyperhive.coordinator.study import Study as PlannedStudy
from hyperhive.coordinator.study_run import open_specified
from hyperhive.coordinator.study_run import open_study as open_planned
from hyperhive.model import model_files
from hyperhive.model.data.cache import DatasetCache
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.model_files import WEIGHTS_FILE
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredStudy
from hyperhive.store.trials.terms import ASK, SEARCH
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.outbox import Outbox

if TYPE_CHECKING:
    from hyperopt import Trials

LEASE_S = 60.0
_EXTENDS = {
    "trials": "trials",
    "target": "target",
    "max_time": "max_time",
    "patience": "patience",
    "try_first": "known",
    "repeats": "repeats",
}
"""What may be given for a study that is there, and the field of its plan."""


class Study:
    """A study in the store, as it is there now: each attribute is read when it is asked for.

    ``hyperhive.search`` and ``hyperhive.open_study`` make it. A private server stays up until
    ``close``, the end of a ``with`` block, or until nothing refers to the study. Everything may
    raise a ``StoreError``, ``NotFound`` if the study was deleted.
    """

    def __init__(self, name: str, connection: Connection, lease: float = LEASE_S) -> None:
        self._name = name
        self._connection = connection
        self._lease = lease
        self._asking = threading.Lock()  # a program's threads may ask and tell
        self._asker: Asker | None = None
        self._leases: Leases | None = None
        self._is_closed = False
        # In a thread: garbage is collected in any thread, the server's own one included.
        self._collected = weakref.finalize(self, _close_in_a_thread, connection)
        self._collected.atexit = False  # the connection sees to that itself

    # -- what is there --------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def space(self) -> Any:
        """The search space as JSON, which ``open_study`` takes too."""
        return self._stored().spec["space"]

    @property
    def trials(self) -> list[StudyTrial]:
        """All trials of its search, by number."""
        self._stored()  # raises NotFound
        trials = with_refits(self.store, self.store.trials.find(self._name, SEARCH))
        return [StudyTrial.of(trial, self) for trial in trials]

    @property
    def best(self) -> StudyTrial | None:
        """The trial with the lowest loss, None while there is none with a loss.

        Of a study that has ended with repeats, the one that they chose.
        """
        best = self._best(self._stored())
        if best is None:
            return None
        found = self.store.trials.find(self._name, SEARCH, [best.tid])  # with its history
        return next((StudyTrial.of(each, self) for each in with_refits(self.store, found)), None)

    @property
    def repeats(self) -> list[Repeated]:
        """What the repeats of its best trials gave, the winner's first; empty until it has ended.

        Each has ``trial``, its number, ``values`` of the metric with ``mean`` and ``deviation``,
        ``losses``, by the mean of which the winner was chosen, and ``failed``.
        """
        return list(repeated_of(self._stored().result))

    @property
    def finish_reason(self) -> str | None:
        """Which rule ended it early, in words; None if none did."""
        return self._stored().finish_reason

    @property
    def dataset(self) -> Dataset | None:
        """The images of a study of images, None of another; from this machine's copy or the store.

        ``test_images`` are those on which its model was tested, and never trained.
        """
        content_hash = PlannedStudy.stored(self._name, self._stored().spec).dataset_hash
        if content_hash is None:
            return None
        return DatasetCache().get(content_hash, self.store.datasets.fetch)

    def dataframe(self) -> Any:
        """Return its trials as a ``pandas.DataFrame``, a row each. Needs pandas."""
        return dataframe(rows(self.store, self._name))

    def export(self, path: str | Path) -> None:
        """Write its trials to a ``.csv`` file, or all of it to a ``.json`` file to be imported."""
        target = Path(path)
        written = {".csv": as_csv, ".json": as_json}.get(target.suffix.lower())
        if written is None:
            raise UsageError(f"{target} must end with .csv or .json: that says how it is written")
        require_target(target)
        files.write(target, written(self.store, self._name))

    def to_hyperopt(self) -> Trials:
        """Return its ended trials as hyperopt's ``Trials``, which ``fmin`` goes on with."""
        return to_hyperopt_trials(self.store, self._name)

    def save_model(self, folder: str | Path | None = None) -> Path:
        """Write the files of its model, the best one so far; return the folder.

        ``search`` has written them to ``models/NAME/``, which is the default. Raises ``NotFound``
        for a study without a model.
        """
        model = from_store(self.store, self._name)
        where = Path("models") / self._name if folder is None else Path(folder)
        model_files.write(where / WEIGHTS_FILE, model.packed, model.card)
        return where

    # -- what a program may do with it ----------------------------------------------------------

    def enqueue(self, config: Mapping[str, Any]) -> int:
        """Have a configuration run next; return the number of its trial.

        A trial that has this configuration already is not posted again, so this can be repeated.
        Raises ``UsageError`` for a configuration that is not in the space, and if the study has
        ended or its budget has no room.
        """
        number, _ = enqueue(self.store, self._name, config)
        return number

    def add(self, trials: Trials) -> int:
        """Add the ended trials of hyperopt's ``Trials``; return how many are new.

        They keep their numbers, count as trials of the budget, and teach the algorithm. It can be
        repeated. Raises ``UsageError`` for trials of another space, and if numbers of theirs are
        those of other trials here.
        """
        planned = PlannedStudy.stored(self._name, self._stored().spec)
        ended = from_hyperopt_trials(trials, to_json(planned.plan.space))
        added = add(self.store, planned, ended)
        if added.taken:
            raise UsageError(
                f"study {self._name} has other trials with {added.taken} of these numbers: add "
                "hyperopt's trials to a study before it has trials of its own"
            )
        return added.new

    def stop(self, reason: str = "a program stopped it") -> None:
        """End the search with the trials that have ended; whoever runs it comes to its end."""
        self.store.studies.finish(self._name, reason)

    def ask(self) -> AskedTrial | None:
        """Take a trial to run, and keep its lease until it is told.

        The first one that waits or that a lost program has left behind is taken; if there is none,
        the next one is suggested. Returns None when nothing is left to do: the budget is used up, a
        rule has ended the study, or only other programs have trials that have not ended. Waits
        while a trial that has failed waits for its next attempt. Raises ``StudyWithdrawn``.
        """
        with self._asking:
            if self._asker is None:
                objective = PlannedStudy.stored(self._name, self._stored().spec).plan.objective
                self._leases = Leases(self._connection.uri, self._name, objective, self._lease)
                self._connection.open.callback(self._leases.close)
                # Its folder is made when a trial saves its first file.
                outbox = self._connection.open.push(Outbox(self._leases.identity.worker))
                outbox.clean_up_for_the_dead()
                self._asker = Asker(self.store, self._name, self._leases, outbox)
            asked = self._asker.ask()
        if asked is not None:
            asked.study = self
        return asked

    def tell(self, trial: AskedTrial, found: Any = None, *, error: str | None = None) -> None:
        """Say what a trial has given: its loss or metric, or a dictionary as a function returns it.

        It can be repeated if it raises ``StoreUnavailable``, and counts once. After the lease was
        lost it counts if nobody else has delivered a result. With ``error``, the attempt has
        failed, and the trial is taken again until its ``max_attempts``. Raises ``BadResult`` for
        what is no result, which can then be told right, and ``LeaseLost`` if it does not count.
        """
        if self._asker is None or not isinstance(trial, AskedTrial):
            raise UsageError("study.tell takes a trial that this study's ask has returned")
        with self._asking:
            if error is not None and not trial.pruner.has_pruned:
                self._asker.tell_error(trial, str(error))
            else:
                self._asker.tell(trial, found)

    # -- its life -------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The store that it is in; raises ``UsageError`` once it is closed."""
        self.require_open()
        return self._connection.store

    def require_open(self) -> None:
        """Raise ``UsageError`` if it is closed."""
        if self._is_closed:
            raise UsageError(
                f"study {self._name} was closed: hyperhive.open_study({self._name!r}) opens it"
            )

    @property
    def uri(self) -> str:
        """The URI of its server, with the login."""
        return self._connection.uri

    def close(self) -> None:
        """Give back what was asked and not told, and let a private server go; safe to repeat."""
        self._is_closed = True
        self._collected.detach()
        self._connection.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        try:
            return self._described()
        except HyperhiveError as error:
            return f"study {self._name}: {error}"

    def _described(self) -> str:
        stored, trials = self._stored(), self.trials
        ended = sum(trial.state not in ("waiting", "running") for trial in trials)
        state = "cancelled" if stored.cancelled else "ended" if stored.result else "open"
        lines = [f"study {self._name} ({state}): {ended} of {stored.spec['trials']} trials ended"]
        if stored.finish_reason is not None:
            lines.append(f"ended by: {stored.finish_reason}")
        best = self._best(stored)
        repeated = repeated_of(stored.result)
        if best is not None:
            found = in_words({**best.metrics, "loss": best.loss})
            where = " in the search" if repeated else ""
            lines.append(f"best: trial {best.tid}, {found}{where}")
            lines.append(f"      {in_words(best.hyperparameters)}")
        lines += [f"{label}: {said}" for label, said in repeat_lines(repeated).items()]
        return "\n".join(lines)

    def _best(self, stored: StoredStudy) -> Trial | None:
        """Return the best trial, of its history only the last entry."""
        found = self.store.trials.find(self._name, SEARCH, in_short=True)
        return best_of_study(stored, found)

    def _stored(self) -> StoredStudy:
        return self.store.study(self._name)


def open_study(
    name: str,
    space: Any = None,
    *,
    objective: str = ASK,
    store: str | None = None,
    lease: float = LEASE_S,
    **settings: Any,
) -> Study:
    """Open a study of the store; with a space, make it if it is not there.

    Args:
        name: of the study.
        space: what ``hp`` returns, a dictionary with such in it, or JSON as in a study file.
        objective: what workers call its function, such as ``"digits.py:train"``. By default no
            worker has it, and programs ask for its trials.
        store: a MongoDB URI, or the path of a file that contains one. By default the server that
            ``hyperhive coordinator`` would use.
        lease: seconds after which what this program has asked goes to others, if it dies.
        settings: as in ``hyperhive.search``: how to search, when to end, which images. Without a
            space: those that extend it, ``trials``, ``try_first``, ``repeats`` and what ends it.

    Raises ``NotFound``, ``StudyChanged`` for another space or other settings than the study's,
    ``UsageError`` for a space or a setting that no study can have.
    """
    if not lease >= 1:
        raise UsageError("lease must be 1 second or more")
    if space is not None:
        return _made(plan_of(name, objective, space, **settings), store, lease)
    given = [*(set(settings) - set(_EXTENDS)), *(["objective"] if objective != ASK else [])]
    if given:
        raise UsageError(
            f"a study that is there has its {', '.join(given)}: omit that, or give its space too"
        )
    return _found(name, store, lease, settings)


def _found(name: str, store: str | None, lease: float, settings: Mapping[str, Any]) -> Study:
    """Return a study that is there, extended as the settings say."""
    connection = Connection(store, begins=False)
    try:
        planned = PlannedStudy.stored(name, connection.store.study(name).spec)
        changes = {_EXTENDS[name]: value for name, value in settings.items()}
        if "known" in changes:
            known = planned.plan.known
            changes["known"] = (*known, *(each for each in changes["known"] if each not in known))
        if changes:
            plan = replace(planned.plan, **changes)
            open_specified(connection.store, replace(planned, plan=plan))
        return Study(name, connection, lease)
    except BaseException:
        connection.close()
        raise


def _made(plan: Plan, store: str | None, lease: float) -> Study:
    dataset = dataset_of(plan, None, fetching(store))
    connection = Connection(store, begins=True)
    try:
        open_planned(connection.store, plan, dataset)
        return Study(plan.name, connection, lease)
    except BaseException:
        connection.close()
        raise


def _close_in_a_thread(connection: Connection) -> None:
    threading.Thread(target=connection.close, name="closing a study").start()
