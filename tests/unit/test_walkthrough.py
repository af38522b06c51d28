"""The notebook as it is stored: complete, executed from top to bottom, and with no secret in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).resolve().parents[2] / "docs" / "walkthrough.ipynb"


@pytest.fixture(scope="module")
def notebook() -> Any:
    """Return the notebook, which is a valid one."""
    nbformat = pytest.importorskip("nbformat")
    read = nbformat.read(FILE, as_version=4)
    nbformat.validate(read)
    return read


def cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_was_executed_from_top_to_bottom(notebook: Any) -> None:
    """A reader sees what each cell gives, without running it, and no error."""
    counts = [cell.execution_count for cell in cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [output for cell in cells(notebook) for output in cell.outputs]
    assert "error" not in {output.output_type for output in outputs}
    assert {output.get("name") for output in outputs} <= {"stdout", None}
    shown = [form for output in outputs for form in output.get("data", {})]
    assert shown.count("image/png") == 2  # the losses, and the predictions
    assert "text/html" in shown  # the table
    assert FILE.stat().st_size < 300_000


def test_it_tells_nothing_of_the_machine_that_executed_it(notebook: Any) -> None:
    """No login of a server, and no path outside of the folder that it ran in."""
    text = FILE.read_text(encoding="utf-8")
    assert not re.findall(r"mongodb(?:\+srv)?://|(?<![\w.:])/(?:home|root|Users|tmp|work)/", text)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
