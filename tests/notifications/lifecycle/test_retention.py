"""What is old is deleted with all that belongs to it; what may still reach somebody is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.ids import new_id
from castcomm.common.models import IdempotentRequest
from notifications import tasks
from notifications.models import (
    Attachment,
    Delivery,
    DeliveryAttempt,
    DigestItem,
    DigestWindow,
    FanoutChunk,
    LifecycleJob,
    Notification,
    NotificationRequest,
    ProviderEvent,
    RetentionPolicy,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookMessage,
)
from notifications.services import retention
from notifications.services.retention import LIVE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("for_ever")]
Arrive = Callable[..., Notification]


@pytest.fixture
def in_days() -> Callable[[float], Any]:
    def travel(days: float) -> Any:
        return time_machine.travel(now() + dt.timedelta(days=days), tick=True)

    return travel


@pytest.fixture
def policy(organization: Organization) -> RetentionPolicy:
    return RetentionPolicy.objects.create(organization=organization, keep_notifications=30)


def mail_of(row: Notification, **fields: Any) -> Delivery:
    given: dict[str, Any] = {"status": "sent", "due_at": now(), "priority": 2, **fields}
    return Delivery.objects.create(
        organization_id=row.organization_id, notification=row, channel="email", **given
    )


def event_of(delivery: Delivery | None, organization: Organization | None) -> ProviderEvent:
    return ProviderEvent.objects.create(
        organization=organization, delivery=delivery, provider="p", event_key=str(new_id()), kind="delivered",
        occurred_at=now(),
    )  # fmt: skip


def test_old_notifications_go_with_all_that_belongs_to_them(
    organization: Organization, member: User, arrive: Arrive, policy: RetentionPolicy, in_days: Any
) -> None:
    row = arrive(member)
    delivery = mail_of(row)
    DeliveryAttempt.objects.create(
        delivery=delivery, number=1, provider="p", started_at=now(), outcome="sent"
    )
    event_of(delivery, organization)
    Attachment.objects.create(request=row.request, position=0, filename="f", content_type="t", content=b"x")
    window = DigestWindow.objects.create(
        organization=organization, user=member, cadence="hourly", status="sent", zone="UTC", closes_at=now(),
        closed_at=now(), notification=row,
    )  # fmt: skip
    DigestItem.objects.create(delivery=delivery, window=window, position=1)
    with in_days(29):
        assert tasks.prune() == 0
    with in_days(31):
        young = arrive(member)
        assert tasks.prune() == 3  # the notification, its request, the window
        assert tasks.prune() == 0
    for model in (DeliveryAttempt, ProviderEvent, Attachment, DigestItem, DigestWindow):
        assert not model.objects.exists(), model
    assert list(Notification.objects.values_list("id", flat=True)) == [young.id]
    assert list(NotificationRequest.objects.values_list("id", flat=True)) == [young.request_id]
    assert Delivery.objects.get().notification_id == young.id
    job = LifecycleJob.objects.get(name="retention")
    assert (job.cursor, job.error) == ("", "")


@pytest.mark.parametrize("status", LIVE)
def test_what_waits_or_is_unknown_is_never_deleted(
    member: User,
    arrive: Arrive,
    policy: RetentionPolicy,
    in_days: Any,
    status: str,
    organization: Organization,
) -> None:
    delivery = mail_of(arrive(member), status=status)
    event_of(delivery, organization)
    RetentionPolicy.objects.update(keep_events=1, keep_archived=1)
    with in_days(900):
        assert tasks.prune() == 0
        Delivery.objects.filter(id=delivery.id).update(status="dead")
        assert tasks.prune() == 2


def test_what_was_put_aside_for_later_stays(
    member: User, arrive: Arrive, policy: RetentionPolicy, in_days: Any
) -> None:
    arrive(member, snoozed_until=now() + dt.timedelta(days=60))
    with in_days(31):
        assert tasks.prune() == 0


@pytest.mark.parametrize("state", ["fanning_out", "paused", "with a part left"])
def test_a_request_that_still_grows_is_left_whole(
    member: User, arrive: Arrive, policy: RetentionPolicy, in_days: Any, state: str
) -> None:
    row = arrive(member)
    NotificationRequest.objects.update(status="incomplete" if state.startswith("with") else state)
    if state.startswith("with"):
        FanoutChunk.objects.create(request=row.request, position=0, recipients=[])
    with in_days(900):
        assert tasks.prune() == 0
    assert Notification.objects.get() == row


def test_the_archive_has_a_period_of_its_own(
    member: User, arrive: Arrive, policy: RetentionPolicy, in_days: Any
) -> None:
    RetentionPolicy.objects.update(keep_notifications=None, keep_archived=10)
    row, kept = arrive(member, archived_at=now()), arrive(member)
    with in_days(11):
        assert tasks.prune() == 2
    assert not Notification.objects.filter(id=row.id).exists()
    assert Notification.objects.get() == kept


def test_each_organization_has_its_own_policy_and_the_settings_hold_for_the_rest(
    settings: Any, member: User, arrive: Arrive, policy: RetentionPolicy, other_organization: Organization,
    in_days: Any,
) -> None:  # fmt: skip
    arrive(member)
    arrive(member)
    Notification.objects.filter(id=Notification.objects.order_by("id")[0].id).update(
        organization=other_organization
    )
    with in_days(40):
        settings.RETENTION_KEEP_NOTIFICATIONS_DAYS = 50
        assert tasks.prune() == 2
        assert Notification.objects.get().organization_id == other_organization.id
        settings.RETENTION_KEEP_NOTIFICATIONS_DAYS = -7
        assert tasks.prune() == 0
        settings.RETENTION_KEEP_NOTIFICATIONS_DAYS = 35
        assert tasks.prune() == 2
    assert not NotificationRequest.objects.exists()


def test_reports_go_by_their_own_period(
    member: User,
    arrive: Arrive,
    policy: RetentionPolicy,
    organization: Organization,
    settings: Any,
    in_days: Any,
) -> None:
    RetentionPolicy.objects.update(keep_notifications=None, keep_events=5)
    delivery = mail_of(arrive(member))
    event_of(delivery, organization)
    nobodys = event_of(None, None)
    with in_days(6):
        assert tasks.prune() == 1
        assert ProviderEvent.objects.get() == nobodys
        settings.RETENTION_KEEP_EVENTS_DAYS = 6
    with in_days(7):
        assert tasks.prune() == 1
    assert Delivery.objects.filter(id=delivery.id).exists()


def test_it_goes_on_where_time_ran_out(
    monkeypatch: pytest.MonkeyPatch, member: User, arrive: Arrive, policy: RetentionPolicy, in_days: Any
) -> None:
    for _ in range(5):
        arrive(member)
    monkeypatch.setattr(retention, "BATCH", 2)
    asked = iter([False, True, True] + [False] * 50)
    monkeypatch.setattr("notifications.services.lifecycle.Run.out_of_time", lambda run: next(asked))
    with in_days(31):
        assert tasks.prune() == 2
        assert LifecycleJob.objects.get(name="retention").cursor.startswith("notifications:")
        assert tasks.prune() == 3 + 5
    assert not Notification.objects.exists()
    assert not NotificationRequest.objects.exists()


def test_answers_of_idempotent_calls_go_after_a_day_unless_the_call_still_runs(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("castcomm.common.api.idempotency.FORGET_BATCH", 2)
    old, later = now() - dt.timedelta(hours=25), now() + dt.timedelta(minutes=1)
    common = {"organization_id": organization.id, "actor": "a", "fingerprint": "f"}
    for number in range(5):
        IdempotentRequest.objects.create(
            key=f"old {number}", created_at=old, status_code=200, locked_until=old, **common
        )
    IdempotentRequest.objects.create(key="runs", created_at=old, locked_until=later, **common)
    IdempotentRequest.objects.create(key="new", status_code=200, locked_until=old, **common)
    assert tasks.forget_idempotent_requests() == 5
    assert set(IdempotentRequest.objects.values_list("key", flat=True)) == {"runs", "new"}


def test_webhooks_that_are_still_to_be_told_stay(organization: Organization, in_days: Any) -> None:
    endpoint = WebhookEndpoint.objects.create(organization=organization, url="https://example.com/")
    for status in ("delivered", "pending"):
        message = WebhookMessage.objects.create(
            organization=organization, event_type="delivery.sent", occurred_at=now()
        )
        WebhookDelivery.objects.create(
            organization=organization, endpoint=endpoint, message=message, status=status
        )
    with in_days(31):
        assert tasks.prune_webhooks() == 1
        assert tasks.prune_webhooks() == 0
    assert WebhookDelivery.objects.get().status == "pending"
