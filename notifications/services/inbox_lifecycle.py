"""What happens in inboxes by itself: put-aside rows come back, expired ones go, old ones go into the archive.

Each batch is a transaction. Rows are chosen without a lock, then their inboxes are locked in the order of people, as
everybody does, and the rows are looked at again: what somebody else has changed meanwhile is left alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.ids import parse_id
from notifications.services import delivery_news, inbox
from notifications.services.delivery_news import Change
from notifications.services.lifecycle import Run
from notifications.services.retention_periods import first_id_at, limits
from notifications.vocabulary import CANCELLABLE, DeliveryStatus, Reason

BATCH = 500
WINDOW = 5_000  # rows that the archive job looks at in one statement

_SNOOZED = """
SELECT id FROM notifications_notification WHERE snoozed_until <= %(now)s ORDER BY snoozed_until LIMIT %(limit)s
"""

# ``FOR NO KEY UPDATE`` of the inboxes is what numbering takes too; those that do not exist yet have no row to change.
_LOCK = """
INSERT INTO notifications_inbox AS i (organization_id, user_id, last_seq)
SELECT DISTINCT organization_id, user_id, 0 FROM notifications_notification
 WHERE id = ANY(%s) AND user_id IS NOT NULL AND inbox_seq IS NOT NULL ORDER BY user_id, organization_id
ON CONFLICT (organization_id, user_id) DO UPDATE SET last_seq = i.last_seq
"""

_NUMBER = """
WITH chosen AS (
  SELECT n.id, n.organization_id, n.user_id,
         row_number() OVER (PARTITION BY n.organization_id, n.user_id ORDER BY n.{order}, n.id) AS position,
         count(*) OVER (PARTITION BY n.organization_id, n.user_id) AS many
    FROM notifications_notification n WHERE n.id = ANY(%(ids)s) AND n.user_id IS NOT NULL AND {condition}
),
counted AS (
  UPDATE notifications_inbox i SET last_seq = i.last_seq + c.many FROM chosen c
   WHERE c.position = 1 AND i.organization_id = c.organization_id AND i.user_id = c.user_id
  RETURNING i.organization_id, i.user_id, i.last_seq
)
UPDATE notifications_notification n SET inbox_seq = counted.last_seq - c.many + c.position, {changes}
  FROM chosen c JOIN counted USING (organization_id, user_id) WHERE n.id = c.id
