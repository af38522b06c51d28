"""What the commands for studies do with an experiment of hyperopt's: the jobs that ``fmin`` posted.

It has jobs under its ``exp_key`` and nothing else: no budget, no model and no end. The name ""
stands for the jobs that have no key.
"""

from __future__ import annotations

from rich.text import Text

from hyperhive.common.errors import UsageError
from hyperhive.common.extras import require_installed
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.coordinator.views.wording import counts, facts, judged
from hyperhive.store.store import Store


def describe(store: Store, name: str, needs_model: bool) -> Text:
    """Return what a person wants to know about an experiment, as a few lines.

    Raises ``UsageError`` if its model is asked for: there is none.
    """
    if needs_model:
        raise UsageError(
            f"{name!r} is an experiment of hyperopt's fmin, whose trials leave no model: omit "
            "--export and --retrain"
        )
    (state,) = FleetReader(store, name).read().studies
    best = state.best
    result = "none yet"
    if best is not None:
        result = f"trial {best.tid}: {judged(best)}"
    return facts(
        {"fmin": f"{state.title} on {store.address}", "state": counts(state), "best": result}
    )


def cancel(store: Store, name: str) -> str:
    """End the jobs of an experiment that are not done, and the ``fmin`` that waits for them."""
    count = store.queue.cancel_jobs(name or None)
    store.sweep()
    if not count:
        return f"no job of experiment {name!r} waits or runs: there is nothing to cancel"
    return f"experiment {name!r} cancelled, {count} jobs with it: its fmin, if one runs, ends"


def delete(store: Store, name: str) -> None:
    """Delete an experiment's jobs, files and notes; raises ``UsageError`` without hyperopt."""
    require_installed("hyperopt")
    from hyperhive.store.hyperopt import MongoJobs
    from hyperhive.store.hyperopt.attachments import ExperimentAttachments

    which = {"exp_key": name or None}
    jobs = MongoJobs(store)
    jobs.delete_all(which)
    ExperimentAttachments(jobs, which).clear()
    store.delete_notes(name)


def count_of(store: Store, name: str) -> int:
    """Return how many jobs an experiment has."""
    return len(store.trials.versions([name]))
