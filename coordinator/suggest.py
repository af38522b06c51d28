"""What to try next: hyperopt's algorithms, with unfinished trials represented as what they are.

hyperopt gives a pending trial infinite loss and counts it towards the start-up trials and the gamma
split: with 25 trials running and none finished, TPE would skip its random start-up and model
nothing. Here start-up counts finished trials, and a pending one enters with the worst loss seen, so
that its neighbourhood is neither sought nor excluded forever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

import numpy as np
from hyperopt import Trials, anneal, rand, tpe
from hyperopt.base import JOB_STATE_DONE, STATUS_OK, Domain

from hyperhive.common.values import number
from hyperhive.coordinator.space import Space


@dataclass(frozen=True)
class Observation:
    """A trial as an algorithm sees it: values by label, and the loss, which is None if pending."""

    tid: int
    vals: Mapping[str, float]
    loss: float | None


class Suggester:
    """Suggests configurations for one study.

    Args:
        algorithm: ``tpe``, ``random`` or ``anneal``.
        space: what is searched.
        seed: of the study. Suggestion number k draws from a random stream of its own, derived from
            the seed and k, so a resumed study goes on as if it had never stopped.
        startup: the number of finished trials before TPE and annealing take over from random
            search.
    """

    def __init__(self, algorithm: str, space: Space, seed: int, startup: int) -> None:
        self._algorithm = algorithm
        self._seed = seed
        self._startup = startup
        nodes = {each.name: each.to_hyperopt() for each in space if each.is_searched}
        self._names = set(nodes)
        self._domain = Domain(lambda config: 0.0, nodes)

    def suggest(self, tid: int, history: list[Observation]) -> dict[str, float]:
        """Return values for trial ``tid``, given every trial posted before it that did not fail.

        A hyperparameter that is held still is not among them.

        A trial with values outside the space's labels is ignored: a worker can write anything.
        """
        history = [
            each
            for each in history
            if set(each.vals) == self._names and None not in map(number, each.vals.values())
        ]
        finished = [each.loss for each in history if each.loss is not None]
        seed = int(np.random.SeedSequence([self._seed, tid]).generate_state(1)[0])
        if self._algorithm == "random" or len(finished) < self._startup:
            documents = rand.suggest([tid], self._domain, Trials(), seed)
        else:
            trials = _as_trials(history, worst=max(finished))
            if self._algorithm == "tpe":
                documents = tpe.suggest(
                    [tid], self._domain, trials, seed, n_startup_jobs=0, verbose=False
                )
            else:
                documents = anneal.suggest([tid], self._domain, trials, seed)
        vals = documents[0]["misc"]["vals"]
        return {label: float(values[0]) for label, values in vals.items()}


def _as_trials(history: list[Observation], worst: float) -> Any:
    trials = Trials()
    documents = []
    for observation in history:
        tid, vals = observation.tid, observation.vals
        loss = worst if observation.loss is None else observation.loss
        misc = {
            "tid": tid,
            "cmd": None,
            "workdir": None,
            "idxs": {label: [tid] for label in vals},
            "vals": {label: [value] for label, value in vals.items()},
        }
        (document,) = trials.new_trial_docs(
            [tid], [None], [{"status": STATUS_OK, "loss": loss}], [misc]
        )
        document["state"] = JOB_STATE_DONE
        documents.append(document)
    trials.insert_trial_docs(documents)
    trials.refresh()
    return trials
