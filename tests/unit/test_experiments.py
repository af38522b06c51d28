"""Experiments with algorithms: tables, the simulated fleet, what runs come to, and the command."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from support.home import Home, until

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.experiments.fleet import Fleet
from hyperhive.coordinator.experiments.functions import FUNCTIONS
from hyperhive.coordinator.experiments.measured import deviations, read
from hyperhive.coordinator.experiments.on_table import OnTable, plan_of
from hyperhive.coordinator.experiments.runs import Job, Run, Runs, RunsFile
from hyperhive.coordinator.experiments.simulation import Simulation
from hyperhive.coordinator.experiments.summary import summary
from hyperhive.coordinator.experiments.tables import Table
from hyperhive.store.trials.terms import Status

MINIMA: dict[str, dict[str, float]] = {
    "branin": {"x": np.pi, "y": 2.275},
    "noisy-branin": {"x": -np.pi, "y": 12.275},
    "hartmann6": {
        f"x{i}": x for i, x in enumerate((0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573))
    },
    "rosenbrock": {f"x{i}": 1.0 for i in range(4)},
    "tree": {"side": 0, "leaf_left": 0, "r_left": 0.0, "x_left0": 0.0},
}


def simulation(table: Table, fleet: Fleet, trials: int = 40, algorithm: str = "tpe") -> Simulation:
    return Simulation(table, plan_of(table, Job(algorithm, 1, fleet.workers, trials)), fleet)


def run(algorithm: str, seed: int, best: list[float | None], trials: int = 3) -> Run:
    seconds = [10.0 * (number + 1) for number in range(len(best))]
    return Run(algorithm, seed, 1, trials, seconds, best, 2.0)


# -- tables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_its_minimum_where_the_literature_has_it(name: str) -> None:
    """And nowhere less; only the noisy one answers with anything else than the true loss."""
    table, rng = FUNCTIONS[name], np.random.default_rng(0)
    assert table.true_loss(MINIMA[name]) == pytest.approx(table.minimum, abs=1e-5)
    found = simulation(table, Fleet(4), algorithm="random")
    found.run()
    for trial in found.trials.values():
        loss = table.true_loss(trial.vals)
        assert loss >= table.minimum - 1e-5
        assert (table.answer(trial.vals, rng).loss == loss) is (name != "noisy-branin")


SPACE = {
    "x": {"distribution": "uniform", "low": 0, "high": 1},
    "kind": {"choices": [{"n": 0}, {"y": {"distribution": "uniform", "low": 0, "high": 1}}]},
}


HEADER = {"name": "bowl", "space": SPACE, "surrogate": "process", "is_share": True}


def written(path: Path) -> Path:
    """Write a table of 0.1 + (x - 0.3)^2, which takes 1 + x seconds; some ran twice, with noise."""
    lines = [f"# {json.dumps(HEADER)}", "number,seed,x,kind,y,loss,seconds,cost"]
    for number, x in enumerate(np.linspace(0, 1, 41)):
        option, y = (1, number * 0.37 % 1) if number % 2 else (0, "")
        for seed, noise in enumerate((-0.02, 0.02) if number % 4 == 0 else (0.0,)):
            loss = 0.1 + (x - 0.3) ** 2 + noise
            lines.append(f"{number},{seed},{x},{option},{y},{loss},{1 + x},5")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_measured_table_is_a_model_between_its_points(tmp_path: Path) -> None:
    """Of losses, of times, and of the noise; a parameter that is not active has no value."""
    table, rng = read(written(tmp_path / "bowl.csv")), np.random.default_rng(0)
    for x in (0.11, 0.52, 0.93):
        for values in ({"x": x, "kind": 0}, {"x": x, "kind": 1, "y": 0.4}):
            assert table.true_loss(values) == pytest.approx(0.1 + (x - 0.3) ** 2, abs=0.01)
    assert table.minimum == pytest.approx(0.1, abs=0.01)
    answers = [table.answer({"x": 0.5, "kind": 0}, rng) for _ in range(200)]
    assert np.mean([each.seconds for each in answers]) == pytest.approx(1.5, abs=0.1)
    noise = np.array([each.loss for each in answers]) - table.true_loss({"x": 0.5, "kind": 0})
    assert np.mean(np.abs(noise)) == pytest.approx(0.02 * np.sqrt(2), rel=0.2)  # n - 1 = 1 of 2
    assert set(np.sign(noise)) == {-1, 1}


def test_deviations_of_few_runs_are_as_large_as_those_of_many() -> None:
    """The noise of three runs of each configuration is that which they were drawn with."""
    runs = np.random.default_rng(0).normal(0, 0.5, (4000, 3))
    assert np.std([deviations(each) for each in runs]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x,loss\n1,2\n", "is no table of results"),
        ("# {}\n", "is no table of results"),
        (f"# {json.dumps(HEADER)}\n", "ran twice"),
        (f"# {json.dumps({**HEADER, 'surrogate': 'net'})}\n", "no surrogate"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """In a sentence that names it."""
    path = tmp_path / "some.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=f"some.csv.*{says}"):
        read(path)


# -- the fleet -------------------------------------------------------------------------------------


def test_a_search_on_a_fleet_with_faults_runs_every_trial() -> None:
    """What is lost is run again, by another; pauses and losses take time, and repeat exactly."""
    table = FUNCTIONS["tree"]
    faulty = Fleet(5, lost=0.4, pauses=0.4)
    whole, found = simulation(table, Fleet(5, lost=0, pauses=0)), simulation(table, faulty)
    undisturbed, ended = whole.run(), found.run()
    assert sorted(found.trials) == list(range(40))
    states = {trial.status for trial in found.trials.values()}
    assert states == {Status.DONE, Status.ERROR}  # some were lost three times
    assert ended.seconds[-1] > undisturbed.seconds[-1]
    again = simulation(table, faulty).run()
    assert (again.seconds, again.best) == (ended.seconds, ended.best)


def test_a_fast_device_runs_more_trials_than_a_slow_one() -> None:
    """Three devices of 10 : 4 : 1 are 15 times as fast together as the slow one alone."""
    found = simulation(FUNCTIONS["branin"], Fleet(3, lost=0, pauses=0), 60).run()
    assert found.seconds[-1] == pytest.approx(60 * 600 / 15, rel=0.2)


def test_the_best_so_far_is_the_one_that_the_search_sees() -> None:
    """With noise it is not the truly best, and its true loss counts."""
    table = FUNCTIONS["noisy-branin"]
    found = simulation(table, Fleet(1, lost=0, pauses=0))
    ended = found.run()
    seen = min(found.trials.values(), key=lambda trial: trial.loss or 0.0)
    true = [table.true_loss(trial.vals) for trial in found.trials.values()]
    assert ended.best[-1] == table.true_loss(seen.vals) > min(true)


# -- what runs come to -----------------------------------------------------------------------------


def test_runs_come_to_means_ranks_and_times() -> None:
    """The worst algorithm's mean is the target; half of the runs must come to it."""
    runs = [run("a", seed, [5.0, 3.0, 1.0 + seed]) for seed in range(3)]
    runs += [run("b", 0, [None, 9.0, 4.0]), run("b", 1, [None, 8.0, 2.0])]
    (group,) = summary(runs, ["b", "a"], 1.0)
    assert (group["workers"], group["trials"], group["target"]) == (1, 3, 2.0)
    a, b = group["rows"]
    assert (a["algorithm"], a["seeds"], a["mean"], a["rank"]) == ("a", 3, 1.0, 1.25)
    assert (b["algorithm"], b["mean"], b["rank"]) == ("b", 2.0, 1.75)
    assert a["high"] - a["mean"] == pytest.approx(4.302653 / np.sqrt(3))  # Student's t, 2 degrees
    assert (a["time"], b["time"]) == (20.0, None)
    assert a["curve"][0] == [1, 4.0, 4.0, 4.0]
    assert [point[0] for point in b["curve"]] == [2, 3]  # nothing had ended well before


