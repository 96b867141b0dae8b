"""One connection of a client, which may not keep it for nothing."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


class TimedProtocol(H11Protocol):
    """Closes a connection on which no request becomes whole in time.

    uvicorn waits without end for the head of a request, and for the rest of a body that was
    answered early. The body of a request that is being answered is timed by who reads it.

    Args:
        request_seconds: Most time from the first to the last byte of a head, or from the beginning
            of a connection on.
        arguments: Of uvicorn.
    """

    def __init__(self, request_seconds: float, **arguments):
        super().__init__(**arguments)
        self._request_seconds = request_seconds
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering:
            self._stop_timer()
        elif not self.transport.is_closing():
            self._start_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # Also where another request, which came behind this one, is begun at once.
        if self._is_answering:
            self._stop_timer()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self._request_seconds, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if not self._is_answering:
            self.transport.abort()
