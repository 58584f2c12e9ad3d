"""TCP ports on loopback."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Container
from pathlib import Path

LOOPBACK = "127.0.0.1"
_LISTEN = "0A"
# Below the range for outgoing connections (32768 and up on Linux), above most well-known services.
_QUIET_PORTS = range(20000, 32000)


def is_free(port: int) -> bool:
    """True when a server could listen on ``port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """True when something accepts connections on ``port``."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_port(*, prefer: int | None = None, avoid: Container[int] = ()) -> int:
    """``prefer`` or the first free port of the nine after it; without ``prefer`` any free port.

    The kernel does not take it in the meantime: outgoing connections get higher numbers.
    """
    near = range(prefer, min(prefer + 10, 65536)) if prefer is not None else range(0)
    anywhere: list[int] = random.sample(_QUIET_PORTS, 200)
    candidates: list[int] = [*near, *anywhere]
    for port in candidates:
        if port not in avoid and is_free(port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def listener(port: int) -> str:
    """Who listens on ``port``, as "name (process 123)", or "" when that cannot be seen."""
    inodes = _listening_sockets(port)
    if not inodes:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            targets = {os.readlink(entry) for entry in (process / "fd").iterdir()}
            if targets & inodes:
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue  # Another person's process, or one that has just ended.
    return ""


def _listening_sockets(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == _LISTEN and int(columns[1].rsplit(":", 1)[1], 16) == port:
                found.add(f"socket:[{columns[9]}]")
    return found
