"""What *explain* and *preview-routing* say of caps, digests, good hours, local times and broadcasts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Organization, User
from notifications import selectors
from notifications.models import (
    Broadcast,
    CapCounter,
    Category,
    Delivery,
    DigestSetting,
    DigestWindow,
    EventType,
    Notification,
    SmartSendPolicy,
)
from notifications.services.explain import explain_notification
from notifications.services.explaining import reach
from notifications.services.explaining.timeline import timeline
from notifications.services.explaining.words import moment, why
from notifications.services.smart_send.engagement import Engagement, count

from ..smtp_server import SmtpServer
from .conftest import Clock

ASK = "/api/v1/notifications/preview-routing"
Make = Callable[..., Any]


@pytest.fixture
def ask(
    api_client: Callable[..., APIClient],
    staff: User,
    member: User,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Make:
    """Would the member get it now? The answer for e-mail."""
    monkeypatch.setattr(reach, "current_time", clock)
    client = api_client(staff)

    def put(**question: Any) -> dict[str, Any]:
        body = {"event_type": "news", "recipient": str(member.id), **question}
        answer = client.post(ASK, body, format="json")
        assert answer.status_code == 200, answer.json()
        [found] = [one for one in answer.json()["decisions"] if one["channel"] == "email"]
        return found

    return put


def told(notification: Notification | None = None) -> dict[str, Any]:
    """What explain says of the newest notification, by channel."""
    notification = notification or Notification.objects.latest("created_at")
    found = explain_notification(notification_id=notification.id, organization=notification.organization)
    return {**found, **{one["channel"]: one for one in found["channels"]}}


def test_a_full_cap_is_told_with_its_count_before_and_after(
    ask: Make, send: Make, make_event_type: Make, member: User, cap: Make, clock: Clock
) -> None:
    make_event_type("news", channels=["email"], is_digestible=True)
    made = cap(1, channel="email")
    assert ask()["action"] == "send"
    assert not CapCounter.objects.exists(), "asking has counted"
    send(member)
    found = ask()
    assert (found["action"], found["reason"], found["digest"]) == ("digest", "cap", None)
    assert (
        "1 of 1 in the last day (E-mail). The daily digest (09:00) closes 5 May 2026, 09:00 UTC."
        in found["sentence"]
    )
    clock.move(seconds=1)
    send(member)
    email = told()["email"]
    assert email["sentence"] == (
        "The person has had as much as the organization allows: it goes into the digest. 1 of 1 in the last day"
        " (E-mail). It waits in the daily digest (09:00), which closes 5 May 2026, 09:00 UTC."
    )
    window = DigestWindow.objects.get()
    assert (email["digest"]["window"], email["digest"]["items"]) == (str(window.id), 1)
    assert ask()["digest"]["items"] == 1
    for overflow, words in (("defer", "it waits. 1 of 1"), ("drop", "the rest is not sent. 1 of 1")):
        EventType.objects.update(is_digestible=False)
        made.overflow = overflow
        made.save()
        assert words in ask()["sentence"]
    assert CapCounter.objects.get().count == 1
    # What is critical asks no cap.
    assert ask(critical=True)["reason"] == "critical"


def test_a_good_hour_is_told_with_what_speaks_for_it(
    ask: Make, make_event_type: Make, member: User, organization: Organization, clock: Clock
) -> None:
    make_event_type("news", channels=["email"], priority=3)
    SmartSendPolicy.objects.create(organization=organization, is_enabled=True)
    read = Engagement(
        organization_id=organization.id, user_id=member.id, zone="UTC", occurred_at=clock.now.replace(hour=18)
    )
    count([read] * 20)
    found = ask()
    assert found["reason"] == "smart_time"
    assert "Mondays at 18:00: 50.0 % of the week's reading is expected then" in found["sentence"]
    assert "from what this person did 20 times" in found["sentence"]
    assert "Until 4 May 2026, 18:00 UTC." in found["sentence"]
    assert ask(priority="normal")["action"] == "send"


def test_a_local_time_is_told_where_the_person_is(ask: Make, make_event_type: Make, member: User) -> None:
    member.time_zone = "America/New_York"
    member.save()
    make_event_type("news", channels=["email"])
    found = ask(scheduled_local="2026-12-24T09:00")
    assert found["sentence"] == (
        "The caller asked for a time in the recipient's own time zone. 24 Dec 2026, 09:00, where the person is."
        " Until 24 Dec 2026, 14:00 UTC (09:00 in America/New_York)."
    )


def test_a_digest_is_told_from_both_sides(
    send: Make, make_event_type: Make, member: User, organization: Organization, clock: Clock
) -> None:
    make_event_type("news", channels=["email"], is_digestible=True)
    DigestSetting.objects.create(organization=organization, user=member, frequency="weekly", weekday=2)
    send(member)
    assert told()["email"]["sentence"] == (
        "The person gets this kind of news in a digest. It waits in the weekly digest (Wednesdays at 09:00), which"
        " closes 6 May 2026, 09:00 UTC."
    )
    make_event_type("digest", channels=["email"])
    clock.move(seconds=1)
    send(member, event_type="digest", content={"title": "Your digest", "body": "One"})
    mail = Notification.objects.latest("created_at")
    DigestWindow.objects.update(status="sent", closed_at=clock.now, sent_count=1, notification=mail)
    Delivery.objects.filter(status="in_digest").update(status="digested", reason="digested")
    said = told(Notification.objects.earliest("created_at"))["email"]["sentence"]
    assert said.endswith(
        f"The weekly digest (Wednesdays at 09:00) went out 4 May 2026, 12:30 UTC, as notification {mail.id}."
    )
    assert told()["digest"]["sent"] == 1


def test_what_was_decided_before_is_told_too(
    send: Make, make_event_type: Make, member: User, cap: Make, clock: Clock, mail: SmtpServer, drain: Any,
    due_now: Callable[[], None],
) -> None:  # fmt: skip
    make_event_type("news", channels=["email"])
    send(member, scheduled_for=clock.now + dt.timedelta(hours=1))
    waits = Notification.objects.get()
    cap(1, channel="email", period="hour", overflow="defer")
    send(member)
    clock.move(minutes=5)
    due_now()
    drain()
    said = told(waits)["email"]["sentence"]
    assert "it waits. 1 of 1 in the last hour (E-mail). Until 4 May 2026, 13:00 UTC." in said
    assert "Before that: The caller asked for a later time. Until 4 May 2026, 13:30 UTC." in said
    lines = [text for _, text in timeline(selectors.notifications_with_ledger(None).get(id=waits.id))]
    assert [line.partition(".")[0] for line in lines] == [
        "Accepted from python", "E-mail: decided to put it off", "E-mail: decided to put it off",
    ]  # fmt: skip


def test_a_paused_broadcast_and_a_missing_consent_are_told(
    send: Make, ask: Make, make_event_type: Make, member: User, organization: Organization, clock: Clock
) -> None:
    make_event_type("news", channels=["email"])
    send(member)
    assert told()["broadcast"] is None
    request = Notification.objects.get().request
    made = Broadcast.objects.create(
        organization=organization, request=request, audience=[], total=1, paused_at=clock.now
    )
    Delivery.objects.update(status="paused", reason="paused")
    found = told()
    assert found["broadcast"]["id"] == str(made.id)
    assert "Its broadcast is paused." in found["email"]["sentence"]
    Category.objects.update(requires_consent=True)
    EventType.objects.get(key="news").save()
    assert ask()["sentence"] == "This kind of news needs the person's consent, which was not given."


@pytest.mark.parametrize(
    ("reason", "detail", "words"),
    [
        ("quiet_hours", {"until": "2026-05-05T05:00:00+00:00", "zone": "Europe/Berlin"},
         "it waits until they end. Until 5 May 2026, 05:00 UTC (07:00 in Europe/Berlin)."),
        ("preference", {"scope": "category", "channel": "*", "set_by": "person"},
         "The switch: category, channel *, set by the person."),
        ("digest", {"cadence": "hourly", "until": "2026-05-05T05:00:00+00:00"},
         "in a digest. The hourly digest closes 5 May 2026, 05:00 UTC."),
        ("cap_drop", {"used": 9, "limit": 3, "period": "hour", "counts": "*"},
         "9 of 3 in the last hour (e-mail, SMS and push together)."),
        ("smart_time", {}, "It waits for an hour at which the person usually reads."),  # of an older row
        ("what_is_this", {}, ""),
    ],
)  # fmt: skip
def test_each_reason_says_what_was_weighed(reason: str, detail: dict[str, Any], words: str) -> None:
    assert why(reason, detail).endswith(words)


def test_a_moment_on_another_day_names_the_day() -> None:
    late = dt.datetime(2026, 5, 4, 23, 30, tzinfo=dt.UTC)
    assert moment(late, "Asia/Tokyo") == "4 May 2026, 23:30 UTC (5 May, 08:30 in Asia/Tokyo)"
    assert moment(late, "Nowhere/Land") == moment(late) == "4 May 2026, 23:30 UTC"
