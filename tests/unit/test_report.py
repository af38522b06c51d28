"""The report: what its one file holds, and the command that writes it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from support.home import Home

from hyperhive.coordinator.figures.study import figures
from hyperhive.coordinator.report.page import page
from hyperhive.coordinator.report.writing import keep_report, usual_file
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import ErrorKind
from hyperhive.store.trials.updates import new_token

SCRIPT = "</script><script>alert(1)</script>"


def searched(store: Store, name: str = "s") -> None:
    """Make a study with a trial that is done and one whose error is somebody's HTML."""
    space = {"x": {"distribution": "uniform", "low": 0, "high": 1}}
    spec = {"objective": "f", "space": space, "trials": 2, "max_attempts": 1}
    store.studies.open(name, spec)
    for tid in range(2):
        store.queue.post(Draft(name, tid, {"x": 0.5}, {"x": 0.5}, "f", max_attempts=1))
        trial = store.queue.claim("mac-1-abcdef", new_token(), ["f"], name)
        assert trial is not None
        if tid:
            store.queue.fail(trial, ErrorKind.OBJECTIVE, SCRIPT)
        else:
            store.queue.finish(trial.id, str(trial.token), {"status": "ok", "loss": 0.25})


def data_of(text: str) -> dict[str, Any]:
    """Return the figures in a report, as its script reads them."""
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, re.S)
    assert found is not None
    return dict(json.loads(found.group(1)))


def sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_page_allows_its_own_script_and_style_alone(store: Store) -> None:
    """Its policy names their hashes, and nothing is loaded from anywhere."""
    searched(store)
    text = page(figures(store, ["s"])).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    (script,) = re.findall(r'<script type="module">(.*?)</script>', text, re.S)
    assert policy is not None
    assert policy.group(1).split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{sha256(script)}'",
        f"style-src 'sha256-{sha256(style)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert not re.search(r"^(import|export) ", script, re.M)
    assert re.findall(r"""(?:src|href)=["'].*?["']|@import|url\(""", text) == ['href="data:,"']
    assert len(text.encode()) < 300_000


def test_what_somebody_wrote_is_no_html(store: Store) -> None:
    """An error's text is in the report as text, whatever it holds."""
    searched(store)
    text = page(figures(store, ["s"])).decode()
    assert SCRIPT not in text
    assert SCRIPT in str(data_of(text)["studies"][0]["trials"]["note"])
    assert text.count("<script") == 2


def test_the_command_writes_a_file_that_has_its_studies(
    store: Store, mongo_uri: str, home: Home
) -> None:
    """Here if nobody says where; several studies are in one report, a name twice counts once."""
    for name in ("a", "b"):
        searched(store, name)
    uri = {"HYPERHIVE_MONGO": mongo_uri}
    done = home.call("report", "a", **uri)
    assert (done.returncode, done.stdout) == (0, "report written: a-report.html\n"), done.stderr
    file = home.work / "both.html"
    assert home.call("report", "a", "b", "a", "--output", str(file), **uri).returncode == 0
    found = data_of(file.read_text(encoding="utf-8"))
    assert [study["name"] for study in found["studies"]] == ["a", "b"]
    missing = home.call("report", "c", **uri)
    assert missing.returncode == 1
    assert "no study 'c'" in missing.stderr


def test_a_report_that_cannot_be_written_loses_no_result(store: Store, tmp_path: Path) -> None:
    """The study has ended: its summary says why there is no file, and how to get one."""
    searched(store)
    written = keep_report(store, "s", tmp_path / "models" / "s")
    assert written == str(tmp_path / "models" / "s" / "report.html")
    (tmp_path / "file").touch()
    said = keep_report(store, "s", tmp_path / "file" / "s")
    assert "cannot be written" in said
    assert "hyperhive report s --output FILE" in said


def test_a_report_is_called_after_its_studies() -> None:
    """An experiment's name may be no name of a file."""
    assert str(usual_file(["pets"])) == "pets-report.html"
    assert str(usual_file(["a", "../b c"])) == "a-..-b-c-report.html"
