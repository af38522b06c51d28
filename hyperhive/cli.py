"""The commands ``hyperhive`` and ``predict-cam``: the parts' command lines, put together.

Nothing heavy is imported before a command runs, and every expected error of any part ends here, as
one sentence and an exit code: 1, the run failed; 2, wrong usage.
"""

import sys
from typing import Any

import typer

from hyperhive.common.errors import InputError
from hyperhive.coordinator.cli.best import best
from hyperhive.coordinator.cli.dashboard import dashboard
from hyperhive.coordinator.cli.search import coordinator, demo, mongo_app, status
from hyperhive.coordinator.cli.study import study_app
from hyperhive.store.errors import StoreError
from hyperhive.worker.benchmark.cli import benchmark
from hyperhive.worker.cli import worker

app = typer.Typer(
    name="hyperhive",
    help="Hyperparameter search over the machines you already own.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # else --help keeps the line breaks of the docstrings
    pretty_exceptions_enable=False,
)
for command in (demo, coordinator, worker, status, best, benchmark, dashboard):
    app.command()(command)
app.add_typer(study_app, name="study")
app.add_typer(mongo_app, name="mongo")

_EXTRAS = {
    "torch": "torch",
    "cv2": "camera",
    "httpx": "camera",
    "hyperopt": "coordinator",
    "onnx": "export",
    "matplotlib": "coordinator",
    "sklearn": "coordinator",
}
"""What is not installed everywhere, and the extra that brings it."""


def main() -> None:
    """Run ``hyperhive``."""
    _run(app)


def predict_cam() -> None:
    """Run ``predict-cam``."""
    from hyperhive.inference.cli import app as predict_app

    _run(predict_app)


def _run(command: Any) -> None:
    try:
        command()
    except (StoreError, InputError) as error:
        _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        _fail(
            f"this needs {error.name}: pip install 'hyperhive[{_EXTRAS[error.name]}]'",
            1,
        )
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        _fail(f"{where}{error.strerror}", 1)


def _fail(sentence: str, exit_code: int) -> None:
    sys.stderr.write(f"error: {sentence}\n")
    sys.exit(exit_code)
