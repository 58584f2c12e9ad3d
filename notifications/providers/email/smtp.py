"""Mail over SMTP (RFC 5321), with kept-alive connections and command pipelining (RFC 2920).

Until the final dot of DATA has gone out, a failure means "definitely not sent". From then until the
server's answer it means "nobody knows". A refusal with 4xx can be tried again, one with 5xx cannot; a
refused sign-in (535) is the account's trouble, not the mail's, and can be tried again.
"""

from __future__ import annotations

import contextlib
import functools
import math
import queue
import select
import smtplib
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from django.conf import settings

from castcomm.common.errors import InvalidInput
from castcomm.common.public_addresses import ForbiddenAddress
from notifications.providers.base import (
    Account,
    Ambiguous,
    Credential,
    EmailMessage,
    EmailProvider,
    NotSent,
    RefusedForGood,
    Result,
    email_providers,
)
from notifications.providers.email.mime import HeaderInjection, build, dot_stuffed
from notifications.providers.email.smtp_dialogue import Dialogue, Server, tls
from notifications.providers.fields import sender_fields
from notifications.vocabulary import SuppressionReason

IDLE_SECONDS = 30.0
MAILS_PER_CONNECTION = 500
MOST_CONNECTIONS = 32  # of a process; Postfix takes 50 from one client unless told otherwise
SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 1.0, 30.0  # seconds for one step of the dialogue
_DEFAULT_TIMEOUT = 20.0
_GOODBYE = 2.0  # seconds that an idle connection gets for its QUIT
_LONGEST_TEXT = 500  # characters of a server's answer that staff see
_RCPT = 1  # the place of RCPT's answer among those to MAIL, RCPT and DATA
# Enhanced status codes of RFC 3463: bad mailbox address, mailbox has moved; RFC 7505: the domain takes no mail.
_NO_SUCH_MAILBOX = (b"5.1.1", b"5.1.6", b"5.1.10")
_TROUBLE = (OSError, smtplib.SMTPException)


