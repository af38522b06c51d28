"""Studies side by side."""

from __future__ import annotations

import pytest
from support.home import Home
from support.results import adam, done, failed, study

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.results.compare import compare
from hyperhive.store.errors import NotFound
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Goal
from hyperhive.store.workers import new_worker_id


def searched(store: Store, name: str, losses: list[float]) -> None:
    """Make a study whose trials have these losses, in this order."""
    study(store, name)
    for tid, loss in enumerate(losses):
        done(store, tid, adam(loss / 10), study=name, result={"loss": loss}, worker="w" + name)


def test_studies_are_compared_by_what_they_found(store: Store) -> None:
    """Trials are counted in the order in which they ended."""
    searched(store, "a", [0.5, 0.3, 0.25, 0.2])
    searched(store, "b", [0.9, 0.4])
    failed(store, 2, adam(0.01), "boom", study="b")
    found = compare(store, ["a", "b"])
    assert found.why_not_ranked is None
    a, b = found.standings
    assert (a.done, a.failed, b.done, b.failed) == (4, 0, 2, 1)
    assert a.best is not None
    assert (a.best.tid, a.value(a.best), a.mean, a.median) == (3, 0.2, 0.3125, 0.275)
    assert (a.trials_to_reach, b.trials_to_reach) == (2, 2)
    assert (a.devices, b.devices) == ({"wa": 4}, {"wb": 2, "w": 1})
    assert a.span >= a.seconds >= 0


def test_devices_have_their_hosts_where_workers_have(store: Store) -> None:
    """The host, or the name under which a device was invited, is in the id of its worker."""
    study(store)
    for tid, device in enumerate(["nano", "vm-1"]):
        worker = new_worker_id(device)
        store.workers.report(worker, None, "cpu", {}, None)
        done(store, tid, adam(0.1), result={"loss": 1.0}, worker=worker)
    standing = compare(store, ["s", "s"]).standings[0]
    assert standing.devices == {"cpu on nano": 1, "cpu on vm-1": 1}


def test_a_metric_to_be_maximised_is_shown_as_it_is(store: Store) -> None:
    """The store minimises its negative."""
    goal = {"metric": "accuracy", "direction": "maximize"}
    study(store, "s", **goal)
    result = {"loss": -0.75, "accuracy": 0.75}
    done(store, 0, adam(0.1), result=result, goal=Goal("accuracy", "maximize"))
    standing = compare(store, ["s", "s"]).standings[0]
    assert (standing.mean, standing.median) == (0.75, 0.75)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"objective": "mine"}, r"different objectives \(digits.py:train, mine\)"),
        (
            {"metric": "accuracy", "direction": "maximize"},
            r"different metrics \(loss to minimize, accuracy to maximize\)",
        ),
        ({"dataset": {"content_hash": "0" * 64}}, "different data sets"),
    ],
)
def test_unlike_studies_are_not_ranked(
    home: Home, store: Store, mongo_uri: str, spec: dict[str, object], why: str
) -> None:
    """They are shown side by side, and a sentence says why no more."""
    searched(store, "a", [0.5])
    study(store, "b", **spec)
    ran = home.call("study", "compare", "a", "b", HYPERHIVE_MONGO=mongo_uri)
    assert ran.returncode == 0
    assert "cannot be ranked against each other: they have " in ran.stdout
    assert "worst one's best" not in ran.stdout
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(compare(store, ["a", "b"]).why_not_ranked)


def test_the_command_prints_a_column_for_each_study(
    home: Home, store: Store, mongo_uri: str
) -> None:
    """A study without a result is one too; fewer than two, or an unknown one, is refused."""
    searched(store, "a", [0.5, 0.25])
    searched(store, "b", [0.4])
    study(store, "c")
    said = home.run("study", "compare", "a", "b", "c", HYPERHIVE_MONGO=mongo_uri).stdout
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines()]
    table = {cells[0]: cells[1:] for cells in lines if cells}
    heads = [cell.strip() for cell in said.splitlines()[2].split("┃")[1:-1]]
    assert heads == ["", "a (the best)", "b", "c"]
    assert table["trials"] == ["2 done, 0 failed", "1 done, 0 failed", "0 done, 0 failed"]
    assert table["best"] == ["trial 1: loss 0.25", "trial 0: loss 0.4", "no result"]
    assert table["trials to the worst one's best"] == ["2", "1", "none did"]
    assert table["devices"] == ["wa: 2", "wb: 1", ""]
    with pytest.raises(UsageError, match="two studies or more"):
        compare(store, ["a"])
    with pytest.raises(NotFound):
        compare(store, ["a", "x"])
