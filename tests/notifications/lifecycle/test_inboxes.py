"""Inboxes change by themselves: put-aside rows come back, expired ones go, old ones are archived."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications import selectors, tasks
from notifications.models import Delivery, Inbox, LifecycleJob, Notification, RetentionPolicy
from notifications.services import inbox_lifecycle

from .conftest import ago

pytestmark = pytest.mark.django_db
Arrive = Callable[..., Notification]


def unread(organization: Organization, user: User) -> int:
    return selectors.inbox_counts(organization.id, user.id)["unread"]


def test_what_was_put_aside_comes_back_on_top_and_new(
    organization: Organization, member: User, arrive: Arrive
) -> None:
    put_aside = arrive(member, snoozed_until=ago(minutes=1), read_at=ago(hours=1), seen_at=ago(hours=1))
    newer = arrive(member)
    head = selectors.inbox_seq(organization.id, member.id)
    assert tasks.unsnooze() == 1
    put_aside.refresh_from_db()
    assert (put_aside.snoozed_until, put_aside.read_at, put_aside.seen_at) == (None, None, None)
    assert put_aside.created_at > newer.created_at
    assert put_aside.inbox_seq == head + 1 == selectors.inbox_seq(organization.id, member.id)
    assert put_aside.request.created_at < put_aside.created_at
    assert unread(organization, member) == 2
    assert tasks.unsnooze() == 0
    assert selectors.inbox_seq(organization.id, member.id) == head + 1


def test_several_come_back_in_their_order_with_a_number_each(
    monkeypatch: pytest.MonkeyPatch, member: User, staff: User, arrive: Arrive
) -> None:
    monkeypatch.setattr(inbox_lifecycle, "BATCH", 2)
    rows = [arrive(who, snoozed_until=ago(minutes=9 - n)) for n, who in enumerate([member, staff] * 3)]
    assert tasks.unsnooze() == 6
    for who, own in ((member, rows[0::2]), (staff, rows[1::2])):
        numbers = [Notification.objects.get(id=row.id).inbox_seq for row in own]
        assert numbers == sorted(set(numbers))  # type: ignore[type-var]
        assert numbers[-1] == Inbox.objects.get(user=who).last_seq


@pytest.mark.parametrize("gone", ["archived_at", "expires_at", "cancelled_at"])
def test_what_is_gone_meanwhile_does_not_come_back(
    organization: Organization, member: User, arrive: Arrive, gone: str
) -> None:
    row = arrive(member, snoozed_until=ago(minutes=1), **{gone: ago(minutes=2)})
    head = selectors.inbox_seq(organization.id, member.id)
    assert tasks.unsnooze() == 0
    row.refresh_from_db()
    assert (row.snoozed_until, getattr(row, gone) is None) == (None, False)
    assert selectors.inbox_seq(organization.id, member.id) == head


def test_what_is_put_aside_for_longer_stays_away(member: User, arrive: Arrive) -> None:
    row = arrive(member, snoozed_until=now() + dt.timedelta(minutes=1))
    assert tasks.unsnooze() == 0
    row.refresh_from_db()
    assert row.snoozed_until is not None


def test_expired_rows_go_and_what_waits_of_them_is_given_up(
    organization: Organization, member: User, arrive: Arrive
) -> None:
    row = arrive(member, channels=("in_app", "email", "sms", "push"), expires_at=ago(minutes=5))
    kept = arrive(member, expires_at=now() + dt.timedelta(hours=1))
    Delivery.objects.filter(notification=row).exclude(channel="in_app").delete()
    for channel, status in (("email", "in_digest"), ("sms", "sending"), ("push", "paused")):
        Delivery.objects.create(
            organization=organization,
            notification=row,
            channel=channel,
            priority=2,
            status=status,
            due_at=now(),
        )
    assert tasks.expire() == 1
    row.refresh_from_db()
    assert row.archived_at == row.expires_at
    found = {one.channel: (one.status, one.reason) for one in Delivery.objects.filter(notification=row)}
    assert found["email"] == found["push"] == ("failed", "expired")
    assert found["sms"] == ("sending", "")  # a worker has it, and sees for itself
    assert found["in_app"][0] == "delivered"
    kept.refresh_from_db()
    assert kept.archived_at is None
    assert tasks.expire() == 0


def test_old_rows_are_archived_by_the_organizations_own_periods(
    settings: Any, organization: Organization, member: User, arrive: Arrive
) -> None:
    settings.RETENTION_ARCHIVE_READ_DAYS, settings.RETENTION_ARCHIVE_UNREAD_DAYS = 1, 0
    RetentionPolicy.objects.create(organization=organization, archive_read_after=10, archive_unread_after=20)
    with_ids = arrive(member)  # ids tell the time too: let all be old enough
    travel(with_ids.id, days=60)
    rows = {
        "read": arrive(member, read_at=ago(days=11)),
        "read lately": arrive(member, read_at=ago(days=9)),
        "unread": arrive(member, created_at=ago(days=21)),
        "put aside": arrive(member, created_at=ago(days=21), snoozed_until=now() + dt.timedelta(days=1)),
    }
    old = {name: travel(row.id, days=60) for name, row in rows.items()}
    head = selectors.inbox_seq(organization.id, member.id)
    assert tasks.archive() == 2
    archived = {name for name, id_ in old.items() if Notification.objects.get(id=id_).archived_at}
    assert archived == {"read", "unread"}
    assert selectors.inbox_seq(organization.id, member.id) == head + 2
    assert tasks.archive() == 0
    assert LifecycleJob.objects.get(name="archive").cursor == ""


def test_without_a_policy_the_settings_hold_and_zero_or_less_is_for_ever(
    settings: Any, member: User, arrive: Arrive
) -> None:
    row = travel(arrive(member, read_at=ago(days=40)).id, days=60)
    for days in (0, -5):
        settings.RETENTION_ARCHIVE_READ_DAYS = settings.RETENTION_ARCHIVE_UNREAD_DAYS = days
        assert tasks.archive() == 0
    settings.RETENTION_ARCHIVE_READ_DAYS = 30
    assert tasks.archive() == 1
    assert Notification.objects.get(id=row).archived_at is not None


def test_archiving_goes_on_where_time_ran_out(
    monkeypatch: pytest.MonkeyPatch, settings: Any, member: User, arrive: Arrive
) -> None:
    settings.RETENTION_ARCHIVE_READ_DAYS = 30
    for _ in range(5):
        travel(arrive(member, read_at=ago(days=40)).id, days=60)
    monkeypatch.setattr(inbox_lifecycle, "WINDOW", 2)
    asked = iter([False, True] + [False] * 9)
    monkeypatch.setattr("notifications.services.lifecycle.Run.out_of_time", lambda run: next(asked))
    assert tasks.archive() == 2
    assert LifecycleJob.objects.get(name="archive").cursor != ""
    assert tasks.archive() == 3


def travel(notification_id: Any, **back: float) -> Any:
    """Give a row an id as old as this, as if it had been made then."""
    from castcomm.common.sql import run
    from notifications.services.retention_periods import first_id_at

    old = first_id_at(ago(**back)).int | (notification_id.int & (2**72 - 1))
    made = type(notification_id)(int=old)
    run("SET CONSTRAINTS ALL DEFERRED")
    run(
        "UPDATE notifications_delivery SET notification_id = %s WHERE notification_id = %s",
        (made, notification_id),
    )
    run("UPDATE notifications_notification SET id = %s WHERE id = %s", (made, notification_id))
    return made
