"""The one client for HTTP to addresses that users choose (webhooks, push endpoints, the HTTP step).

It refuses every address that is not on the public internet and connects to the very address it checked,
so that a name cannot resolve to something else in between. It follows no redirects, reads neither proxies
nor passwords from the environment, and is bounded in time and size as a whole, not only per read.

``Client`` keeps connections open between calls, for those who call the same hosts over and over; ``request``
makes one call. HTTP/1.1 (RFC 9112); answers are parsed by llhttp.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import quote, urlsplit

from castcomm.common import look_ups
from castcomm.common.errors import CastCommError
from castcomm.common.http_wire import Broken, Connection, Deadline, Exchanged, TooLarge, TooLate, Unreachable
from castcomm.common.public_addresses import ForbiddenAddress, public_addresses

CONNECT_TIMEOUT = 3.05  # seconds
READ_TIMEOUT = 10.0  # seconds without a byte
TOTAL_TIMEOUT = 20.0  # seconds for everything, looking up the name included
MAX_RESPONSE_BYTES = 1024 * 1024
IDLE_SECONDS = (
    20.0  # shorter than servers wait: a request that meets the closing end may or may not have arrived
)
USER_AGENT = "CastComm/1"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_NOT_IN_A_VALUE = re.compile(r"[\r\n\x00]")
_NOT_IN_A_TARGET = re.compile(r"[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]")


class RequestFailed(CastCommError):
    """The call did not come to a usable answer.

    ``sent`` says whether the far side can have acted on it: False when it certainly cannot (refused here,
    name not found, no connection), None when nobody knows.
    """

    code = "http_failed"
    status_code = 502
    retryable = True

    def __init__(self, message: str, *, code: str, sent: bool | None, retryable: bool = True) -> None:
        super().__init__(message, code=code)
        self.sent = sent
        self.retryable = retryable


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status; at most ``max_bytes`` of body. Names of headers keep their case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a request goes; ``host`` without brackets, ``path`` with the query."""

    secure: bool
    host: str
    port: int
    authority: str
    path: str


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = TOTAL_TIMEOUT,
    max_bytes: int = MAX_RESPONSE_BYTES,
    cut_off: bool = False,
    allow_loopback: bool = False,
) -> Answer:
    """Call ``url`` (http or https) once and return the answer, of any status; redirects are answers too.

    ``timeout`` is in seconds for the whole call. With ``cut_off`` a longer body is cut at ``max_bytes``, instead of
    being an error. ``allow_loopback`` is for tests and local development.
    Raises RequestFailed with the code ``http_url``, ``http_header``, ``http_forbidden_address``,
    ``http_unreachable``, ``http_timeout``, ``http_too_large`` or ``http_broken``.
    """
    with Client(allow_loopback=allow_loopback) as client:
        return client.request(
            method, url, headers=headers, body=body, timeout=timeout, max_bytes=max_bytes, cut_off=cut_off
        )


def check_address(url: str, *, allow_loopback: bool = False) -> None:
    """Resolve the host of ``url`` and raise RequestFailed unless it could be called (see ``request``)."""
    target = _target(url)
    _addresses(target, allow_loopback, look_ups.SECONDS)


class Client:
    """Calls with connections that stay open: at most ``per_host`` idle ones per host, for at most ``hosts`` hosts.

    Shared by threads. Times are in seconds. A call that finds no idle connection opens one, so that as many are in use
    as there are callers; those over ``per_host`` are closed after use. It tries nothing twice. ``allow_loopback`` is
    for tests and local development.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        per_host: int = 16,
        hosts: int = 64,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._per_host = per_host
        self._hosts = hosts
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._lock = threading.Lock()
        self._idle: OrderedDict[tuple[bool, str, int], list[Connection]] = OrderedDict()
        self._closed = False

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = TOTAL_TIMEOUT,
        max_bytes: int = MAX_RESPONSE_BYTES,
        cut_off: bool = False,
    ) -> Answer:
        """As the function ``request``."""
        target = _target(url)
        head = _head(method, target, headers, body)
        deadline = Deadline(timeout)
        connection = self._take(target, deadline)
        done: Exchanged | None = None
        try:
            done = connection.exchange(
                head + (body or b""),
                deadline=deadline,
                read_timeout=self._read_timeout,
                max_bytes=max_bytes,
                cut_off=cut_off,
                has_body=method.upper() != "HEAD",
            )
        except (TooLate, TooLarge, Broken) as error:
            raise _explain(error, max_bytes) from error
        finally:
            if done is not None and done.reusable:
                self._give_back(target, connection)
            else:
                connection.close()
        return Answer(done.status, done.headers, done.body)

    def close(self) -> None:
        """Close what is idle now; what is in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            left = [one for connections in self._idle.values() for one in connections]
            self._idle.clear()
        for connection in left:
            connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, target: _Target, deadline: Deadline) -> Connection:
        """An idle connection that is still good, or a new one to an address that was just checked."""
        key = (target.secure, target.host, target.port)
        oldest = time.monotonic() - IDLE_SECONDS
        while True:
            with self._lock:
                waiting = self._idle.get(key)
                connection = waiting.pop() if waiting else None
            if connection is None:
                break
            if connection.idle_since > oldest and connection.is_quiet():
                return connection
            connection.close()
        try:
            seconds = deadline.seconds(look_ups.SECONDS, begun=False)
            addresses = _addresses(target, self._allow_loopback, seconds)
            return Connection.open(
                addresses,
                secure_name=target.host if target.secure else "",
                connect_timeout=self._connect_timeout,
                deadline=deadline,
            )
        except (TooLate, Unreachable) as error:
            raise _explain(error, 0) from error

    def _give_back(self, target: _Target, connection: Connection) -> None:
        connection.idle_since = time.monotonic()
        key = (target.secure, target.host, target.port)
        surplus = [connection]
        with self._lock:
            if not self._closed:
                waiting = self._idle.setdefault(key, [])
                self._idle.move_to_end(key)
                if len(waiting) < self._per_host:
                    waiting.append(surplus.pop())
                if len(self._idle) > self._hosts:
                    surplus += self._idle.popitem(last=False)[1]
        for one in surplus:
            one.close()


