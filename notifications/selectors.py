"""What can be asked of the notification system. Reads only."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Organization
from castcomm.common.clock import now as current_time
from notifications.inbox_json import inbox_json
from notifications.models import EventType, Inbox, Notification

REPLAY_LIMIT = 300


def inbox_rows(organization_id: uuid.UUID, user_id: uuid.UUID) -> QuerySet[Notification]:
    """A person's inbox: what has arrived and has not expired, with all that its JSON form needs."""
    return (
        Notification.objects.for_organization(organization_id)
        .filter(user_id=user_id, inbox_seq__isnull=False)
        .filter(Q(expires_at=None) | Q(expires_at__gt=current_time()))
        .select_related("event_type__category", "request")
    )


def row_json(row: Notification) -> dict[str, Any]:
    """The JSON form of a row of ``inbox_rows``."""
    assert row.inbox_seq is not None
    return inbox_json(
        id=row.id,
        seq=row.inbox_seq,
        event_type=row.event_type.key,
        category=row.event_type.category.key,
        priority=row.priority,
        title=row.title,
        body=row.body,
        action_url=row.action_url,
        data=row.request.data,
        created_at=row.created_at,
        seen_at=row.seen_at,
        read_at=row.read_at,
        archived_at=row.archived_at,
        snoozed_until=row.snoozed_until,
        expires_at=row.expires_at,
    )


def inbox_counts(organization_id: uuid.UUID, user_id: uuid.UUID) -> dict[str, int]:
    """``unread`` and ``unseen`` (neither archived nor snoozed), and ``inbox_seq``, the last change."""
    moment = current_time()
    live = (
        Notification.objects.for_organization(organization_id)
        .filter(user_id=user_id, inbox_seq__isnull=False, read_at=None, archived_at=None)
        .filter(Q(expires_at=None) | Q(expires_at__gt=moment))
        .filter(Q(snoozed_until=None) | Q(snoozed_until__lte=moment))
    )
    return {
        "unread": live.count(),
        "unseen": live.filter(seen_at=None).count(),
        "inbox_seq": inbox_seq(organization_id, user_id),
    }


def inbox_seq(organization_id: uuid.UUID, user_id: uuid.UUID) -> int:
    """The number of the last durable change in a person's inbox; 0 for an inbox that never had one."""
    found = Inbox.objects.filter(organization_id=organization_id, user_id=user_id).values_list(
        "last_seq", flat=True
    )
    return found.first() or 0


def inbox_changes(
    organization_id: uuid.UUID, user_id: uuid.UUID, since_seq: int
) -> tuple[list[dict[str, Any]], int, bool]:
    """What changed after ``since_seq``: rows in the order of their last change, the head, and whether that is all.

    A row that changed several times comes once, in its present state.
    """
    head = inbox_seq(organization_id, user_id)
    rows = inbox_rows(organization_id, user_id).filter(inbox_seq__gt=since_seq).order_by("inbox_seq")
    found = list(rows[: REPLAY_LIMIT + 1])
    if len(found) > REPLAY_LIMIT:
        return [], head, False
    return [row_json(row) for row in found], head, True


def event_notifies(organization: Organization, key: str) -> bool:
    """Whether an event of this name is to be notified by itself (``EventType.notify_on_event``)."""
    return (
        EventType.objects.for_organization(organization)
        .filter(key=key, notify_on_event=True, is_active=True)
        .exists()
    )


def notifications_with_ledger(organization_id: uuid.UUID | None) -> QuerySet[Notification]:
    """Notifications with everything that *explain* tells; without an organization, those of all."""
    rows = (
        Notification.objects.all()
        if organization_id is None
        else Notification.objects.for_organization(organization_id)
    )
    return rows.select_related("event_type", "request", "user", "organization").prefetch_related(
        "deliveries__attempts", "deliveries__events", "deliveries__template_version__template"
    )
