"""What to try next: hyperopt's algorithms, told the truth about trials that are not finished.

hyperopt gives a pending trial infinite loss and counts it towards the start-up trials and the gamma
split: with 25 trials running and none finished, TPE would skip its random start-up and model
nothing. Here start-up counts finished trials, and a pending one enters with the worst loss seen, so
that its neighbourhood is neither sought nor banned for ever.
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
    """A trial as an algorithm sees it: values by label, and the loss, or None while pending."""

    tid: int
    vals: Mapping[str, float]
    loss: float | None


class Suggester:
    """Suggests configurations for one study.

    Args:
        algorithm: ``tpe``, ``random`` or ``anneal``.
        space: what is searched.
        seed: of the study. Suggestion number k draws from a stream of its own, made from the seed
            and k, so a study that is resumed goes on as if it had never stopped.
        startup: finished trials that TPE and annealing wait for.
    """

    def __init__(self, algorithm: str, space: Space, seed: int, startup: int) -> None:
        self._algorithm = algorithm
        self._space = space
        self._seed = seed
        self._startup = startup
        nodes = {dimension.name: dimension.to_hyperopt() for dimension in space}
        self._domain = Domain(lambda config: 0.0, nodes)

    def suggest(self, tid: int, history: list[Observation]) -> dict[str, float]:
        """Return values for trial ``tid``, given every trial posted before it that did not fail.

        One whose values are not of the space is left out: workers may write what they like.
        """
        names = {dimension.name for dimension in self._space}
        history = [
            each
            for each in history
            if set(each.vals) == names and None not in map(number, each.vals.values())
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
    for seen in history:
        loss = worst if seen.loss is None else seen.loss
        misc = {
            "tid": seen.tid,
            "cmd": None,
            "workdir": None,
            "idxs": {label: [seen.tid] for label in seen.vals},
            "vals": {label: [value] for label, value in seen.vals.items()},
        }
        (document,) = trials.new_trial_docs(
            [seen.tid], [None], [{"status": STATUS_OK, "loss": loss}], [misc]
        )
        document["state"] = JOB_STATE_DONE
        documents.append(document)
    trials.insert_trial_docs(documents)
    trials.refresh()
    return trials