RETURNING n.id
"""

# On top again, and new: the request keeps the first moment.
_COME_BACK = _NUMBER.format(
    order="snoozed_until",
    condition="n.snoozed_until <= %(now)s AND n.inbox_seq IS NOT NULL AND n.archived_at IS NULL"
    " AND n.cancelled_at IS NULL AND (n.expires_at IS NULL OR n.expires_at > %(now)s)",
    changes="snoozed_until = NULL, read_at = NULL, seen_at = NULL, created_at = %(now)s",
)

# Archived, expired or cancelled while it was put aside: it stays where it is, and nobody sees a difference.
_FORGET_SNOOZE = """
UPDATE notifications_notification SET snoozed_until = NULL WHERE id = ANY(%(ids)s) AND snoozed_until <= %(now)s
"""

_EXPIRE = """
WITH due AS (
  SELECT id FROM notifications_notification
   WHERE expires_at <= %(now)s AND inbox_seq IS NOT NULL AND archived_at IS NULL
   ORDER BY expires_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE notifications_notification n SET archived_at = n.expires_at FROM due WHERE n.id = due.id RETURNING n.id
"""

# One that a worker has in its hands ends there.
_GIVE_UP = """
WITH waiting AS (
  SELECT id FROM notifications_delivery WHERE notification_id = ANY(%(ids)s) AND status = ANY(%(cancellable)s)
   ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE notifications_delivery d SET status = 'failed', reason = 'expired', settled_at = %(now)s
  FROM waiting w WHERE d.id = w.id RETURNING d.id, d.organization_id
"""

_LIMIT_READ = "CASE WHEN p.organization_id IS NULL THEN %(default_first)s::timestamptz ELSE p.first END"
_LIMIT_UNREAD = "CASE WHEN p.organization_id IS NULL THEN %(default_second)s::timestamptz ELSE p.second END"
_OLD = f"""
WITH policy AS (
  SELECT * FROM unnest(%(organizations)s::uuid[], %(firsts)s::timestamptz[], %(seconds)s::timestamptz[])
    AS p(organization_id, first, second)
)
SELECT n.id,
       n.inbox_seq IS NOT NULL AND n.archived_at IS NULL
       AND (n.snoozed_until IS NULL OR n.snoozed_until <= %(now)s)
       AND CASE WHEN n.read_at IS NOT NULL THEN n.read_at < {_LIMIT_READ}
                ELSE n.created_at < {_LIMIT_UNREAD} END IS TRUE
  FROM notifications_notification n LEFT JOIN policy p ON p.organization_id = n.organization_id
"""  # noqa: S608 - of constants
_OLD_IN_WINDOW = _OLD + " WHERE n.id > %(after)s AND n.id < %(before)s ORDER BY n.id LIMIT %(limit)s"
_OLD_OF = _OLD + " WHERE n.id = ANY(%(ids)s)"

_ARCHIVE = _NUMBER.format(order="inbox_seq", condition="TRUE", changes="archived_at = %(now)s")


def unsnooze(run: Run) -> int:
    """Bring back what was put aside until now: on top, unread and unseen; returns how many came back."""
    changed = 0
    while not run.out_of_time():
        found = _ids(_SNOOZED, {"now": current_time(), "limit": BATCH})
        if not found:
            break
        changed += _come_back(found)
    return changed


def expire(run: Run) -> int:
    """Put into the archive what has expired, and give up what waits of it; returns how many rows expired.

    Open pages leave out what has expired by themselves, so this is no change that they are told.
    """
    changed = 0
    while not run.out_of_time():
        expired = _expire_batch()
        changed += expired
        if expired < BATCH:
            break
    return changed


def archive(run: Run) -> int:
    """Put into the archive what was read, or left unread, for longer than its organization allows.

    It goes through the notifications in the order of their ids, a window at a time, and goes on where the last run
    stopped. Returns how many were archived.
    """
    moments = limits("archive_read_after", "archive_unread_after", now=current_time())
    if moments is None:
        run.keep("")
        return 0
    after, changed = parse_id(run.cursor) or uuid.UUID(int=0), 0
    given = {**moments, "now": current_time(), "before": first_id_at(moments["newest"]), "limit": WINDOW}
    while not run.out_of_time():
        window = sql.run(_OLD_IN_WINDOW, {**given, "after": after})
        old = [row[0] for row in window if row[1]]
        for start in range(0, len(old), BATCH):
            changed += _archive_batch(old[start : start + BATCH], given)
        if len(window) < WINDOW:
            run.keep("")
            break
        after = window[-1][0]
        run.keep(str(after))
    return changed


def _come_back(ids: Sequence[uuid.UUID]) -> int:
    with transaction.atomic():
        sql.run(_LOCK, (list(ids),))
        given = {"ids": list(ids), "now": current_time()}
        back = _ids(_COME_BACK, given)
        sql.run(_FORGET_SNOOZE, given)
        inbox.publish_on_commit(back)
    return len(back)


def _expire_batch() -> int:
    with transaction.atomic():
        now = current_time()
        expired = _ids(_EXPIRE, {"now": now, "limit": BATCH})
        cancellable = [str(status) for status in CANCELLABLE]
        given_up = sql.run(_GIVE_UP, {"ids": expired, "cancellable": cancellable, "now": now})
        delivery_news.tell_of(
            [
                Change(
                    organization_id=organization_id,
                    delivery_id=delivery_id,
                    status=str(DeliveryStatus.FAILED),
                    reason=str(Reason.EXPIRED),
                    occurred_at=now,
                )
                for delivery_id, organization_id in given_up
            ]
        )
    return len(expired)


def _archive_batch(ids: Sequence[uuid.UUID], given: Mapping[str, Any]) -> int:
    with transaction.atomic():
        sql.run(_LOCK, (list(ids),))
        still = [row[0] for row in sql.run(_OLD_OF, {**given, "ids": list(ids)}) if row[1]]
        archived = _ids(_ARCHIVE, {"ids": still, "now": given["now"]})
        inbox.publish_on_commit(archived)
    return len(archived)


def _ids(statement: str, params: Mapping[str, Any]) -> list[uuid.UUID]:
    return [row[0] for row in sql.run(statement, params)]
