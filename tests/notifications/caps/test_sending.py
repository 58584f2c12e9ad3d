"""What is over a cap, and what is not: as somebody sees it who sends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from notifications.models import CapCounter, Delivery, DigestItem, DigestWindow, EventType, FrequencyCap

from ..conftest import states
from ..smtp_server import SmtpServer
from .conftest import Clock, counted

Send = Callable[..., Any]
Make = Callable[..., Any]


def emails() -> list[tuple[str, str]]:
    """(status, reason) of the mails, in the order in which they were asked for."""
    found = Delivery.objects.filter(channel="email").order_by("created_at", "id")
    return list(found.values_list("status", "reason"))


def test_without_caps_a_send_stays_two_statements(
    send: Send, make_event_type: Make, member: User, organization: Any, clock: Clock
) -> None:
    make_event_type("news")
    make_event_type("exempt", is_cap_exempt=True)
    FrequencyCap.objects.create(organization=organization, limit=1, period="day", is_active=False)

    def statements(**how: Any) -> int:
        send(member, **how)
        with CaptureQueriesContext(connection) as queries:
            send(member, **how)
        return len(queries)

    assert statements() == statements(priority="low") == 2
    FrequencyCap.objects.all().delete()
    assert statements() == 2
    FrequencyCap.objects.create(organization=organization, limit=1, period="day")
    assert statements(event_type="exempt") == statements(critical=True) == 2
    assert not CapCounter.objects.exists()


def test_what_is_over_the_cap_goes_into_the_digest(
    send: Send, make_event_type: Make, member: User, cap: Make, clock: Clock
) -> None:
    make_event_type("news", is_digestible=True)
    cap(2, channel="email")
    for _ in range(4):
        send(member)
        clock.move(seconds=1)
    assert emails() == [("pending", "default")] * 2 + [("in_digest", "cap")] * 2
    assert set(Delivery.objects.filter(channel="in_app").values_list("status", flat=True)) == {"delivered"}
    decision = Delivery.objects.filter(status="in_digest").latest("created_at").decision
    assert (decision["used"], decision["limit"], decision["period"]) == (2, 2, "day")
    window = DigestWindow.objects.get()
    assert (window.item_count, DigestItem.objects.filter(window=window).count()) == (2, 2)
    assert counted() == {"email": 2}


def test_a_last_place_is_for_one_channel_alone(
    send: Send, make_event_type: Make, member: User, cap: Make, clock: Clock
) -> None:
    member.phone = "+12025550123"
    member.save()
    make_event_type("news", channels=["in_app", "email", "sms"])
    cap(1, overflow="drop")
    send(member)
    assert states() == {
        "in_app": ("delivered", "in_inbox"), "email": ("pending", "default"), "sms": ("suppressed", "cap_drop"),
    }  # fmt: skip
    assert counted() == {"email": 1}


def test_the_cap_that_is_full_for_longest_decides(
    send: Send, make_event_type: Make, member: User, cap: Make, clock: Clock
) -> None:
    make_event_type("news", is_digestible=True, channels=["email"])
    cap(1, channel="email", period="hour", overflow="digest")
    send(member)
    send(member)
    cap(1, period="day", overflow="drop")
    clock.move(seconds=1)
    send(member)
    # The cap for a day has counted from when it was there.
    assert emails() == [("pending", "default"), ("in_digest", "cap"), ("in_digest", "cap")]
    CapCounter.objects.filter(period="day", channel="email").update(count=1)
    clock.move(seconds=1)
    send(member)
    assert emails()[-1] == ("suppressed", "cap_drop")


def test_what_waits_goes_out_when_there_is_room_and_is_counted_once(
    send: Send, make_event_type: Make, member: User, cap: Make, clock: Clock, mail: SmtpServer, drain: Any,
    due_now: Callable[[], None],
) -> None:  # fmt: skip
    make_event_type("news", channels=["email"])
    cap(1, channel="email", period="hour", overflow="defer")
    send(member)
    clock.move(seconds=1)
    send(member)
    assert emails()[1] == ("deferred", "cap_wait")
    waiting = Delivery.objects.get(status="deferred")
    assert waiting.due_at == dt.datetime(2026, 5, 4, 13, 0, 1, tzinfo=dt.UTC)
    due_now()
    drain()  # too early: there is no room yet
    assert emails() == [("sent", "accepted"), ("deferred", "cap_wait")]
    waiting.refresh_from_db()
    assert waiting.settled_at is None
    assert waiting.decision["earlier"][0]["reason"] == "cap_wait"
    clock.now = waiting.due_at
    mail.at["RCPT"] = "451 4.3.0 Later"
    due_now()
    drain()
    assert (counted(), len(mail.arrived)) == ({"email": 1}, 1)
    mail.at.clear()
    due_now()
    drain()
    assert emails() == [("sent", "accepted")] * 2
    assert counted() == {"email": 1}, "the second try was counted again"


@pytest.mark.parametrize(
    ("digestible", "end"), [(True, ("in_digest", "cap")), (False, ("suppressed", "cap_drop"))]
)
def test_nothing_waits_for_ever(
    digestible: bool, end: tuple[str, str], send: Send, make_event_type: Make, member: User, cap: Make,
    clock: Clock, mail: SmtpServer, drain: Any, due_now: Callable[[], None],
) -> None:  # fmt: skip
    make_event_type("news", channels=["email"], is_digestible=digestible)
    cap(1, channel="email", period="hour", overflow="defer")
    CapCounter.objects.create(
        organization_id=member.memberships.get().organization_id, user=member, channel="email", period="hour",
        began_at=clock.now.replace(minute=0), count=1,
    )  # fmt: skip
    send(member)
    rounds = 0
    while emails() == [("deferred", "cap_wait")]:
        clock.now = Delivery.objects.get().due_at
        CapCounter.objects.update(
            began_at=clock.now.replace(minute=0, second=0), count=1
        )  # others came first
        due_now()
        drain()
        rounds += 1
    assert emails() == [end]
    assert (rounds <= 4, mail.arrived) == (True, [])
    assert Delivery.objects.get().notification.title == ("News for Mem" if digestible else "")


def test_what_is_scheduled_is_held_and_counted_when_its_time_has_come(
    send: Send, make_event_type: Make, member: User, cap: Make, clock: Clock, mail: SmtpServer, drain: Any,
    due_now: Callable[[], None],
) -> None:  # fmt: skip
    make_event_type("news", channels=["email"], is_digestible=True)
    cap(2, channel="email")
    for _ in range(3):
        send(member, scheduled_for=clock.now + dt.timedelta(hours=1))
        clock.move(seconds=1)
    assert (counted(), emails()) == ({}, [("deferred", "scheduled")] * 3)
    due_now()
    drain()
    assert emails() == [("sent", "accepted")] * 2 + [("in_digest", "cap")]
    assert (len(mail.arrived), counted()) == (2, {"email": 2})
    assert DigestItem.objects.count() == 1


def test_what_is_said_twice_and_who_is_no_member_are_not_counted(
    send: Send, make_event_type: Make, member: User, cap: Make, clock: Clock
) -> None:
    make_event_type("news", channels=["email"])
    cap(1, channel="email", overflow="drop")
    assert not send(member, idempotency_key="once").duplicate
    assert send(member, idempotency_key="once").duplicate
    for _ in range(2):
        send("nobody@example.com")
    assert counted() == {"email": 1}
    assert set(emails()) == {("pending", "default")}


@pytest.mark.django_db(transaction=True)
def test_many_at_once_never_get_more_through_than_the_cap(
    send: Send, make_event_type: Make, member: User, cap: Make, clock: Clock
) -> None:
    make_event_type("news", channels=["email"], template=None)
    cap(3, channel="email", overflow="drop")

    def one(number: int) -> None:
        try:
            send(member, event_type="news", content={"title": "Hello", "body": f"{number}"})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one, range(12)))
    found = [status for status, _ in emails()]
    assert (found.count("pending"), found.count("suppressed")) == (3, 9)
    assert counted() == {"email": 3}


def test_event_types_share_a_cap_and_organizations_do_not(
    send: Send, make_event_type: Make, member: User, cap: Make, clock: Clock, other_organization: Any
) -> None:
    kinds: list[EventType] = [make_event_type(key, channels=["email"]) for key in ("news", "offers")]
    cap(1, overflow="drop")
    for kind in kinds:
        send(member, event_type=kind.key)
        clock.move(seconds=1)
    assert emails() == [("pending", "default"), ("suppressed", "cap_drop")]
    assert not CapCounter.objects.filter(organization=other_organization).exists()
