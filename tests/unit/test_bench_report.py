"""``make bench`` renews what was measured, and leaves the rest of the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.report import Benchmark, renew

POINTS = {"title": "cost", "x": "trials", "y": "ms", "series": {"ours": [[10, 1], [1000, 2]]}}
WITH_A_CURVE = f"import sys, pathlib\npathlib.Path(sys.argv[2]).write_text({json.dumps(POINTS)!r})"


def test_one_section_is_renewed_and_a_failed_one_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Sections keep their order; one whose script fails stays as it was, and is named."""
    monkeypatch.setattr(report, "_conditions", lambda: "today.")
    scripts = {name: tmp_path / f"{name}.py" for name in ("first", "second")}
    first, second = (
        Benchmark(script, name.title(), f"What the {name} says.", has_curve=name == "first")
        for name, script in scripts.items()
    )
    page = tmp_path / "page.md"
    scripts["first"].write_text(f"{WITH_A_CURVE}\nprint('41 ms')")
    scripts["second"].write_text("print('42 ms')")
    assert renew(page, [first, second], [second]) == []
    assert renew(page, [first, second], [first, second]) == []
    before = page.read_text()
    assert "![cost](page/first.svg)" in before
    assert "<svg" in (tmp_path / "page" / "first.svg").read_text()
    scripts["second"].write_text("raise SystemExit('the peers are missing')")
    scripts["first"].write_text(f"{WITH_A_CURVE}\nprint('43 ms')")
    assert renew(page, [first, second], [second, first]) == ["second"]
    assert page.read_text() == before.replace("41", "43")
    assert before.index("42") > before.index("41")
    assert "the peers are missing" in capfd.readouterr().err
