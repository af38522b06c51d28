"""Whatever is searched is shown, and whatever is shown has a name: in every view of a study."""

from __future__ import annotations

import io

import pytest
from support.live import fleet_of, study_of
from support.printed import plain
from support.thread_workers import claim, claimed, deliver

from hyperhive.common.console import Screen
from hyperhive.coordinator.stored_model import _configuration
from hyperhive.coordinator.views.incidents import incidents
from hyperhive.coordinator.views.status import report
from hyperhive.coordinator.views.study_state import Snapshot, StudyState
from hyperhive.coordinator.views.terminal import Lines, opening, panel
from hyperhive.coordinator.views.wording import doing, named, outcome
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft, Goal
from hyperhive.store.trials.terms import BASELINE, REFIT, ErrorKind
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.trial_run import progress_in_words

VALS = {"batch_size": 512.0, "learning_rate": 0.03, "hidden_units": 64.0, "activation": "relu"}
CONFIG = {**VALS, "batch_size": 512, "hidden_units": 64, "dataset": "0" * 64, "seed": 0}
SHOWN = "batch size 512, learning rate 0.03, hidden units 64, activation relu"


@pytest.fixture
def study(store: Store) -> Store:
    """Give a store with a study whose first trial is done, and whose baseline waits."""
    store.studies.open("s", {"trials": 3})
    store.queue.post(Draft("s", 0, CONFIG, VALS, objective="lenet5"))
    deliver(store, claimed(store))
    untuned = {"learning_rate": 0.001, "batch_size": 64, "dataset": "0" * 64, "seed": 0}
    store.queue.post(Draft("s", 0, untuned, {}, objective="lenet5", purpose=BASELINE))
    return store


def snapshot(store: Store, phase: str = "searching") -> Snapshot:
    state = StudyState("s", 3, tuple(store.trials.find("s")))
    return Snapshot(state, phase, tuple(store.workers.present()))


def of(purpose: str, store: Store) -> Trial:
    [trial] = store.trials.find("s", purpose)
    return trial


def test_what_is_searched_is_shown_in_every_view(study: Store) -> None:
    """Names and types are the space's own; they are not those of LeNet-5."""
    best = f"trial 0: {SHOWN}"
    assert named(of("search", study)) == best
    assert best in plain(report(study, None))
    assert best in plain(panel(snapshot(study)))
    shown = study_of(study, "s")
    assert (shown["best"], f"hyperparameters: {SHOWN}" in shown["sentence"]) == (0, True)
    out = io.StringIO()
    lines = Lines(Screen(file=out, width=20))
    lines.show(Snapshot(StudyState("s", 3, ()), "searching"))
    lines.show(snapshot(study))
    assert f"({SHOWN}); best" in out.getvalue()


def test_what_the_space_does_not_choose_is_not_called_a_hyperparameter(study: Store) -> None:
    """The baseline, for which nothing was chosen, has those of its configuration."""
    assert named(of(BASELINE, study)) == (
        "the untuned baseline: learning rate 0.001, batch size 64"
    )
    assert "dataset" not in named(of("search", study))
    job = Draft("fmin", 3, {}, {"choice": 1, "x": 0.5}, objective="lenet5")
    study.queue.post(job)
    [trial] = study.trials.find("fmin")
    assert named(trial) == "trial 3: choice 1, x 0.5"


def test_the_baseline_has_its_name_in_every_view(study: Store) -> None:
    """It waits, runs and fails beside the search, which does not count it."""
    counted = "1 of 3 done, 0 running, 0 waiting, 0 failed"
    assert "the untuned baseline waits" in plain(report(study, None))
    held = claim(study, "nano")
    assert held is not None
    study.workers.report("nano", None, "cpu", {}, held.label)
    study.queue.heartbeat(held, {"epoch": 1, "epochs": 2})
    doing_it = "the untuned baseline: epoch 1 of 2"
    assert doing(of(BASELINE, study)) == doing_it
    seen = fleet_of(study)
    (line,) = seen["studies"]
    assert (line["counts"], line["others"]) == (counted, "the untuned baseline runs")
    assert seen["workers"][0]["does"] == f"s, {doing_it}"
    for view in (plain(report(study, None)), plain(panel(snapshot(study)))):
        assert doing_it in view
        assert "the untuned baseline runs" in view
    assert counted in plain(panel(snapshot(study)))
    study.queue.fail(held, ErrorKind.BAD_PAYLOAD, "no such thing")
    seen = fleet_of(study)
    assert seen["studies"][0]["others"] == "the untuned baseline failed"
    assert seen["incidents"] == ["s: 1 trial failed (the last error: no such thing)"]


