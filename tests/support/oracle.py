"""hyperopt's algorithms: what ours are compared with, and measured against."""

from __future__ import annotations

from typing import Sequence

import numpy as np
from hyperopt import Trials, anneal, rand, tpe
from hyperopt.base import JOB_STATE_DONE, STATUS_OK, Domain

from hyperhive.coordinator.algorithms.known import Observation
from hyperhive.coordinator.spaces.hyperopt_space import to_hyperopt
from hyperhive.coordinator.spaces.search_space import Node


class Hyperopt:
    """Suggests as hyperopt does, as ``Suggester`` does after its start-up."""

    def __init__(self, space: Node, seed: int) -> None:
        self._seed = seed
        self._domain = Domain(lambda config: 0.0, to_hyperopt(space))

    def suggest(self, algorithm: str, tid: int, trials: Trials) -> dict[str, float]:
        """Return values by label, as ``Suggester.suggest`` does."""
        seed = int(np.random.SeedSequence([self._seed, tid]).generate_state(1)[0])
        if algorithm == "random":
            [document] = rand.suggest([tid], self._domain, Trials(), seed)
        elif algorithm == "tpe":
            [document] = tpe.suggest(
                [tid], self._domain, trials, seed, n_startup_jobs=0, verbose=False
            )
        else:
            [document] = anneal.suggest([tid], self._domain, trials, seed)
        vals = document["misc"]["vals"]
        return {label: values[0].item() for label, values in vals.items() if len(values)}

    def trials(self, history: Sequence[Observation]) -> Trials:
        """Return a history as hyperopt's: a pending trial has the worst loss, as ours do."""
        worst = max(each.loss for each in history if each.loss is not None)
        trials = Trials()
        documents = []
        for each in history:
            tid, vals = each.tid, each.vals
            found = {label: [vals[label]] if label in vals else [] for label in self._domain.params}
            misc = {
                "tid": tid,
                "cmd": None,
                "workdir": None,
                "idxs": {label: [tid] * len(values) for label, values in found.items()},
                "vals": found,
            }
            result = {"status": STATUS_OK, "loss": worst if each.loss is None else each.loss}
            [document] = trials.new_trial_docs([tid], [None], [result], [misc])
            document["state"] = JOB_STATE_DONE
            documents.append(document)
        trials.insert_trial_docs(documents)
        trials.refresh()
        return trials
