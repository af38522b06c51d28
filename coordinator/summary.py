"""The last words of a study: the best configuration, what it is worth, where it lies."""

from rich.table import Table

from coordinator.picture import hyperparameters
from coordinator.run import Result
from model.checkpoint import WEIGHTS_FILE


def summary(result: Result) -> Table:
    """Return the result as a table of a few lines."""
    card = result.card
    table = Table.grid(padding=(0, 2))
    table.add_row("best", "trial {}: {}".format(result.winner.tid, hyperparameters(result.winner)))
    table.add_row("untuned", "{} of validation images".format(_percent(result.untuned_accuracy)))
    table.add_row("tuned", "{} of validation images".format(_percent(card.validation_accuracy)))
    retrained = " (refitted on training and validation data)" if card.config["train_on_all"] else ""
    table.add_row(
        "test", "[bold green]{}[/] of test images{}".format(_percent(card.test_accuracy), retrained)
    )
    table.add_row("model", str(result.folder / WEIGHTS_FILE))
    if result.picture is not None:
        table.add_row("picture", str(result.picture))
    table.add_row("try it", "predict-cam --model {}".format(result.folder))
    return table


def _percent(share: "float | None") -> str:
    return "unknown" if share is None else "{:.1%}".format(share)
