"""Notifications in inboxes, and jobs as their tasks run them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import EventType, Notification
from notifications.services.sending import send_notification


@pytest.fixture
def arrive(organization: Organization, news: EventType) -> Callable[..., Notification]:
    """Put a notification into a person's inbox, and set these fields of it."""

    def make(user: User, *, channels: tuple[str, ...] = ("in_app",), **fields: Any) -> Notification:
        sent = send_notification(
            organization=organization, event_type="news", recipients=[user], channels=list(channels)
        )
        rows = Notification.objects.filter(request_id=sent.request_id)
        if fields:
            rows.update(**fields)
        return rows.get()

    return make


@pytest.fixture
def for_ever(settings: Any) -> None:
    """Nothing goes but by the policy of a test."""
    for name in ("KEEP_ARCHIVED", "KEEP_NOTIFICATIONS", "KEEP_EVENTS"):
        setattr(settings, f"RETENTION_{name}_DAYS", 0)


def ago(**parts: float) -> dt.datetime:
    return now() - dt.timedelta(**parts)
