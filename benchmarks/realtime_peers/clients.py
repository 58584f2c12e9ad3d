"""A load generator that only counts: WebSocket clients straight on asyncio protocols, no library in between.

Received frames are told apart by their length field alone; what they say is looked at only until a client is
ready. Frames are sent with an all-zero mask, so that one prepared frame serves every client.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

TEXT = {"text": "x" * 100}


def masked(payload: bytes) -> bytes:
    """A text frame of a client, masked with zeros."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size, 0, 0, 0, 0)) + payload
    return b"\x81\xfe" + size.to_bytes(2, "big") + b"\0\0\0\0" + payload


@dataclass(frozen=True)
class Dialect:
    """How to talk to one kind of server.

    ``steps`` lead a fresh socket into the room: (what the server's frame must start with, what to answer); the
    last answer is empty. ``ack`` and ``broadcast`` are what the two events look like.
    """

    path: str
    opening: bytes | None
    steps: tuple[tuple[bytes, bytes], ...]
    ack: bytes
    broadcast: bytes


CASTCOMM = Dialect(
    path="/ws/",
    opening=b'{"v":1,"id":"a","event":"auth","data":{"token":"any"}}',
    steps=(
        (
            b'{"ack":"a","event":"auth:success"',
            b'{"v":1,"id":"s","event":"subscribe","data":{"topic":"bench:room"}}',
        ),
        (b'{"ack":"s","event":"subscribe"', b""),
    ),
    ack=b'{"v":1,"id":"c17","event":"bench:ack","data":{"text":"%s"}}' % (b"x" * 100),
    broadcast=b'{"v":1,"event":"bench:broadcast","data":{"text":"%s"}}' % (b"x" * 100),
)
CHANNELS = Dialect(
    path="/",
    opening=b'{"v":1,"id":"a","event":"bench:ack","data":{}}',
    steps=((b'{"ack":', b""),),
    ack=CASTCOMM.ack,
    broadcast=CASTCOMM.broadcast,
)
SOCKETIO = Dialect(
    path="/socket.io/?EIO=4&transport=websocket",
    opening=None,
    steps=((b"0{", b"40"), (b"40{", b'420["join"]'), (b"430[", b"")),
    ack=b'421["ack",{"text":"%s"}]' % (b"x" * 100),
    broadcast=b'42["broadcast",{"text":"%s"}]' % (b"x" * 100),
)


class Client(asyncio.Protocol):
    """One socket. ``on_frames(count)`` is called with the number of frames that came in one read."""

    def __init__(self, dialect: Dialect) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_frames: Callable[[int], None] = lambda count: None
        self._dialect = dialect
        self._steps = list(dialect.steps)
        self._buffer = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            (
                f"GET {self._dialect.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
            ).encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"closed before it was ready: {self._buffer[:200]!r}"))

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        position = 0
        if not self._upgraded:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = data
                return
            if not data.startswith(b"HTTP/1.1 101"):
                self._buffer = data
                self.transport.abort()
                return
            self._upgraded = True
            position = end + 4
            if self._dialect.opening is not None:
                self.transport.write(masked(self._dialect.opening))
        count, total = 0, len(data)
        while position + 2 <= total:
            size, start = data[position + 1], position + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, start = int.from_bytes(data[start : start + width], "big"), start + width
            if start + size > total:
                break
            if self._steps:
                self._step(data[start : start + size])
            elif data[position] == 0x81:
                count += 1
            position = start + size
        self._buffer = data[position:]
        if count:
            self.on_frames(count)

    def _step(self, frame: bytes) -> None:
        expected, answer = self._steps[0]
        if not frame.startswith(expected):
            return
        self._steps.pop(0)
        if answer:
            self.transport.write(masked(answer))
        if not self._steps:
            self.ready.set_result(None)


async def connect(dialect: Dialect, port: int, count: int) -> list[Client]:
    """``count`` clients that are in the room."""
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for _ in range(count):
        _, client = await loop.create_connection(lambda: Client(dialect), "127.0.0.1", port)
        clients.append(client)
        if len(clients) % 50 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await asyncio.gather(*(client.ready for client in clients))
    return clients


def close(clients: list[Client]) -> None:
    for client in clients:
        client.transport.abort()
