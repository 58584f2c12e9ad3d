"""What PostgreSQL and Redis have in common: a folder, a port, a password, and one process that is ours."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from castcomm.embedded import places, ports, process
from castcomm.embedded.errors import EmbeddedError

_LOG_LIMIT = 5_000_000  # bytes; a larger log starts anew with the server
_PORT_ATTEMPTS = 5
_POLL = 0.03  # seconds


class EmbeddedServer(ABC):
    """One server in ``folder``; the folder is made on the first start and found again on every later one.

    ``folder/server.json`` keeps the passwords, the last port and the identity of the running process; only
    the person who started CastComm reads it.
    """

    title: ClassVar[str]
    # Which signal lets the server end in order when this process dies without saying goodbye.
    farewell: ClassVar[signal.Signals]
    ending: ClassVar[Sequence[tuple[signal.Signals, float]]]
    port_taken_texts: ClassVar[Sequence[str]]
    patience: ClassVar[float]  # seconds to become ready; covers the recovery after a crash

    def __init__(self, folder: Path, *, account: process.Account | None, log: Path) -> None:
        self.folder = folder
        self.account = account
        self.log = log
        self._child: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """How clients connect, password included."""

    @abstractmethod
    def _prepare(self) -> None:
        """Make the data when there is none, and clear what a crash left in the way."""

    @abstractmethod
    def _command(self, port: int) -> list[str]:
        """The server's command line."""

    @abstractmethod
    def _probe(self, port: int) -> bool:
        """True when the server on ``port`` is ours and ready; False while it is starting."""

    def start(self, *, follow_parent: bool, pause: Callable[[float], None] = time.sleep) -> bool:
        """Start the server unless it runs; True when this call started it.

        ``pause`` is called between looks with its seconds; it may raise to give up, and what was started is
        then stopped. Raises EmbeddedError when the server does not come up.
        """
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            self.folder.chmod(0o711 if self.account else 0o700)
        if self.is_running():
            return False
        self._prepare()
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.unlink()
        preferred = self._state().get("port")
        for _ in range(_PORT_ATTEMPTS):
            port = preferred if preferred and ports.is_free(preferred) else ports.free_port()
            preferred = None
            if self._launch(port, follow_parent=follow_parent, pause=pause):
                return True
        raise EmbeddedError(f"{self.title} found no free port on {ports.LOOPBACK}.")

    def is_running(self) -> bool:
        return self.identity() is not None

    def identity(self) -> process.Identity | None:
        """The running process; None when there is none."""
        recorded = self._state().get("process")
        if recorded is None:
            return None
        identity = process.Identity(**recorded)
        return identity if process.is_alive(identity) else None

    @property
    def port(self) -> int:
        return int(self._state()["port"])

    def stop(self) -> None:
        """End the server and wait for it; nothing happens when it does not run."""
        identity = self.identity()
        if identity is not None and not process.end(identity, self.ending):
            raise EmbeddedError(f"{self.title} (process {identity.pid}) does not end.")
        if self._child is not None:
            self._child.wait()
            self._child = None
        self._remember(process=None, detached=None)

    @property
    def detached(self) -> bool:
        """True when the running server was asked to outlive whoever started it (``up``)."""
        return self.is_running() and bool(self._state().get("detached"))

    def _launch(self, port: int, *, follow_parent: bool, pause: Callable[[float], None]) -> bool:
        """False when someone took the port in the meantime."""
        already = self.log.stat().st_size if self.log.exists() else 0
        child = process.spawn(
            self._command(port),
            log=self.log,
            account=self.account,
            environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            follow_parent=self.farewell if follow_parent else None,
        )
        self._child = child
        identity = process.identify(child.pid)
        self._remember(
            port=port, process=identity.as_dict() if identity else None, detached=not follow_parent or None
        )
        try:
            return self._wait_until_ready(child, port, already, pause)
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(
        self, child: subprocess.Popen[bytes], port: int, already: int, pause: Callable[[float], None]
    ) -> bool:
        deadline = time.monotonic() + self.patience
        while not self._probe(port):
            if child.poll() is not None:
                said = self._said_since(already)
                if any(text in said for text in self.port_taken_texts):
                    return False
                raise EmbeddedError(
                    f"{self.title} ended while starting. {self.log} says:\n{said[-2000:].strip()}"
                )
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{self.title} is not ready after {self.patience:.0f} s; see {self.log}.")
            pause(_POLL)
        return True

    def _said_since(self, offset: int) -> str:
        with self.log.open("rb") as stream:
            stream.seek(offset)
            return stream.read(100_000).decode(errors="replace")

    def _state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads((self.folder / "server.json").read_text())
        except FileNotFoundError:
            return {}
        except PermissionError as error:
            raise EmbeddedError(
                f"{self.folder} was made by another user, perhaps by root. Start CastComm as that user, or "
                "remove the folder (and the demo data in it) for a fresh start."
            ) from error
        except (OSError, ValueError) as error:
            raise EmbeddedError(f"{self.folder / 'server.json'} cannot be read: {error}") from error
        return state

    def _remember(self, **values: Any) -> None:
        """Merge ``values`` into the state; None removes a key."""
        state = {key: value for key, value in (self._state() | values).items() if value is not None}
        with suppress(FileNotFoundError):
            places.write_private(self.folder / "server.json", json.dumps(state, indent=1))

    def _password(self, name: str = "password") -> str:
        """The generated password called ``name``; made when there is none."""
        password = self._state().get(name)
        if password is None:
            password = secrets.token_urlsafe(24)
            self._remember(**{name: password})
        return str(password)
