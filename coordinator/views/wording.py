"""How the state of a study is put into words: the same in the terminal, in status and on the page.

Importing this needs neither hyperopt nor NumPy: ``hyperhive best`` runs on small devices.
"""

from __future__ import annotations

import itertools
import shlex
from collections import Counter
from typing import TYPE_CHECKING, Iterable, Mapping, Sequence

from rich.text import Text

from hyperhive.common.text import printable
from hyperhive.common.values import number, sequence
from hyperhive.common.wording import counted, in_words, percent
from hyperhive.coordinator.views.study_state import StudyState
from hyperhive.model.interval import wilson_interval
from hyperhive.store.trials.terms import LENET5, REPEAT, SHARES, TEACHER, Status, is_published
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import WorkerRecord

if TYPE_CHECKING:  # it would import NumPy
    from hyperhive.model.card import Card

_MOST_SHOWN = 4
"""Of the values that a function reports: a view has a line for a trial."""


def state(study: StudyState) -> str:
    """Return where a study stands, in a word; nothing while it searches."""
    if study.cancelled:
        return "cancelled"
    if study.is_experiment:
        return "fmin"
    if study.has_ended:
        return "ended"
    has_searched = study.ended >= study.budget
    if has_searched and any(not trial.is_final for trial in study.repeated):
        return "repeating the best"
    return "ending early" if study.finishing else ""


def counts(study: StudyState) -> str:
    """Return how many trials of a study's search are in each state."""
    count = study.counts
    pruned = f" ({study.pruned} pruned)" if study.pruned else ""
    return (
        f"{done(study)} done{pruned}, {count[Status.RUNNING]} running, "
        f"{count[Status.NEW]} waiting, {count[Status.ERROR]} failed"
    )


def others(study: StudyState) -> str:
    """Return what the trials do that are not of the search: ``the untuned baseline waits``.

    Repeats are counted: ``4 of 9 repeats done, 2 running, 3 waiting``. A teacher that is done is
    described.
    """
    states = {Status.NEW: "waits", Status.RUNNING: "runs", Status.ERROR: "failed"}
    single = [trial for trial in study.others if trial.purpose != REPEAT]
    said = [f"{t.title} {states[t.status]}" for t in single if t.status in states]
    teachers = [t for t in single if t.purpose == TEACHER and t.status is Status.DONE]
    said += [f"teacher: {teacher_in_words(each)}" for each in teachers]
    return ", ".join(filter(None, (*said, _repeats(study.repeated))))


def teacher_in_words(teacher: Trial) -> str:
    """Return how large a teacher is, and how good: ``427,178 parameters, 86.1 % of ...``."""
    size = number(teacher.result.get("parameters"))
    parameters = "" if size is None else f"{size:,.0f} parameters, "
    return f"{parameters}{percent(teacher.accuracy)} of validation images"


def _repeats(trials: Sequence[Trial]) -> str:
    """Return how many repeats are done, while some are not."""
    count = Counter(trial.status for trial in trials)
    if count[Status.DONE] == len(trials):
        return ""
    states = {Status.RUNNING: "running", Status.NEW: "waiting", Status.ERROR: "failed"}
    others = [f"{count[status]} {word}" for status, word in states.items() if count[status]]
    return ", ".join((f"{count[Status.DONE]} of {len(trials)} repeats done", *others))


def done(study: StudyState) -> str:
    """Return how many trials of a study's search are done, and of how many if that is known."""
    count = str(study.counts[Status.DONE])
    return count if study.is_experiment else f"{count} of {study.budget}"


def hyperparameters(trial: Trial) -> str:
    """Return the values that were chosen for a trial, each with its name."""
    return in_words(trial.hyperparameters)


def named(trial: Trial) -> str:
    """Return a trial's name, and its hyperparameters if it has any: ``trial 7: epochs 3``."""
    chosen = hyperparameters(trial)
    return f"{trial.title}: {chosen}" if chosen else trial.title


