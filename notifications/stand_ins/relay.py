"""Hands accepted mails on to the demo's mail catcher, so that one can read them."""

from __future__ import annotations

import queue
import smtplib
import threading

import structlog

from notifications.stand_ins.far_side import FarSide
from notifications.stand_ins.ledger import Accepted

log = structlog.get_logger(__name__)

HEADER = "X-CastComm-Stand-In"
_MOST_WAITING = 10_000
_PATIENCE = 10.0  # seconds


class Relay:
    """Sends from a thread of its own; more than ``_MOST_WAITING`` are not kept. Each mail names its provider."""

    def __init__(self, *, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._waiting: queue.Queue[tuple[FarSide, Accepted]] = queue.Queue(_MOST_WAITING)
        threading.Thread(target=self._run, name="relay", daemon=True).start()

    def __call__(self, side: FarSide, accepted: Accepted) -> None:
        try:
            self._waiting.put_nowait((side, accepted))
        except queue.Full:
            log.warning("relay.full", provider=side.key)

    def _run(self) -> None:
        while True:
            side, accepted = self._waiting.get()
            try:
                self._pass_on(side, accepted)
            except (OSError, smtplib.SMTPException, ValueError, LookupError) as error:
                log.warning("relay.failed", provider=side.key, error=f"{type(error).__name__}: {error}")

    def _pass_on(self, side: FarSide, accepted: Accepted) -> None:
        mail = side.mail_of(accepted)
        if mail is None:
            return
        mail[HEADER] = side.key
        with smtplib.SMTP(self._host, self._port, timeout=_PATIENCE) as smtp:
            smtp.send_message(mail, to_addrs=accepted.to.split(", "))
