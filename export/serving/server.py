"""Starts a server, and stops it so that nothing is lost that it accepted."""

import asyncio
import contextlib
import functools
import logging
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn

from export.scoring.runtime.network_devices import NetworkDevices
from export.scoring.runtime.processor import compare_with_verdict
from export.serving.application import ServerState, make_application
from export.serving.config import ServingConfig
from export.serving.connections import TimedProtocol
from export.serving.image_scorer import ImageScorer
from export.serving.listener import (
    address_of,
    open_listener,
    refuse_new_connections,
    share_port,
)
from export.serving.metrics import ServingMetrics

_LOGGER = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Connections that the system has made and this process has not taken yet.
_BACKLOG = 2048
# Beside those of connections: of the model, of libraries, of images by URL.
_OTHER_FILES = 256
# Idle between two requests: longer than the 60 s of common balancers, which else send a request
# into a connection that is just being closed.
_IDLE_SECONDS = 75
# For connections and bytes that are on their way when the last connection was made.
_LAST_BYTES_SECONDS = 0.3
# For the request of a client that has connected: it would find its connection closed.
_FIRST_REQUEST_SECONDS = 2.0


def serve(config: ServingConfig) -> None:
    """Serves until SIGTERM or Ctrl-C, and then finishes what it accepted.

    Raises:
        ValueError: when the model cannot be used, as `NetworkSession`, or the port is taken.
    """
    with open_server(config) as server:
        server.serve_until_stopped()
    _LOGGER.info("Stopped.")


@contextlib.contextmanager
def open_server(config: ServingConfig) -> Iterator["GracefulServer"]:
    """A server whose model is loaded, and whose port nobody else can take."""
    with open_listener(config.host, config.port) as listener:
        devices = NetworkDevices.open(
            config.model, config.providers, config.devices, config.gpu_memory_mb, config.threads
        )
        session = devices.first
        if warning := compare_with_verdict(session.description, session.provider, config.model):
            _LOGGER.warning(warning)
        metrics, state = ServingMetrics(), ServerState()
        metrics.describe(session.sha256, session.placement)
        scorer = ImageScorer(config, devices, metrics)
        scorer.start()
        connections = _allow_connections(config.max_connections)
        settings = uvicorn.Config(
            make_application(config, scorer, metrics, state),
            http=functools.partial(TimedProtocol, config.request_seconds),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            limit_concurrency=connections + 1,  # It refuses the one that reaches the limit.
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=config.stop_seconds,
        )
        what = f"{config.model!r} on {session.placement}"
        yield GracefulServer(settings, listener, what, state, config.drain_seconds)


class GracefulServer(uvicorn.Server):
    """Stops in steps: not ready, no new connections, what was accepted, the end.

    Attributes:
        address: Its URL.

    Args:
        config: Of uvicorn.
        listener: A socket that is bound.
        what: What is served, for the log.
        state: Told when the stop begins.
        drain_seconds: How long connections are accepted after that.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        what: str,
        state: ServerState,
        drain_seconds: float,
    ):
        super().__init__(config)
        self.address = address_of(listener)
        self._listener = listener
        self._what = what
        self._state = state
        self._drain_seconds = drain_seconds

    def serve_until_stopped(self) -> None:
        """Returns when everything that was accepted has been answered."""
        self.run([self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn; the log has the address when it answers."""
        share_port(self._listener)
        await super().startup(sockets)
        _LOGGER.info(
            "Serving %s at %s (its page: /docs). SIGTERM or Ctrl-C stops it.",
            self._what,
            self.address,
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn when a signal came."""
        self._state.is_draining = True
        _LOGGER.info("Stopping: requests that were accepted are answered first.")
        await self._sleep(self._drain_seconds)
        refuse_new_connections(self._listener)
        # Those that were made just before are taken, and the bytes that are on their way.
        await self._sleep(_LAST_BYTES_SECONDS)
        for server in self.servers:
            server.close()
        await self._sleep(_FIRST_REQUEST_SECONDS, self._has_new_connections)
        await super().shutdown(sockets)

    def _has_new_connections(self) -> bool:
        """Whether a client has connected that has sent no request yet."""
        return any(connection.cycle is None for connection in self.server_state.connections)

    async def _sleep(self, seconds: float, is_needed: Callable[[], bool] = lambda: True) -> None:
        """As long as it is needed, and until a second signal at most."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while not self.force_exit and is_needed() and (left := end - clock()) > 0:
            await asyncio.sleep(min(left, 0.05))

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn, which sends the signal again in the end: a stop is no failure here."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Others hear of signals; they set `should_exit`.
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _allow_connections(wanted: int) -> int:
    """How many connections there may be: each is a file, of which a process may open so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        _LOGGER.warning(
            "At most %d connections instead of %d: this process may open %d files (ulimit -Hn).",
            max(hard - _OTHER_FILES, 1),
            wanted,
            hard,
        )
        wanted, needed = max(hard - _OTHER_FILES, 1), hard
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return wanted