def outcome(trial: Trial) -> str:
    """Return how a trial ended: its metric, its accuracy or its loss, or what went wrong.

    That of a trial that was pruned is the last that it had: ``pruned at 61.2 %``.
    """
    if trial.status is Status.ERROR:
        return "failed ({})".format((trial.error or {}).get("message", "no reason given"))
    if trial.diverged:
        return "diverged"
    return f"pruned at {_found(trial)}" if trial.pruned else _found(trial)


def _found(trial: Trial) -> str:
    sought = trial.metrics.get(trial.goal.metric)
    if sought is not None and trial.goal.metric != "loss":
        is_share = trial.objective == LENET5 and trial.goal.metric in SHARES
        value = percent(sought) if is_share else sought
        return in_words({trial.goal.metric: value})
    if trial.accuracy is not None:
        spread = "" if trial.deviation is None else f" ± {100 * trial.deviation:.1f}"
        return percent(trial.accuracy) + spread
    return "done" if trial.loss is None else in_words({"loss": trial.loss})


def judged(trial: Trial) -> str:
    """Return how a trial ended, with its hyperparameters if it has any: ``loss 0.1 (lr 0.01)``."""
    chosen = hyperparameters(trial)
    return f"{outcome(trial)} ({chosen})" if chosen else outcome(trial)


def doing(trial: Trial, name: str | None = None) -> str:
    """Return what a worker does with a trial: ``trial 7: epoch 3 of 21, 61.2 %``.

    A function of one's own reports a step and metrics: ``trial 7: step 3, accuracy 0.612``.
    ``name`` is what the trial is called, by default its title.
    """
    text, progress = name or trial.title, trial.progress or {}
    if trial.epoch is not None and trial.epochs is not None:
        text += f": epoch {trial.epoch} of {trial.epochs}"
        accuracy = trial.latest_accuracy
        return text if accuracy is None else f"{text}, {percent(accuracy)}"
    if number(progress.get("step")) is None:  # it has just started, or is another objective
        return text
    shown = {"step": progress["step"], **progress}
    if "of" in shown:
        shown["step"] = f"{progress['step']} of {shown.pop('of')}"
    return f"{text}: {in_words(dict(itertools.islice(shown.items(), _MOST_SHOWN)))}"


def occupation(worker: WorkerRecord, work: str) -> str:
    """Return what a worker does: its work, if it has any, and whether it is paused or idle."""
    paused = worker.paused or ""
    if (
        paused and not worker.order
    ):  # with an order it begins with what it does: "draining, by anna"
        paused = f"paused: {paused}"
    return "; ".join(part for part in (work, paused) if part) or "idle"


def report_of(worker: WorkerRecord, trial: Trial | None, is_lost: bool) -> str:
    """Return what is known of a worker, for a list of the workers of all studies.

    Args:
        worker: as it last reported.
        trial: the one that it holds, if it holds one.
        is_lost: whether it has not been heard of for too long, see ``Fleet.lost``.
    """
    text = occupation(worker, doing(trial, trial.full_title) if trial else "")
    if is_lost:
        text = "lost: killed, asleep or cut off"
    refused = "; ".join(f"{what}: {why}" for what, why in worker.refused)
    if refused:
        text += f"; refuses {refused}"
    if worker.undelivered:
        text += f"; results that wait on its device: {worker.undelivered}"
    return text


def no_worker(had_workers: bool, objectives: Iterable[str | None] = ()) -> str:
    """Return what is wrong, and what to do, when nobody works.

    ``objectives`` are those of the trials: a worker needs the files of those that are in files.
    """
    problem = "all workers are gone" if had_workers else "no worker yet"
    names = list(objectives)
    files = sorted({file for file in map(file_of, names) if file is not None})
    trust = ["--trust KEY"] if any(map(is_published, names)) else []
    command = " ".join(
        ["hyperhive worker", *(f"--objectives {shlex.quote(file)}" for file in files), *trust]
    )
    which = ", with the KEY of `hyperhive objectives list`" if trust else ""
    return (
        f"{problem}: run `{command}` here{which}; other machines can help if the MongoDB is shared "
        "(`hyperhive mongo share`)"
    )


