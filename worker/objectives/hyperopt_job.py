"""The objective of hyperopt's jobs: code out of the database, for who has said yes to that.

Only ``hyperhive worker --allow-pickled-objectives`` imports this module.
"""

from __future__ import annotations

import time
from typing import Any, Mapping

from hyperopt.mongoexp import OperationFailure

from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.hyperopt import MongoCtrl, MongoJobs, MongoTrials, evaluate
from hyperhive.worker.objectives.api import Context, Outcome, Stopped

_RETRY_S = 1.0


class PickledObjective:
    """Runs the function that was given to ``fmin``. Keeps the last pickle, from trial to trial.

    It is unpickled afresh for each trial, so that none sees what another one left behind.
    """

    def __init__(self) -> None:
        self._jobs: MongoJobs | None = None
        self._last: tuple[Any, bytes] = (None, b"")

    def __call__(self, config: Mapping[str, Any], context: Context) -> Outcome:
        """Run the trial's function and store what it attaches; raises whatever it raises."""
        if self._jobs is None or self._jobs.store is not context.store:
            self._jobs = MongoJobs(context.store)
        job = self._jobs.get(context.trial.id)
        trials = MongoTrials(self._jobs, exp_key=job["exp_key"], refresh=False)
        ctrl = MongoCtrl(trials, job, read_only=False)
        pickled = self._pickle(trials, job["misc"]["cmd"][1])
        try:
            result = evaluate(pickled, ctrl)
        except StoreUnavailable as error:  # of a store that the objective opened: not the worker's
            context.store.ping()
            raise RuntimeError(f"the objective could not reach its store: {error}") from error
        except SystemExit as error:  # would end the worker, and say nothing of it
            raise RuntimeError(f"the objective called sys.exit({error})") from error
        _attach(result.pop("attachments"), ctrl, context)
        return Outcome(result)

    def _pickle(self, trials: MongoTrials, name: str) -> bytes:
        attached = trials.attachments.newest(name)
        if attached is None:
            raise OperationFailure(f"{name} of this experiment is not in the store")
        if attached._id != self._last[0]:
            self._last = (attached._id, trials.attachments[name])
        return self._last[1]


def _attach(attachments: dict[str, Any], ctrl: MongoCtrl, context: Context) -> None:
    """Store what the function attached, however long the server is away: it is not run again."""
    for name, value in attachments.items():
        while not _is_attached(name, value, ctrl, context):
            if context.should_stop():
                raise Stopped
            time.sleep(_RETRY_S)


def _is_attached(name: str, value: Any, ctrl: MongoCtrl, context: Context) -> bool:
    """Attach it; False if the server is away. Then it may have happened: the job is read again."""
    try:
        job = ctrl.trials.handle.get(context.trial.id)
        if job["token"] == context.trial.token:
            ctrl.current_trial.update(job)
        ctrl.attachments[name] = value
    except StoreUnavailable:
        return False
    return True