@email_providers.add("smtp")
class SmtpProvider(EmailProvider):
    """One SMTP server."""

    key = "smtp"
    label = "SMTP"
    may_be_near = True
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
        Credential(
            name="timeout",
            env=("SMTP_TIMEOUT",),
            default="20",
            label="Time-out in seconds",
            help="For each step with the server, 1 to 30. A whole mail never takes longer than half a lease.",
        ),
        *sender_fields(address=(), name=()),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._server = Server(
            host=self.credential("host"),
            port=int(self.credential("port")),
            user=self.credential("user"),
            password=self.credential("password"),
            secure=self.credential("secure") == "true",
            timeout=_within_bounds(_seconds(self.credential("timeout"))),
            is_public=account.organization_id is not None,
        )
        self.concurrency = min(settings.EMAIL_QUEUE_CONCURRENT, MOST_CONNECTIONS)
        self._idle: queue.LifoQueue[_Connection] = queue.LifoQueue()

    @classmethod
    def is_configured(cls, values: Mapping[str, str]) -> bool:
        """Only where the environment names a host; there is a default for development."""
        return bool(settings.PROVIDER_ENVIRONMENT.get("SMTP_HOST"))

    @classmethod
    def check_credentials(cls, values: Mapping[str, str]) -> None:
        if values.get("timeout"):
            seconds = _seconds(values["timeout"])
            if seconds is None or _within_bounds(seconds) != seconds:
                bounds = f"{SHORTEST_TIMEOUT:.0f} to {LONGEST_TIMEOUT:.0f}"
                raise InvalidInput(f"Seconds from {bounds}.", attr="timeout")

    def send(self, message: EmailMessage) -> str:
        lane = _Lane(self)
        try:
            return lane.send(self._prepared(message), None)
        finally:
            lane.end()

    def deliver_in_turn(self, messages: Sequence[EmailMessage]) -> list[Result]:
        """One after the other over one connection; each envelope travels with the content before it."""
        lane = _Lane(self)
        results = []
        mail = self._attempted(messages[0])
        for position, message in enumerate(messages):
            last = position + 1 == len(messages)
            following = mail if last else self._attempted(messages[position + 1])
            ahead = following if isinstance(following, _Mail) and not last else None
            results.append(self.result_of(functools.partial(_send, lane, mail, ahead), message.delivery_id))
            mail = following
        lane.end()
        return results

    def _attempted(self, message: EmailMessage) -> _Mail | Exception:
        """The prepared mail, or why there is none: to be told when it is this mail's turn."""
        try:
            return self._prepared(message)
        except Exception as error:
            return error

    def _prepared(self, message: EmailMessage) -> _Mail:
        sender, sender_name = self.sender_of(message)
        try:
            content = dot_stuffed(build(message, sender=sender, sender_name=sender_name))
        except HeaderInjection as error:
            raise RefusedForGood(str(error)) from error
        return _Mail(sender, message.to, content, message.message_id)

    def give_back(self, connection: _Connection) -> None:
        """Keep a connection for the next one who needs it; one in the middle of a dialogue is closed."""
        if connection.usable and not connection.is_ahead:
            self._idle.put(connection)
        else:
            connection.close()

    def connection(self, deadline: float) -> _Connection:
        """A connection that the server still holds open; raises NotSent when there is none to be had."""
        while True:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                return _Connection(self._server, deadline)
            if connection.is_fresh():
                return connection
            connection.close()

    def close(self) -> None:
        """Say goodbye on all idle connections."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()


@dataclass(frozen=True, slots=True, eq=False)
class _Mail:
    """A mail as the server gets it: envelope and dot-stuffed content."""

    sender: str
    to: str
    content: bytes
    message_id: str


class _Lane:
    """Sends mails one after the other, over one connection as long as it lasts."""

    def __init__(self, provider: SmtpProvider) -> None:
        self._provider = provider
        self._connection: _Connection | None = None

    def send(self, mail: _Mail, following: _Mail | None) -> str:
        # Before a slice the lease is renewed when less than half of it is left (carrying): so much is sure.
        deadline = time.monotonic() + settings.DELIVERY_LEASE.total_seconds() / 2
        while True:
            connection = self._connection or self._provider.connection(deadline)
            self._connection = None
            try:
                connection.transact(mail, following, deadline)
            except _WentStale:
                connection.close()
                continue  # with another one; in the end with a new one, which cannot be stale
            finally:
                if connection.usable:
                    self._connection = connection
                else:
                    connection.close()
            if connection.used_up:
                self.end()
            return mail.message_id

    def end(self) -> None:
        if self._connection is not None:
            self._provider.give_back(self._connection)
            self._connection = None


def _send(lane: _Lane, mail: _Mail | Exception, following: _Mail | None) -> str:
    if isinstance(mail, Exception):
        raise mail
    return lane.send(mail, following)


class _WentStale(NotSent):
    """A kept connection turned out to be closed before anything of the mail was sent over it."""


class _Connection:
    """A signed-in SMTP session. After an error it is ``usable`` only if the dialogue is in a known state."""

    def __init__(self, server: Server, deadline: float) -> None:
        self.usable = True
        self._sent = 0
        self._ahead: _Mail | None = None  # its envelope is with the server, which has not been heard yet
        self._last_used = time.monotonic()
        try:
            self._smtp = _open(server, deadline)
        except smtplib.SMTPAuthenticationError as error:
            raise NotSent(f"Sign-in refused: {error.smtp_code} {_text(error.smtp_error)}") from error
        except smtplib.SMTPResponseException as error:
            raise NotSent(f"{error.smtp_code} {_text(error.smtp_error)}") from error
        except ForbiddenAddress as error:
            raise NotSent("No connection: the host is not on the public internet.") from error
        except UnicodeError as error:
            raise NotSent("No connection: the host's name cannot be one.") from error
        except _TROUBLE as error:
            raise NotSent(f"No connection: {type(error).__name__}: {error}") from error
        self._pipelining = self._smtp.has_extn("pipelining")

    def is_fresh(self) -> bool:
        """Whether it may be used again: not idle for long, not used up, and not closed by the server."""
        if time.monotonic() - self._last_used > IDLE_SECONDS or self._sent >= MAILS_PER_CONNECTION:
            return False
        return not _has_something_to_read(self._smtp.sock)

    @property
    def used_up(self) -> bool:
        return self._sent >= MAILS_PER_CONNECTION

    @property
    def is_ahead(self) -> bool:
        return self._ahead is not None

    def transact(self, mail: _Mail, following: _Mail | None, deadline: float) -> None:
        """One mail; raises NotSent, RefusedForGood or Ambiguous.

        Where the server takes commands in groups the envelope of ``following`` leaves right behind the content (RFC
        2920, 3.1), so that each mail waits for the server once. ``following`` is then the next mail to be sent here.
        """
        self.usable = False
        self._smtp.deadline = deadline
        try:
            self._open_content(mail)
            # Nobody accepts a mail whose final dot never left.
            self._smtp.send(mail.content)
        except _TROUBLE as error:
            kind = _WentStale if self._sent and not _timed_out(error) else NotSent
            raise kind(f"Broke off before the end of the content: {type(error).__name__}: {error}") from error
        self._sent += 1
        is_offered = self._offer_ahead(following)
        try:
            code, answer = self._smtp.getreply()
        except _TROUBLE as error:
            raise Ambiguous(f"Broke off after the content: {type(error).__name__}: {error}") from error
        self.usable = code != 421 and 200 <= code < 600 and is_offered
        self._last_used = time.monotonic()
        _raise_for(code, answer)

    def _open_content(self, mail: _Mail) -> None:
        """Bring the server to wait for this mail's content."""
        ahead, self._ahead = self._ahead, None
        if ahead is mail:
            self._hear_envelope()
            return
        if ahead is not None:
            raise _WentStale("The connection is in the middle of another mail.")
        commands = self._commands(mail)
        if self._pipelining:
            self._smtp.send(commands)
            self._hear_envelope()
            return
        for command in commands.splitlines(keepends=True):
            self._smtp.send(command)
            code, answer = self._smtp.getreply()
            if code not in ((354,) if command == b"DATA\r\n" else (250, 251, 252)):
                self._refuse(code, answer, about_recipient=command.startswith(b"RCPT"))

    def _offer_ahead(self, following: _Mail | None) -> bool:
        """Send the next mail's envelope; False when that broke the connection."""
        if following is None or not self._pipelining or self.used_up:
            return True
        try:
            self._smtp.send(self._commands(following))
        except RefusedForGood:
            return True  # it will be told when it is its turn
        except _TROUBLE:
            return False
        self._ahead = following
        return True

    def _commands(self, mail: _Mail) -> bytes:
        """MAIL, RCPT and DATA; raises RefusedForGood."""
        if mail.to.isascii() and mail.sender.isascii():
            return f"MAIL FROM:<{mail.sender}>\r\nRCPT TO:<{mail.to}>\r\nDATA\r\n".encode()
        if not self._smtp.has_extn("smtputf8"):
            self.usable = True
            raise RefusedForGood("The server does not take addresses beyond ASCII (SMTPUTF8).")
        return f"MAIL FROM:<{mail.sender}> SMTPUTF8\r\nRCPT TO:<{mail.to}>\r\nDATA\r\n".encode()

    def _hear_envelope(self) -> None:
        """What the server says to MAIL, RCPT and DATA, up to its 354."""
        replies: list[tuple[int, bytes]] = []
        try:
            replies.extend(self._smtp.getreply() for _ in range(3))
        except _TROUBLE:
            # Some refuse and hang up at once: what they said counts.
            for position, (code, answer) in enumerate(replies):
                if code >= 400:
                    _raise_for(code, answer, about_recipient=position == _RCPT)
            raise
        refused = next((position for position in (0, _RCPT) if replies[position][0] >= 300), 2)
        if replies[2][0] == 354:
            if refused == 2:
                return
            # The server opened DATA although nobody is to get it: end it empty. Nothing was sent.
            with contextlib.suppress(*_TROUBLE):
                self._smtp.send(b".\r\n")
                self._smtp.getreply()
        self._refuse(*replies[refused], about_recipient=refused == _RCPT)

    def _refuse(self, code: int, answer: bytes, *, about_recipient: bool) -> NoReturn:
        """Raise for a refusal, ready for the next mail if the server still talks to us (many hang up now)."""
        with contextlib.suppress(*_TROUBLE):
            self.usable = self._smtp.rset()[0] == 250
        if 400 <= code < 600:
            _raise_for(code, answer, about_recipient=about_recipient)
        raise NotSent(f"Unexpected answer before the content: {code} {_text(answer)}")

    def close(self) -> None:
        if self.usable:  # or else what is left of the mail's time has to do
            self._smtp.deadline = time.monotonic() + _GOODBYE
        with contextlib.suppress(*_TROUBLE):
            self._smtp.quit()
        self._smtp.close()


def _open(server: Server, deadline: float) -> Dialogue:
    smtp = Dialogue(server, deadline)
    try:
        smtp.ehlo_or_helo_if_needed()
        if not server.secure and smtp.has_extn("starttls"):
            smtp.starttls(context=tls())
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


def _raise_for(code: int, answer: bytes, *, about_recipient: bool = False) -> None:
    if 200 <= code < 300:
        return
    detail = f"{code} {_text(answer)}"
    if 400 <= code < 500:
        raise NotSent(detail, about_recipient=about_recipient)
    if 500 <= code < 600:
        nobody = about_recipient and answer.startswith(_NO_SUCH_MAILBOX)
        suppress = SuppressionReason.BOUNCE if nobody else None
        raise RefusedForGood(detail, about_recipient=about_recipient, suppress=suppress)
    raise Ambiguous(f"Unexpected answer: {detail}")


def _text(answer: bytes | str) -> str:
    return (answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer)[:_LONGEST_TEXT]


def _seconds(given: str) -> float | None:
    try:
        seconds = float(given)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _within_bounds(seconds: float | None) -> float:
    return min(max(_DEFAULT_TIMEOUT if seconds is None else seconds, SHORTEST_TIMEOUT), LONGEST_TIMEOUT)
