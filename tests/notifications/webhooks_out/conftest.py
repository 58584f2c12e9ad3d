"""An organization with an endpoint on a loopback socket, and the worker's loop."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache

from accounts.models import Organization
from castcomm.common.clock import now
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.services import customer_webhooks, webhook_dispatch
from notifications.services.webhook_endpoints import create_endpoint
from tests.notifications.hook_server import HookServer, hook_server

Publish = Callable[..., int]


@pytest.fixture(autouse=True)
def _own_beginning(settings: Any) -> Iterator[None]:
    """Loopback is allowed, and nothing is left of the test before."""
    settings.WEBHOOKS_TO_LOOPBACK = True
    settings.SLACK_WEBHOOK_URL = settings.ALERT_WEBHOOK_URL = settings.ALERT_WEBHOOK_SECRET = ""
    customer_webhooks.forget_listeners()
    cache.clear()
    yield
    customer_webhooks.forget_listeners()
    webhook_dispatch._client.cache_clear()


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with hook_server() as server:
        yield server


@pytest.fixture
def endpoint(organization: Organization, hook: HookServer) -> WebhookEndpoint:
    """An endpoint that hears everything."""
    row, _ = create_endpoint(organization=organization, url=hook.url(), description="Ours")
    return row


@pytest.fixture
def publish(organization: Organization) -> Publish:
    def call(event_type: str = "delivery.sent", **payload: Any) -> int:
        owner = payload.pop("organization", organization)
        return customer_webhooks.publish(
            organization_id=owner.id,
            event_type=event_type,
            payload=payload or {"delivery_id": "d1"},
            occurred_at=dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        )

    return call


@pytest.fixture
def drain() -> Callable[[], int]:
    return webhook_dispatch.drain


@pytest.fixture
def due_now() -> Callable[[], None]:
    """Let the time pass for which deliveries wait."""

    def make_due() -> None:
        WebhookDelivery.objects.filter(status="pending").update(due_at=now())
        WebhookEndpoint.objects.update(resume_at=None)

    return make_due
