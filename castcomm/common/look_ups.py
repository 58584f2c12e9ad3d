"""Looking up names in the DNS, with an end.

``getaddrinfo`` takes no time-out: a name server that does not answer holds it for as long as the system's resolver
likes, which is often half a minute. So it runs in a thread beside; who asked waits as long as they may. Threads are
bounded in all and per name: whoever brings a name whose server hangs uses up their own share.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from collections import Counter

THREADS = 64  # at once, in one process
THREADS_PER_NAME = 8
SECONDS = 6.0  # resolvers ask again after five

Found = list[
    tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int]]
]


class _Places:
    """How many look-ups run, of each name and in all."""

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        """Forget all: in a forked process none of the threads runs."""
        self._turn = threading.Condition()
        self.running: Counter[str] = Counter()

    def take(self, host: str, *, seconds: float) -> bool:
        """Wait for a place; False when there was none in time."""
        with self._turn:
            if not self._turn.wait_for(lambda: self._is_free(host), seconds):
                return False
            self.running[host] += 1
            return True

    def give_back(self, host: str) -> None:
        """The look-up is over."""
        with self._turn:
            self.running[host] -= 1
            if self.running[host] <= 0:
                del self.running[host]
            self._turn.notify_all()

    def _is_free(self, host: str) -> bool:
        return self.running.total() < THREADS and self.running[host] < THREADS_PER_NAME


_places = _Places()
os.register_at_fork(after_in_child=_places.start_anew)


def look_up(host: str, port: int, *, seconds: float = SECONDS) -> Found:
    """What ``getaddrinfo`` says of stream sockets to a name or an address without brackets, within ``seconds``.

    Waiting for a free thread counts. Raises TimeoutError, and what ``getaddrinfo`` raises: OSError, UnicodeError. What
    comes later is thrown away.
    """
    if _is_address(host):
        return _ask(host, port)
    ends = time.monotonic() + seconds
    if not _places.take(host, seconds=seconds):
        raise TimeoutError(f"{host} could not be looked up: too many look-ups are running.")
    asked = _LookUp(host, port)
    try:
        threading.Thread(target=asked.run, name="look-up", daemon=True).start()
    except RuntimeError as error:  # the system has no more threads
        _places.give_back(host)
        raise OSError(f"{host} could not be looked up: {error}.") from error
    return asked.wait(max(0.0, ends - time.monotonic()))


class _LookUp:
    """One question, and its answer once it is there."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._is_over = threading.Event()
        self._found: Found | Exception = []

    def run(self) -> None:
        """Ask, in a thread of its own."""
        try:
            self._found = _ask(self._host, self._port)
        except Exception as error:
            self._found = error
        finally:
            _places.give_back(self._host)
            self._is_over.set()

    def wait(self, seconds: float) -> Found:
        if not self._is_over.wait(seconds):
            raise TimeoutError(f"{self._host} could not be looked up in time.")
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


def _ask(host: str, port: int) -> Found:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[return-value]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
