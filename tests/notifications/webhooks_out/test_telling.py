"""What endpoints are told, signed as Standard Webhooks asks, and what their answers come to."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

import pytest
import time_machine
from django.db import connection, transaction
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from accounts.models import Organization
from castcomm.common.clock import now
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookMessage
from notifications.services import customer_webhooks, webhook_dispatch, webhook_endpoints, webhook_outbox
from notifications.services.webhook_endpoints import create_endpoint, rotate_secret
from tests.notifications.hook_server import HookServer, Reply

from .conftest import Publish

pytestmark = pytest.mark.django_db


def the_delivery() -> WebhookDelivery:
    return WebhookDelivery.objects.get()


def test_what_arrives_is_signed_and_says_what_happened(
    organization: Organization, hook: HookServer, publish: Publish, drain: Callable[[], int]
) -> None:
    _, secret = create_endpoint(organization=organization, url=hook.url())
    assert publish("delivery.bounced", delivery_id="d1", reason="Größe") == 1
    assert drain() == 1
    (told,) = hook.told
    event = Webhook(secret).verify(told.body, told.headers)
    assert event == {
        "type": "delivery.bounced",
        "timestamp": "2030-01-02T03:04:05.000Z",
        "data": {"delivery_id": "d1", "reason": "Größe"},
    }
    assert told.headers["content-type"] == "application/json"
    assert told.id == str(the_delivery().message_id)
    assert the_delivery().status == "delivered"
    attempt = WebhookAttempt.objects.get()
    assert (attempt.number, attempt.status_code, attempt.answer) == (1, 200, "ok")


def test_a_changed_body_or_another_secret_does_not_verify(
    organization: Organization, hook: HookServer, publish: Publish, drain: Callable[[], int]
) -> None:
    _, secret = create_endpoint(organization=organization, url=hook.url())
    _, other = create_endpoint(organization=organization, url=hook.url("/other"))
    publish()
    drain()
    told = next(one for one in hook.told if one.path == "/hook")
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(told.body, told.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(told.body.replace(b"d1", b"d2"), told.headers)


def test_after_a_rotation_both_secrets_verify_for_a_day(
    organization: Organization, hook: HookServer, publish: Publish, drain: Callable[[], int]
) -> None:
    row, old = create_endpoint(organization=organization, url=hook.url())
    _, new = rotate_secret(endpoint=row)
    assert new != old
    publish()
    drain()
    for secret in (old, new):
        Webhook(secret).verify(hook.told[0].body, hook.told[0].headers)
    with time_machine.travel(now() + dt.timedelta(hours=25), tick=True):
        publish()
        drain()
        told = hook.told[1]
        Webhook(new).verify(told.body, told.headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(old).verify(told.body, told.headers)


@pytest.mark.parametrize(
    ("wanted", "happens", "told"),
    [
        ([], "delivery.sent", True),
        (["delivery.*"], "delivery.opened", True),
        (["delivery.sent"], "delivery.opened", False),
        (["delivery.*"], "suppression.added", False),
        (["suppression.added", "delivery.failed"], "delivery.failed", True),
        (["*"], "suppression.added", True),
    ],
)
def test_endpoints_hear_what_they_asked_for(
    organization: Organization, hook: HookServer, publish: Publish, drain: Callable[[], int],
    wanted: list[str], happens: str, told: bool,
) -> None:  # fmt: skip
    create_endpoint(organization=organization, url=hook.url(), event_types=wanted)
    assert publish(happens) == int(told)
    drain()
    assert [one.event["type"] for one in hook.told] == [happens] * told


def test_addresses_are_told_only_to_who_may_have_them(
    organization: Organization, hook: HookServer, publish: Publish, drain: Callable[[], int]
) -> None:
    create_endpoint(organization=organization, url=hook.url("/without"))
    create_endpoint(organization=organization, url=hook.url("/with"), include_address=True)
    publish(delivery_id="d1", address="ada@example.com")
    drain()
    heard = {one.path: one.event["data"] for one in hook.told}
    assert heard["/without"] == {"delivery_id": "d1"}
    assert heard["/with"] == {"delivery_id": "d1", "address": "ada@example.com"}
    assert len({one.id for one in hook.told}) == 1
    assert "ada@example.com" not in json.dumps(WebhookMessage.objects.get().payload)


def test_nothing_is_told_of_what_was_rolled_back(
    endpoint: WebhookEndpoint, publish: Publish, drain: Callable[[], int], hook: HookServer
) -> None:
    with transaction.atomic():
        assert publish() == 1
        transaction.set_rollback(True)
    drain()
    assert hook.told == []
    assert not WebhookMessage.objects.exists()


def test_without_an_endpoint_publishing_asks_the_database_nothing(
    organization: Organization, publish: Publish, django_assert_num_queries: Callable[..., object]
) -> None:
    publish()
    with django_assert_num_queries(0):
        assert publish() == 0
    assert not WebhookMessage.objects.exists()


def test_an_endpoint_removed_meanwhile_does_not_fail_the_publisher(
    endpoint: WebhookEndpoint, organization: Organization, publish: Publish
) -> None:
    """Another process removed it; this one has not looked again yet."""
    assert customer_webhooks.listens(organization.id, "delivery.sent")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM notifications_webhookendpoint WHERE id = %s", [endpoint.id])
    publish()
    assert not WebhookMessage.objects.exists()


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(500, body=b"broken"), "It answered 500."),
        (Reply(429), "It answered 429."),
        (Reply(404), "It answered 404."),
        (Reply(302, headers={"Location": "/elsewhere"}), "It answered 302. A redirect is not followed."),
        (Reply(reset=True), "The connection broke."),
    ],
    ids=["500", "429", "404", "redirect", "reset"],
)
def test_what_is_no_success_is_tried_again_with_the_same_id(
    endpoint: WebhookEndpoint, publish: Publish, drain: Callable[[], int], hook: HookServer,
    due_now: Callable[[], None], reply: Reply, says: str,
) -> None:  # fmt: skip
    hook.replies.append(reply)
    publish()
    drain()
    waiting = the_delivery()
    assert (waiting.status, waiting.last_detail) == ("pending", says)
    assert dt.timedelta(seconds=3) < waiting.due_at - now() < dt.timedelta(seconds=6.5)
    assert drain() == 0
    due_now()
    drain()
    assert the_delivery().status == "delivered"
    assert [one.path for one in hook.told] == ["/hook", "/hook"]
    assert len({one.id for one in hook.told}) == 1
    assert list(WebhookAttempt.objects.values_list("number", flat=True)) == [1, 2]
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None


def test_an_endpoint_that_does_not_answer_is_left_in_time(
    endpoint: WebhookEndpoint, publish: Publish, drain: Callable[[], int], hook: HookServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(webhook_dispatch, "TIMEOUT", 0.3)
    hook.replies.append(Reply(hang=True))
    publish()
    drain()
    assert (the_delivery().status, the_delivery().last_detail) == ("pending", "The call took too long.")


def test_a_closed_port_is_tried_again(
    organization: Organization, publish: Publish, drain: Callable[[], int], unused_tcp_port: int
) -> None:
    create_endpoint(organization=organization, url=f"http://127.0.0.1:{unused_tcp_port}/")
    publish()
    drain()
    assert (the_delivery().status, the_delivery().last_detail) == ("pending", "The host cannot be reached.")
    assert WebhookAttempt.objects.get().status_code is None


def test_of_a_huge_answer_the_first_kilobyte_is_kept(
    endpoint: WebhookEndpoint, publish: Publish, drain: Callable[[], int], hook: HookServer
) -> None:
    hook.replies.append(Reply(200, body=b"\x00x" * 3_000_000))
    publish()
    drain()
    assert the_delivery().status == "delivered"
    assert WebhookAttempt.objects.get().answer == "x" * 512


def test_retry_after_holds_for_the_whole_endpoint(
    endpoint: WebhookEndpoint, publish: Publish, drain: Callable[[], int], hook: HookServer
) -> None:
    hook.replies.append(Reply(503, headers={"Retry-After": "1200"}))
    publish()
    drain()
    assert the_delivery().due_at - now() > dt.timedelta(seconds=1190)
    publish(delivery_id="d2")
    assert drain() == 0
    with time_machine.travel(now() + dt.timedelta(seconds=1201), tick=True):
        assert drain() == 2
    assert len(hook.told) == 3


def test_the_tries_reach_over_three_days_and_then_end(
    endpoint: WebhookEndpoint, publish: Publish, drain: Callable[[], int], hook: HookServer
) -> None:
    hook.usual = Reply(500)
    began = now()
    waits = []
    with time_machine.travel(began, tick=True) as clock:
        publish()
        while drain():
            left = the_delivery()
            if left.status == "failed":
                break
            waits.append((left.due_at - now()).total_seconds())
            clock.move_to(left.due_at + dt.timedelta(seconds=1))
        after = now() - began
    assert the_delivery().attempt_count == len(hook.told) == 10
    for wait, planned in zip(waits, [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400], strict=True):
        assert 0.79 * planned - 2 < wait < 1.21 * planned
    assert dt.timedelta(days=2.5) < after < dt.timedelta(days=3.9)
    endpoint.refresh_from_db()
    assert endpoint.is_active


def test_what_is_older_than_thirty_days_is_forgotten(
    endpoint: WebhookEndpoint, publish: Publish, drain: Callable[[], int]
) -> None:
    for number in range(5):
        publish(delivery_id=f"old-{number}")
    drain()
    with time_machine.travel(now() + dt.timedelta(days=30, minutes=1), tick=True):
        publish(delivery_id="new")
        assert webhook_outbox.prune(batch=2) == 5
    assert WebhookMessage.objects.get().payload == {"delivery_id": "new"}
    assert not WebhookAttempt.objects.exists()


def test_a_test_message_goes_to_that_endpoint_alone(
    organization: Organization, hook: HookServer, drain: Callable[[], int]
) -> None:
    asked, _ = create_endpoint(
        organization=organization, url=hook.url("/asked"), event_types=["delivery.sent"]
    )
    create_endpoint(organization=organization, url=hook.url("/other"))
    webhook_endpoints.send_test(endpoint=asked)
    drain()
    assert [(one.path, one.event["type"]) for one in hook.told] == [("/asked", "ping")]
