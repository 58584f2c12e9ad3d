"""Push from the call to the device: who is reached, and what is remembered of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import Delivery, DeliveryAttempt, PushSubscription
from notifications.services import push_subscriptions
from notifications.services.sending import SendResult
from notifications.stand_ins import Device, StandIn
from notifications.vocabulary import Priority
from tests.notifications.conftest import states

from .subscribed import MOZILLA, app, browser

Send = Callable[..., SendResult]
Drain = Callable[..., int]


@pytest.mark.usefixtures("news", "keys", "firebase")
def test_all_devices_of_a_person_are_reached_each_by_its_provider(
    server: StandIn, send: Send, drain: Drain, member: User, organization: Organization
) -> None:
    devices = [server.device(), server.device()]
    for one in devices:
        browser(member, organization, one)
    app(member, organization, "app-token")
    send(member)
    drain("push")
    assert states()["push"] == ("sent", "accepted")
    assert {one.to for one in server.accepted("webpush")} == {one.name for one in devices}
    assert [one.to for one in server.accepted("fcm")] == ["app-token"]
    delivery = Delivery.objects.get()
    assert delivery.provider == "devices"
    for one in [*server.accepted("webpush"), *server.accepted("fcm")]:
        assert one.delivery_id == str(delivery.id)
    assert server.accepted("webpush")[0].body["title"] == "A push"


@pytest.mark.usefixtures("news", "keys")
def test_devices_that_are_gone_are_forgotten_at_once(
    server: StandIn, send: Send, drain: Drain, member: User, organization: Organization
) -> None:
    gone, there = server.device(), server.device()
    old = now() - dt.timedelta(days=3)
    for one in (gone, there):
        browser(member, organization, one)
    PushSubscription.objects.update(last_used_at=old)
    server.lose_device(gone.name)
    send(member)
    drain("push")
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.outcome, attempt.detail) == ("sent", "1 of 2 devices took it; 1 removed.")
    [left] = PushSubscription.objects.all()
    assert left.endpoint == there.endpoint
    assert left.last_used_at is not None
    assert left.last_used_at > now() - dt.timedelta(minutes=1)


@pytest.mark.usefixtures("news", "keys")
def test_when_the_last_device_is_gone_nothing_is_tried_again(
    server: StandIn, send: Send, drain: Drain, member: User, organization: Organization
) -> None:
    device = server.device()
    browser(member, organization, device)
    server.lose_device(device.name, status=404)
    send(member)
    drain("push")
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.error) == ("failed", "No device is left. 1 removed.")
    assert not PushSubscription.objects.exists()


@pytest.mark.usefixtures("news", "keys", "firebase")
def test_who_has_taken_it_does_not_get_it_again(
    server: StandIn,
    send: Send,
    drain: Drain,
    due_now: Callable[[], None],
    member: User,
    organization: Organization,
) -> None:
    device = server.device()
    browser(member, organization, device)
    app(member, organization, "app-token")
    server.break_("fcm", mode="503")
    send(member)
    drain("push")
    server.mend("fcm")
    due_now()
    drain("push")
    assert states()["push"] == ("sent", "accepted")
    assert DeliveryAttempt.objects.get().detail.startswith("1 of 2 devices took it; 1 not: 503")
    assert len(server.accepted("webpush")) == 1


@pytest.mark.usefixtures("news", "keys")
def test_when_nobody_took_it_it_is_tried_again(
    server: StandIn,
    send: Send,
    drain: Drain,
    due_now: Callable[[], None],
    member: User,
    organization: Organization,
) -> None:
    browser(member, organization, server.device())
    server.break_("webpush", mode="503", times=1)
    send(member)
    drain("push")
    assert states()["push"] == ("pending", "retrying")
    due_now()
    drain("push")
    assert states()["push"] == ("sent", "accepted")
    assert len(server.accepted("webpush")) == 1


@pytest.mark.usefixtures("keys")
def test_the_push_is_as_urgent_as_the_call(
    server: StandIn, send: Send, drain: Drain, make_event_type: Any, member: User, organization: Organization
) -> None:
    make_event_type("news", channels=["push"])
    browser(member, organization, server.device())
    expected = {"urgent": ("high", "14400"), "normal": ("normal", "86400"), "low": ("low", "259200")}
    for name in expected:
        send(member, priority=name)
        drain("push", Priority.from_key(name))
    told = [(one.headers["urgency"], one.headers["ttl"]) for one in server.accepted("webpush")]
    assert told == list(expected.values())


@pytest.mark.usefixtures("news", "keys")
def test_the_data_may_say_more(
    server: StandIn, send: Send, drain: Drain, member: User, organization: Organization
) -> None:
    browser(member, organization, server.device())
    actions = [
        {"action": "approve", "title": "Approve", "url": "/approve/1"},
        {"action": "later", "title": "Later"},
    ]
    send(member, data={"push": {"ttl": 0, "urgency": "very-low", "topic": "invoice 7", "actions": actions}})
    drain("push")
    [taken] = server.accepted("webpush")
    assert (taken.headers["ttl"], taken.headers["urgency"]) == ("0", "very-low")
    assert (taken.body["topic"], taken.body["actions"]) == ("invoice 7", actions)


@pytest.mark.usefixtures("news", "keys")
@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"ttl": -1}, "data.push.ttl"),
        ({"ttl": True}, "data.push.ttl"),
        ({"ttl": 28 * 86_400 + 1}, "data.push.ttl"),
        ({"urgency": "now"}, "data.push.urgency"),
        ({"topic": 7}, "data.push.topic"),
        ({"actions": "open"}, "data.push.actions"),
        ({"actions": [{"action": "a", "title": "A"}] * 4}, "data.push.actions"),
        ({"actions": [{"action": "a b", "title": "A"}]}, "data.push.actions.0.action"),
        ({"actions": [{"action": "a"}]}, "data.push.actions.0.title"),
        ({"actions": [{"action": "a", "title": "A", "url": "javascript:x"}]}, "data.push.actions.0.url"),
    ],
)
def test_what_it_says_wrongly_is_named(
    given: dict[str, Any],
    field: str,
    server: StandIn,
    send: Send,
    drain: Drain,
    member: User,
    organization: Organization,
) -> None:
    browser(member, organization, server.device())
    send(member, data={"push": given})
    drain("push")
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.reason) == ("failed", "rendering")
    assert delivery.error.startswith(f"{field}:")
    assert server.calls("webpush") == 0


@pytest.mark.usefixtures("keys")
def test_devices_of_a_batch_are_read_at_once(
    make_user: Any,
    organization: Organization,
    other_organization: Organization,
    django_assert_num_queries: Any,
) -> None:
    people = [make_user(organization=organization) for _ in range(4)]
    for number, one in enumerate(people[:3]):
        for device in range(number):
            browser(one, organization, Device(f"{MOZILLA}{number}-{device}"))
    browser(people[0], other_organization, Device(f"{MOZILLA}elsewhere"))
    with django_assert_num_queries(1):
        found = push_subscriptions.targets_for(organization.id, [one.id for one in people])
    assert {user: len(devices) for user, devices in found.items()} == {people[1].id: 1, people[2].id: 2}
    assert found[people[1].id][0].endpoint == f"{MOZILLA}1-0"


def test_a_device_that_no_key_opens_is_passed_over(member: User, organization: Organization) -> None:
    browser(member, organization, Device(f"{MOZILLA}1"))
    browser(member, organization, Device(f"{MOZILLA}2"))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE notifications_pushsubscription SET auth = 'sealed by a lost key'"
            " WHERE id = (SELECT id FROM notifications_pushsubscription ORDER BY created_at LIMIT 1)"
        )
    found = push_subscriptions.targets_for(organization.id, [member.id])
    assert [one.endpoint for one in found[member.id]] == [f"{MOZILLA}2"]
