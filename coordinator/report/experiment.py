"""The page of an experiment with algorithms: its figures are drawn by the modules of the report."""

from __future__ import annotations

from typing import Any, Mapping

from hyperhive.common.wording import counted
from hyperhive.coordinator.report.page import document


def experiment_page(experiment: Mapping[str, Any]) -> bytes:
    """Return the page of an experiment as HTML in UTF-8.

    Args:
        experiment: what ``experiments.experiment.compared`` returned.
    """
    name, runs = experiment["name"], counted(experiment["runs"], "run")
    lines = [
        f"{group['workers']} workers, {group['trials']} trials: "
        + ", ".join(f"{row['algorithm']} {row['mean']:.4g}" for row in group["rows"])
        for group in experiment["groups"]
    ]
    heading = f"{name}: an experiment of {runs}"
    drawn_by = ("experiment.js", "drawExperiment")
    return document(f"{name} - hyperhive", heading, lines, experiment, *drawn_by)
