"""The one client for HTTP to addresses that users choose (webhooks, push endpoints, the HTTP step).

It refuses every address that is not on the public internet and connects to the very address it checked,
so that a name cannot resolve to something else in between. It follows no redirects, reads neither proxies
nor passwords from the environment, and is bounded in time and size as a whole, not only per read.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from castcomm.common.errors import CastCommError

CONNECT_TIMEOUT = 3.05  # seconds
READ_TIMEOUT = 10.0  # seconds without a byte
TOTAL_TIMEOUT = 20.0  # seconds for everything after the name is resolved
MAX_RESPONSE_BYTES = 1024 * 1024
USER_AGENT = "CastComm/1"
_CHUNK = 16 * 1024

# Ways to write an IPv4 address inside IPv6, and old ranges, that the ipaddress module takes for global.
_MORE_FORBIDDEN = tuple(ipaddress.ip_network(net) for net in ("::/96", "fec0::/10"))


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
    """What came back, whatever its status; at most ``max_bytes`` of body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = TOTAL_TIMEOUT,
    max_bytes: int = MAX_RESPONSE_BYTES,
    allow_loopback: bool = False,
) -> Answer:
    """Call ``url`` (http or https) once and return the answer, of any status; redirects are answers too.

    ``timeout`` is in seconds for the whole call. ``allow_loopback`` is for tests and local development.
    Raises RequestFailed with the code ``http_url``, ``http_forbidden_address``, ``http_unreachable``,
    ``http_timeout``, ``http_too_large`` or ``http_broken``.
    """
    _check_url(url)
    session = _session(allow_loopback)
    watchdog = _Watchdog(session, timeout)
    try:
        with watchdog, session:
            response = session.request(
                method,
                url,
                headers=dict(headers or {}),
                data=body,
                stream=True,
                timeout=(min(CONNECT_TIMEOUT, timeout), min(READ_TIMEOUT, timeout)),
            )
            with response:
                content = _read(response, max_bytes)
            if watchdog.fired:
                # Cut off in the middle, an answer may look whole.
                raise TimeoutError
            return Answer(response.status_code, dict(response.headers), content)
    except InvalidIPAddress as error:
        raise RequestFailed(
            "This address is not on the public internet.",
            code="http_forbidden_address",
            sent=False,
            retryable=False,
        ) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise _explain(error, watchdog) from error


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    # Only names and addresses without a user: http://good.example@bad.example/ misleads people.
    if not valid or "@" in parts.netloc or any(c.isspace() or not c.isprintable() for c in url):
        raise RequestFailed(
            "The URL must start with http:// or https:// and name a host.",
            code="http_url",
            sent=False,
            retryable=False,
        )


def _read(response: requests.Response, max_bytes: int) -> bytes:
    chunks, size = [], 0
    # Decoded as it comes in, so that a small body which unpacks to a large one is stopped as well.
    for chunk in response.iter_content(_CHUNK):
        size += len(chunk)
        if size > max_bytes:
            raise RequestFailed(
                f"The answer has more than {max_bytes} bytes.",
                code="http_too_large",
                sent=None,
                retryable=False,
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _explain(error: Exception, watchdog: _Watchdog) -> RequestFailed:
    if watchdog.fired:
        sent = None if watchdog.connected else False
        return RequestFailed("The call took too long.", code="http_timeout", sent=sent)
    if isinstance(error, requests.ConnectTimeout):
        return RequestFailed("No connection in time.", code="http_unreachable", sent=False)
    if isinstance(error, requests.Timeout):
        return RequestFailed("No answer in time.", code="http_timeout", sent=None)
    if isinstance(error, requests.exceptions.InvalidURL | ValueError) and not isinstance(error, OSError):
        return RequestFailed("The URL cannot be used.", code="http_url", sent=False, retryable=False)
    if isinstance(error, requests.ConnectionError) and not watchdog.connected:
        return RequestFailed("The host cannot be reached.", code="http_unreachable", sent=False)
    return RequestFailed("The connection broke.", code="http_broken", sent=None)


class _PublicOnly(IPFilterAdapter):  # type: ignore[misc]
    """requests-hardened's adapter with our own additions, which keeps a handle on each open connection."""

    def __init__(self, *, is_https_proto: bool, allow_loopback: bool, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        self._loopback = allow_loopback
        super().__init__(is_https_proto=is_https_proto, allow_loopback=allow_loopback)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _watched_pools(self._sockets)

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        host_params, pool_kwargs = super().build_connection_pool_key_attributes(*args, **kwargs)
        # By now the host is the address that will be connected to.
        address = ipaddress.ip_address(str(host_params["host"]).strip("[]"))
        if self._loopback and address.is_loopback:
            return host_params, pool_kwargs
        if not address.is_global or any(address in net for net in _MORE_FORBIDDEN):
            raise InvalidIPAddress(address)
        return host_params, pool_kwargs


def _watched_pools(sockets: list[socket.socket]) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            made = super()._new_conn()
            sockets.append(made.dup())
            return made

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            made = super()._new_conn()
            sockets.append(made.dup())
            return made

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _session(allow_loopback: bool) -> _Session:
    return _Session(
        Config(
            ip_filter_enable=True,
            ip_filter_allow_loopback_ips=allow_loopback,
            never_redirect=True,
            default_timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            user_agent_override=USER_AGENT,
        )
    )


class _Session(HTTPSession):  # type: ignore[misc]
    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.trust_env = False
        self.open_sockets: list[socket.socket] = []
        for scheme, secure in (("http://", False), ("https://", True)):
            self.mount(
                scheme,
                _PublicOnly(
                    is_https_proto=secure,
                    allow_loopback=config.ip_filter_allow_loopback_ips,
                    sockets=self.open_sockets,
                ),
            )


class _Watchdog:
    """Ends the call's connection when its time is up, also in the middle of a read that trickles."""

    def __init__(self, session: _Session, seconds: float) -> None:
        self._sockets = session.open_sockets
        self._deadline = time.monotonic() + seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="http-deadline")
        self.fired = False

    @property
    def connected(self) -> bool:
        """Whether a connection was made at all."""
        return bool(self._sockets)

    def __enter__(self) -> _Watchdog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        for duplicate in self._sockets:
            duplicate.close()

    def _watch(self) -> None:
        if self._done.wait(max(0.0, self._deadline - time.monotonic())):
            return
        self.fired = True
        # A connection may still be in the making; it is ended as well once it is there.
        while not self._done.wait(0.05):
            for duplicate in list(self._sockets):
                self._end(duplicate)

    @staticmethod
    def _end(duplicate: socket.socket) -> None:
        try:
            duplicate.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The far side was quicker.
            return
