"""A local SMTP server that keeps every mail instead of delivering it, with pages to read them.

For development only: it listens on loopback, asks for no password and delivers nothing.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session

from castcomm.embedded import ports
from castcomm.embedded.console import say
from castcomm.embedded.errors import EmbeddedError
from castcomm.embedded.mail_page import MailPages
from castcomm.embedded.mail_store import MailStore

_LARGEST_MAIL = 25_000_000  # bytes
_CLOSING_SECONDS = 2


class _Catcher:
    """Takes each mail from aiosmtpd into the store."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        kept = self._store.add(raw, sender=envelope.mail_from or "", recipients=envelope.rcpt_tos)
        return f"250 OK kept as {kept.id}"


async def serve(*, smtp_port: int, http_port: int, folder: Path) -> None:
    """Serve until SIGINT or SIGTERM. Raises EmbeddedError when a port is taken."""
    store = MailStore(folder)
    catcher = _Catcher(store)
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(
            catcher,
            hostname="localhost",
            ident="CastComm mail catcher",
            data_size_limit=_LARGEST_MAIL,
            enable_SMTPUTF8=True,
            loop=loop,
        )

    for port in (smtp_port, http_port):
        if not ports.is_free(port):
            raise EmbeddedError(
                f"The mail catcher's port {port} is taken ({ports.listener(port) or 'by whom is not seen'})."
            )
    smtp = await loop.create_server(session, ports.LOOPBACK, smtp_port)
    http = uvicorn.Server(
        uvicorn.Config(
            MailPages(store),
            host=ports.LOOPBACK,
            port=http_port,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=_CLOSING_SECONDS,
        )
    )
    say(f"Mail catcher: SMTP on {ports.LOOPBACK}:{smtp_port}, pages on http://localhost:{http_port}/")
    try:
        await http.serve()
    finally:
        smtp.close()


def run(*, smtp_port: int, http_port: int, folder: Path) -> None:
    """The process of the Procfile's ``mail`` line."""
    asyncio.run(serve(smtp_port=smtp_port, http_port=http_port, folder=folder))
