"""The outgoing side of one socket: at once while the peer keeps up, a bounded queue while it does not.

Nothing here makes a task per frame. A task exists only while a peer is behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .conf import CLOSE_GRACE, QUEUE_BYTES, QUEUE_FRAMES
from .frames import Frame
from .stats import counters

logger = logging.getLogger(__name__)

AsgiSend = Callable[[Any], Awaitable[None]]


class _Rest:
    """Awaits what is left of a coroutine that was stepped once and waits for ``first``."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], first: Any) -> None:
        self._coroutine = coroutine
        self._first = first

    def __await__(self) -> Generator[Any, Any, None]:
        waiting = self._first
        try:
            while True:
                try:
                    answer = yield waiting
                except BaseException as error:
                    waiting = self._coroutine.throw(error)
                else:
                    waiting = self._coroutine.send(answer)
        except StopIteration:
            return


class SocketWriter:
    """Writes through the ASGI ``send`` of any server.

    ``send`` usually has nothing to wait for; then it is stepped once and is done, without a task.
    ``on_slow`` is called once, when durable frames overflow the queue. ``transport`` is what lies below, where it
    is known: ASGI itself has no way to end the connection of a peer that does not read.
    """

    def __init__(
        self, send: AsgiSend, on_slow: Callable[[], None], transport: asyncio.Transport | None = None
    ) -> None:
        self.closed = False
        self._overflowed = False
        self._send = send
        self._lower = transport
        self._on_slow = on_slow
        self._queue: deque[Frame] = deque()
        self._queued_bytes = 0
        self._flusher: asyncio.Task[None] | None = None

    def push(self, frame: Frame) -> None:
        """Send ``frame`` now, or queue it, or drop it when it is ephemeral and the peer is behind."""
        if self.closed or self._overflowed:
            return
        if not self._queue and self._write(frame):
            counters.delivered += len(frame.parts) or 1
            return
        for part in frame.parts or (frame,):
            self._enqueue(part)

    async def close(self, code: int, reason: str = "") -> bool:
        """Send what waits and the close frame; nothing is sent afterwards.

        False when the peer did not take the close frame within CLOSE_GRACE; the connection is cut then, where
        the transport is known.
        """
        if self.closed:
            return True
        self.closed = True
        try:
            async with asyncio.timeout(CLOSE_GRACE):
                if self._flusher is not None:
                    await asyncio.wait([self._flusher])
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except TimeoutError:
            self.release()
            if self._lower is not None:
                self._lower.abort()
            return False
        except (OSError, RuntimeError):
            # The peer was faster: uvicorn raises ClientDisconnected, an OSError, others RuntimeError.
            self.release()
            return True
        if self._lower is not None:
            # A peer that does not complete the closing handshake is not waited for.
            asyncio.get_running_loop().call_later(CLOSE_GRACE, self._lower.abort)
        return True

    def release(self) -> None:
        """The connection is gone: forget what was meant for it."""
        self.closed = True
        self._queue.clear()
        if self._flusher is not None:
            self._flusher.cancel()
            self._flusher = None

    def _enqueue(self, frame: Frame) -> None:
        if self._overflowed:
            return
        queue = self._queue
        if frame.ephemeral and len(queue) >= QUEUE_FRAMES // 2:
            counters.dropped += 1
            return
        if len(queue) >= QUEUE_FRAMES or self._queued_bytes + len(frame.text) > QUEUE_BYTES:
            self._drop_ephemeral()
            if len(queue) >= QUEUE_FRAMES or self._queued_bytes + len(frame.text) > QUEUE_BYTES:
                self._overflow()
                return
        queue.append(frame)
        self._queued_bytes += len(frame.text)
        if self._flusher is None:
            self._flusher = asyncio.get_running_loop().create_task(self._flush())

    def _drop_ephemeral(self) -> None:
        kept = [frame for frame in self._queue if not frame.ephemeral]
        counters.dropped += len(self._queue) - len(kept)
        self._queue.clear()
        self._queue.extend(kept)
        self._queued_bytes = sum(len(frame.text) for frame in kept)

    def _overflow(self) -> None:
        counters.closed_slow += 1
        counters.dropped += len(self._queue) + 1
        self._queue.clear()
        self._queued_bytes = 0
        self._overflowed = True
        self._on_slow()

    async def _flush(self) -> None:
        try:
            while self._queue:
                frame = self._queue.popleft()
                self._queued_bytes -= len(frame.text)
                await self._write_waiting(frame)
                counters.delivered += 1
        except (OSError, RuntimeError):
            self.closed = True
            self._queue.clear()
        finally:
            self._flusher = None

    async def _write_waiting(self, frame: Frame) -> None:
        await self._send({"type": "websocket.send", "text": frame.text.decode()})

    def _write(self, frame: Frame) -> bool:
        """Write without waiting; False when it must be queued."""
        if self._flusher is not None or frame.parts:
            return False
        message = {"type": "websocket.send", "text": frame.text.decode()}
        step = cast(Coroutine[Any, Any, None], self._send(message))
        try:
            waiting = step.send(None)
        except StopIteration:
            return True
        except (OSError, RuntimeError):
            self.closed = True
            return True
        self._flusher = asyncio.get_running_loop().create_task(self._finish(_Rest(step, waiting)))
        return True

    async def _finish(self, rest: Awaitable[None]) -> None:
        try:
            await rest
        except (OSError, RuntimeError):
            self.closed = True
        await self._flush()


class UvicornWriter(SocketWriter):
    """Hands the finished WebSocket frame to Uvicorn's transport.

    A text frame of a server is the same bytes for every socket when no extension is in use, so it is built
    once per publish and not once per socket. Control and close frames stay with Uvicorn.
    """

    def __init__(
        self, send: AsgiSend, on_slow: Callable[[], None], protocol: WebSocketsSansIOProtocol
    ) -> None:
        super().__init__(send, on_slow, protocol.transport)
        self._protocol = protocol
        self._transport = protocol.transport
        self._is_writable = protocol.writable.is_set

    def _write(self, frame: Frame) -> bool:
        if not self._is_writable() or self._flusher is not None:
            return False
        if self._protocol.close_sent or self._transport.is_closing():
            self.closed = True
            return True
        self._transport.write(frame.wire)
        return True

    async def _write_waiting(self, frame: Frame) -> None:
        await self._protocol.writable.wait()
        if self._protocol.close_sent or self._transport.is_closing():
            raise ConnectionResetError("the peer is gone")
        self._transport.write(frame.wire)


def open_writer(send: AsgiSend, on_slow: Callable[[], None]) -> SocketWriter:
    """The fastest writer for an accepted socket."""
    protocol = getattr(send, "__self__", None)
    if not isinstance(protocol, WebSocketsSansIOProtocol):
        return SocketWriter(send, on_slow)
    if protocol.conn.extensions:
        return SocketWriter(send, on_slow, protocol.transport)
    return UvicornWriter(send, on_slow, protocol)
