"""A study's trials as rows, as CSV, as JSON and as a data frame."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
import types
from pathlib import Path

import pytest
from support.home import Home
from support.results import adam, done, failed, sgd, small_study, study

from hyperhive.common.errors import OutputError
from hyperhive.coordinator.results.export import as_csv, as_json, require_target
from hyperhive.coordinator.results.table import MissingPackage, dataframe, rows
from hyperhive.store.errors import NotFound
from hyperhive.store.store import Store

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_row_has_all_that_is_known_of_a_trial(store: Store) -> None:
    """Rows have the same columns, numbers stay numbers, and what a trial lacks is None."""
    small_study(store)
    store.workers.report("w", None, "cpu (4 cores)", {}, None)
    table = rows(store, "s")
    assert list(table[0]) == [
        *("number", "purpose", "status", "loss", "metrics.accuracy"),
        *("config.lr", "config.optimizer.kind", "config.optimizer.momentum", "values.optimizer"),
        *("started", "finished", "seconds", "device", "worker", "attempts", "error"),
    ]
    assert {tuple(row) for row in table} == {tuple(table[0])}
    states = ["done", "done", "failed", "running", "waiting"]
    assert [row["status"] for row in table] == states
    first, failure, waiting = table[0], table[2], table[4]
    assert (first["loss"], first["metrics.accuracy"], first["values.optimizer"]) == (0.25, 0.75, 1)
    assert (first["config.optimizer.momentum"], failure["config.optimizer.momentum"]) == (0.5, None)
    assert ISO.fullmatch(first["started"])
    assert first["started"] <= first["finished"]
    assert first["seconds"] >= 0
    assert (first["device"], first["worker"]) == ("cpu (4 cores)", "w")
    assert failure["error"] == "objective: ValueError: no such layer"
    assert (waiting["started"], waiting["device"], waiting["attempts"]) == (None, None, 0)


def test_the_device_is_what_the_result_says_else_the_worker(store: Store) -> None:
    """A worker's record is kept for a day; its id is always there."""
    study(store)
    done(store, 0, adam(0.01), result={"loss": 1.0, "trained_on": {"device": "cuda (H200)"}})
    done(store, 1, adam(0.01), result={"loss": 1.0, "trained_on": "rubbish"})
    assert [row["device"] for row in rows(store, "s")] == ["cuda (H200)", "w"]


def test_trials_beside_the_search_follow_it(store: Store) -> None:
    """The column ``purpose`` tells them apart; a study that is not there is refused."""
    study(store)
    done(store, 1, adam(0.01), result={"loss": 1.0}, purpose="refit")
    done(store, 0, adam(0.01), result={"loss": math.nan, "diverged": True}, purpose="baseline")
    done(store, 2, adam(0.01), result={"loss": 1.0})
    table = rows(store, "s")
    assert [(row["purpose"], row["number"]) for row in table] == [
        *[("search", 2), ("baseline", 0), ("refit", 1)]
    ]
    assert table[1]["status"] == "diverged"
    assert math.isnan(table[1]["loss"])
    with pytest.raises(NotFound, match="its studies are s"):
        rows(store, "t")


def test_csv_is_read_back_as_it_was(store: Store) -> None:
    """RFC 4180: lines end with CR LF, and what has a comma or a quote is quoted."""
    study(store)
    odd = {"name": 'a "b", ü', "layers": [1, 2], "on": True, "momentum": -0.5}
    done(store, 0, (odd, {}), result={"loss": 0.1 + 0.2})
    data = as_csv(store, "s")
    assert data.count(b"\r\n") == 2
    (row,) = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))
    assert row["config.name"] == odd["name"]
    assert (row["config.layers"], row["config.on"]) == ("[1, 2]", "true")
    assert (row["config.momentum"], float(row["loss"]), row["error"]) == ("-0.5", 0.1 + 0.2, "")


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1+1"])
def test_no_text_of_a_worker_is_a_formula(store: Store, formula: str) -> None:
    """Such a text begins with an apostrophe; one with control characters is escaped."""
    study(store)
    done(store, 0, ({"note": formula, "tab": "\t=1\x1b[2J"}, {}), result={"loss": 1.0})
    (row,) = csv.DictReader(io.StringIO(as_csv(store, "s").decode()))
    assert row["config.note"] == "'" + formula
    assert row["config.tab"] == r"\t=1\x1b[2J"


def test_a_study_without_trials_is_a_table_without_rows(store: Store) -> None:
    """Its columns are those of every study."""
    study(store)
    assert as_csv(store, "s").startswith(b"number,purpose,status,loss,started,")
    assert json.loads(as_json(store, "s"))["trials"] == []


def test_json_has_the_study_and_no_value_that_json_lacks(store: Store) -> None:
    """NaN is null; the text is ASCII without control characters, for any terminal."""
    spec = study(store)
    point = sgd(0.01, 0.5)
    done(store, 0, point, result={"loss": math.nan, "says": "\x9b2J ü", "data": b"x"})
    failed(store, 1, point, "boom")
    data = as_json(store, "s")
    assert data.isascii()
    found = json.loads(data)
    assert (found["hyperhive"], found["study"], found["spec"]) == (1, "s", spec)
    assert ISO.fullmatch(found["created"])
    first, second = found["trials"]
    assert first["result"] == {"loss": None, "says": "\x9b2J ü", "data": "b'x'"}
    assert (first["config"], first["vals"], first["error"]) == (*point, None)
    assert (second["status"], second["result"]) == ("failed", None)
    assert second["error"] == {"kind": "objective", "message": "boom"}


def test_a_target_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Before anything is read; a device is not replaced by a file."""
    require_target(tmp_path / "new.csv")
    for path, words in {
        tmp_path: "is no file",
        Path("/dev/null"): "is no file",
        tmp_path / "missing" / "x.csv": "is no folder",
    }.items():
        with pytest.raises(OutputError, match=words):
            require_target(path)


def test_a_data_frame_needs_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no dependency: without it one sentence says what to install."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackage, match="pip install pandas"):
        dataframe([])
    frames = types.SimpleNamespace(DataFrame=lambda data, columns: (data, columns))
    monkeypatch.setitem(sys.modules, "pandas", frames)
    assert dataframe([{"number": 0, "loss": 1.0}]) == (
        [{"number": 0, "loss": 1.0}],
        ["number", "loss"],
    )


def test_the_command_writes_a_file_or_standard_output(
    home: Home, store: Store, mongo_uri: str
) -> None:
    """Both are the same bytes; exactly one of the two forms is asked for."""
    small_study(store)

    def export(*arguments: str) -> tuple[int, str]:
        ran = home.call("study", "export", "s", *arguments, HYPERHIVE_MONGO=mongo_uri)
        return ran.returncode, ran.stdout + ran.stderr

    assert export("--csv", "s.csv") == (0, "study s written: s.csv\n")
    assert (home.work / "s.csv").read_bytes() == as_csv(store, "s")
    shown = home.run("study", "export", "s", "--json", "-", HYPERHIVE_MONGO=mongo_uri)
    assert shown.stdout.encode() == as_json(store, "s")
    for arguments in ((), ("--csv", "a", "--json", "b")):
        assert export(*arguments) == (2, "error: give either --csv FILE or --json FILE\n")
    assert not (home.work / "a").exists()
