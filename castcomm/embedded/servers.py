"""The servers a run needs: those that no URL in the environment names."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from castcomm.embedded.places import Places
from castcomm.embedded.postgres import Postgres
from castcomm.embedded.redis import Redis
from castcomm.embedded.server import EmbeddedServer

_TEST_FOLDER = "test"


def lasting_servers(places: Places) -> dict[str, EmbeddedServer]:
    """The servers of bin/run, by the variable that replaces each; their data lasts."""
    return _servers(places, places.home, "", durable=True)


def _servers(places: Places, folder: Path, suffix: str, *, durable: bool) -> dict[str, EmbeddedServer]:
    runtime = places.home / "runtime"
    return {
        "DATABASE_URL": Postgres(
            folder / "postgres",
            account=places.account,
            log=places.logs / f"postgres{suffix}.log",
            runtime=runtime,
            durable=durable,
        ),
        "REDIS_URL": Redis(
            folder / "redis", account=places.account, log=places.logs / f"redis{suffix}.log", runtime=runtime
        ),
    }


def start_missing(
    servers: Mapping[str, EmbeddedServer],
    environment: Mapping[str, str],
    *,
    started: list[EmbeddedServer],
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, str]:
    """Start each server whose variable ``environment`` does not set; returns the variables to add.

    Every server that the caller has to stop is appended to ``started``, also when a later one fails: all
    but those that ``up`` left running.
    """
    urls = {}
    for variable, server in servers.items():
        if environment.get(variable):
            continue
        server.start(follow_parent=True, pause=pause)
        if not server.detached:
            started.append(server)
        urls[variable] = server.url
    return urls


@contextlib.contextmanager
def throwaway_servers(
    places: Places, environment: Mapping[str, str], *, pause: Callable[[float], None] = time.sleep
) -> Iterator[dict[str, str]]:
    """Fresh servers that are gone afterwards, data included; yields the variables to add.

    Runs beside each other do not meet. What a killed run left on disk is removed by the next one.
    """
    folder, lock = _new_folder(places)
    started: list[EmbeddedServer] = []
    try:
        servers = _servers(places, folder, f"-test-{folder.name}", durable=False)
        yield start_missing(servers, environment, started=started, pause=pause)
    finally:
        for server in reversed(started):
            server.stop()
            server.log.unlink(missing_ok=True)
        shutil.rmtree(folder)
        os.close(lock)


def _new_folder(places: Places) -> tuple[Path, int]:
    """A folder for one run, and the descriptor of its lock; the kernel drops the lock with this process."""
    parent = places.home / _TEST_FOLDER
    parent.mkdir(exist_ok=True)
    with _locked(parent):
        _remove_abandoned(parent)
        folder = parent / secrets.token_hex(4)
        folder.mkdir()
        if places.account is not None:
            for path in (parent, folder):
                path.chmod(0o711)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
        except BlockingIOError:
            continue  # A run beside this one.
        finally:
            os.close(descriptor)
