"""The options of predict-cam that act when the label changes. Nothing heavy is imported."""

from typing import Optional

import typer

from hyperhive.inference.acting.settings import DEFAULT_HOLD_S, ActingSettings

_ON_CHANGE = typer.Option(
    None,
    metavar="COMMAND",
    help="With --live: run this program when the label changes; it gets the change as JSON on "
    "standard input. The command is split into words as a shell does; there is no shell.",
)
_MQTT = typer.Option(
    None,
    metavar="mqtt://HOST/TOPIC",
    help="With --live: publish each change of the label to this topic, retained; mqtts:// uses "
    "TLS. Also the path of a file that contains the address, to keep a password out of the process "
    "list. Needs the extra mqtt.",
)
_WEBHOOK = typer.Option(
    None,
    metavar="URL",
    help="With --live: POST each change of the label as JSON to this address, or to the one that a "
    "file of this path contains.",
)
_HOLD = typer.Option(
    None,
    metavar="SECONDS",
    show_default=f"{DEFAULT_HOLD_S}",
    help="How long a label must last before --on-change, --mqtt and --webhook take it for a "
    "change.",
)


def act(
    on_change: Optional[str] = _ON_CHANGE,
    mqtt: Optional[str] = _MQTT,
    webhook: Optional[str] = _WEBHOOK,
    hold: Optional[float] = _HOLD,
) -> ActingSettings:
    """Return what these options ask for; raises ``UsageError`` for what makes no sense."""
    return ActingSettings(on_change, mqtt, webhook, hold)
