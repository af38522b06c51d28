"""``hyperhive study finish``, and Ctrl-C on a terminal, on a study that runs."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from support.fleet import Fleet, running
from support.home import Home, until

from hyperhive.coordinator.ranking import best_of
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import REFIT, SEARCH, Status
from hyperhive.store.trials.trial import Trial


def searched(store: Store) -> list[Trial]:
    return store.trials.find("s", SEARCH)


def results(store: Store, count: int) -> list[Trial]:
    """Wait until so many trials of the search have a result; return them."""

    def done() -> list[Trial] | None:
        found = [trial for trial in searched(store) if trial.status is Status.DONE]
        return found if len(found) >= count else None

    found: list[Trial] = until(done, f"{count} results")
    return found


def ended_well(store: Store, trials: list[Trial]) -> dict[str, Any]:
    """Fail unless the study has ended with exactly these trials and its best; return its card."""
    stored = store.studies.get("s")
    assert stored is not None
    assert stored.result is not None
    assert searched(store) == trials
    assert all(trial.is_final for trial in store.trials.find("s"))
    assert stored.spec["trials"] == len(trials)
    best = best_of(trials)
    assert best is not None
    assert stored.result["winner"] == best.tid
    card: dict[str, Any] = stored.result["card"]
    assert card["test_accuracy"] is not None
    return card


@pytest.mark.long
def test_a_live_study_is_finished(home: Home, fleet: Fleet) -> None:
    """Its coordinator ends as at the normal end, and so does the command, with the same model."""
    worker = fleet.worker(seconds="0.2")
    coordinator = fleet.coordinator("s", 500)
    with fleet.store() as store:
        results(store, 3)
        elsewhere = str(home.work / "elsewhere")
        done = home.call("study", "finish", "s", "--models", elsewhere, HYPERHIVE_MONGO=fleet.uri)
        assert done.returncode == 0, done.stderr
        assert coordinator.end() == 0, coordinator.said()
        trials = searched(store)
        assert 3 <= len(trials) < 500
        card = ended_well(store, trials)
        assert f"s: ending early, with the {len(trials)} trials that have ended" in done.stdout
        assert home.card("s")["weights_sha256"] == card["weights_sha256"]
        for said in (done.stdout, coordinator.said()):
            assert f"best        trial {card['trial']}" in said
        shown = home.call("status", HYPERHIVE_MONGO=fleet.uri).stdout
        assert f"{len(trials)} of {len(trials)}" in shown
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert "Traceback" not in worker.said() + coordinator.said() + done.stderr


@pytest.mark.long
def test_a_study_without_a_result_is_not_finished(home: Home, fleet: Fleet) -> None:
    """One sentence, and the study goes on: nobody has run its first trial yet."""
    assert fleet.search("s", 2, "--timeout", "0.1").returncode == 1
    refused = home.call("study", "finish", "s", HYPERHIVE_MONGO=fleet.uri)
    assert refused.returncode == 1
    assert "study s has no trial with a result yet: wait for the first one" in refused.stderr
    fleet.worker()
    assert fleet.search("s", 2).returncode == 0


@pytest.mark.long
def test_a_finish_that_is_killed_at_any_moment_is_repeated(home: Home, fleet: Fleet) -> None:
    """Killed after its mark, while it refits, and at its end: it ends with the same trials."""
    worker = fleet.worker(seconds="0.05")
    coordinator = fleet.coordinator("s", 500)
    with fleet.store() as store:
        results(store, 4)
        coordinator.signal(signal.SIGKILL)
        coordinator.end()
        until(lambda: all(t.is_final for t in searched(store)), "the end of what was posted")
        trials = searched(store)
        best = best_of(trials)
        assert best is not None

        def killed_when(holds: Any, what: str) -> None:
            finishing = home.start("study", "finish", "s", HYPERHIVE_MONGO=fleet.uri)
            until(holds, what)
            finishing.signal(signal.SIGKILL)
            finishing.end()

        def study() -> Any:
            return store.studies.get("s")

        with fleet.held_back(best.config):
            killed_when(lambda: study().finishing, "the mark")
            killed_when(lambda: store.trials.find("s", REFIT), "a refit")
            running(store, "s", REFIT, best.tid)
            # The coordinator that is started again comes to the same end: it is killed too.
            coordinator = fleet.coordinator("s", 500)
            coordinator.says("refitting the best")
            coordinator.signal(signal.SIGKILL)
            coordinator.end()
        killed_when(lambda: study().result, "the result")
        last = home.call("study", "finish", "s", HYPERHIVE_MONGO=fleet.uri)
        assert last.returncode == 0, last.stderr
        card = ended_well(store, trials)
        assert home.card("s") == card
        (refit,) = store.trials.find("s", REFIT)
        assert (refit.tid, refit.attempts) == (best.tid, 1)
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0


# -- Ctrl-C on a terminal ------------------------------------------------------------------------


CHOICE = "f and Enter: finish now with the trials that have ended"


class Terminal:
    """A coordinator at a terminal, and what it says there."""

    def __init__(self, fleet: Fleet, trials: int) -> None:
        master, slave = pty.openpty()
        self._master = master
        self._said = bytearray()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hyperhive", "coordinator", fleet.file("s", trials)],
            cwd=str(fleet.home.work),
            env={**fleet.home.environment, "HYPERHIVE_MONGO": fleet.uri, "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                self._said += os.read(self._master, 65536)
        except OSError:  # the last process that had the terminal has ended
            os.close(self._master)

    def says(self, text: str) -> None:
        """Wait until it has said this."""
        until(lambda: text in self._said.decode(errors="replace"), repr(text))

    def types(self, text: str) -> None:
        """Type this."""
        os.write(self._master, text.encode())

    def asks_at_ctrl_c(self, store: Store, count: int) -> None:
        """Press Ctrl-C once so many trials have results, and wait for the question."""
        results(store, count)
        self.says("best so far")
        self.process.send_signal(signal.SIGINT)
        self.says(CHOICE)


@pytest.mark.long
def test_ctrl_c_lets_the_user_finish(home: Home, fleet: Fleet) -> None:
    """With f the study ends with the trials that it has: its model is tested and written."""
    fleet.worker(seconds="0.2")
    at = Terminal(fleet, 500)
    with fleet.store() as store:
        at.asks_at_ctrl_c(store, 2)
        at.types("f\n")
        assert at.process.wait(200) == 0
        card = ended_well(store, searched(store))
        assert home.card("s") == card


@pytest.mark.long
@pytest.mark.parametrize("answer", ["Ctrl-C", "Enter", "SIGTERM"])
def test_ctrl_c_again_stops_and_the_study_goes_on_later(
    home: Home, fleet: Fleet, answer: str
) -> None:
    """As without a choice: nothing is withdrawn, and the same study started again goes on."""
    fleet.worker(seconds="0.2")
    at = Terminal(fleet, 5)
    with fleet.store() as store:
        at.asks_at_ctrl_c(store, 1)
        if answer == "Enter":
            at.types("\n")
        else:
            at.process.send_signal(signal.SIGINT if answer == "Ctrl-C" else signal.SIGTERM)
        at.says("stopped; start the same study again and it goes on from here")
        assert at.process.wait(200) == 1
        stored = store.studies.get("s")
        assert stored is not None
        assert not stored.finishing
        assert fleet.search("s", 5).returncode == 0
        assert len(searched(store)) == 5


@pytest.mark.long
def test_without_a_terminal_a_signal_stops_at_once(home: Home, fleet: Fleet) -> None:
    """Scripts are never asked."""
    fleet.worker(seconds="0.2")
    coordinator = fleet.coordinator("s", 500)
    with fleet.store() as store:
        results(store, 1)
    coordinator.signal(signal.SIGINT)
    assert coordinator.end() == 1
    assert CHOICE not in coordinator.said()
    assert "stopped; start the same study again" in coordinator.said()
