"""Endpoints that fail: given up after days or when they are gone, nobody else held up, everything replayable."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
import time_machine

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.errors import Conflict, InvalidInput
from notifications.models import Notification, WebhookDelivery, WebhookEndpoint
from notifications.services import webhook_dispatch, webhook_outbox
from notifications.services.webhook_endpoints import change_endpoint, create_endpoint, rotate_secret
from notifications.services.webhook_replay import replay_delivery, replay_endpoint
from tests.notifications.hook_server import HookServer, Reply

from .conftest import Publish

pytestmark = pytest.mark.django_db

Drain = Callable[[], int]


def test_an_endpoint_that_fails_for_five_days_is_switched_off_and_its_owners_are_told(
    endpoint: WebhookEndpoint, publish: Publish, drain: Drain, hook: HookServer, owner: User, member: User
) -> None:
    hook.usual = Reply(500)
    began = now()
    with time_machine.travel(began, tick=True) as clock:
        for hours in (0, 24, 48, 72, 96, 119, 121):
            endpoint.refresh_from_db()
            assert endpoint.is_active, hours
            clock.move_to(began + dt.timedelta(hours=hours))
            publish(delivery_id=f"after-{hours}")
            drain()
    endpoint.refresh_from_db()
    assert (endpoint.is_active, endpoint.disabled_reason) == (False, "failing")
    assert not WebhookDelivery.objects.filter(status="pending").exists()
    told = Notification.objects.get()
    assert told.user == owner
    assert told.title == "A webhook endpoint was switched off"
    assert "Ours (127.0.0.1) was switched off." in told.body
    assert publish() == 0


def test_one_success_starts_the_days_anew(
    endpoint: WebhookEndpoint, publish: Publish, drain: Drain, hook: HookServer
) -> None:
    began = now()
    with time_machine.travel(began, tick=True) as clock:
        for day in range(8):
            clock.move_to(began + dt.timedelta(days=day))
            hook.usual = Reply(200 if day == 4 else 500)
            publish(delivery_id=f"day-{day}")
            drain()
    endpoint.refresh_from_db()
    assert endpoint.is_active


def test_a_failure_long_ago_does_not_count(
    endpoint: WebhookEndpoint, publish: Publish, drain: Drain, hook: HookServer
) -> None:
    hook.usual = Reply(500)
    publish()
    drain()
    WebhookDelivery.objects.update(status="failed")
    with time_machine.travel(now() + dt.timedelta(days=20), tick=True):
        publish()
        drain()
    endpoint.refresh_from_db()
    assert endpoint.is_active


def test_gone_switches_off_at_once(
    endpoint: WebhookEndpoint, publish: Publish, drain: Drain, hook: HookServer, owner: User
) -> None:
    hook.replies.append(Reply(410))
    publish(delivery_id="d1")
    drain()
    endpoint.refresh_from_db()
    assert (endpoint.is_active, endpoint.disabled_reason) == (False, "gone")
    assert WebhookDelivery.objects.get().status == "failed"
    assert Notification.objects.filter(user=owner).count() == 1


def test_what_waited_when_it_was_switched_off_can_be_replayed(
    endpoint: WebhookEndpoint, publish: Publish, drain: Drain, hook: HookServer
) -> None:
    before = now()
    publish(delivery_id="arrives")
    drain()
    hook.replies.append(Reply(500))
    publish(delivery_id="waits")
    drain()
    change_endpoint(endpoint=endpoint, changes={"is_active": False})
    with pytest.raises(Conflict):
        replay_endpoint(endpoint=WebhookEndpoint.objects.get(), since=before)
    row = change_endpoint(endpoint=endpoint, changes={"is_active": True})
    assert drain() == 0
    assert replay_endpoint(endpoint=row, since=before) == 1
    drain()
    assert [one.event["data"]["delivery_id"] for one in hook.told] == ["arrives", "waits", "waits"]
    assert hook.told[1].id == hook.told[2].id
    assert replay_endpoint(endpoint=row, since=before, delivered=True) == 2
    assert drain() == 2


def test_a_replay_has_all_its_tries_again_and_waits_for_its_turn(
    endpoint: WebhookEndpoint, publish: Publish, drain: Drain, hook: HookServer
) -> None:
    hook.usual = Reply(500)
    publish()
    row = WebhookDelivery.objects.select_related("endpoint").get()
    WebhookDelivery.objects.update(attempt_count=9)
    drain()
    row.refresh_from_db()
    assert (row.status, row.attempt_count) == ("failed", 10)
    replay_delivery(delivery=row)
    with pytest.raises(Conflict) as refused:
        replay_delivery(delivery=row)
    assert refused.value.code == "pending"
    drain()
    row.refresh_from_db()
    assert (row.status, row.attempt_count) == ("pending", 11)
    assert row.due_at - now() < dt.timedelta(seconds=7)


def test_replaying_from_the_future_names_the_field(endpoint: WebhookEndpoint) -> None:
    with pytest.raises(InvalidInput) as wrong:
        replay_endpoint(endpoint=endpoint, since=now() + dt.timedelta(hours=1))
    assert wrong.value.attr == "since"


def test_a_dead_endpoint_holds_up_nobody(
    organization: Organization, publish: Publish, hook: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty messages wait for each of ten endpoints that never answer; another one gets its own meanwhile."""
    monkeypatch.setattr(webhook_dispatch, "TIMEOUT", 20.0)
    for number in range(10):
        create_endpoint(organization=organization, url=hook.url(f"/dead/{number}"))
    WebhookEndpoint.objects.update(failing_since=now(), last_failure_at=now())
    for number in range(50):
        publish(delivery_id=str(number))
    create_endpoint(organization=organization, url=hook.url("/alive"))
    for number in range(20):
        publish(delivery_id=f"later-{number}")

    def reply(told: object) -> Reply:
        alive = [one for one in hook.told if one.path == "/alive"]
        if len(alive) == 20:
            hook.release.set()  # only now do the dead ones let go
        return Reply() if told.path == "/alive" else Reply(500, hang=True)  # type: ignore[attr-defined]

    hook.usual = reply
    webhook_dispatch.drain(budget=5.0)
    paths = [one.path for one in hook.told]
    assert paths.count("/alive") == 20
    before_release = paths[: len(paths) - paths[::-1].index("/alive")]
    assert len([path for path in before_release if path.startswith("/dead")]) <= webhook_dispatch.FAILING


def test_two_workers_never_have_the_same_delivery(endpoint: WebhookEndpoint, publish: Publish) -> None:
    for number in range(6):
        publish(delivery_id=str(number))
    first = webhook_outbox.claim(limit=4, failing_limit=4)
    second = webhook_outbox.claim(limit=4, failing_limit=4)
    assert len(first) == 4
    assert len(second) == 2
    assert not {one.id for one in first} & {one.id for one in second}
    assert not webhook_outbox.is_due()


def test_slack_has_no_secret_to_rotate(organization: Organization, hook: HookServer) -> None:
    row, secret = create_endpoint(organization=organization, url=hook.url(), kind="slack")
    assert secret == ""
    with pytest.raises(Conflict):
        rotate_secret(endpoint=row)
