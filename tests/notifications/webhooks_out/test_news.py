"""What becomes of deliveries and what comes on the suppression list is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from castcomm.common import events
from castcomm.common.clock import now
from castcomm.common.ids import new_id
from notifications.events import DeliveryMoved, Move
from notifications.models import Delivery, WebhookEndpoint
from notifications.services import dispatch, settling
from notifications.services.outbox import Lease, Settled
from notifications.services.sending import send_notification
from notifications.services.suppressions import suppress_address
from notifications.services.webhook_endpoints import create_endpoint
from notifications.vocabulary import DeliveryStatus, Reason
from tests.notifications.hook_server import HookServer
from tests.notifications.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def delivery(organization: Organization, member: User) -> Delivery:
    send_notification(
        organization=organization,
        recipients=[member],
        content={"title": "News", "body": "Something."},
        channels=["email"],
    )
    return Delivery.objects.get()


def moved(delivery: Delivery, **more: Any) -> DeliveryMoved:
    given = {
        "before": "sent", "status": "bounced", "reason": "bounced", "kind": "bounced", "provider": "sendgrid",
        "detail": "550 <member@example.com>: user unknown", **more,
    }  # fmt: skip
    move = Move(
        delivery_id=delivery.id,
        notification_id=delivery.notification_id,
        organization_id=delivery.organization_id,
        channel=delivery.channel,
        occurred_at=now(),
        **given,
    )
    return DeliveryMoved(moves=(move,))


def test_a_receipt_is_told_without_the_address(
    endpoint: WebhookEndpoint, delivery: Delivery, drain: Callable[[], int], hook: HookServer, member: User
) -> None:
    events.publish(moved(delivery))
    drain()
    (told,) = hook.told
    assert told.event["type"] == "delivery.bounced"
    assert told.event["data"] == {
        "delivery_id": str(delivery.id),
        "notification_id": str(delivery.notification_id),
        "user_id": str(member.id),
        "channel": "email",
        "event_type": "direct",
        "status": "bounced",
        "reason": "bounced",
        "provider": "sendgrid",
        "detail": "550 <[email]>: user unknown",
    }


def test_who_may_have_it_gets_the_address(
    organization: Organization, delivery: Delivery, drain: Callable[[], int], hook: HookServer
) -> None:
    create_endpoint(organization=organization, url=hook.url(), include_address=True)
    events.publish(moved(delivery, status="delivered"))
    drain()
    assert hook.told[0].event["data"]["address"] == "member@example.com"


def test_another_organization_hears_nothing(
    other_organization: Organization, delivery: Delivery, drain: Callable[[], int], hook: HookServer
) -> None:
    create_endpoint(organization=other_organization, url=hook.url())
    events.publish(moved(delivery))
    drain()
    assert hook.told == []


@pytest.mark.parametrize(
    ("status", "types"),
    [
        (DeliveryStatus.SENT, ["delivery.sent"]),
        (DeliveryStatus.DEAD, ["delivery.failed"]),
        (DeliveryStatus.PENDING, []),
    ],
)
def test_what_dispatch_settles_is_told(
    endpoint: WebhookEndpoint, delivery: Delivery, drain: Callable[[], int], hook: HookServer,
    status: DeliveryStatus, types: list[str],
) -> None:  # fmt: skip
    settle_as(delivery, status)
    drain()
    assert [one.event["type"] for one in hook.told] == types


def test_without_a_listener_settling_costs_nothing_more(
    organization: Organization, delivery: Delivery, django_assert_num_queries: Callable[..., Any]
) -> None:
    settle_as(delivery, DeliveryStatus.SENT)  # the listeners are known now
    with django_assert_num_queries(2):  # one of them is the test's own
        settle_as(delivery, DeliveryStatus.SENT)


def test_what_a_receipt_has_said_meanwhile_is_not_told_otherwise(
    endpoint: WebhookEndpoint, delivery: Delivery, drain: Callable[[], int], hook: HookServer
) -> None:
    settle_as(delivery, DeliveryStatus.SENT, found="delivered")
    drain()
    assert hook.told == []


def settle_as(delivery: Delivery, status: DeliveryStatus, *, found: str = "sending") -> None:
    """What a worker writes that holds the delivery, whose state is ``found`` by then."""
    token = new_id()
    Delivery.objects.update(status=found, lease_token=token)
    ended = Settled(delivery.id, delivery.organization_id, status, Reason.ACCEPTED, 1)
    settling.settle(Lease(token, now()), [ended], now=now())


def test_a_suppressed_address_is_told_once(
    organization: Organization, drain: Callable[[], int], hook: HookServer
) -> None:
    create_endpoint(organization=organization, url=hook.url("/plain"))
    create_endpoint(organization=organization, url=hook.url("/full"), include_address=True)
    for _ in range(2):
        suppress_address(organization=organization, channel="email", address="ada@example.com")
    drain()
    heard = {one.path: (one.event["type"], one.event["data"]) for one in hook.told}
    assert len(hook.told) == 2
    assert heard["/plain"] == ("suppression.added", {"channel": "email", "reason": "manual"})
    assert heard["/full"][1]["address"] == "ada@example.com"


def test_a_mail_that_a_provider_took_is_told(
    endpoint: WebhookEndpoint,
    delivery: Delivery,
    mail: SmtpServer,
    drain: Callable[[], int],
    hook: HookServer,
) -> None:
    dispatch.drain("email", delivery.priority)
    drain()
    (told,) = hook.told
    assert told.event["type"] == "delivery.sent"
    assert told.event["data"]["delivery_id"] == str(delivery.id)
    assert told.event["data"]["provider"] == "smtp"
