"""What can be asked of the notification system. Reads only."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Organization
from castcomm.common import sql
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
        tags=row.tags,
        actions=row.actions,
        actions_done=row.actions_done,
    )


def in_place(
    rows: QuerySet[Notification], *, archived: bool | None, snoozed: bool | None, now: dt.datetime
) -> QuerySet[Notification]:
    """Those in the archive or not, put aside until later or not; None means either."""
    if archived is not None:
        rows = rows.filter(archived_at__isnull=not archived)
    if snoozed is None:
        return rows
    if snoozed:
        return rows.filter(snoozed_until__gt=now)
    return rows.filter(Q(snoozed_until=None) | Q(snoozed_until__lte=now))


def narrowed(rows: QuerySet[Notification], *, category: str = "", tag: str = "") -> QuerySet[Notification]:
    """Those of a category, and those with a tag; empty means all."""
    if category:
        rows = rows.filter(event_type__category__key=category)
    if tag:
        rows = rows.filter(tags__contains=[tag])
    return rows


# What the badges count: the condition of the index notification_unread, and its included columns.
_LIVE = """
 WHERE n.organization_id = %(organization)s AND n.user_id = %(user)s AND n.inbox_seq IS NOT NULL
   AND n.read_at IS NULL AND n.archived_at IS NULL
   AND (n.expires_at IS NULL OR n.expires_at > %(now)s)
   AND (n.snoozed_until IS NULL OR n.snoozed_until <= %(now)s)
"""

_COUNTS = f"""
SELECT count(*), count(*) FILTER (WHERE n.seen_at IS NULL),
       coalesce((SELECT last_seq FROM notifications_inbox
                  WHERE organization_id = %(organization)s AND user_id = %(user)s), 0)
  FROM notifications_notification n {_LIVE}
"""  # noqa: S608 - constants

_BY = {
    "category": f"""
SELECT c.key, count(*), count(*) FILTER (WHERE n.seen_at IS NULL)
  FROM notifications_notification n JOIN notifications_eventtype e ON e.id = n.event_type_id
  JOIN notifications_category c ON c.id = e.category_id {_LIVE} GROUP BY c.key ORDER BY c.key
""",  # noqa: S608 - constants
    "tag": f"""
SELECT t.tag, count(*), count(*) FILTER (WHERE n.seen_at IS NULL)
  FROM notifications_notification n CROSS JOIN LATERAL unnest(n.tags) AS t(tag) {_LIVE} GROUP BY t.tag ORDER BY t.tag
""",  # noqa: S608 - constants
}
COUNTED_BY = tuple(_BY)


def inbox_counts(organization_id: uuid.UUID, user_id: uuid.UUID) -> dict[str, Any]:
    """``unread`` and ``unseen`` (neither archived nor snoozed), and ``inbox_seq``, the last change."""
    [(unread, unseen, seq)] = sql.run(_COUNTS, _whose(organization_id, user_id))
    return {"unread": unread, "unseen": unseen, "inbox_seq": seq}


def inbox_counts_by(organization_id: uuid.UUID, user_id: uuid.UUID, by: str) -> dict[str, dict[str, int]]:
    """``{key: {"unread", "unseen"}}`` for each category or tag (``by``) of which something is unread."""
    rows = sql.run(_BY[by], _whose(organization_id, user_id), prepare=False)
    return {key: {"unread": unread, "unseen": unseen} for key, unread, unseen in rows}


def _whose(organization_id: uuid.UUID, user_id: uuid.UUID) -> dict[str, Any]:
    return {"organization": organization_id, "user": user_id, "now": current_time()}


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
