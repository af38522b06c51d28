"""The teacher of a study: one trial before its search, from whose answers all others learn."""

from __future__ import annotations

import dataclasses

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.study import Study
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import TEACHER, TEACHER_TID
from hyperhive.store.trials.trial import Trial


def with_answers(study: Study, teacher: Trial) -> Study:
    """Return a study whose trials learn from this teacher's answers, as far as it has any."""
    return dataclasses.replace(study, answers=(teacher.artifact or {}).get("sha256"))


def as_taught(store: Store, study: Study) -> Study:
    """Return a study whose trials learn from its teacher, which has been trained.

    It is unchanged if it has no teacher. Raises ``UsageError`` as long as there are no answers:
    a trial that is posted now would not learn from them.
    """
    if not study.plan.teacher:
        return study
    for trial in store.trials.find(study.name, TEACHER, [TEACHER_TID]):
        taught = with_answers(study, trial)
        if taught.answers is not None:
            return taught
    raise UsageError(
        f"study {study.name} begins with its teacher, which has not been trained yet: wait until "
        "`hyperhive status` shows that it searches"
    )
