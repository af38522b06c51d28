"""A study's trials as hyperopt's ``Trials``, and hyperopt's as trials that a study can take in.

Nothing here is unpickled: a ``Trials`` comes from the caller's own Python.
"""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Mapping

from hyperhive.common.errors import UsageError
from hyperhive.common.values import is_number
from hyperhive.coordinator.ranking import finite_loss
from hyperhive.coordinator.results.ended import EndedTrial
from hyperhive.coordinator.spaces.python_space import from_python
from hyperhive.coordinator.spaces.search_space import (
    Choice,
    Node,
    Parameter,
    configuration,
    parameters,
)
from hyperhive.coordinator.study import Study
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import SEARCH, Status
from hyperhive.store.trials.trial import Trial

if TYPE_CHECKING:
    from hyperopt import Trials


def to_hyperopt_trials(store: Store, study: str) -> Trials:
    """Return the trials of a study's search that have ended, as a ``Trials`` in memory.

    ``fmin``, ``tpe.suggest``, ``best_trial``, ``argmin`` and ``space_eval`` take it. A trial whose
    loss is no finite number, or that diverged, has the status ``fail``, as hyperopt cannot rank it;
    so has one that was pruned, as it must not be the best. Raises ``NotFound``.
    """
    from hyperopt import Trials

    searched = parameters(Study.stored(study, store.study(study).spec).plan.space)
    trials = Trials()
    ended = [trial for trial in store.trials.find(study, SEARCH) if trial.is_final]
    # It numbers its own trials from the count of those that it knows, without the failed ones.
    trials.new_trial_ids(max((trial.tid for trial in ended), default=-1) + 1)
    trials.insert_trial_docs([_document(trials, trial, searched) for trial in ended])
    trials.refresh()
    return trials


def from_hyperopt_trials(trials: Trials, space: Any) -> list[EndedTrial]:
    """Return the trials of an ``fmin`` that are done, to be added to a study of the same space.

    Of a result, what is plain JSON is kept (NumPy's numbers count), and the rest is left out.

    Args:
        trials: of hyperopt.
        space: that it searched: what ``hp`` returned, or dicts and lists of that.

    Raises ``UsageError`` for a space that a study cannot have, and for a trial that has other
    labels than the space.
    """
    from hyperopt.base import JOB_STATE_DONE

    root = from_python(space)
    return [_ended(d, root) for d in trials.trials if d["state"] == JOB_STATE_DONE]


def _document(
    trials: Trials, trial: Trial, searched: Mapping[str, Parameter | Choice]
) -> dict[str, Any]:
    from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR, STATUS_FAIL, STATUS_OK

    vals = {
        label: [_drawn(each, trial.vals[label])] if label in trial.vals else []
        for label, each in searched.items()
    }
    misc = {
        "tid": trial.tid,
        "cmd": ("domain_attachment", "FMinIter_Domain"),
        "workdir": None,
        "idxs": {label: [trial.tid] * len(values) for label, values in vals.items()},
        "vals": vals,
    }
    is_ranked = finite_loss(trial) is not None and not (trial.diverged or trial.pruned)
    result = {**trial.result, "status": STATUS_OK if is_ranked else STATUS_FAIL}
    (document,) = trials.new_trial_docs([trial.tid], [None], [result], [misc])
    document["state"] = JOB_STATE_DONE if trial.status is Status.DONE else JOB_STATE_ERROR
    document.update(owner=trial.owner, book_time=trial.book_time, refresh_time=trial.refresh_time)
    if trial.error is not None:
        document["error"] = (trial.error["kind"], trial.error["message"])
    return dict(document)


def _drawn(each: Parameter | Choice, value: Any) -> Any:
    """Return a value as hyperopt draws it: an index, and a number of ``randint``, is an int."""
    is_index = isinstance(each, Choice) or each.distribution == "randint"
    return int(value) if is_index else value


def _ended(document: Mapping[str, Any], root: Node) -> EndedTrial:
    where = f"hyperopt's trial {document['tid']}"
    stored = document["misc"]["vals"]
    known = parameters(root)
    if set(stored) != set(known):
        raise UsageError(
            f"{where} has the labels {', '.join(sorted(stored))}, and the space "
            f"{', '.join(sorted(known))}: give the space that was searched"
        )
    vals = {label: _plain(values[0]) if values else None for label, values in stored.items()}
    try:
        config = configuration(root, {n: each for n, each in vals.items() if each is not None})
    except (KeyError, IndexError) as error:
        raise UsageError(
            f"{where} does not fit the space, at {error}: give the space that was searched"
        ) from error
    if not isinstance(config, dict):
        raise UsageError("search space: it must be a dict, so that each value has a name")
    result = {name: _plain(each) for name, each in document["result"].items()}
    return EndedTrial(
        tid=int(document["tid"]),
        config=config,
        vals=vals,
        result={name: each for name, each in result.items() if _is_json(each)},
        started=_aware(document.get("book_time")),
        finished=_aware(document.get("refresh_time")),
        worker=None if document.get("owner") is None else str(document["owner"]),
    )


def _plain(value: Any) -> Any:
    """Return a value with the numbers of NumPy in it as Python's."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_json(part) for name, part in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    if is_number(value):
        return not math.isfinite(value) or abs(value) < 2**63
    return value is None or isinstance(value, (bool, str))


def _aware(moment: Any) -> datetime | None:
    """Return a time of hyperopt's, which is in UTC and does not say so."""
    if not isinstance(moment, datetime):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
