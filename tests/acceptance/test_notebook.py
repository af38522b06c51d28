"""The notebook docs/walkthrough.ipynb, executed by a real kernel in a home of its own."""

from __future__ import annotations

import pytest
from support.home import REPOSITORY, Home


@pytest.mark.long
def test_the_notebook_runs_from_top_to_bottom(home: Home) -> None:
    """Every cell runs without an error; the plot, the table and the predictions are there."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(REPOSITORY / "docs" / "walkthrough.ipynb", as_version=4)
    stored = [kinds(cell) for cell in notebook.cells]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    where = {"metadata": {"path": str(home.work)}}
    client = nbclient.NotebookClient(notebook, timeout=500, resources=where)
    client.execute(env=home.environment)
    assert [kinds(cell) for cell in notebook.cells] == stored
    assert (home.work / "models" / "walkthrough" / "model.safetensors").exists()
    home.is_empty()


def kinds(cell: object) -> set[str]:
    """Return what kinds of output a cell has: an image, text, a table."""
    outputs = getattr(cell, "outputs", [])
    return {form for output in outputs for form in output.get("data", [output.output_type])}
