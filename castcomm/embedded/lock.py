"""One run per checkout."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from castcomm.embedded.errors import EmbeddedError


@dataclass(frozen=True)
class RunNote:
    """What the running bin/run left in the lock for others to read."""

    pid: int
    port: int
    run_id: str


@contextlib.contextmanager
def only_run(var: Path, note: RunNote) -> Iterator[RunNote | None]:
    """Hold the checkout's lock; yields the note of an earlier run that did not end in order, else None.

    Raises EmbeddedError when CastComm already runs here. The kernel drops the lock however this process ends.
    """
    path = var / "run.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EmbeddedError(_already_running(_parse(os.read(descriptor, 1000)))) from error
        earlier = _parse(os.read(descriptor, 1000))
        _write(descriptor, json.dumps(asdict(note)))
        yield earlier
        _write(descriptor, "")
    finally:
        os.close(descriptor)


def current_run(var: Path) -> RunNote | None:
    """The run that holds the checkout's lock now."""
    try:
        descriptor = os.open(var / "run.lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _parse(os.read(descriptor, 1000))
    finally:
        os.close(descriptor)
    return None


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _parse(text: bytes) -> RunNote | None:
    try:
        return RunNote(**json.loads(text))
    except (ValueError, TypeError):
        return None  # Empty after an orderly end, or cut short by a crash.


def _already_running(note: RunNote | None) -> str:
    if note is None:
        return "CastComm is already being started in this checkout."
    return (
        f"CastComm already runs in this checkout: http://localhost:{note.port}/ (process {note.pid}).\n"
        f"Stop it with Ctrl-C in its terminal, or with: kill {note.pid}\n"
        "A second one beside it needs a second checkout and another PORT."
    )
