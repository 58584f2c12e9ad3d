"""The real ASGI application in a process of its own, and sockets to talk to it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection
from django.test import Client
from websockets.sync.client import ClientConnection, connect

from accounts.models import User

ROOT = Path(__file__).resolve().parents[2]


class LiveServer:
    """Uvicorn on a free port, on the test database and the same Redis."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        url = urlsplit(os.environ["DATABASE_URL"])
        database = connection.settings_dict["NAME"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "castcomm.asgi:application", "--port", str(self.port),
             "--ws", "websockets-sansio", "--log-level", "warning"],
            cwd=ROOT,
            env={
                **os.environ,
                "DATABASE_URL": url._replace(path=f"/{database}").geturl(),
                "REDIS_PREFIX": settings.REDIS_PREFIX,
            },
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the server ended at once"
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError("the server did not come up")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)

    def open_socket(self, user: User) -> Socket:
        """A socket that came with the session cookie of ``user``."""
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
        address = f"ws://127.0.0.1:{self.port}/ws/"
        return Socket(connect(address, additional_headers={"Cookie": cookie}, legacy=True))


class Socket:
    """One side of a conversation. Frames that nobody waited for yet are kept in order."""

    def __init__(self, wire: ClientConnection) -> None:
        self.wire = wire
        self.kept: deque[dict[str, Any]] = deque()
        self._last_id = 0
        self.greeting = self.expect("auth:success")["data"]

    def ask(self, event: str, **data: Any) -> dict[str, Any]:
        """Send a frame and return its answer, an error frame included."""
        self._last_id += 1
        frame_id = f"c{self._last_id}"
        self.wire.send(json.dumps({"v": 1, "id": frame_id, "event": event, "data": data}))
        return self._first(lambda frame: frame.get("ack") == frame_id)

    def subscribe(self, thread_id: object, since_seq: int | None = None) -> dict[str, Any]:
        """The data of the answer."""
        more = {} if since_seq is None else {"since_seq": since_seq}
        data: dict[str, Any] = self.ask("subscribe", topic=f"thread:{thread_id}", **more)["data"]
        return data

    def expect(self, event: str, *, op: str | None = None) -> dict[str, Any]:
        """The next push of this kind; fails after five seconds."""
        return self._first(
            lambda frame: (
                frame["event"] == event
                and "ack" not in frame
                and (op is None or frame["data"].get("op") == op)
            )
        )

    def quiet(self, event: str, *, seconds: float = 0.4) -> bool:
        """Whether no push of this kind comes within this time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                self.kept.append(json.loads(self.wire.recv(timeout=left)))
            except TimeoutError:
                break
        return not any(frame["event"] == event and "ack" not in frame for frame in self.kept)

    def close(self) -> None:
        self.wire.close()

    def _first(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for frame in self.kept:
            if wanted(frame):
                self.kept.remove(frame)
                return frame
        deadline = time.monotonic() + 5
        while True:
            frame = json.loads(self.wire.recv(timeout=max(0.01, deadline - time.monotonic())))
            if wanted(frame):
                return frame
            self.kept.append(frame)
