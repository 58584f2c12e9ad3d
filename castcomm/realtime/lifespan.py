"""The end of a process: sockets are told to come back, a few at a time, before the server goes."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

from . import close_codes
from .conf import limits
from .connection import Connection
from .hub import Hub, existing_hub
from .writer import AsgiSend

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_STEP = 0.05  # seconds
_PATIENCE = 2.0  # seconds an event that is being handled may take until its socket is closed all the same

SignalHandler = Callable[[int, FrameType | None], Any]


async def lifespan(
    scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: AsgiSend
) -> None:
    """The ASGI lifespan protocol. Starts nothing: the hub starts with the first socket."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            if threading.current_thread() is threading.main_thread():
                _drain_before_exit(asyncio.get_running_loop())
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            hub = existing_hub()
            if hub is not None:
                await drain(hub)
                await hub.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return


async def drain(hub: Hub) -> None:
    """Close every socket with 1012, spread over the drain time, after the event it is busy with.

    The close reason says when to come back (``retry_ms=…``, random), so that the clients of a restarted
    process do not return all at once. New sockets are refused.
    """
    hub.draining = True
    waiting = list(hub.connections)
    random.shuffle(waiting)
    # Few sockets are gone in a moment; many are spread over the whole time.
    steps = min(max(1, round(limits().drain_seconds / _STEP)), 1 + len(waiting) // 20)
    spread_ms = min(30_000, 1_000 + 5 * len(waiting))
    closing: list[asyncio.Task[None]] = []
    for step in range(steps):
        for connection in waiting[step::steps]:
            closing.append(asyncio.ensure_future(_restart(connection, random.randrange(spread_ms))))  # noqa: S311
        if step + 1 < steps:
            await asyncio.sleep(_STEP)
    if closing:
        await asyncio.wait(closing)


async def _restart(connection: Connection, retry_ms: int) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE
    while connection.busy and loop.time() < deadline:
        await asyncio.sleep(0.01)
    await connection.close(close_codes.RESTART, f"restart retry_ms={retry_ms}")


def _drain_before_exit(loop: asyncio.AbstractEventLoop) -> None:
    """Let SIGTERM and SIGINT drain before they do what they would have done; a second one does not wait."""
    for number in _SIGNALS:
        server = signal.getsignal(number)
        if callable(server):
            signal.signal(number, _drain_then(server, loop))


def _drain_then(server: SignalHandler, loop: asyncio.AbstractEventLoop) -> SignalHandler:
    def on_signal(number: int, stack: FrameType | None) -> None:
        signal.signal(number, server)

        async def drain_and_exit(hub: Hub) -> None:
            try:
                await drain(hub)
            finally:
                server(number, None)

        def begin() -> None:
            hub = existing_hub()
            if hub is None:
                server(number, None)
            else:
                hub.spawn(drain_and_exit(hub))

        loop.call_soon_threadsafe(begin)

    return on_signal
