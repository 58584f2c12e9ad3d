"""Mail over SMTP (RFC 5321), with kept-alive connections and command pipelining (RFC 2920).

Until the final dot of DATA has gone out, a failure means "definitely not sent". From then until the
server's answer it means "nobody knows". A refusal with 4xx can be tried again, one with 5xx cannot; a
refused sign-in (535) is the account's trouble, not the mail's, and can be tried again.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import select
import smtplib
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from django.conf import settings
from django.core.mail.utils import DNS_NAME

from notifications.providers.base import (
    Account,
    Ambiguous,
    Credential,
    EmailMessage,
    EmailProvider,
    NotSent,
    RefusedForGood,
    email_providers,
)
from notifications.providers.email.mime import HeaderInjection, build, dot_stuffed

IDLE_SECONDS = 30.0
MAILS_PER_CONNECTION = 500
_TROUBLE = (OSError, smtplib.SMTPException)


@email_providers.add("smtp")
class SmtpProvider(EmailProvider):
    """One SMTP server."""

    key = "smtp"
    label = "SMTP"
    credentials = (
        Credential(name="host", env=("SMTP_HOST",), default="localhost", label="Host"),
        Credential(name="port", env=("SMTP_PORT",), default="587", label="Port"),
        Credential(name="user", env=("SMTP_USER", "SMTP_USERNAME"), required=False, label="User"),
        Credential(name="password", env=("SMTP_PASSWORD",), required=False, secret=True, label="Password"),
        Credential(
            name="secure",
            env=("SMTP_SECURE",),
            default="false",
            choices=("true", "false"),
            label="TLS from the first byte",
            help="Usual on port 465. Otherwise STARTTLS is used where it is offered.",
        ),
        Credential(name="timeout", env=("SMTP_TIMEOUT",), default="20", label="Time-out in seconds"),
        Credential(name="from_email", required=False, label="Sender's address"),
        Credential(name="from_name", required=False, label="Sender's name"),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._server = _Server(
            host=self.credential("host"),
            port=int(self.credential("port")),
            user=self.credential("user"),
            password=self.credential("password"),
            secure=self.credential("secure") == "true",
            timeout=float(self.credential("timeout")),
        )
        self.concurrency = settings.EMAIL_QUEUE_CONCURRENT
        self._idle: queue.LifoQueue[_Connection] = queue.LifoQueue()

    @classmethod
    def is_configured(cls, values: Mapping[str, str]) -> bool:
        """Only where the environment names a host; there is a default for development."""
        return bool(settings.PROVIDER_ENVIRONMENT.get("SMTP_HOST"))

    def send(self, message: EmailMessage) -> str:
        sender, sender_name = self.sender_of(message)
        try:
            content = dot_stuffed(build(message, sender=sender, sender_name=sender_name))
        except HeaderInjection as error:
            raise RefusedForGood(str(error)) from error
        while True:
            connection = self._connection()
            try:
                connection.transact(sender, message.to, content)
            except _WentStale:
                connection.close()
                continue  # with another one; in the end with a new one, which cannot be stale
            except BaseException:
                self._give_back(connection)
                raise
            self._give_back(connection)
            return message.message_id

    def _give_back(self, connection: _Connection) -> None:
        if connection.usable:
            self._idle.put(connection)
        else:
            connection.close()

    def _connection(self) -> _Connection:
        """A connection that the server still holds open; raises NotSent when there is none to be had."""
        while True:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                return _Connection(self._server)
            if connection.is_fresh():
                return connection
            connection.close()

    def close(self) -> None:
        """Say goodbye on all idle connections."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()


