"""Devices over the API: how they are told, named, forgotten and tested."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import PushSubscription
from notifications.services import push_subscriptions
from notifications.stand_ins import Device, StandIn
from notifications.tasks import forget_unused_devices
from notifications.vocabulary import Priority
from tests.notifications.test_api import errors

from .subscribed import API, MOZILLA, app, browser

Drain = Callable[..., int]


def given(device: Device, **fields: Any) -> dict[str, Any]:
    return {**device.subscription(), **fields}


def test_devices_over_the_api(client: APIClient, api_client: Any, owner: User) -> None:
    body = given(Device(f"{MOZILLA}1"), device_name="Phone")
    first = client.post(f"{API}subscriptions", body, headers={"User-Agent": "Firefox"})
    assert first.status_code == 201
    again = client.post(f"{API}subscriptions", {**body, "device_name": "Same phone"})
    assert again.json()["id"] == first.json()["id"]
    token = client.post(f"{API}subscriptions", {"kind": "fcm", "token": "abc:def", "device_name": "App"})
    assert token.status_code == 201
    rows = client.get(f"{API}subscriptions").json()["results"]
    assert [(one["kind"], one["device_name"]) for one in rows] == [("fcm", "App"), ("web", "Same phone")]
    assert set(rows[0]) == {"id", "kind", "device_name", "user_agent", "created_at", "last_used_at"}
    errors(api_client(owner).delete(f"{API}subscriptions/{rows[0]['id']}"), 404)
    assert client.delete(f"{API}subscriptions/{rows[0]['id']}").status_code == 204


@pytest.mark.parametrize(
    ("change", "attr"),
    [
        ({"endpoint": "http://updates.push.services.mozilla.com/1"}, "endpoint"),
        ({"endpoint": "nonsense"}, "endpoint"),
        ({"endpoint": "https://push.example.com/1"}, "endpoint"),
        ({"endpoint": "https://127.0.0.1/1"}, "endpoint"),
        ({"endpoint": "https://169.254.169.254/latest/meta-data/"}, "endpoint"),
        ({"endpoint": "https://[::ffff:10.0.0.1]/1"}, "endpoint"),
        ({"endpoint": None}, "endpoint"),
        ({"keys": {}}, "keys.p256dh"),
        ({"keys": {"p256dh": "B" * 87, "auth": "A" * 22}}, "keys.p256dh"),
        ({"keys": {"p256dh": Device("x").p256dh, "auth": "short"}}, "keys.auth"),
        ({"keys": {"p256dh": Device("x").p256dh, "auth": "é" * 22}}, "keys.auth"),
        ({"kind": "pigeon"}, "kind"),
        ({"kind": "fcm"}, "token"),
        ({"kind": "fcm", "token": "a\nb"}, "token"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_device_is_named(change: dict[str, Any], attr: str, client: APIClient) -> None:
    answer = client.post(f"{API}subscriptions", given(Device(f"{MOZILLA}1"), **change))
    assert set(errors(answer)) == {attr}
    assert not PushSubscription.objects.exists()


@pytest.mark.parametrize("missing", ["endpoint", "keys"])
def test_a_device_without_an_address_is_named(missing: str, client: APIClient) -> None:
    body = given(Device(f"{MOZILLA}1"))
    del body[missing]
    assert errors(client.post(f"{API}subscriptions", body)) == {missing: "required"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "[::ffff:10.0.0.1]"])
def test_where_any_service_will_do_it_is_still_not_inside(host: str, client: APIClient) -> None:
    with override_settings(WEBPUSH_ALLOWED_HOSTS=["*"], WEBPUSH_ALLOW_LOOPBACK=False):
        answer = client.post(f"{API}subscriptions", given(Device(f"https://{host}/1")))
    assert set(errors(answer)) == {"endpoint"}


def test_a_device_belongs_to_who_signed_in_last(
    member: User, owner: User, organization: Organization, other_organization: Organization
) -> None:
    device = Device(f"{MOZILLA}1")
    browser(member, organization, device)
    browser(member, other_organization, device)
    assert PushSubscription.objects.count() == 2
    browser(owner, organization, device)
    assert [one.user for one in PushSubscription.objects.all()] == [owner]


def test_a_person_has_at_most_twenty_devices(
    client: APIClient, member: User, organization: Organization
) -> None:
    for number in range(push_subscriptions.MAX_DEVICES):
        app(member, organization, f"token-{number}")
    answer = client.post(f"{API}subscriptions", given(Device(f"{MOZILLA}1")))
    assert errors(answer) == {"endpoint": "too_many"}
    # One that is known already may come again.
    assert client.post(f"{API}subscriptions", {"kind": "fcm", "token": "token-0"}).status_code == 201


def test_devices_that_are_silent_for_long_are_forgotten(member: User, organization: Organization) -> None:
    old, recent, never = (app(member, organization, name) for name in ("old", "recent", "never"))
    PushSubscription.objects.filter(id=old.id).update(last_used_at=now() - dt.timedelta(days=91))
    PushSubscription.objects.filter(id=recent.id).update(
        created_at=now() - dt.timedelta(days=400), last_used_at=now() - dt.timedelta(days=89)
    )
    PushSubscription.objects.filter(id=never.id).update(
        created_at=now() - dt.timedelta(days=91), last_used_at=None
    )
    with override_settings(PUSH_UNUSED_DAYS=0):
        assert forget_unused_devices() == 0
    assert forget_unused_devices() == 2
    assert PushSubscription.objects.get().id == recent.id


@pytest.mark.usefixtures("keys")
def test_a_test_push_arrives_whatever_the_preferences_say(
    client: APIClient, server: StandIn, drain: Drain, member: User, organization: Organization
) -> None:
    assert errors(client.post(f"{API}test"), 409) == {None: "no_device"}
    browser(member, organization, server.device())
    switched = client.patch("/api/v1/preferences", {"set": [{"scope": "global", "enabled": False}]})
    assert switched.status_code == 200
    answer = client.post(f"{API}test")
    assert answer.status_code == 202
    drain("push", Priority.URGENT)
    [taken] = server.accepted("webpush")
    assert taken.body["body"] == "Push works on this device."
    assert taken.headers["urgency"] == "high"
    explained = client.get(f"/api/v1/notifications/{answer.json()['notification_id']}/status")
    assert explained.status_code == 200


@pytest.mark.usefixtures("keys")
def test_tests_are_limited(client: APIClient, member: User, organization: Organization) -> None:
    app(member, organization, "token")
    for _ in range(5):
        assert client.post(f"{API}test").status_code == 202
    assert errors(client.post(f"{API}test"), 429) == {None: "rate_limited"}


def test_a_program_has_no_devices(api_client: Any, make_api_key: Any, organization: Organization) -> None:
    _, plain = make_api_key(organization, "admin")
    program = api_client(plain)
    errors(program.get(f"{API}subscriptions"), 403)
    errors(program.post(f"{API}test"), 403)
