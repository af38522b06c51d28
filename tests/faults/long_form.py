"""The long form of the fault suite, ``make faults``: it takes an hour, and writes its own table.

``make faults SEED=7`` has the faults of that seed happen again.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
from support import idle
from support.books import Books, check_files
from support.fleet import answers
from support.home import REPOSITORY, Home, Program, until
from support.storm import LONG, Storm
from support.writers import kill_under_load

from hyperhive.common.wording import percent
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import SEARCH, Status

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
REPORT = REPOSITORY / "docs" / "reliability.md"


def write(part: str, lines: list[str]) -> None:
    """Put a part of the report in its place, between the comments that mark it."""
    begin, end = (f"<!-- {part} {edge} -->\n" for edge in ("begins", "ends"))
    text = REPORT.read_text()
    assert begin in text
    body = "".join(line + "\n" for line in lines)
    mark = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    REPORT.write_text(mark.sub(lambda _: begin + body + end, text))


def table(rows: dict[str, object]) -> list[str]:
    return ["| | |", "|---|---|", *("| {} | {} |".format(*row) for row in rows.items())]


@pytest.mark.timeout(7200)
def test_the_storm(home: Home) -> None:
    """Everything at random, until each fault has happened as often as it shall."""
    print(f"\nseed {SEED}")
    begun = time.monotonic()
    storm = Storm(home, SEED, trials=100, seconds=0.3)
    books: Books = storm.run(LONG)
    rows = {
        "seed, minutes": f"{SEED}, {(time.monotonic() - begun) / 60:.0f}",
        **storm.counts,
        "studies, each ended with its true best": storm.studies,
        "trials posted, all of them in one final state": books.trials,
        "claims of them": books.claims,
        "results that count": books.done,
        "results that came late: kept, not counted": books.late,
        "trials given up": books.failed,
        "**results lost**": "**0**",
        "**results counted twice**": "**0**",
        "chunks, files and markers that nothing refers to": 0,
    }
    write("storm", table(rows))


@pytest.mark.timeout(1200)
def test_mongod_killed_under_load(tmp_path: Path) -> None:
    """Twenty times, with four writers that never wait."""
    acknowledged = kill_under_load(tmp_path / "mongo", kills=20)
    rows = {"mongods killed": 20, "writes acknowledged": acknowledged, "**of them lost**": "**0**"}
    write("load", table(rows))


@pytest.mark.timeout(3600)
def test_a_real_study(home: Home, simpsons_zip: Path) -> None:
    """Simpsons-MNIST, 30 trials, two workers, and mongod killed twenty times on the way."""
    begun = time.monotonic()
    # Started one after the other: each finds the private server of this home.
    command = ["coordinator", "--dataset", "simpsons", "--data", str(simpsons_zip), "--name", "s"]
    coordinator = home.start(*command, "--trials", "30")
    workers = [home.start("worker", "--slots", "1", "--lease", "20") for _ in range(2)]
    uri = until(home.server, "the server")
    kills = 0
    with Store(uri) as store:
        until(lambda: store.trials.find("s", SEARCH), "the first trial")
        while kills < 20:
            _let_go_on(coordinator, 8.0)
            until(lambda: answers(store), "the server")
            os.kill(int((home.mongo / "data" / "mongod.lock").read_text()), signal.SIGKILL)
            kills += 1
        assert coordinator.end(1800) == 0
    for worker in workers:
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0
    with embedded_server(home.mongo) as again, Store(again) as store:
        trials = store.trials.find("s", SEARCH)
        result = (store.studies.get("s") or pytest.fail("no study")).result or {}
        check_files(store)
    assert [(trial.tid, trial.status) for trial in trials] == [(n, Status.DONE) for n in range(30)]
    rows = {
        "mongods killed": kills,
        "minutes": f"{(time.monotonic() - begun) / 60:.0f}",
        "trials counted": len(trials),
        "of them begun more than once": sum(trial.claims > 1 for trial in trials),
        "late results": sum(trial.late for trial in trials),
        "test accuracy of the refitted winner": percent(result["card"]["test_accuracy"]),
    }
    write("study", table(rows))


def _let_go_on(coordinator: Program, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        assert coordinator.is_running(), coordinator.said()
        time.sleep(0.1)


@pytest.mark.timeout(1200)
def test_an_idle_hour(mongo_uri: str, store: Store, tmp_path: Path) -> None:
    """A worker and a coordinator with nothing to do."""
    grown = {
        "worker": idle.worker(mongo_uri, tmp_path, 3600.0),
        "coordinator": idle.coordinator_alone(mongo_uri, 3600.0),
    }
    rows = ["| an hour of an idle | operations | memory, kB | database, bytes | documents |"]
    rows.append("|---|---|---|---|---|")
    for who, growth in grown.items():
        assert (growth.data, growth.documents) == (0, 0)
        assert growth.memory < 2 << 20
        rows.append(
            f"| {who} | {growth.operations} | +{growth.memory // 1024} | +{growth.data} | "
            f"+{growth.documents} |"
        )
    write("idle", rows)
