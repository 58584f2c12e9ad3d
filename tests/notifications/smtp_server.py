"""A real SMTP server on a loopback socket that answers as it is told."""

from __future__ import annotations

import asyncio
import email
import email.policy
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session


@dataclass
class Arrived:
    """A mail that the server accepted, as its bytes came (dots already unstuffed)."""

    sender: str
    recipients: list[str]
    content: bytes
    connection: int

    @property
    def message(self) -> EmailMessage:
        parsed = email.message_from_bytes(self.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def delivery(self) -> str:
        return str(self.message["X-CastComm-Delivery"])


@dataclass
class SmtpServer:
    """How the server answers; every field may be changed while it runs.

    ``at`` maps a stage (``CONNECT``, ``MAIL``, ``RCPT``, ``DATA``) to an answer, or to a function of the number
    of the mail that gives one (empty: the usual answer). After the content it can ``hang`` (seconds) or ``reset``.
    """

    at: dict[str, str | Callable[[int], str]] = field(default_factory=dict)
    pipelining: bool = True
    smtputf8: bool = True
    hang: float = 0.0
    reset: bool = False
    hang_up_after_refusal: bool = False
    data_without_recipients: bool = False
    idle_seconds: float = 300.0
    tls: ssl.SSLContext | None = None
    password: str = ""
    arrived: list[Arrived] = field(default_factory=list)
    connections: int = 0
    empty_mails: int = 0
    port: int = 0
    _mails: int = 0

    def answer(self, stage: str) -> str:
        given = self.at.get(stage, "")
        return given(self._mails) if callable(given) else given

    @property
    def deliveries(self) -> list[str]:
        return [one.delivery for one in self.arrived]


class _Handler:
    def __init__(self, server: SmtpServer) -> None:
        self.server = server

    async def handle_EHLO(
        self, smtp: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self.server.pipelining:
            responses.insert(1, "250-PIPELINING")
        return responses

    async def handle_MAIL(
        self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.server._mails += 1
        return self._refused(smtp, "MAIL") or self._begin(envelope, address)

    def _begin(self, envelope: Envelope, address: str) -> str:
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refused = self._refused(smtp, "RCPT")
        if not refused or self.server.data_without_recipients:
            envelope.rcpt_tos.append(address)
        return refused or "250 OK"

    def _refused(self, smtp: SMTP, stage: str) -> str:
        refused = self.server.answer(stage)
        if refused and self.server.hang_up_after_refusal:
            transport: Any = smtp.transport
            transport.write(refused.encode() + b"\r\n")
            transport.close()
        return refused

    async def handle_DATA(self, smtp: SMTP, session: Session, envelope: Envelope) -> str:
        server = self.server
        if server.reset:
            transport: Any = smtp.transport
            transport.abort()
            return "250 never seen"
        if server.hang:
            await asyncio.sleep(server.hang)
        refused = server.answer("DATA")
        if refused:
            return refused
        content = envelope.original_content or b""
        if not content:
            server.empty_mails += 1
            return "554 No valid recipients"
        recipients = list(map(str, envelope.rcpt_tos))
        server.arrived.append(
            Arrived(str(envelope.mail_from), recipients, content, getattr(session, "number", 0))
        )
        return "250 Accepted"


class _Connection(SMTP):
    def __init__(self, server: SmtpServer) -> None:
        options: dict[str, Any] = {}
        if server.password:
            options = {"authenticator": self._check, "auth_require_tls": server.tls is not None}
        if server.tls is not None:
            options["tls_context"] = server.tls
        super().__init__(
            _Handler(server), enable_SMTPUTF8=server.smtputf8, timeout=server.idle_seconds, **options
        )
        self._of = server

    def _check(self, _smtp: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password.decode() == self._of.password, handled=False)

    def connection_made(self, transport: Any) -> None:
        if self.transport is not None:  # the same connection, now with TLS
            super().connection_made(transport)
            return
        self._of.connections += 1
        greeting = self._of.answer("CONNECT")
        if greeting:
            transport.write(greeting.encode() + b"\r\n")
            transport.close()
            return
        super().connection_made(transport)
        if self.session is not None:
            self.session.number = self._of.connections  # type: ignore[attr-defined]


@contextmanager
def smtp_server(**fields: Any) -> Iterator[SmtpServer]:
    """A server in a thread of its own, gone afterwards."""
    server = SmtpServer(**fields)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd tells every line of the dialogue
    loop = asyncio.new_event_loop()

    async def listen() -> asyncio.Server:
        listening = await loop.create_server(lambda: _Connection(server), "127.0.0.1", 0, backlog=200)
        server.port = listening.sockets[0].getsockname()[1]
        return listening

    listening = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(_cancel_all, loop)
        thread.join(5)
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.call_later(0.05, loop.stop)
