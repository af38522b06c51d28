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

from hyperhive.coordinator.spaces.hyperopt_space import to_hyperopt
from hyperhive.coordinator.spaces.search_space import Node, is_possible


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
        space: the search space.
        seed: of the study. Suggestion number k draws from a random stream of its own, derived from
            the seed and k, so a resumed study goes on as if it had never stopped.
        startup: the number of finished trials before TPE and annealing take over from random
            search.
    """

    def __init__(self, algorithm: str, space: Node, seed: int, startup: int) -> None:
        self._algorithm = algorithm
        self._seed = seed
        self._startup = startup
        self._space = space
        self._domain = Domain(lambda config: 0.0, to_hyperopt(space))

    def suggest(self, tid: int, history: list[Observation]) -> dict[str, float]:
        """Return values for trial ``tid``, given every trial posted before it that did not fail.

        They are by label, of a choice the index of its option, and only of parameters that are
        active: one of an option that was not chosen has none.

        A trial whose values the space cannot have is ignored: a worker can write anything.
        """
        history = [each for each in history if is_possible(self._space, each.vals)]
        finished = [each.loss for each in history if each.loss is not None]
        seed = int(np.random.SeedSequence([self._seed, tid]).generate_state(1)[0])
        if self._algorithm == "random" or len(finished) < self._startup:
            documents = rand.suggest([tid], self._domain, Trials(), seed)
        else:
            trials = _as_trials(history, list(self._domain.params), worst=max(finished))
            if self._algorithm == "tpe":
                documents = tpe.suggest(
                    [tid], self._domain, trials, seed, n_startup_jobs=0, verbose=False
                )
            else:
                documents = anneal.suggest([tid], self._domain, trials, seed)
        vals = documents[0]["misc"]["vals"]
        return {label: _python_number(values[0]) for label, values in vals.items() if values}


def _python_number(value: Any) -> float:
    """Return NumPy's number as Python's: an index stays an ``int``."""
    return int(value) if isinstance(value, (int, np.integer)) else float(value)


def _as_trials(history: list[Observation], labels: list[str], worst: float) -> Any:
    trials = Trials()
    documents = []
    for observation in history:
        tid, vals = observation.tid, observation.vals
        loss = worst if observation.loss is None else observation.loss
        misc = {
            "tid": tid,
            "cmd": None,
            "workdir": None,
            "idxs": {label: [tid] if label in vals else [] for label in labels},
            "vals": {label: [vals[label]] if label in vals else [] for label in labels},
        }
        (document,) = trials.new_trial_docs(
            [tid], [None], [{"status": STATUS_OK, "loss": loss}], [misc]
        )
        document["state"] = JOB_STATE_DONE
        documents.append(document)
    trials.insert_trial_docs(documents)
    trials.refresh()
    return trials
