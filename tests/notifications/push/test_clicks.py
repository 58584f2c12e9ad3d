"""A clicked push: the notification is read, once, whoever is signed in; and the worker as the web process serves it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client, override_settings
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import Delivery, EventType, Notification, PushSubscription
from notifications.services import inbox, push_click_tokens, push_clicks, vapid
from notifications.services.sending import SendResult
from notifications.stand_ins import StandIn
from notifications.vocabulary import Priority
from tests.notifications.test_api import errors

from .subscribed import API, app, browser

CLICKS = "/push/clicked"
Send = Callable[..., SendResult]
Drain = Callable[..., int]


@pytest.fixture
def click(
    server: StandIn,
    make_event_type: Callable[..., EventType],
    send: Send,
    drain: Drain,
    member: User,
    organization: Organization,
) -> str:
    """The reference in a push that a browser has just got, of a notification that is in the inbox too."""
    vapid.keep_new_keys()
    make_event_type("news", channels=["in_app", "push"])
    browser(member, organization, server.device())
    send(member)
    drain("push")
    [taken] = server.accepted("webpush")
    found: str = taken.body["click"]
    return found


def status_of_push() -> str:
    return Delivery.objects.get(channel="push").status


def test_a_click_reads_the_notification_and_moves_the_delivery_without_a_session(click: str) -> None:
    assert APIClient().post(CLICKS, {"click": click}).status_code == 204
    row = Notification.objects.get()
    assert row.read_at is not None
    assert row.seen_at is not None
    delivery = Delivery.objects.get(channel="push")
    assert (delivery.status, delivery.clicked_at is not None) == ("clicked", True)


def test_a_reference_counts_once(click: str, member: User, organization: Organization) -> None:
    assert push_clicks.take(click)
    notification = Notification.objects.get()
    inbox.mark_one(organization=organization, user=member, notification_id=notification.id, act="unread")
    assert APIClient().post(CLICKS, {"click": click}).status_code == 204
    assert Notification.objects.get().read_at is None


def test_what_nobody_here_made_changes_nothing(click: str) -> None:
    altered = ("A" if click[0] != "A" else "B") + click[1:]
    unknown = push_click_tokens.make(uuid.uuid4())
    for token in (altered, click + "A", click[:-4], unknown, "é", "x" * 900):
        assert APIClient().post(CLICKS, {"click": token}).status_code == 204
        assert Notification.objects.get().read_at is None
    with override_settings(SECRET_KEY="another"):
        foreign = push_click_tokens.make(Delivery.objects.get(channel="push").id)
    assert not push_clicks.take(foreign)
    assert status_of_push() == "sent"
    assert errors(APIClient().post(CLICKS, {})) == {"click": "required"}


def test_a_reference_of_another_channel_is_none(click: str) -> None:
    assert not push_clicks.take(push_click_tokens.make(Delivery.objects.get(channel="in_app").id))


def test_a_reference_is_valid_for_seven_days(click: str) -> None:
    with time_machine.travel(now() + push_click_tokens.VALID + push_click_tokens.VALID / 100, tick=False):
        assert not push_clicks.take(click)
    assert Notification.objects.get().read_at is None


def test_a_rotated_key_still_opens_references(click: str, settings: Any) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the next one, long enough to be a key of Django's"
    assert push_clicks.take(click)


def test_who_does_not_want_to_be_tracked_only_reads(click: str, member: User) -> None:
    User.objects.filter(id=member.id).update(allow_tracking=False)
    assert push_clicks.take(click)
    assert Notification.objects.get().read_at is not None
    assert status_of_push() == "sent"


def test_a_push_that_is_not_in_the_inbox_can_be_clicked(
    server: StandIn,
    make_event_type: Callable[..., EventType],
    send: Send,
    drain: Drain,
    member: User,
    organization: Organization,
) -> None:
    vapid.keep_new_keys()
    make_event_type("news", channels=["push"])
    browser(member, organization, server.device())
    send(member)
    drain("push")
    assert push_clicks.take(server.accepted("webpush")[0].body["click"])
    assert status_of_push() == "clicked"


# --- Devices ------------------------------------------------------------------------------------------


def test_a_device_gets_another_name(
    api_client: Callable[..., APIClient], member: User, owner: User, organization: Organization
) -> None:
    row = app(member, organization, "token")
    where = f"{API}subscriptions/{row.id}"
    client = api_client(member)
    assert client.patch(where, {"device_name": "My phone"}).json()["device_name"] == "My phone"
    assert errors(client.patch(where, {"device_name": "x" * 101})) == {"device_name": "max_length"}
    assert errors(client.patch(where, {})) == {"device_name": "required"}
    errors(api_client(owner).patch(where, {"device_name": "Mine"}), 404)
    # Told again without a name, as pages do, it keeps the one it has.
    assert client.post(f"{API}subscriptions", {"kind": "fcm", "token": "token"}).status_code == 201
    assert PushSubscription.objects.get().device_name == "My phone"


def test_a_test_says_what_came_of_it_on_each_device(
    server: StandIn,
    drain: Drain,
    api_client: Callable[..., APIClient],
    member: User,
    owner: User,
    organization: Organization,
) -> None:
    vapid.keep_new_keys()
    here, gone = server.device(), server.device()
    kept, lost = (browser(member, organization, one) for one in (here, gone))
    server.lose_device(gone.name)
    client = api_client(member)
    sent = client.post(f"{API}test").json()["notification_id"]
    assert client.get(f"{API}test/{sent}").json() == {
        "status": "pending",
        "detail": "",
        "settled": False,
        "devices": [],
    }
    drain("push", Priority.URGENT)
    told = client.get(f"{API}test/{sent}").json()
    assert (told["status"], told["settled"]) == ("sent", True)
    assert [(one["id"], one["outcome"], one["gone"]) for one in told["devices"]] == [
        (str(kept.id), "sent", False),
        (str(lost.id), "permanent", True),
    ]
    assert [row.id for row in PushSubscription.objects.all()] == [kept.id]
    errors(api_client(owner).get(f"{API}test/{sent}"), 404)


# --- The worker ---------------------------------------------------------------------------------------


def test_the_worker_is_served_at_the_root(client: Client) -> None:
    answer = client.get("/service-worker.js")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer["Service-Worker-Allowed"] == "/"
    assert answer["Cache-Control"] == "no-cache"
    assert answer["Content-Security-Policy"] == "default-src 'none'; connect-src 'self'"
    assert not answer.cookies
    assert b"pushsubscriptionchange" in answer.content
