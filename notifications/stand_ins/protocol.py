"""HTTP/1.1 on a loopback socket: just enough of a server, kept-alive, quick, and able to misbehave.

Parsing is httptools'. Calls of one connection are answered one after the other.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import cast
from urllib.parse import unquote

import httptools

from notifications.stand_ins.far_side import Answer, Call

LARGEST_BODY = 48 * 1024 * 1024
_REASONS = {
    200: b"OK", 201: b"Created", 202: b"Accepted", 204: b"No Content", 400: b"Bad Request", 401: b"Unauthorized",
    403: b"Forbidden", 404: b"Not Found", 405: b"Method Not Allowed", 409: b"Conflict", 410: b"Gone",
    413: b"Content Too Large", 422: b"Unprocessable Content", 429: b"Too Many Requests",
    500: b"Internal Server Error", 503: b"Service Unavailable",
}  # fmt: skip


class Connection(asyncio.Protocol):
    """One client. ``serve`` gets each whole call and this connection, and answers it through ``respond``,
    later if it likes; ``breaks_off`` says by the path alone whether to hang up before the content is read."""

    def __init__(
        self,
        *,
        serve: Callable[[Call, Connection], None],
        breaks_off: Callable[[str], bool],
        known: set[Connection],
    ) -> None:
        self._serve = serve
        self._breaks_off = breaks_off
        self._known = known
        self._waiting: deque[tuple[Call, bool]] = deque()
        self._busy = False
        self._keep_alive = True
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class does not say that it is one
        self._known.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._known.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError:
            self.respond(Answer(400, b"Bad Request", "text/plain"))
            self.close()

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._breaks_off(self._url.decode("latin-1")):
            self.reset()
        elif self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= LARGEST_BODY:
            self._body.append(body)

    def on_message_complete(self) -> None:
        path, _, query = self._url.decode("latin-1").partition("?")
        method = self._parser.get_method().decode()
        call = Call(method, unquote(path), query, self._headers, b"".join(self._body))
        self._waiting.append((call, self._parser.should_keep_alive()))
        self._next()

    def _next(self) -> None:
        if self._busy or not self._waiting or self._transport is None:
            return
        call, self._keep_alive = self._waiting.popleft()
        self._busy = True
        if len(call.content) < int(call.headers.get("content-length", 0)):
            self.respond(Answer(413, b"Content Too Large", "text/plain"))
            return
        self._serve(call, self)

    def respond(self, answer: Answer) -> None:
        """Write an answer and go on to the next call; nothing when the client has gone."""
        if self._transport is None:
            return
        head = [b"HTTP/1.1 %d %s" % (answer.status, _REASONS.get(answer.status, b"-"))]
        if answer.status != 204:
            head.append(b"Content-Length: %d" % len(answer.content))
        if answer.content:
            head.append(b"Content-Type: " + answer.content_type.encode("latin-1"))
        head += [f"{name}: {value}".encode("latin-1") for name, value in answer.headers]
        if not self._keep_alive:
            head.append(b"Connection: close")
        self._transport.write(b"\r\n".join(head) + b"\r\n\r\n" + answer.content)
        self._busy = False
        if not self._keep_alive:
            self.close()
        else:
            self._next()

    def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