def test_a_search_says_first_which_way_it_goes() -> None:
    """So a direction that was forgotten is seen; the usual goal needs no word."""
    assert opening("s", "nano", Goal()) == "study s on nano"
    assert opening("s", "nano", Goal("accuracy")) == "study s on nano: minimizing accuracy"
    assert opening("s", "nano", Goal("f1", "maximize")) == "study s on nano: maximizing f1"


def test_each_trial_beside_the_search_is_a_line_of_the_log(study: Store) -> None:
    """It has its name and its outcome, and no number of the search."""
    out = io.StringIO()
    lines = Lines(Screen(file=out))
    lines.show(Snapshot(StudyState("s", 3, ()), "searching"))
    deliver(study, claimed(study), validation_accuracy=0.109)
    study.queue.post(Draft("s", 0, CONFIG, VALS, objective="lenet5", purpose=REFIT))
    deliver(study, claimed(study), validation_accuracy=None)
    for _ in range(2):
        lines.show(snapshot(study))
    said = out.getvalue().splitlines()
    assert "the untuned baseline: 10.9 % (learning rate 0.001, batch size 64)" in said
    assert any(line.startswith("the refit of trial 0: loss ") for line in said)
    assert sum(line.startswith("[1/3] trial 0: ") for line in said) == 1
    assert len(said) == 4  # the first says that there is no worker


def test_incidents_name_the_trials(study: Store) -> None:
    """Trials of the search by number, the others by name."""
    for tid in (1, 2):
        study.queue.post(Draft("s", tid, {}, {}, objective="lenet5"))
    study.queue.post(Draft("s", 0, {}, {}, objective="lenet5", purpose=REFIT))
    trials = sorted(study.trials.find("s"), key=lambda trial: (trial.purpose, trial.tid))
    overdue = {trial.id for trial in trials if trial.tid != 0 or trial.purpose != "search"}
    assert incidents(trials, overdue) == [
        "silent worker, the next free one takes it: trials 1, 2, the untuned baseline, the refit "
        "of trial 0"
    ]


def test_an_outcome_without_an_accuracy_is_its_loss(store: Store) -> None:
    """An objective of one's own has a loss, and need have nothing else."""
    store.queue.post(Draft("s", 0, {}, {"hidden": 64}, objective="lenet5"))
    held = claimed(store)
    store.queue.finish(held.id, str(held.token), {"status": "ok", "loss": 0.0471234})
    trial = of("search", store)
    assert f"{outcome(trial)} ({named(trial)})" == "loss 0.04712 (trial 0: hidden 64)"


def test_progress_has_one_form() -> None:
    """Epochs are counted as in the terminal, an accuracy is a share, and the rest has its name."""
    progress = {"epoch": 3, "epochs": 21, "done": 3, "train_loss": 0.5321, "stage": "warm_up"}
    assert progress_in_words({**progress, "validation_accuracy": 0.6123}) == (
        "epoch 3 of 21, train loss 0.5321, stage warm_up, validation accuracy 61.2 %"
    )
    assert progress_in_words({**progress, "validation_accuracy": None}) == (
        "epoch 3 of 21, train loss 0.5321, stage warm_up"
    )
    assert progress_in_words({"epoch": 3, "step": 7}) == "epoch 3, step 7"


def test_best_says_no_setting_that_is_no_setting() -> None:
    """Which data, and whether it was refitted, is said in words elsewhere."""
    config = {"learning_rate": 0.0312, "batch_size": 1024, "train_on_all": True, "dataset": "0"}
    assert _configuration(config) == "learning rate 0.0312, batch size 1024"
