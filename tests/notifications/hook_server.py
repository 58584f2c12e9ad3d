"""A customer's endpoint on a loopback socket: it keeps what it is told and answers what the test wants."""

from __future__ import annotations

import http.server
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Told:
    """One request, as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """``reset`` reads everything and then cuts the connection; ``hang`` waits for ``release``."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    reset: bool = False
    hang: bool = False


class HookServer:
    """``replies`` are given one after the other, then ``usual``; a callable decides by the request."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.replies: list[Reply] = []
        self.usual: Reply | Callable[[Told], Reply] = Reply()
        self.release = threading.Event()
        self._arrived = threading.Semaphore(0)
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                owner._answer(self, Told(self.path, {k.lower(): v for k, v in self.headers.items()}, body))

            def do_GET(self) -> None:
                owner._answer(self, Told(self.path, {}, b""))

            def log_message(self, *_: object) -> None:
                """Tests stay quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def wait_for_one(self) -> None:
        """Until one more request has arrived; fails when none comes."""
        assert self._arrived.acquire(timeout=30), "nothing arrived"

    def stop(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: http.server.BaseHTTPRequestHandler, told: Told) -> None:
        self.told.append(told)
        usual = self.usual(told) if callable(self.usual) else self.usual
        reply = self.replies.pop(0) if self.replies else usual
        self._arrived.release()
        if reply.hang:
            self.release.wait(30)
        if reply.reset:
            # No lingering: the far side sees a reset instead of an end.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
            return
        try:
            handler.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(reply.body)
        except OSError:
            handler.close_connection = True  # it did not wait


@contextmanager
def hook_server() -> Iterator[HookServer]:
    """An endpoint that is gone afterwards."""
    server = HookServer()
    try:
        yield server
    finally:
        server.stop()