def file_of(objective: str | None) -> str | None:
    """Return the file of an objective ``digits.py:train``, ``digits.py``; None for any other.

    Published code is no file of a worker's.
    """
    if is_published(objective):
        return None
    file, colon, _ = (objective or "").rpartition(":")
    return file if colon and file.endswith(".py") else None


def ago(seconds: float) -> str:
    """Return how long ago something was."""
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"


def time_left(seconds: float | None) -> str:
    """Return the time left, rounded to what the estimate is worth; nothing if it is unknown.

    Below a second it is "finishing": no more is known than that it will not take long.
    """
    if seconds is None:
        return ""
    if seconds < 1:
        return "finishing"
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left"


def interval(accuracy: float, images: int) -> str:
    """Return how sure an accuracy is that was measured: ``95 % interval 74.3 to 78.0 %``."""
    low, high = map(percent, wilson_interval(accuracy, images))
    return f"95 % interval {low.replace(' %', '')} to {high}"


def with_interval(accuracy: float, images: int) -> str:
    """Return an accuracy, and how sure it is if that is known: ``76.2 % (95 % interval ...)``."""
    is_share = images > 0 and 0 <= accuracy <= 1
    return percent(accuracy) + (f" ({interval(accuracy, images)})" if is_share else "")


def on_test_images(card: Card, remark: str = "") -> str:
    """Return how good a model is on the test images, and how sure that is."""
    said = f"{percent(card.test_accuracy)} of test images{remark}"
    if card.test_accuracy is None or card.test_images < 1:
        return said
    sure = interval(card.test_accuracy, card.test_images)
    return f"{said}, {sure} ({counted(card.test_images, 'image')})"


def balanced(card: Card, trial: Trial | None) -> dict[str, str]:
    """Return a model's balanced accuracies as a line; none of what no test and no trial tells.

    Args:
        card: of the model.
        trial: of the search, whose model it is; None if it is not known.
    """
    validated = None if trial is None else number(trial.result.get("validation_balanced_accuracy"))
    shares = {"test": card.test_balanced_accuracy, "validation": validated}
    said = [f"{percent(each)} of {of} images" for of, each in shares.items() if each is not None]
    return {"balanced": f"{', '.join(said)}, if all classes count alike"} if said else {}


def on_folds(trial: Trial | None) -> dict[str, str]:
    """Return the accuracies of a trial's folds as a line, with their spread; none without folds."""
    found = sequence(trial.result.get("fold_accuracies")) if trial is not None else []
    accuracies = [each for each in map(number, found) if each is not None]
    if trial is None or not accuracies:
        return {}
    spread = "" if trial.deviation is None else f" ± {100 * trial.deviation:.1f}"
    extremes = f"{percent(min(accuracies)).replace(' %', '')} to {percent(max(accuracies))}"
    mean = percent(sum(accuracies) / len(accuracies))
    return {"folds": f"{mean}{spread} over {counted(len(accuracies), 'fold')} ({extremes})"}


def literal(*texts: str, style: str = "") -> list[Text]:
    """Return texts as cells of a table: what somebody else wrote is neither markup nor raw."""
    return [Text(printable(text), style=style) for text in texts]


def facts(lines: Mapping[str, str]) -> Text:
    """Return labelled lines; the one of the test accuracy, ``test``, stands out."""
    text, width = Text(), max(9, 1 + max(map(len, lines)))
    for label, value in lines.items():
        text.append(f"{label:<{width}}", style="dim")
        text.append(printable(value) + "\n", style="bold green" if label == "test" else "")
    text.rstrip()
    return text
