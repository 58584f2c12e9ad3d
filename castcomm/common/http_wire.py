"""One HTTP/1.1 connection: opened to a checked address, used by one thread at a time, bounded in time and size."""

from __future__ import annotations

import functools
import select
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass

import certifi
import httptools

MAX_HEAD = 64 * 1024  # bytes of status line and headers, and of what frames the body
_CHUNK = 64 * 1024


class Unreachable(Exception):
    """No connection came about: nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TooLate(Exception):
    """The time was up; ``begun`` says whether a byte of the request may have left."""

    def __init__(self, *, begun: bool) -> None:
        super().__init__()
        self.begun = begun


class TooLarge(Exception):
    """The answer has more bytes than allowed."""


class Broken(Exception):
    """The connection ended, or what came over it was no HTTP, before the answer was whole."""


class Deadline:
    """The end of a call, ``seconds`` from now."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def seconds(self, at_most: float, *, begun: bool) -> float:
        """What is left, ``at_most`` that much; raises TooLate."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TooLate(begun=begun)
        return min(left, at_most)


@dataclass(slots=True)
class Exchanged:
    """A whole answer, and whether the connection can take the next request."""

    status: int
    headers: dict[str, str]
    body: bytes
    reusable: bool


class Connection:
    """Made by ``open``. ``idle_since`` (monotonic seconds) is the owner's."""

    __slots__ = ("_poll", "_socket", "idle_since")

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._poll = select.poll()
        self._poll.register(opened, select.POLLIN | select.POLLHUP | select.POLLERR)
        self.idle_since = 0.0

    @classmethod
    def open(
        cls,
        addresses: Sequence[tuple[socket.AddressFamily, tuple[str, int]]],
        *,
        secure_name: str,
        connect_timeout: float,
        deadline: Deadline,
    ) -> Connection:
        """Connect to the first address that answers; with ``secure_name``, TLS to who proves to be that name.

        Raises Unreachable or TooLate.
        """
        opened = _connected(addresses, connect_timeout, deadline)
        if not secure_name:
            return cls(opened)
        try:
            opened.settimeout(deadline.seconds(connect_timeout, begun=False))
            return cls(_tls().wrap_socket(opened, server_hostname=secure_name))
        except ssl.SSLCertVerificationError as error:
            opened.close()
            raise Unreachable(f"The host's certificate is not good: {error.verify_message}.") from error
        except (OSError, ValueError) as error:
            opened.close()
            raise Unreachable("The host makes no secure connection.") from error
        except TooLate:
            opened.close()
            raise

    def is_quiet(self) -> bool:
        """Whether nothing has come in since the last answer: neither the end nor bytes that nobody asked for."""
        return not self._poll.poll(0)

    def exchange(
        self,
        message: bytes,
        *,
        deadline: Deadline,
        read_timeout: float,
        max_bytes: int,
        cut_off: bool = False,
        has_body: bool,
    ) -> Exchanged:
        """Send a request and read its answer; an answer to HEAD has no body.

        With ``cut_off`` a body of more than ``max_bytes`` is cut there, and the connection is of no more use.
        Raises TooLate, TooLarge or Broken, after which the connection is to be closed.
        """
        try:
            self._socket.settimeout(deadline.seconds(read_timeout, begun=False))
            self._socket.sendall(message)
            return self._read(deadline, read_timeout, max_bytes, cut_off, has_body)
        except TimeoutError as error:
            raise TooLate(begun=True) from error
        except OSError as error:
            raise Broken from error

    def _read(
        self, deadline: Deadline, read_timeout: float, max_bytes: int, cut_off: bool, has_body: bool
    ) -> Exchanged:
        answer = _Answer(has_body)
        received = 0
        try:
            while not answer.is_whole:
                self._socket.settimeout(deadline.seconds(read_timeout, begun=True))
                data = self._socket.recv(_CHUNK)
                received += len(data)
                if not data:
                    answer.end()
                else:
                    answer.take_in(data)
                if cut_off and answer.size > max_bytes:
                    whole = answer.made()
                    return Exchanged(whole.status, whole.headers, whole.body[:max_bytes], reusable=False)
                if answer.size > max_bytes or received > max_bytes + MAX_HEAD:
                    raise TooLarge
            return answer.made()
        finally:
            answer.release()

    def close(self) -> None:
        """Let go of the connection."""
        self._socket.close()


class _Answer:
    """An answer on its way in; the parser calls its ``on_`` methods."""

    def __init__(self, has_body: bool) -> None:
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._has_body = has_body
        self._names: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._status = 0
        self._reusable = False
        self.size = 0
        self.is_whole = False

    def take_in(self, data: bytes) -> None:
        """Parse what came; raises Broken."""
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # After a whole answer it only says that this connection is not to be used again.
            self._reusable = False
            if not self.is_whole:
                raise Broken from error

    def end(self) -> None:
        """The far side has closed: that ends a body whose length nobody named (RFC 9112, 6.3), and cuts any other."""
        framed = {name.lower() for name, _ in self._names} & {b"content-length", b"transfer-encoding"}
        if self._status < 200 or framed:
            raise Broken
        self.is_whole = True

    def made(self) -> Exchanged:
        """The answer; a header that came more than once is joined by commas (RFC 9110, 5.3)."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in self._names:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return Exchanged(self._status, headers, b"".join(self._parts), self._reusable)

    def release(self) -> None:
        """Let the parser go, which holds on to this."""
        self._parser = None

    def on_message_begin(self) -> None:
        if self.is_whole:
            raise ValueError("Bytes after the answer: whose would the next one be?")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._status:  # afterwards come trailers
            self._names.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self._status = self._parser.get_status_code()
        if not self._has_body and self._status >= 200:
            self.is_whole = True

    def on_body(self, body: bytes) -> None:
        if not self.is_whole:
            self._parts.append(body)
            self.size += len(body)

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if self._status < 200:  # 100 and 103 announce the answer (RFC 9110, 15.2)
            self._status = 0
            self._names.clear()
            return
        self._reusable = self._has_body and self._parser.should_keep_alive()
        self.is_whole = True


def _connected(
    addresses: Sequence[tuple[socket.AddressFamily, tuple[str, int]]], timeout: float, deadline: Deadline
) -> socket.socket:
    for family, place in addresses:
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.settimeout(deadline.seconds(timeout, begun=False))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.connect(place)
        except (OSError, TooLate) as error:
            opened.close()
            if isinstance(error, TooLate):
                raise
            continue
        return opened
    raise Unreachable("The host cannot be reached.")


@functools.lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
