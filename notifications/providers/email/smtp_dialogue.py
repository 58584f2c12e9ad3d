"""smtplib with an end: one mail's dialogue takes no longer than its deadline, however slowly the server talks.

And with a door: the server of an organization stands on the public internet, at the address that was looked at. Its
name is resolved once per connection, checked, and not asked for again; TLS goes by the name.
"""

from __future__ import annotations

import functools
import io
import smtplib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.mail.utils import DNS_NAME

from castcomm.common import look_ups
from castcomm.common.public_addresses import public_addresses

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LONGEST_REPLY = 64 * 1024  # bytes; RFC 5321 has lines of 512, and a reply may have several
_PIECE = 64 * 1024  # bytes that are sent before the clock is looked at again


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where mail is taken in. ``timeout`` is in seconds, for each step; ``is_public`` keeps it out of our network."""

    host: str
    port: int
    user: str
    password: str
    secure: bool
    timeout: float
    is_public: bool = False


class Dialogue(smtplib.SMTP):
    """Connects, and then raises TimeoutError (or what smtplib makes of it) rather than go on beyond ``deadline``.

    ``deadline`` is of ``time.monotonic`` and is set anew for each mail. Raises ForbiddenAddress before it connects.
    """

    def __init__(self, server: Server, deadline: float) -> None:
        self.deadline = deadline
        self._server = server
        self._allowed = LONGEST_REPLY
        super().__init__(server.host, server.port, str(DNS_NAME), timeout=server.timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """What smtplib connects with."""
        plain = self._connected(host, port)
        return tls().wrap_socket(plain, server_hostname=host) if self._server.secure else plain

    def _connected(self, host: str, port: int) -> socket.socket:
        trouble: OSError | None = None
        for family, place in self._places(host, port):
            made = socket.socket(family, socket.SOCK_STREAM)
            try:
                made.settimeout(self._patience())
                made.connect(place)
            except OSError as error:
                made.close()
                trouble = error
            else:
                return made
        raise trouble or OSError(f"{host} has no address.")

    def _places(self, host: str, port: int) -> list[tuple[int, Any]]:
        seconds = min(self._patience(), look_ups.SECONDS)
        if self._server.is_public:
            return list(public_addresses(host, port, allow_loopback=settings.DEBUG, seconds=seconds))
        return [(family, place) for family, _, _, _, place in look_ups.look_up(host, port, seconds=seconds)]

    def send(self, s: ReadableBuffer | str) -> None:
        whole = s.encode(self.command_encoding) if isinstance(s, str) else memoryview(s)
        for start in range(0, len(whole), _PIECE):
            self._hurry()
            super().send(whole[start : start + _PIECE])

    def getreply(self) -> tuple[int, bytes]:
        self._allowed = LONGEST_REPLY
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_Heard(self))
        return super().getreply()

    def hear(self, buffer: Any) -> int:
        """Read what has come into ``buffer``."""
        self._hurry()
        count = self._socket.recv_into(buffer)
        self._allowed -= count
        if self._allowed < 0:
            raise OSError("The server's answer does not end.")
        return count

    def _hurry(self) -> None:
        if self.sock is not None:
            self._socket.settimeout(self._patience())

    @property
    def _socket(self) -> socket.socket:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("The connection is closed.")
        return self.sock

    def _patience(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("The server takes too long for one mail.")
        return min(self._server.timeout, left)


class _Heard(io.RawIOBase):
    """The server's side of the dialogue, as a file for smtplib to read lines from."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._dialogue.hear(buffer)


@functools.cache
def tls() -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than sending thirty mails."""
    return ssl.create_default_context()
