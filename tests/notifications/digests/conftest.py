"""People who get their mail in digests, and items that wait for them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import transaction

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.ids import new_id
from notifications.models import (
    Delivery,
    DigestFrequency,
    DigestSetting,
    DigestWindow,
    EventType,
    Notification,
    NotificationRequest,
)
from notifications.services.digests.collecting import Collected, collect
from notifications.services.policy_facts import DigestChoice

DAILY = DigestChoice(category_id=None, frequency="daily")


@pytest.fixture
def digestible(make_event_type: Callable[..., EventType]) -> EventType:
    """An event type that goes into digests, by mail alone."""
    return make_event_type("news", channels=["email"], is_digestible=True)


@pytest.fixture
def reader(member: User, organization: Organization) -> User:
    """Somebody who gets everything once a day."""
    DigestSetting.objects.create(organization=organization, user=member, frequency=DigestFrequency.DAILY)
    return member


@pytest.fixture
def make_due() -> Callable[..., None]:
    """Let the time pass for which windows wait."""

    def make(**filters: Any) -> None:
        past = now() - dt.timedelta(minutes=1)
        with transaction.atomic():  # what somebody adds to at this moment is left out: nobody waits for two
            rows = DigestWindow.objects.filter(status="open", **filters).select_for_update(skip_locked=True)
            ids = [row.id for row in rows]
            DigestWindow.objects.filter(id__in=ids).update(closes_at=past)

    return make


@pytest.fixture
def put_in(organization: Organization, digestible: EventType) -> Callable[..., list[Delivery]]:
    """Rows of a digest, as a send writes them, many at once; returns them in their order."""

    def put(
        people: Sequence[User], each: int = 1, *, choice: DigestChoice = DAILY, **more: Any
    ) -> list[Delivery]:
        request = NotificationRequest.objects.create(
            organization=organization, event_type=digestible, source="test", priority=2, recipient_count=each
        )
        given = {"organization": organization, "priority": 2, **more}
        notifications = [
            Notification(
                id=new_id(), request=request, event_type=digestible, user=person, title=f"News {n}", **given
            )
            for n in range(each)
            for person in people
        ]
        made = [
            Delivery(
                organization=organization,
                notification=one,
                channel="email",
                priority=2,
                status="in_digest",
                reason="digest",
                due_at=now(),
            )
            for one in notifications
        ]
        Notification.objects.bulk_create(notifications)
        Delivery.objects.bulk_create(made)
        items = [Collected(one.id, one.notification.user_id, "UTC", choice) for one in made]
        collect(organization.id, items, now=now())
        return made

    return put
