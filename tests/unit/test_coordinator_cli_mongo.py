"""What ``hyperhive mongo invite`` refuses before it asks the server."""

from __future__ import annotations

import pytest

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.cli.mongo import invite


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "0.0.0.0:27017", "0", "[::]", "[::]:27018", "[0:0::0]"]
)
@pytest.mark.parametrize("is_given", [True, False])
def test_the_address_of_every_interface_is_refused(host: str, is_given: bool) -> None:
    """The line would point each device at itself: --host must be given."""
    uri = "mongodb://admin:0@{}/hyperhive?tls=true".format("127.0.0.1:1" if is_given else host)
    with pytest.raises(UsageError, match=r"no device can reach .* pass --host"):
        invite("nano", "worker", host if is_given else None, uri)
