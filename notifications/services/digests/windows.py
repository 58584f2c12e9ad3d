"""The statements with which windows are closed. Each takes a whole batch."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from castcomm.common import sql
from notifications.vocabulary import DeliveryStatus, Reason

_ORGANIZATIONS = """
SELECT DISTINCT organization_id FROM notifications_digestwindow WHERE status = 'open' AND closes_at <= %s
"""

# Who adds to a window holds it as well: one that is being added to is closed the next time.
_TAKEN = """
SELECT w.id, w.user_id, w.cadence, w.zone, w.closes_at, w.item_count, u.time_zone,
       coalesce(u.is_active AND m.is_active, false), o.is_active
  FROM ({chosen}) w
  JOIN accounts_organization o ON o.id = w.organization_id
  JOIN accounts_user u ON u.id = w.user_id
  LEFT JOIN accounts_membership m ON m.organization_id = w.organization_id AND m.user_id = w.user_id
 ORDER BY w.closes_at, w.id
"""
_TAKE_DUE = _TAKEN.format(
    chosen="""
    SELECT * FROM notifications_digestwindow
     WHERE organization_id = %(organization)s AND status = 'open' AND closes_at <= %(now)s
     ORDER BY closes_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED"""
)
_TAKE_NAMED = _TAKEN.format(
    chosen="""
    SELECT * FROM notifications_digestwindow
     WHERE organization_id = %(organization)s AND status = 'open' AND id = ANY(%(ids)s)
     ORDER BY user_id, cadence FOR NO KEY UPDATE"""
)

_ITEMS = """
SELECT i.window_id, d.id, d.channel, n.id, n.event_type_id, n.expires_at, n.cancelled_at IS NOT NULL,
       n.read_at IS NOT NULL OR n.archived_at IS NOT NULL
  FROM notifications_digestitem i
  JOIN notifications_delivery d ON d.id = i.delivery_id AND d.status = 'in_digest'
  JOIN notifications_notification n ON n.id = d.notification_id
 WHERE i.window_id = ANY(%s) ORDER BY i.window_id, i.position
"""

# In the order of their ids, so that two that change the same rows wait for each other, and not both.
_SETTLE = """
WITH given AS (
  SELECT * FROM unnest(%(ids)s::uuid[], %(statuses)s::text[], %(reasons)s::text[], %(details)s::text[])
    AS g(id, status, reason, detail)
),
locked AS (
  SELECT d.id FROM notifications_delivery d
   WHERE d.id = ANY(%(ids)s) AND d.status = 'in_digest' ORDER BY d.id FOR NO KEY UPDATE
)
UPDATE notifications_delivery d
   SET status = given.status, reason = given.reason, settled_at = %(now)s,
       decision = CASE WHEN given.detail = '' THEN d.decision ELSE d.decision || given.detail::jsonb END
  FROM given JOIN locked USING (id) WHERE d.id = given.id
RETURNING d.id
"""

_FINISH = """
UPDATE notifications_digestwindow w
   SET status = CASE WHEN f.notification_id IS NULL THEN 'empty' ELSE 'sent' END, closed_at = %s,
       sent_count = f.sent_count, notification_id = f.notification_id
  FROM unnest(%s::uuid[], %s::int[], %s::uuid[]) AS f(id, sent_count, notification_id) WHERE w.id = f.id
"""

_MOVE = """
UPDATE notifications_digestwindow w SET closes_at = m.closes_at, zone = m.zone
  FROM unnest(%s::uuid[], %s::timestamptz[], %s::text[]) AS m(id, closes_at, zone) WHERE w.id = m.id
"""


class Window(NamedTuple):
    """An open window that is locked, and what there is to know of its person."""

    id: uuid.UUID
    user_id: uuid.UUID
    cadence: str
    zone: str
    closes_at: dt.datetime
    item_count: int
    user_zone: str
    is_member: bool
    organization_active: bool


class Item(NamedTuple):
    """A delivery that still waits in a window."""

    window_id: uuid.UUID
    delivery_id: uuid.UUID
    channel: str
    notification_id: uuid.UUID
    event_type_id: uuid.UUID
    expires_at: dt.datetime | None
    is_cancelled: bool
    is_read: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """How an item ended; ``detail`` is added to what its delivery keeps of its decision."""

    delivery_id: uuid.UUID
    status: DeliveryStatus
    reason: Reason
    detail: dict[str, object] | None = None


class Finished(NamedTuple):
    """A window at its end; without a notification nothing was left to send."""

    window_id: uuid.UUID
    sent_count: int
    notification_id: uuid.UUID | None


class Moved(NamedTuple):
    """A window that closes at another time."""

    window_id: uuid.UUID
    closes_at: dt.datetime
    zone: str


def organizations_due(now: dt.datetime) -> list[uuid.UUID]:
    """Those that have windows to close."""
    return [row[0] for row in sql.run(_ORGANIZATIONS, (now,))]


def take_due(organization_id: uuid.UUID, *, now: dt.datetime, limit: int) -> list[Window]:
    """Lock due windows, the oldest first; those that somebody else holds are left out."""
    given = {"organization": organization_id, "now": now, "limit": limit}
    return [Window._make(row) for row in sql.run(_TAKE_DUE, given)]


def take_named(organization_id: uuid.UUID, window_ids: Sequence[uuid.UUID]) -> list[Window]:
    """Lock these windows, as far as they are open, whenever they would close; waits for who holds one."""
    given = {"organization": organization_id, "ids": list(window_ids)}
    return [Window._make(row) for row in sql.run(_TAKE_NAMED, given)]


def items_of(window_ids: Sequence[uuid.UUID]) -> list[Item]:
    """What waits in these windows, each window's in its order."""
    return [Item._make(row) for row in sql.run(_ITEMS, (list(window_ids),))]


def settle(settled: Sequence[Settled], *, now: dt.datetime) -> set[uuid.UUID]:
    """Write down how items ended; returns those that were still waiting: others were cancelled meanwhile."""
    given = {
        "ids": [one.delivery_id for one in settled],
        "statuses": [one.status.value for one in settled],
        "reasons": [one.reason.value for one in settled],
        "details": [orjson.dumps(one.detail).decode() if one.detail else "" for one in settled],
        "now": now,
    }
    return {row[0] for row in sql.run(_SETTLE, given)}


def finish(finished: Sequence[Finished], *, now: dt.datetime) -> None:
    """Close these windows."""
    ids, counts, notifications = zip(*finished, strict=True)
    sql.run(_FINISH, (now, list(ids), list(counts), list(notifications)))


def move(moved: Sequence[Moved]) -> None:
    """Let these windows close at another time."""
    ids, moments, zones = zip(*moved, strict=True)
    sql.run(_MOVE, (list(ids), list(moments), list(zones)))
