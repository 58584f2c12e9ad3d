"""kill -9 of a worker while a customer's endpoint is being told something."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured

from accounts.models import Organization
from castcomm.common.clock import now
from notifications.models import WebhookAttempt, WebhookDelivery
from notifications.services import customer_webhooks, webhook_dispatch
from notifications.services.webhook_endpoints import create_endpoint
from tests.notifications.hook_server import Reply, hook_server

from .processes import installation

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.django_db(transaction=True)]


def swept_and_delivered() -> bool:
    """What Beat does every two seconds, and whether it has come to anything."""
    webhook_dispatch.sweep()
    return WebhookDelivery.objects.get().status == "delivered"


def test_it_is_told_again_with_the_same_id_when_the_lease_is_over(
    organization: Organization, settings: Any, tmp_path: Path
) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = True
    with (
        hook_server() as hook,
        installation(
            redis_url=configured.REDIS_URL,
            redis_prefix=configured.REDIS_PREFIX,
            smtp_port=9,
            log=tmp_path / "log",
            DEBUG="1",
        ) as running,
    ):
        create_endpoint(organization=organization, url=hook.url())
        hook.replies.append(Reply(hang=True))
        worker = running.start_worker()
        customer_webhooks.publish(
            organization_id=organization.id,
            event_type="delivery.sent",
            payload={"delivery_id": "d1"},
            occurred_at=now(),
        )
        hook.wait_for_one()
        running.kill(worker)
        lost = WebhookDelivery.objects.get()
        assert (lost.status, lost.attempt_count) == ("pending", 1)
        assert not webhook_dispatch.sweep(), "the dead worker's lease was not respected"
        WebhookDelivery.objects.update(lease_until=now() - dt.timedelta(seconds=1))
        running.start_worker()
        running.wait_until(swept_and_delivered)
    assert [one.id for one in hook.told] == [str(lost.message_id)] * 2
    finished = list(
        WebhookAttempt.objects.order_by("number").values_list("number", "finished_at", "status_code")
    )
    assert finished[0] == (1, None, None)
    assert (finished[1][0], finished[1][2]) == (2, 200)
