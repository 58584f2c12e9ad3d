"""Accounts at every provider, and deliveries that went out through them."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from django.db import connection, transaction

from accounts.models import Organization, User
from castcomm.common import http as client
from castcomm.common import sql
from castcomm.common.clock import now
from notifications.models import Delivery, DeliveryAttempt, EventType, ProviderAccount
from notifications.webhooks.base import parser_for
from notifications.webhooks.sns_messages import body_of

from . import senders

Sent = Callable[..., Delivery]
CONTENT = {"subject": "S", "title": "T", "text": "T", "sms": "T"}
WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def make_account(db: None) -> Callable[..., ProviderAccount]:
    """A row for a provider; without ``organization`` it serves all."""

    def make(provider: str, organization: Organization | None = None, **changed: str) -> ProviderAccount:
        return ProviderAccount.objects.create(
            organization=organization,
            channel="sms" if provider == "twilio" else "email",
            provider=provider,
            name=f"{provider} of the test",
            credentials=orjson.dumps({**senders.CREDENTIALS[provider], **changed}).decode(),
        )

    return make


@pytest.fixture
def sent(news: EventType, send: Callable[..., Any], member: User) -> Sent:
    """A delivery in a state, as dispatch left it, with an attempt that ended as given."""

    def make(
        provider: str = "sendgrid",
        *,
        status: str = "sent",
        outcome: str = "sent",
        message_id: str = "",
        to: Any = None,
        account: str = "",
        channel: str = "email",
        **fields: Any,
    ) -> Delivery:
        result = send(
            to or member,
            channels=[channel],
            content=CONTENT,
        )
        delivery = Delivery.objects.get(notification_id=result.notifications[0].id, channel=channel)
        moment = now()
        reasons = {"sent": "accepted", "unknown": "ambiguous", "pending": "retrying"}
        DeliveryAttempt.objects.create(
            delivery=delivery,
            number=1,
            provider=provider,
            account=account,
            started_at=moment,
            finished_at=moment if outcome else None,
            outcome=outcome,
            provider_message_id=message_id,
        )
        values = {
            "status": status,
            "reason": reasons.get(status, "worker_lost"),
            "provider": provider,
            "account": account,
            "attempt_count": 1,
            "provider_message_id": message_id,
            "sent_at": moment if status == "sent" else None,
            "settled_at": None if status in ("pending", "sending") else moment,
            **fields,
        }
        Delivery.objects.filter(id=delivery.id).update(**values)
        delivery.refresh_from_db()
        return delivery

    return make


@pytest.fixture
def said() -> Callable[..., senders.Said]:
    def make(kind: str, delivery: Any, **fields: Any) -> senders.Said:
        given = {
            "delivery_id": getattr(delivery, "id", delivery),
            "message_id": getattr(delivery, "provider_message_id", "") or "m-1",
            "to": "member@example.com",
            "at": time.time() - 1,
            **fields,
        }
        return senders.Said(kind, **given)

    return make


@pytest.fixture
def amazon() -> Iterator[senders.Amazon]:
    """Amazon's far side on a loopback socket: it serves the certificate and hears confirmations.

    The addresses are checked as ever; only where they lead is exchanged.
    """
    made = senders.Amazon()
    asked: list[str] = []
    made.status = 200  # type: ignore[attr-defined]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(made.status)  # type: ignore[attr-defined]
            self.end_headers()
            self.wfile.write(made.certificate if self.path.endswith(".pem") else b"<confirmed/>")

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def fetch(url: str) -> bytes:
        parts = urlsplit(url)
        place = f"http://127.0.0.1:{server.server_port}{parts.path}" + (
            f"?{parts.query}" if parts.query else ""
        )
        return body_of(client.request("GET", place, allow_loopback=True))

    parser = parser_for("email", "amazon_ses")
    assert parser is not None
    messages = parser.messages  # type: ignore[attr-defined]
    before, messages.fetch = messages.fetch, fetch
    messages.forget()
    made.asked = asked  # type: ignore[attr-defined]
    yield made
    messages.fetch = before
    messages.forget()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def run_beside() -> Callable[[Delivery], Any]:
    """Another connection that holds a row until somebody waits for it."""

    class Beside:
        waited = False

    @contextlib.contextmanager
    def hold(delivery: Delivery) -> Iterator[Beside]:
        beside, ready = Beside(), threading.Event()

        def work() -> None:
            try:
                with transaction.atomic():
                    Delivery.objects.select_for_update(no_key=True).get(id=delivery.id)
                    ready.set()
                    for _ in range(2000):
                        (waiting,) = sql.run(WAITING)
                        if waiting[0]:
                            beside.waited = True
                            break
                        time.sleep(0.005)
            finally:
                ready.set()
                connection.close()

        thread = threading.Thread(target=work)
        thread.start()
        ready.wait()
        yield beside
        thread.join()

    return hold
