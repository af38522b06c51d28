"""The option ``--when-done``: a command that runs when a study has come to its end."""

import json
import os
import subprocess
from typing import Any, Callable, Optional

import typer

from hyperhive.common.console import tell

WHEN_DONE = typer.Option(
    None,
    "--when-done",
    metavar="COMMAND",
    help="Run this through the shell when the study has come to its end. It finds HYPERHIVE_STUDY, "
    "HYPERHIVE_BEST_LOSS, HYPERHIVE_BEST_CONFIG (JSON) and HYPERHIVE_FINISH_REASON in its "
    "environment. A study that had ended before does not run it again.",
)


def runner(command: Optional[str]) -> Callable[[str, Any], None]:
    """Return what is to be done with a study's name and ``Result`` when it has ended."""

    def run(study: str, result: Any) -> None:
        if command is None:
            return
        loss = result.winner.loss
        variables = {
            "HYPERHIVE_STUDY": study,
            "HYPERHIVE_BEST_LOSS": "" if loss is None else repr(loss),
            "HYPERHIVE_BEST_CONFIG": json.dumps(result.winner.config),
            "HYPERHIVE_FINISH_REASON": result.finish_reason or "",
        }
        environment = {**os.environ, **variables}
        code = subprocess.run(command, shell=True, env=environment).returncode  # noqa: S602
        if code != 0:
            tell(f"--when-done: exit code {code} of {command}", "yellow")

    return run
