"""Is the service alive, and can it work? Each question is answered in bounded time.

A database or Redis that hangs must not hang the answer: every probe runs on a thread of its own, with a
connection of its own, and is given up after ``PROBE_SECONDS``.
"""

from __future__ import annotations

import concurrent.futures
import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.loader import MigrationLoader

PROBE_SECONDS = 2.0
FRESH_SECONDS = 1.0  # how long an answer serves everyone who asks

# Few threads: when probes hang, later ones report "busy" instead of piling up.
_threads = concurrent.futures.ThreadPoolExecutor(max_workers=4, thread_name_prefix="health")


@dataclass(frozen=True)
class ServiceState:
    """What a probe found; ``latency_ms`` is in milliseconds."""

    status: str
    latency_ms: float
    detail: str = ""

    @property
    def is_up(self) -> bool:
        return self.status == "up"


States = dict[str, ServiceState]


class _Shared:
    """One look at a time for everyone who asks, and what it found for ``FRESH_SECONDS``.

    Anybody may ask, also for nothing but to make work: however many do, the probes are run once a second, and
    who asks whether the service is ready gets the same answer as soon.
    """

    def __init__(self, look: Callable[[], States]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._current: concurrent.futures.Future[States] | None = None
        self._ended = 0.0

    def __call__(self) -> States:
        with self._lock:
            current = self._current
            is_old = current is not None and current.done() and time.monotonic() - self._ended > FRESH_SECONDS
            if current is None or is_old:
                mine: concurrent.futures.Future[States] = concurrent.futures.Future()
                self._current, current = mine, None
        if current is not None:
            return current.result()
        try:
            found = self._look()
        except BaseException as error:
            self.forget()
            mine.set_exception(error)
            raise
        self._ended = time.monotonic()
        mine.set_result(found)
        return found

    def forget(self) -> None:
        """Look anew for whoever asks next."""
        with self._lock:
            self._current = None


def _probe_all() -> States:
    probes: dict[str, Callable[[], str]] = {
        "database": _probe_database,
        "migrations": _probe_migrations,
        "redis": _probe_redis,
    }
    started = time.monotonic()
    running = {name: _threads.submit(_timed, probe) for name, probe in probes.items()}
    concurrent.futures.wait(running.values(), timeout=PROBE_SECONDS)
    return {name: _state_of(future, started) for name, future in running.items()}


_shared = _Shared(_probe_all)


def probe_all() -> States:
    """The state of database, migrations and Redis, at most ``FRESH_SECONDS`` old.

    Returns within ``PROBE_SECONDS``, whatever they do.
    """
    return _shared()


def _timed(probe: Callable[[], str]) -> ServiceState:
    started = time.monotonic()
    detail = probe()
    latency = (time.monotonic() - started) * 1000
    return ServiceState("down" if detail else "up", round(latency, 1), detail)


def _state_of(future: concurrent.futures.Future[ServiceState], started: float) -> ServiceState:
    latency = round((time.monotonic() - started) * 1000, 1)
    if not future.done():
        future.cancel()
        return ServiceState("down", latency, "no answer in time")
    error = future.exception()
    if error is not None:
        # The kind of the error helps; its text may name hosts and users.
        return ServiceState("down", latency, type(error).__name__)
    return future.result()


def _query(statement: str) -> list[tuple[object, ...]]:
    """Run one statement on a connection that is opened for it, and closed."""
    # Not the connection of a request: a pool that has run dry is a matter of load, not of health.
    connection = connections[DEFAULT_DB_ALIAS].copy()
    options = dict(connection.settings_dict.get("OPTIONS", {}))
    options.pop("pool", None)
    options["connect_timeout"] = int(PROBE_SECONDS)
    options["options"] = f"-c statement_timeout={int(PROBE_SECONDS * 1000)}"
    connection.settings_dict = {**connection.settings_dict, "OPTIONS": options, "CONN_MAX_AGE": 0}
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            rows: list[tuple[object, ...]] = cursor.fetchall()
            return rows
    finally:
        connection.close()


def _probe_database() -> str:
    _query("SELECT 1")
    return ""


@functools.cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """The migrations of this version of the code; read from disk once."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    replaced = {key for key, migration in loader.disk_migrations.items() if migration.replaces}
    return frozenset(set(loader.disk_migrations) - replaced)


def _probe_migrations() -> str:
    applied = {(str(app), str(name)) for app, name in _query("SELECT app, name FROM django_migrations")}
    missing = _known_migrations() - applied
    return f"{len(missing)} migrations are not applied" if missing else ""


def _probe_redis() -> str:
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_SOCKET_TIMEOUT,
        socket_connect_timeout=settings.REDIS_SOCKET_TIMEOUT,
    )
    try:
        client.ping()
    finally:
        client.close()
    return ""
