"""The body of a request, within limits of size, time and memory."""

import asyncio
import contextlib
from collections.abc import Iterator

from starlette.requests import ClientDisconnect, Request

from export.serving.refusals import Refusal, busy

_MIB = 2**20
# Where the memory is full of bodies, what frees it is answers, which are quick, or time-outs.
_RETRY_SECONDS = 1


class BodyMemory:
    """Bytes of all bodies at one time, those that are being received included.

    Only for the event loop's thread.

    Args:
        most_bytes: All of them together.
    """

    def __init__(self, most_bytes: int):
        self._most_bytes = most_bytes
        self.held = 0

    def take(self, count: int) -> None:
        """Counts `count` bytes more.

        Raises:
            Refusal: 429 where there is no room; nothing is then counted.
        """
        if self.held + count > self._most_bytes:
            raise busy(
                f"The bodies of other requests fill {self._most_bytes // _MIB} MiB (--queue_mb)."
                " Send this one again later.",
                _RETRY_SECONDS,
            )
        self.held += count


class BodyReader:
    """Reads bodies.

    Args:
        most_bytes: Of one body.
        seconds: Most time from the head of a request to the end of its body.
        memory: Shared by all requests.
    """

    def __init__(self, most_bytes: int, seconds: float, memory: BodyMemory):
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._memory = memory

    @contextlib.contextmanager
    def counting(self) -> Iterator["_Body"]:
        """A body, which counts as held until the context ends."""
        body = _Body(self._memory, self._most_bytes)
        try:
            yield body
        finally:
            self._memory.held -= body.held

    async def read(self, request: Request, body: "_Body") -> bytes:
        """The whole body of a request.

        Raises:
            Refusal: 413 for one that is too large, by its own word or when it is, 408 for one that
                takes too long, 429 where there is no memory for it, 400 for one that breaks off.
        """
        # The server has checked that it is a number. What is not read here is left to the server,
        # which throws it away: so a client that still sends comes to the answer.
        body.check_size(int(request.headers.get("content-length", 0)))
        try:
            async with asyncio.timeout(self._seconds):
                async for chunk in request.stream():
                    body.add(chunk)
        except TimeoutError as error:
            raise Refusal(
                408,
                "slow_client",
                f"The body did not come within {self._seconds:g} s (--request_seconds).",
                {"Connection": "close"},
            ) from error
        except ClientDisconnect as error:
            raise Refusal(400, "disconnected", "The client left before its body ended.") from error
        return body.bytes()


class _Body:
    """What came of a body so far."""

    def __init__(self, memory: BodyMemory, most_bytes: int):
        self._memory = memory
        self._most_bytes = most_bytes
        self._chunks: list[bytes] = []
        self.held = 0

    def check_size(self, count: int) -> None:
        if count > self._most_bytes:
            raise Refusal(
                413,
                "too_large",
                f"The body has more than {self._most_bytes // _MIB} MiB (--max_body_mb). Send"
                " smaller images, or fewer at once.",
            )

    def add(self, chunk: bytes) -> None:
        self.check_size(self.held + len(chunk))
        self._memory.take(len(chunk))
        self.held += len(chunk)
        self._chunks.append(chunk)

    def bytes(self) -> bytes:
        whole = b"".join(self._chunks)
        self._chunks.clear()
        return whole
