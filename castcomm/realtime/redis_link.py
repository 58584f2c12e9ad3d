"""One connection to Redis for an event loop: commands out, replies to a callback, nothing in between.

redis-py's asynchronous client costs a task switch and a time-out object per message; a hub that gets
thousands of messages a second is fed straight from the socket by hiredis instead.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, cast

import hiredis
from redis.asyncio.connection import SSLConnection, parse_url

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 2.0  # seconds
MAX_UNSENT_BYTES = 4 * 1024 * 1024

Reply = Any


class RedisRefused(OSError):
    """Redis answered the opening of the connection with an error."""


class RedisLink(asyncio.Protocol):
    """A RESP2 connection. ``on_reply`` gets every reply, ``on_lost`` is called once at the end."""

    def __init__(self, on_reply: Callable[[Reply], None], on_lost: Callable[[], None]) -> None:
        self.on_reply = on_reply
        self.last_heard = 0.0
        self._on_lost = on_lost
        self._reader = hiredis.Reader()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.last_heard = self._loop.time()

    def data_received(self, data: bytes) -> None:
        self.last_heard = self._loop.time()
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self.on_reply(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_lost()

    def send(self, *command: str | bytes) -> bool:
        """Send without waiting; False when the connection is gone or Redis does not take what was sent."""
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            return False
        transport.write(hiredis.pack_command(cast(Any, command)))
        return True

    def abort(self) -> None:
        """Cut the connection; ``on_lost`` follows."""
        if self._transport is not None:
            self._transport.abort()


def _tls_context(options: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    if options.get("ssl_cert_reqs") in ("none", None) and "ssl_cert_reqs" in options:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.get("ssl_certfile"):
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    return context


async def open_link(url: str, on_reply: Callable[[Reply], None], on_lost: Callable[[], None]) -> RedisLink:
    """Connect to a redis://, rediss:// or unix:// URL and sign in.

    Raises OSError or TimeoutError when Redis cannot be reached within CONNECT_TIMEOUT or refuses.
    """
    async with asyncio.timeout(CONNECT_TIMEOUT):
        link = await _connect(url, on_reply, on_lost)
        try:
            await _sign_in(link, cast(dict[str, Any], parse_url(url)))
        except BaseException:
            link.abort()
            raise
        link.on_reply = on_reply
        return link


async def _connect(url: str, on_reply: Callable[[Reply], None], on_lost: Callable[[], None]) -> RedisLink:
    options = cast(dict[str, Any], parse_url(url))
    loop = asyncio.get_running_loop()

    def make() -> RedisLink:
        return RedisLink(on_reply, on_lost)

    if "path" in options:
        _, link = await loop.create_unix_connection(make, options["path"])
    else:
        tls = _tls_context(options) if options.get("connection_class") is SSLConnection else None
        host, port = options.get("host", "localhost"), options.get("port", 6379)
        _, link = await loop.create_connection(make, host, port, ssl=tls)
    return link


async def _sign_in(link: RedisLink, options: dict[str, Any]) -> None:
    commands: list[tuple[str, ...]] = []
    if options.get("password"):
        user = options.get("username") or "default"
        commands.append(("AUTH", user, options["password"]))
    commands.append(("CLIENT", "SETNAME", "castcomm-realtime"))
    for command in commands:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        link.on_reply = answer.set_result
        link.send(*command)
        reply = await answer
        if isinstance(reply, hiredis.ReplyError):
            raise RedisRefused(f"Redis refused {command[0]}: {reply}")