class _WentStale(NotSent):
    """A kept connection turned out to be closed before anything of the mail was sent over it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    host: str
    port: int
    user: str
    password: str
    secure: bool
    timeout: float


class _Connection:
    """A signed-in SMTP session. After an error it is ``usable`` only if the dialogue is in a known state."""

    def __init__(self, server: _Server) -> None:
        self.usable = True
        self._sent = 0
        self._last_used = time.monotonic()
        try:
            self._smtp = _open(server)
        except smtplib.SMTPAuthenticationError as error:
            raise NotSent(f"Sign-in refused: {error.smtp_code} {_text(error.smtp_error)}") from error
        except smtplib.SMTPResponseException as error:
            raise NotSent(f"{error.smtp_code} {_text(error.smtp_error)}") from error
        except _TROUBLE as error:
            raise NotSent(f"No connection: {type(error).__name__}: {error}") from error
        self._pipelining = self._smtp.has_extn("pipelining")

    def is_fresh(self) -> bool:
        """Whether it may be used again: not idle for long, not used up, and not closed by the server."""
        if time.monotonic() - self._last_used > IDLE_SECONDS or self._sent >= MAILS_PER_CONNECTION:
            return False
        return not _has_something_to_read(self._smtp.sock)

    def transact(self, sender: str, to: str, content: bytes) -> None:
        """One mail; raises NotSent, RefusedForGood or Ambiguous."""
        self.usable = False
        try:
            self._offer(*self._commands(sender, to))
            # Nobody accepts a mail whose final dot never left.
            self._smtp.send(content)
        except _TROUBLE as error:
            kind = _WentStale if self._sent and not _timed_out(error) else NotSent
            raise kind(f"Broke off before the end of the content: {type(error).__name__}: {error}") from error
        try:
            code, answer = self._smtp.getreply()
        except _TROUBLE as error:
            raise Ambiguous(f"Broke off after the content: {type(error).__name__}: {error}") from error
        self.usable = code != 421 and 200 <= code < 600
        self._sent += 1
        self._last_used = time.monotonic()
        _raise_for(code, answer)

    def _commands(self, sender: str, to: str) -> tuple[str, str]:
        if to.isascii() and sender.isascii():
            return f"MAIL FROM:<{sender}>\r\n", f"RCPT TO:<{to}>\r\n"
        if not self._smtp.has_extn("smtputf8"):
            self.usable = True
            raise RefusedForGood("The server does not take addresses beyond ASCII (SMTPUTF8).")
        return f"MAIL FROM:<{sender}> SMTPUTF8\r\n", f"RCPT TO:<{to}>\r\n"

    def _offer(self, mail: str, rcpt: str) -> None:
        """MAIL, RCPT and DATA up to the server's 354."""
        if not self._pipelining:
            for command in (mail, rcpt, "DATA\r\n"):
                self._smtp.send(command.encode())
                code, answer = self._smtp.getreply()
                if code not in ((354,) if command == "DATA\r\n" else (250, 251, 252)):
                    self._refuse(code, answer)
            return
        self._smtp.send((mail + rcpt + "DATA\r\n").encode())
        replies: list[tuple[int, bytes]] = []
        try:
            replies.extend(self._smtp.getreply() for _ in range(3))
        except _TROUBLE:
            # Some refuse and hang up at once: what they said counts.
            for code, answer in replies:
                if code >= 400:
                    _raise_for(code, answer)
            raise
        refused = next((reply for reply in replies[:2] if reply[0] >= 300), None)
        if replies[2][0] == 354:
            if refused is None:
                return
            # The server opened DATA although nobody is to get it: end it empty. Nothing was sent.
            with contextlib.suppress(*_TROUBLE):
                self._smtp.send(b".\r\n")
                self._smtp.getreply()
        self._refuse(*(refused or replies[2]))

    def _refuse(self, code: int, answer: bytes) -> NoReturn:
        """Raise for a refusal, ready for the next mail if the server still talks to us (many hang up now)."""
        with contextlib.suppress(*_TROUBLE):
            self.usable = self._smtp.rset()[0] == 250
        if 400 <= code < 600:
            _raise_for(code, answer)
        raise NotSent(f"Unexpected answer before the content: {code} {_text(answer)}")

    def close(self) -> None:
        with contextlib.suppress(*_TROUBLE):
            self._smtp.quit()
        self._smtp.close()


def _open(server: _Server) -> smtplib.SMTP:
    where = (server.host, server.port, str(DNS_NAME))
    smtp: smtplib.SMTP
    if server.secure:
        smtp = smtplib.SMTP_SSL(*where, timeout=server.timeout, context=_tls())
    else:
        smtp = smtplib.SMTP(*where, timeout=server.timeout)
    try:
        smtp.ehlo_or_helo_if_needed()
        if not server.secure and smtp.has_extn("starttls"):
            smtp.starttls(context=_tls())
            smtp.ehlo()
        elif server.password and not server.secure:
            raise NotSent("The server offers no TLS; the password is not sent in the clear.")
        if server.user:
            smtp.login(server.user, server.password)
        if isinstance(smtp.sock, socket.socket):
            smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        smtp.close()
        raise
    return smtp


@functools.cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than sending thirty mails."""
    return ssl.create_default_context()


def _has_something_to_read(sock: socket.socket | None) -> bool:
    """An idle server has nothing to say but goodbye."""
    if sock is None:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _timed_out(error: BaseException) -> bool:
    """Whether it was for a time-out; smtplib wraps it when it waits for an answer."""
    return isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)


def _raise_for(code: int, answer: bytes) -> None:
    if 200 <= code < 300:
        return
    detail = f"{code} {_text(answer)}"
    if 400 <= code < 500:
        raise NotSent(detail)
    if 500 <= code < 600:
        raise RefusedForGood(detail)
    raise Ambiguous(f"Unexpected answer: {detail}")


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
