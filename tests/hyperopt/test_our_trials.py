"""hyperopt's own classes read the trials of our studies as if hyperopt had posted them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hyperopt import Trials, hp, mongoexp, space_eval, tpe
from hyperopt.base import JOB_STATE_DONE, Domain, miscs_to_idxs_vals

from hyperhive.mongoexp import MongoJobs, MongoTrials
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft, Goal
from hyperhive.store.trials.updates import new_token

SPACE = {
    "net": hp.choice("net", [{"kind": "small"}, {"width": hp.randint("width", 2, 99)}]),
    "lr": hp.uniform("lr", 0, 1),
}
VALS: list[dict[str, Any]] = [
    {"net": tid % 2, "width": 10 + tid if tid % 2 else None, "lr": 0.1 * tid} for tid in range(8)
]


@pytest.mark.parametrize("trials", [mongoexp.MongoTrials, MongoTrials])
def test_conditional_trials_are_hyperopts(store: Store, trials: Any) -> None:
    """TPE suggests the same from them as from hyperopt's documents; their points are evaluated.

    Half of them were imported. Those of other purposes, and those that failed, are not seen.
    """
    for tid, vals in enumerate(VALS):
        draft = Draft("s", tid, {}, vals, "lenet5", goal=Goal("accuracy", "maximize"))
        result = {"status": "ok", "loss": float(tid)}
        if tid < 4:
            store.queue.insert_ended(draft, result, None, None, None, None)
        else:
            store.queue.post(draft)
            trial = store.queue.claim("w", new_token(), ["lenet5"])
            assert trial is not None
            store.queue.finish(trial.id, str(trial.token), result)
    read = trials(MongoJobs(store), exp_key="s")
    assert len(read) == len(VALS)
    for document in read:
        read.assert_valid_trial(document)
    assert read.argmin == {"net": 0, "lr": 0.0}
    assert space_eval(SPACE, read.argmin) == {"net": {"kind": "small"}, "lr": 0.0}
    assert read.losses() == [float(tid) for tid in range(8)]
    assert miscs_to_idxs_vals(read.miscs) == miscs_to_idxs_vals(of_hyperopt().miscs)
    domain = Domain(lambda point: 0.0, SPACE)
    suggest = partial(tpe.suggest, [9], domain, seed=5, n_startup_jobs=1, verbose=False)
    ours, theirs = suggest(trials=read), suggest(trials=of_hyperopt())
    assert ours[0]["misc"]["vals"] == theirs[0]["misc"]["vals"]


def of_hyperopt() -> Any:
    """Return the same trials as hyperopt makes them, in memory."""
    trials = Trials()
    documents = []
    for tid, vals in enumerate(VALS):
        lists = {label: [] if value is None else [value] for label, value in vals.items()}
        idxs = {label: [tid] * len(values) for label, values in lists.items()}
        misc = {"tid": tid, "cmd": None, "workdir": None, "idxs": idxs, "vals": lists}
        result = {"status": "ok", "loss": float(tid)}
        (document,) = trials.new_trial_docs([tid], [None], [result], [misc])
        documents.append({**document, "state": JOB_STATE_DONE})
    trials.insert_trial_docs(documents)
    trials.refresh()
    return trials