def test_one_seed_has_no_interval() -> None:
    """Nor is a rank made of seeds that not all have run."""
    (group,) = summary([run("a", 0, [1.0]), run("b", 1, [2.0])], ["a", "b"], None)
    assert [row["low"] for row in group["rows"]] == [None, None]
    assert [row["rank"] for row in group["rows"]] == [None, None]


# -- the file of runs ------------------------------------------------------------------------------


def test_runs_are_kept_and_not_run_again(tmp_path: Path) -> None:
    """Also after a line that a killed process left half written."""
    path = tmp_path / "runs.jsonl"
    file = RunsFile(path, {"table": "t"})
    for seed in range(3):
        file.add(run("a", seed, [1.0, None]))
    path.write_bytes(path.read_bytes()[:-20])
    again = RunsFile(path, {"table": "t"})
    assert list(again.runs) == [Job("a", seed, 1, 3) for seed in range(2)]
    again.add(run("a", 2, [0.5]))
    assert RunsFile(path, {"table": "t"}).runs == again.runs
    with pytest.raises(UsageError, match="runs of another table"):
        RunsFile(path, {"table": "other"})
    path.write_text("x,y\n")
    with pytest.raises(UsageError, match="holds no runs"):
        RunsFile(path, {"table": "t"})


@pytest.mark.long
def test_processes_do_what_one_does() -> None:
    """Two at once, in any order."""
    jobs = Runs(["tpe"], 4, [2], [15]).jobs()
    alone, shared = (
        {
            each.job: (each.seconds, each.best)
            for each in OnTable(FUNCTIONS["hartmann6"], count).runs(jobs, threading.Event())
        }
        for count in (1, 2)
    )
    assert alone == shared
    assert set(alone) == set(jobs)


