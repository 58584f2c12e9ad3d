"""What a person does in the inbox: read, seen, archived. Each change gets the inbox's next number."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce

from accounts.models import Organization, User
from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput, NotFound
from castcomm.realtime import hub
from castcomm.realtime.topics import user_topic
from notifications import selectors
from notifications.models import Notification

MAX_IDS = 1_000

# What each act sets. None clears; "now" is the time of the act. Reading implies having seen.
ACTS: dict[str, dict[str, str | None]] = {
    "read": {"read_at": "now", "seen_at": "now"},
    "unread": {"read_at": None},
    "seen": {"seen_at": "now"},
    "archive": {"archived_at": "now"},
    "unarchive": {"archived_at": None},
}

_NEXT = """
INSERT INTO notifications_inbox (organization_id, user_id, last_seq) VALUES (%s, %s, %s)
ON CONFLICT (organization_id, user_id) DO UPDATE SET last_seq = notifications_inbox.last_seq + excluded.last_seq
RETURNING last_seq
"""

_NUMBER = """
UPDATE notifications_notification n SET inbox_seq = g.seq
  FROM unnest(%s::uuid[], %s::bigint[]) AS g(id, seq) WHERE n.id = g.id
"""


def mark_one(
    *, organization: Organization, user: User, notification_id: uuid.UUID, act: str
) -> dict[str, Any]:
    """Do ``act`` to one row and return its new form; raises NotFound when it is not in this person's inbox."""
    mine = selectors.inbox_rows(organization.id, user.id).filter(id=notification_id)
    if not mine.exists():
        raise NotFound("There is no such notification in your inbox.")
    _mark(organization, user, mine, act)
    return selectors.row_json(mine.get())


def mark_many(*, organization: Organization, user: User, act: str, ids: Sequence[uuid.UUID] | None) -> int:
    """Do ``act`` to these rows (None: to all that are not archived); returns how many changed.

    An id that is not in this person's inbox raises InvalidInput, and nothing is changed.
    """
    rows = selectors.inbox_rows(organization.id, user.id)
    if ids is None:
        return _mark(organization, user, rows.filter(archived_at=None), act)
    if len(ids) > MAX_IDS:
        raise InvalidInput(f"At most {MAX_IDS} ids.", attr="ids", code="max_length")
    wanted = set(ids)
    found = set(rows.filter(id__in=wanted).values_list("id", flat=True))
    for position, given in enumerate(ids):
        if given not in found:
            raise InvalidInput(
                "There is no such notification in your inbox.", attr=f"ids.{position}", code="not_found"
            )
    return _mark(organization, user, rows.filter(id__in=wanted), act)


def _mark(organization: Organization, user: User, rows: QuerySet[Notification], act: str) -> int:
    """Change the rows that ``act`` changes anything about; a repeated act changes nothing and numbers nothing."""
    changes = ACTS[act]
    moment = current_time()
    first = next(iter(changes))
    condition = {f"{first}__isnull": changes[first] is not None}
    with transaction.atomic():
        # The inbox row is the lock: two tabs that mark at once do so one after the other.
        reserved = sql.run(_NEXT, (organization.id, user.id, 0))[0][0]
        ids = list(rows.filter(**condition).order_by("inbox_seq").values_list("id", flat=True))
        if not ids:
            return 0
        # Who reads what was seen before saw it then.
        values = {
            name: Coalesce(F(name), Value(moment)) if value == "now" else None
            for name, value in changes.items()
        }
        Notification.objects.filter(id__in=ids).update(**values)
        sql.run(_NEXT, (organization.id, user.id, len(ids)))
        sql.run(_NUMBER, (ids, list(range(reserved + 1, reserved + len(ids) + 1))))
        publish_on_commit(ids)
    return len(ids)


def publish_on_commit(notification_ids: Sequence[uuid.UUID]) -> None:
    """Show the present state of these rows on their owners' open pages, once the transaction has committed."""
    if not notification_ids:
        return

    def tell() -> None:
        rows = Notification.objects.filter(id__in=notification_ids, inbox_seq__isnull=False)
        full = rows.select_related("event_type__category", "request").order_by("inbox_seq")
        hub.publish_many(
            (
                user_topic(row.user_id, row.organization_id),
                {"event": "notification", "seq": row.inbox_seq, "data": selectors.row_json(row)},
            )
            for row in full
            if row.user_id is not None
        )

    transaction.on_commit(tell)
