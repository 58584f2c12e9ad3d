"""What a customer's endpoint hears of deliveries that dispatch has ended."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Organization
from notifications.models import WebhookMessage
from notifications.services.webhook_endpoints import create_endpoint

from .smtp_server import SmtpServer


@pytest.fixture
def listening(organization: Organization, settings: Any) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = True
    create_endpoint(organization=organization, url="http://127.0.0.1:9/hook", event_types=["delivery.*"])


def heard() -> list[tuple[str, str]]:
    rows = WebhookMessage.objects.order_by("event_type")
    return [(row.event_type, row.payload["reason"]) for row in rows]


def test_sent_and_refused_mails_are_told(
    send: Any, make_event_type: Any, drain: Any, mail: SmtpServer, listening: None
) -> None:
    make_event_type("bill", channels=["email"])
    send({"email": "one@example.com"}, event_type="bill")
    drain()
    mail.at = {"RCPT": "550 5.1.1 No such user"}
    send({"email": "two@example.com"}, event_type="bill")
    drain()
    assert heard()[:2] == [("delivery.failed", "refused"), ("delivery.sent", "accepted")]


def test_what_waits_for_another_try_is_no_news(
    send: Any, make_event_type: Any, drain: Any, mail: SmtpServer, listening: None
) -> None:
    make_event_type("bill", channels=["email"])
    mail.at = {"MAIL": "450 Later"}
    send({"email": "one@example.com"}, event_type="bill")
    drain()
    assert heard() == []


def test_another_organization_hears_nothing(
    send: Any, make_event_type: Any, make_organization: Any, drain: Any, mail: SmtpServer, settings: Any
) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = True
    create_endpoint(organization=make_organization(), url="http://127.0.0.1:9/hook", event_types=[])
    make_event_type("bill", channels=["email"])
    send({"email": "one@example.com"}, event_type="bill")
    drain()
    assert heard() == []
