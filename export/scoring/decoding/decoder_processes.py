"""Decoder processes, which load pieces of batches; one that dies is replaced."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import logging
import os
import socket
import threading
from collections.abc import Sequence
from multiprocessing import connection

import numpy as np

from export.images.image_header import ImageError
from export.scoring.decoding.fork_server import ForkServer
from export.scoring.decoding.loading import LoadedInput, LoadingSettings, SlotInputs
from export.scoring.decoding.shared_budget import map_held_bytes
from export.scoring.decoding.shared_memory import make_memory, map_array
from export.scoring.decoding.worker import Outcome, WorkerSettings, decode

_LOGGER = logging.getLogger(__name__)
_SECONDS_TO_START = 60.0
_PIECES_AHEAD = 2  # One is worked at while another is on its way.
_DIED = (
    "A decoder process died at it, and another one that tried again: killed by the system, which"
    " ran out of memory, or by a fault of a decoder library. Give a smaller --decoding_memory_mb or"
    " fewer --decoders, or convert the image."
)


@dataclasses.dataclass
class _Task:
    """What was submitted: one future for inputs that may be loaded in several pieces."""

    batch: int
    count: int
    future: concurrent.futures.Future[list[LoadedInput]] = dataclasses.field(
        default_factory=concurrent.futures.Future
    )
    loaded: dict[int, LoadedInput] = dataclasses.field(default_factory=dict)

    def add(self, loaded: dict[int, LoadedInput]) -> None:
        """Takes what was loaded of it, by slot."""
        self.loaded |= loaded
        if len(self.loaded) == self.count:
            self.future.set_result([self.loaded[slot] for slot in sorted(self.loaded)])


@dataclasses.dataclass(frozen=True)
class _Piece:
    """What one process is asked at once; `is_suspect`: a process died at its only input."""

    task: _Task
    inputs: SlotInputs
    is_suspect: bool = False


@dataclasses.dataclass
class _Worker:
    socket: socket.socket
    connection: connection.Connection
    process: int
    place: int
    pieces: collections.deque[_Piece] = dataclasses.field(default_factory=collections.deque)

    def hang_up(self) -> None:
        """Ends the connection, which both sides notice."""
        with contextlib.suppress(OSError):  # The other side did.
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class DecoderProcesses:
    """Loads inputs into the slots of a ring of batches, in processes.

    A process that dies (killed by the system, or by a fault of a decoder library) is replaced. What
    it was at is done again by others, input by input: one at which a second process dies becomes
    an error `decoder_died`.

    Attributes:
        images: The ring, `[batches, slots, height, width, 3]`.
        piece_size: Inputs that are best submitted at once.

    Args:
        count: Number of processes.
        settings: How inputs are loaded.
        shape: Of the ring.
        dtype: Of the ring.
        budget_bytes: What images being decoded may take in all processes together.

    Raises:
        OSError: when there is not enough memory, or no process can be started.
    """

    piece_size = 8

    def __init__(
        self,
        count: int,
        settings: LoadingSettings,
        shape: tuple[int, ...],
        dtype: str,
        budget_bytes: int,
    ):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self._settings = WorkerSettings(settings, shape, dtype, count, 0, budget_bytes)
        self._memories = [make_memory("batches", size)]
        self._queue: collections.deque[_Piece] = collections.deque()
        self._lock = threading.Lock()
        self._is_closed = False
        self._fault: BaseException | None = None
        self._workers: list[_Worker] = []
        self._server: ForkServer | None = None
        try:
            self._memories.append(make_memory("decoding memory", 8 * count))
            self.images = map_array(self._memories[0], shape, dtype)
            self._held_bytes = map_held_bytes(self._memories[1], count)
            self._server = ForkServer()
            self._workers += self._start(range(count))
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._receive, daemon=True).start()

    @property
    def process_numbers(self) -> list[int]:
        """The system's numbers of the processes that are at work."""
        return [worker.process for worker in self._workers]

    def submit(
        self, batch: int, inputs: SlotInputs
    ) -> concurrent.futures.Future[list[LoadedInput]]:
        """Loads inputs into slots of a batch; the future has them, by ascending slot."""
        task = _Task(batch, len(inputs))
        with self._lock:
            if self._fault:
                raise self._fault
            self._queue.append(_Piece(task, inputs))
            self._send()
        return task.future

    def close(self) -> None:
        """Ends all processes, whatever they are at."""
        with self._lock:
            self._is_closed = True
        for worker in self._workers:
            worker.hang_up()
        if self._server:
            self._server.close()
        for descriptor in self._memories:
            os.close(descriptor)
        self._memories = []

    def _send(self) -> None:
        """Gives pieces of the queue to those with the least to do; under the lock."""
        while self._queue:
            worker = min(self._workers, key=lambda worker: len(worker.pieces))
            if len(worker.pieces) >= _PIECES_AHEAD:
                return
            piece = self._queue.popleft()
            worker.pieces.append(piece)
            # It may have died: then its pieces come back when `_receive` sees it.
            with contextlib.suppress(OSError):
                worker.connection.send((piece.task.batch, piece.inputs))

    def _receive(self) -> None:
        """Takes answers and replaces the dead, in a thread of its own, until all is closed."""
        try:
            while not self._is_closed:
                workers = {worker.connection: worker for worker in self._workers}
                ready = set(connection.wait(list(workers)))
                for link, worker in workers.items():
                    if link not in ready:
                        continue
                    try:
                        answer = link.recv()
                    except (EOFError, OSError):
                        self._replace(worker)
                    else:
                        self._take(worker, answer)
        except BaseException as error:  # Raised again in those who wait.
            self._fail(error)
        finally:
            if self._is_closed and self._server:  # It may be a new one.
                self._server.close()

    def _take(self, worker: _Worker, answer: list[Outcome] | str) -> None:
        with self._lock:
            piece = worker.pieces.popleft()
            self._send()
        task = piece.task
        if isinstance(answer, str):
            if not task.future.done():
                task.future.set_exception(RuntimeError(f"A decoder process failed:\n{answer}"))
            return
        slots = self.images[task.batch]
        task.add(
            {
                slot: decode(outcome, value, slots[slot])
                for (slot, value), outcome in zip(piece.inputs, answer, strict=True)
            }
        )

    def _replace(self, dead: _Worker) -> None:
        if self._is_closed:
            return
        _LOGGER.warning(
            "Decoder process %d died: killed by the system, which ran out of memory, or by a fault"
            " of a decoder library. Another one takes its place.",
            dead.process,
        )
        self._held_bytes[dead.place] = 0
        dead.hang_up()
        try:
            (worker,) = self._start([dead.place])
        except OSError:  # The server, which forks them, may have died too.
            if self._is_closed:
                return
            if self._server:
                self._server.close()
            self._server = ForkServer()
            (worker,) = self._start([dead.place])
        with self._lock:
            self._workers[dead.place] = worker
            pieces = list(dead.pieces)
            self._queue.extendleft(reversed(self._divide(pieces[0]) + pieces[1:] if pieces else []))
            self._send()

    def _divide(self, piece: _Piece) -> list[_Piece]:
        """What is done again of a piece at which a process died."""
        if not piece.is_suspect:
            return [_Piece(piece.task, [one], is_suspect=True) for one in piece.inputs]
        ((slot, value),) = piece.inputs
        self.images[piece.task.batch, slot] = 0
        error = ImageError("decoder_died", _DIED)
        piece.task.add({slot: LoadedInput(value, error=error)})
        return []

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._fault = error
            pieces = [*self._queue, *(piece for w in self._workers for piece in w.pieces)]
        for piece in pieces:
            if not piece.task.future.done():
                piece.task.future.set_exception(error)

    def _start(self, places: Sequence[int]) -> list[_Worker]:
        """New processes; returns when they are ready."""
        if self._server is None:
            raise OSError("the server that forks decoder processes was not started")
        workers = []
        for place in places:
            ours, theirs = socket.socketpair()
            with theirs:
                self._server.fork([theirs.fileno(), *self._memories])
            # A descriptor of its own: each closes what it has.
            link = connection.Connection(os.dup(ours.fileno()))
            workers.append(_Worker(ours, link, 0, place))
        for worker in workers:
            try:
                worker.connection.send(dataclasses.replace(self._settings, place=worker.place))
                if not worker.connection.poll(_SECONDS_TO_START):
                    raise OSError(f"a decoder process did not start in {_SECONDS_TO_START:g} s")
                worker.process = worker.connection.recv()
            except (EOFError, ConnectionError) as error:
                raise OSError("a decoder process ended before it began") from error
        return workers