def _target(url: str) -> _Target:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        # Only names and addresses without a user: http://good.example@bad.example/ misleads people.
        valid = parts.scheme in {"http", "https"} and host and port != 0 and "@" not in parts.netloc
        valid = valid and url.isprintable() and " " not in url
        name = host if host.isascii() else host.encode("idna").decode()
    except ValueError:
        valid = False
    if not valid:
        raise RequestFailed(
            "The URL must start with http:// or https:// and name a host.",
            code="http_url",
            sent=False,
            retryable=False,
        )
    secure = parts.scheme == "https"
    usual = 443 if secure else 80
    bracketed = f"[{name}]" if ":" in name else name
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    if _NOT_IN_A_TARGET.search(path):
        path = quote(path, safe="!#$%&'()*+,/:;=?@[]~")
    authority = bracketed if port in (None, usual) else f"{bracketed}:{port}"
    return _Target(secure, name, port or usual, authority, path)


def _addresses(
    target: _Target, allow_loopback: bool, seconds: float
) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    try:
        return public_addresses(target.host, target.port, allow_loopback=allow_loopback, seconds=seconds)
    except ForbiddenAddress as error:
        raise RequestFailed(
            "This address is not on the public internet.",
            code="http_forbidden_address",
            sent=False,
            retryable=False,
        ) from error
    except TimeoutError as error:
        raise RequestFailed("The name was not looked up in time.", code="http_timeout", sent=False) from error
    except (OSError, UnicodeError) as error:
        raise RequestFailed("The host cannot be reached.", code="http_unreachable", sent=False) from error


def _head(method: str, target: _Target, headers: Mapping[str, str] | None, body: bytes | None) -> bytes:
    """The request's first lines (RFC 9112, 3 and 5)."""
    lines = [f"{method.upper()} {target.path} HTTP/1.1", f"Host: {target.authority}"]
    given = {name.lower() for name in headers} if headers else set()
    for name, value in (("User-Agent", USER_AGENT), ("Accept", "*/*"), ("Accept-Encoding", "identity")):
        if name.lower() not in given:
            lines.append(f"{name}: {value}")
    if body is not None or method.upper() in {"POST", "PUT", "PATCH"}:
        lines.append(f"Content-Length: {len(body or b'')}")
    for name, value in (headers or {}).items():
        if name.lower() in _OURS or not _TOKEN.fullmatch(name) or _NOT_IN_A_VALUE.search(value):
            raise _bad_header(name)
        lines.append(f"{name}: {value}")
    if not _TOKEN.fullmatch(method):
        raise _bad_header("method")
    try:
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    except UnicodeEncodeError as error:
        raise _bad_header("value") from error


# What frames the message is this client's to say: two answers to where it ends are an attack (RFC 9112, 11.2).
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


def _bad_header(name: str) -> RequestFailed:
    return RequestFailed(
        f"The header {name!r} cannot be sent.", code="http_header", sent=False, retryable=False
    )


def _explain(error: Exception, max_bytes: int) -> RequestFailed:
    if isinstance(error, Unreachable):
        return RequestFailed(error.message, code="http_unreachable", sent=False)
    if isinstance(error, TooLarge):
        return RequestFailed(
            f"The answer has more than {max_bytes} bytes.", code="http_too_large", sent=None, retryable=False
        )
    if isinstance(error, TooLate):
        return RequestFailed(
            "The call took too long.", code="http_timeout", sent=None if error.begun else False
        )
    return RequestFailed("The connection broke.", code="http_broken", sent=None)
