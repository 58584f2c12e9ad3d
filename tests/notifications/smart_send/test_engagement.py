"""What is counted as engagement, for whom, and at which hour."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization, User
from castcomm.common.events import publish
from notifications.events import DeliveryMoved, InboxActed, Move
from notifications.models import Delivery, EngagementHistogram, SmartSendPolicy
from notifications.services.smart_send import engagement

SUNDAY_LATE = dt.datetime(2026, 5, 3, 22, 30, tzinfo=dt.UTC)  # Monday, 00:30 in Berlin

Habit = Callable[..., None]


def acted(organization: Organization, user: User, act: str = "read") -> None:
    publish(
        InboxActed(
            organization_id=organization.id, user_id=user.id, act=act, notification_ids=(), action_key="",
            occurred_at=SUNDAY_LATE,
        )
    )  # fmt: skip


def hours(user: User | None) -> dict[int, int]:
    """Hour of the week to its count."""
    found = EngagementHistogram.objects.filter(user=user).first()
    if found is None:
        return {}
    assert sum(found.counts) == found.total
    return {hour: count for hour, count in enumerate(found.counts) if count}


def test_acts_in_the_inbox_count_by_the_persons_own_clock(
    organization: Organization, member: User, smart: SmartSendPolicy
) -> None:
    member.time_zone = "Europe/Berlin"
    member.save()
    for act in ("read", "archive", "action"):
        acted(organization, member, act)
    acted(organization, member, "action_undone")
    assert hours(member) == hours(None) == {0: 3}


def test_opens_and_clicks_count_for_who_got_the_mail(
    organization: Organization, member: User, smart: SmartSendPolicy, send: Any, news: Any
) -> None:
    send(member)
    send("nobody@example.com")
    moves = [
        Move(
            delivery_id=one.id, notification_id=one.notification_id, organization_id=organization.id,
            channel="email", before="sent", status=kind, reason=kind, kind=kind, provider="castcomm",
            occurred_at=SUNDAY_LATE, detail="",
        )
        for one in Delivery.objects.filter(channel="email")
        for kind in ("delivered", "opened", "clicked")
    ]  # fmt: skip
    publish(DeliveryMoved(moves=tuple(moves)))
    assert hours(member) == hours(None) == {6 * 24 + 22: 2}


def test_nothing_is_counted_or_asked_where_it_is_off(organization: Organization, member: User) -> None:
    acted(organization, member)  # the process learns who uses it
    with CaptureQueriesContext(connection) as asked:
        acted(organization, member)
    # Others listen to the same news, and may ask for their own part.
    assert not [one["sql"] for one in asked if "smartsend" in one["sql"] or "engagement" in one["sql"]]
    assert not EngagementHistogram.objects.exists()
    policy = SmartSendPolicy.objects.create(organization=organization, is_enabled=True)
    acted(organization, member)
    policy.delete()
    acted(organization, member)
    assert hours(member) == {6 * 24 + 22: 1}


def test_old_habits_fade(member: User, habit: Habit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engagement, "FULL", 20)
    habit(member, 9, 15)
    habit(member, 20, 5)
    assert hours(member) == {9: 7, 20: 2}
    assert hours(None) == {9: 15, 20: 5}


@pytest.mark.django_db(transaction=True)
def test_counting_at_the_same_time_loses_nobody_and_waits_for_no_prior(
    organization: Organization, member: User, staff: User, habit: Habit
) -> None:
    habit(member, 3)

    def many(user: User) -> None:
        try:
            for _ in range(5):
                habit(user, 5)
        finally:
            connections.close_all()

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM notifications_engagementhistogram WHERE user_id IS NULL FOR UPDATE")
        # Everybody's row is held here: the others go on without it.
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(many, [member, staff, member, staff]))
    assert (hours(member), hours(staff)) == ({3: 1, 5: 10}, {5: 10})
    assert hours(None) == {3: 1}
