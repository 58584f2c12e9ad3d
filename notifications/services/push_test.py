"""A push to one's own devices, to see whether it arrives."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.cache import cache

from accounts.models import Organization, User
from castcomm.common.errors import Conflict, NotFound, RateLimited
from notifications.models import Delivery, PushSubscription
from notifications.services import push_outcomes
from notifications.services.sending import SendResult, send_notification
from notifications.vocabulary import Channel

TESTS, PER_SECONDS = 5, 300


def send_test_push(*, organization: Organization, user: User) -> SendResult:
    """Push to all devices of a person, whatever their preferences and quiet hours.

    It takes the path of every notification, so that *explain* tells what came of it. Raises Conflict when there is no
    device, RateLimited after five within five minutes.
    """
    mine = PushSubscription.objects.for_organization(organization).filter(user=user)
    if not mine.exists():
        raise Conflict("No device is registered for push.", code="no_device")
    _count(user)
    return send_notification(
        organization=organization,
        recipients=[user],
        content={"title": f"A test from {organization.name}", "body": "Push works on this device."},
        data={"push": {"topic": push_outcomes.TEST_TOPIC}},
        channels=[Channel.PUSH],
        priority="urgent",
        critical=True,
        source="test",
    )


def outcome_of(*, organization: Organization, user: User, notification_id: uuid.UUID) -> dict[str, Any]:
    """What came of a push to this person, and what each device said; raises NotFound."""
    mine = Delivery.objects.filter(
        organization=organization,
        notification_id=notification_id,
        notification__user=user,
        channel=Channel.PUSH,
    )
    row = mine.first()
    if row is None:
        raise NotFound("There is no such push of yours.")
    return {
        "status": row.status,
        "detail": row.error,
        "settled": row.settled_at is not None,
        "devices": push_outcomes.kept(row.id),
    }


def _count(user: User) -> None:
    key = f"push-test:{user.id}"
    cache.add(key, 0, PER_SECONDS)
    try:
        used = cache.incr(key)
    except ValueError:  # it ran out in this very moment
        return
    if used > TESTS:
        raise RateLimited("That were enough tests for now.", retry_after=PER_SECONDS)
