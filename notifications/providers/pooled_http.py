"""Kept-alive HTTP connections to the fixed hosts of providers, shared by threads.

For addresses that users choose there is ``castcomm.common.http``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

# Shorter than providers keep idle connections open: a request that meets the closing end is an unknown outcome.
IDLE_SECONDS = 20.0
MAX_BODY = 1024 * 1024  # bytes of an answer that are read
_CHUNK = 64 * 1024
USER_AGENT = "CastComm/1"


def session(pool_size: int, *, connect_timeout: float, read_timeout: float) -> PooledSession:
    """A session with ``pool_size`` kept-alive connections per host, for as many threads; times in seconds.

    It tries nothing again, follows no redirects, keeps no cookies and takes neither proxies nor passwords from the
    environment. A body that breaks off, takes longer than ``read_timeout`` or is larger than ``MAX_BODY`` is cut: the
    status has said what became of the request.
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


class _FreshSecureConnection(HTTPSConnection):
    last_used = 0.0

    @property
    def is_connected(self) -> bool:
        return time.monotonic() - self.last_used < IDLE_SECONDS and super().is_connected

    def getresponse(self, *args: Any, **options: Any) -> Any:
        answer = super().getresponse(*args, **options)
        self.last_used = time.monotonic()
        return answer


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
