"""A browser's connection: how many there are, and how long one may keep the server waiting."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS = 128
"""Largest number at the same time. A browser opens up to six, and keeps them for a few seconds."""

PATIENCE_S = 10.0
"""Seconds after which a viewer that takes nothing, or that does not end its request, is dropped."""

_FAREWELL_S = 0.5
"""Seconds that a connection has for the end of its answer when the program ends."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Retry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class Connection(H11Protocol):
    """uvicorn's, with the bounds that it lacks: it waits for ever for slow and silent viewers."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Accept a connection, or refuse it if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.write(_FULL)
            transport.close()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Read a part of a request; the rest of it must come soon."""
        super().data_received(data)
        answering = self.cycle is not None and not self.cycle.response_complete
        if not answering and self._patience is None:
            self._wait()
        elif answering and not self.flow.write_paused:
            self._wait_no_more()

    def pause_writing(self) -> None:
        """Wait for a viewer that is slow to take what was sent."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """Go on: the viewer has taken most of it."""
        super().resume_writing()
        self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection that has ended."""
        self._wait_no_more()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End soon, because the program does, whether or not the viewer takes its answer."""
        super().shutdown()
        self.loop.call_later(_FAREWELL_S, self.transport.abort)

    def _wait(self) -> None:
        self._wait_no_more()
        self._patience = self.loop.call_later(PATIENCE_S, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
