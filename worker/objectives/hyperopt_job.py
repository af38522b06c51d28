"""The objective of hyperopt's jobs, which runs code from the database.

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
    """Runs the function that was given to ``fmin``. Keeps the last pickle for the next trial.

    The pickle is loaded anew for each trial, so that no trial sees what another left behind.
    """

    def __init__(self) -> None:
        self._jobs: MongoJobs | None = None
        self._pickle_id: Any = None
        self._pickle = b""

    def __call__(self, config: Mapping[str, Any], context: Context) -> Outcome:
        """Run the trial's function and store what it attaches; raises whatever it raises."""
        if self._jobs is None or self._jobs.store is not context.store:
            self._jobs = MongoJobs(context.store)
        job = self._jobs.get(context.trial.id)
        trials = MongoTrials(self._jobs, exp_key=job["exp_key"], refresh=False)
        ctrl = MongoCtrl(trials, job, read_only=False)
        pickled = self._fetch(trials, job["misc"]["cmd"][1])
        try:
            result = evaluate(pickled, ctrl)
        except StoreUnavailable as error:
            context.store.ping()  # raises if it is the worker's store that is away
            raise RuntimeError(f"the objective could not reach its store: {error}") from error
        _attach(result.pop("attachments"), ctrl, context)
        return Outcome(result)

    def _fetch(self, trials: MongoTrials, name: str) -> bytes:
        """Return the pickle that is attached under this name; download it only if it is new."""
        attached = trials.attachments.newest(name)
        if attached is None:
            raise OperationFailure(f"the store has no attachment {name} of this experiment")
        if attached._id != self._pickle_id:
            self._pickle = trials.attachments[name]
            self._pickle_id = attached._id
        return self._pickle


def _attach(attachments: dict[str, Any], ctrl: MongoCtrl, context: Context) -> None:
    """Store what the function attached; wait for the server rather than run the function again."""
    for name, value in attachments.items():
        while not _is_attached(name, value, ctrl, context):
            if context.should_stop():
                raise Stopped
            time.sleep(_RETRY_S)


def _is_attached(name: str, value: Any, ctrl: MongoCtrl, context: Context) -> bool:
    """Attach a value; return False if the server went away, before or after it stored the value."""
    try:
        # Read again: after a lost reply the job in the store may already have the attachment.
        job = ctrl.trials.handle.get(context.trial.id)
        if job["token"] == context.trial.token:
            ctrl.current_trial.update(job)
        ctrl.attachments[name] = value
    except StoreUnavailable:
        return False
    return True
