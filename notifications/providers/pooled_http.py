"""Kept-alive HTTP connections to the fixed hosts of providers, shared by threads.

For addresses that users choose there is ``castcomm.common.http``.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationParseError, NewConnectionError
from urllib3.util.connection import create_connection

from castcomm.common import look_ups

# Shorter than providers keep idle connections open: a request that meets the closing end is an unknown outcome.
IDLE_SECONDS = 20.0
MAX_BODY = 1024 * 1024  # bytes of an answer that are read
_CHUNK = 64 * 1024
USER_AGENT = "CastComm/1"


def session(pool_size: int, *, connect_timeout: float, read_timeout: float) -> PooledSession:
    """A session with ``pool_size`` kept-alive connections per host, for as many threads; times in seconds.

    ``connect_timeout`` is for looking the name up, and again for each of its addresses. Nothing is tried again, no
    redirect is followed, no cookie is kept, and neither proxies nor passwords are taken from the environment. A body
    that breaks off, takes longer than ``read_timeout`` or is larger than ``MAX_BODY`` is cut: the status has said what
    became of the request.
    """
    return PooledSession(pool_size, connect_timeout, read_timeout)


class PooledSession(requests.Session):
    """Made by ``session``."""

    def __init__(self, pool_size: int, connect_timeout: float, read_timeout: float) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        self.headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}  # type: ignore[assignment]
        self._timeout = (connect_timeout, read_timeout)
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(pool_size))

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """One request, with the session's time-outs unless ``timeout`` is given."""
        timeout = options.pop("timeout", None) or self._timeout
        streaming = options.pop("stream", False)
        options["allow_redirects"] = False
        response = super().send(request, stream=True, timeout=timeout, **options)
        if not streaming:
            _read(response, self._timeout[1])
        return response


class _FreshConnection(HTTPConnection):
    last_used = 0.0

    @property
    def is_connected(self) -> bool:
        return time.monotonic() - self.last_used < IDLE_SECONDS and super().is_connected

    def getresponse(self, *args: Any, **options: Any) -> Any:
        answer = super().getresponse(*args, **options)
        self.last_used = time.monotonic()
        return answer

    def _new_conn(self) -> socket.socket:
        """As urllib3's own, with an end to the look-up of the name: ``getaddrinfo`` knows no time-out."""
        failure = OSError("the name has no address")
        for place in self._places():
            try:
                return create_connection(place, self.timeout, socket_options=self.socket_options)
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, f"No connection to {self.host} in time.") from failure
        raise NewConnectionError(self, f"No connection to {self.host}: {failure}") from failure

    def _places(self) -> list[tuple[str, int]]:
        """Addresses and port, found within the time that a connection may take."""
        seconds = self.timeout if isinstance(self.timeout, int | float) else look_ups.SECONDS
        host = self._dns_host.strip("[]")
        try:
            found = look_ups.look_up(host, self.port, seconds=seconds)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, str(error)) from error
        except UnicodeError as error:
            raise LocationParseError(host) from error
        except OSError as error:
            raise NewConnectionError(self, f"{host} could not be looked up: {error}") from error
        return [(place[0], self.port) for *_, place in found]


class _FreshSecureConnection(_FreshConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _FreshConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _FreshSecureConnection


class _Adapter(HTTPAdapter):
    def __init__(self, pool_size: int) -> None:
        super().__init__(pool_connections=4, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        pools: Mapping[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _SecurePool}
        self.poolmanager.pool_classes_by_scheme = dict(pools)


def _read(response: requests.Response, seconds: float) -> None:
    """Read the body into the response, as far as it comes whole."""
    deadline = time.monotonic() + seconds
    parts: list[bytes] = []
    size = 0
    whole = False
    try:
        while size < MAX_BODY and time.monotonic() < deadline:
            part = response.raw.read1(_CHUNK, decode_content=True)
            if not part:
                whole = True
                break
            parts.append(part)
            size += len(part)
    except (HTTPError, OSError):
        whole = False
    response._content = b"".join(parts)[:MAX_BODY]
    response._content_consumed = True
    if whole:
        response.raw.release_conn()
    else:
        response.raw.close()