BOWL = """
import time
from pathlib import Path

def train(config):
    with Path("begun").open("a") as file:
        file.write("x")
    if not Path("no-pause").exists():
        time.sleep(0.3)
    return (config["x"] - 0.3) ** 2

space = {"x": {"distribution": "uniform", "low": 0, "high": 1}}
"""


# -- the command -----------------------------------------------------------------------------------


def test_the_command_compares_and_goes_on(home: Home) -> None:
    """It prints tables, writes a page and JSON; the same again runs nothing, with more the rest."""
    words = ["experiment", "tree", "--trials", "12", "--workers", "1,3", "--processes", "1"]
    first = home.call(*words, "--algorithms", "tpe,random", "--seeds", "2", "--json", "t.json")
    assert "tree: 3 workers, 12 trials, 2 seeds" in first.stdout
    found = json.loads((home.work / "t.json").read_text())
    assert (found["runs"], found["wanted"]) == (8, 8)
    kept = home.work / "tree-experiment.jsonl"
    lines = kept.read_text().splitlines()
    assert len(lines) == 1 + 8
    assert b"experiment of 8 runs" in (home.work / "tree-experiment.html").read_bytes()
    home.call(*words, "--algorithms", "random,tpe,anneal", "--seeds", "2")
    assert kept.read_text().splitlines()[:9] == lines
    assert len(kept.read_text().splitlines()) == 1 + 12


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["oak"], "there is nothing called oak"),
        (["none.csv"], "none.csv cannot be read"),
        (["tree", "--algorithms", "tpe,best"], "algorithm must be one of"),
        (["tree", "--algorithms", "tpe,"], "--algorithms must be names"),
        (["tree", "--workers", "1,0"], "--workers must be whole numbers"),
        (["tree", "--output", "no/page.html"], "no is no folder"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_runs(
    home: Home, words: list[str], says: str
) -> None:
    """In one sentence."""
    ended = home.call("experiment", *words)
    assert ended.returncode > 0
    assert says in ended.stderr
    assert list(home.work.iterdir()) == []


@pytest.mark.long
def test_ctrl_c_ends_an_experiment_with_what_it_has(home: Home) -> None:
    """Both processes end, what has run is shown and kept, and the same command would go on."""
    words = ["--seeds", "2000", "--trials", "30", "--workers", "4", "--processes", "2"]
    program = home.start("experiment", "tree", *words)
    kept = home.work / "tree-experiment.jsonl"
    until(lambda: kept.exists() and len(kept.read_text().splitlines()) > 5, "some runs")
    program.signal(signal.SIGINT)
    assert program.end() == 0
    program.says("of 4000 runs: the same command goes on")
    assert (home.work / "tree-experiment.html").exists()
    until(lambda: home.processes() == {}, "the end of both processes")


@pytest.mark.long
def test_studies_are_run_for_real_and_one_that_was_interrupted_goes_on(home: Home) -> None:
    """One after the other, with this machine's workers, on the private server."""
    (home.work / "bowl.py").write_text(BOWL)
    words = ["experiment", "bowl.py", "--seeds", "1", "--trials", "6", "--workers", "2"]
    words += ["--algorithms", "random,tpe"]
    program = home.start(*words)
    begun = home.work / "begun"
    until(lambda: begun.exists() and len(begun.read_text()) > 8, "the second study")
    program.signal(signal.SIGINT)
    assert program.end() == 0
    program.says("stopped after 1 of 2 runs: the same command goes on")
    (home.work / "no-pause").touch()
    ended = home.run(*words, "--json", "bowl.json")
    assert ended.returncode == 0
    found = json.loads((home.work / "bowl.json").read_text())
    assert (found["runs"], found["measure"], found["minimum"]) == (2, "loss", None)
    (group,) = found["groups"]
    trials = {name: home.trials(f"bowl-{name}-0-2-6") for name in ("random", "tpe")}
    assert {name: len(each) for name, each in trials.items()} == {"random": 6, "tpe": 6}
    for row in group["rows"]:
        best = min(trial.loss or 0.0 for trial in trials[row["algorithm"]])
        assert (row["mean"], row["milliseconds"]) == (best, None)
    assert "bowl: 2 workers, 6 trials, 1 seed" in ended.stdout
