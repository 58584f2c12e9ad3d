"""Deletes what is older than its organization wants to keep it (``RetentionPolicy``), in batches.

Kept whatever its age: a notification one of whose deliveries waits, is being sent or has an unknown end; one that was
put aside for later; a request that is still becoming notifications. A tracked link goes when the notifications of the
last mails that had it have gone, and ``LINKS_OUTLIVE`` more: mails stay in mailboxes, and links may be personal data.

Each table is gone through in the order of its ids (UUIDv7: of time), a window at a time; ``LifecycleJob.cursor`` says
which and how far. What a window shows as due is locked and looked at again before it is deleted.
"""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from castcomm.common import sql
from castcomm.common.api.idempotency import forget_old_requests
from castcomm.common.clock import now as current_time
from castcomm.common.ids import parse_id
from notifications.models import RequestStatus, WindowStatus
from notifications.services import push_subscriptions, webhook_outbox
from notifications.services.lifecycle import Run
from notifications.services.retention_periods import first_id_at, limits
from notifications.vocabulary import CANCELLABLE, DeliveryStatus

BATCH = 1_000
# Well over what ``tracking`` may be late in saying that a link is used again.
LINKS_OUTLIVE = dt.timedelta(days=30)

# A delivery in one of these may still reach somebody, or nobody knows whether it did.
LIVE = [str(status) for status in (*CANCELLABLE, DeliveryStatus.SENDING, DeliveryStatus.UNKNOWN)]
# A request in one of these still becomes notifications; without those that it has, they would be made again.
GROWING = [str(status) for status in (RequestStatus.FANNING_OUT, RequestStatus.PAUSED)]

_POLICY = """
WITH policy AS (
  SELECT * FROM unnest(%(organizations)s::uuid[], %(firsts)s::timestamptz[], %(seconds)s::timestamptz[])
    AS p(organization_id, first, second)
)
SELECT t.id, ({due}) IS TRUE FROM {table} t LEFT JOIN policy p ON p.organization_id = t.organization_id
"""
_FIRST = "CASE WHEN p.organization_id IS NULL THEN %(default_first)s::timestamptz ELSE p.first END"
_SECOND = "CASE WHEN p.organization_id IS NULL THEN %(default_second)s::timestamptz ELSE p.second END"
_WINDOW = " WHERE t.id > %(after)s AND t.id < %(before)s ORDER BY t.id LIMIT %(limit)s"
_LOCKED = " WHERE t.id = ANY(%(ids)s) ORDER BY t.id FOR UPDATE OF t SKIP LOCKED"
_AGAIN = " WHERE t.id = ANY(%(ids)s)"

_NOTIFICATION_IS_DUE = f"""
(t.created_at < {_FIRST} OR t.archived_at < {_SECOND})
AND (t.snoozed_until IS NULL OR t.snoozed_until <= %(now)s)
AND NOT EXISTS (SELECT FROM notifications_delivery d WHERE d.notification_id = t.id AND d.status = ANY(%(live)s))
AND NOT EXISTS (SELECT FROM notifications_notificationrequest r
                 WHERE r.id = t.request_id AND r.status = ANY(%(growing)s))
AND NOT EXISTS (SELECT FROM notifications_fanoutchunk c WHERE c.request_id = t.request_id)
"""  # noqa: S608 - of constants

# ``greatest`` passes over what is null. Requests and windows go with the last of what they held.
_REQUEST_IS_DUE = f"""
t.created_at < greatest({_FIRST}, {_SECOND}) AND NOT t.status = ANY(%(growing)s)
AND NOT EXISTS (SELECT FROM notifications_notification n WHERE n.request_id = t.id)
AND NOT EXISTS (SELECT FROM notifications_fanoutchunk c WHERE c.request_id = t.id)
"""  # noqa: S608 - of constants

_WINDOW_IS_DUE = f"""
t.closed_at < greatest({_FIRST}, {_SECOND}) AND t.status <> '{WindowStatus.OPEN}'
AND NOT EXISTS (SELECT FROM notifications_digestitem i WHERE i.window_id = t.id)
"""

_EVENT_IS_DUE = f"""
t.created_at < {_FIRST}
AND NOT EXISTS (SELECT FROM notifications_delivery d WHERE d.id = t.delivery_id AND d.status = ANY(%(live)s))
"""

_LINK_IS_DUE = f"t.created_at < {_FIRST} - %(links_outlive)s::interval"

_LOCK_DELIVERIES = """
SELECT id FROM notifications_delivery WHERE notification_id = ANY(%s) ORDER BY id FOR UPDATE
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A table, when a row of it is due, the two policy fields that say so, and how rows are deleted.

    ``lock`` takes what must stand still besides the rows themselves.
    """

    table: str
    due: str
    fields: tuple[str, str]
    delete: Callable[[list[uuid.UUID]], None]
    lock: Callable[[list[uuid.UUID]], None] = lambda ids: None

    def statement(self, end: str) -> str:
        return _POLICY.format(due=self.due, table=self.table) + end


def prune(run: Run) -> int:
    """Delete what is due, table after table, from where the last run stopped; returns how many rows of those went."""
    name, _, after = run.cursor.partition(":")
    names = list(_PARTS)
    changed = 0
    for part in names[names.index(name) if name in _PARTS else 0 :]:
        changed += _prune_part(run, part, parse_id(after) or uuid.UUID(int=0))
        after = ""
        if run.out_of_time():
            return changed
    run.keep("")
    return changed


def forget_idempotent(run: Run) -> int:
    """Delete the answers kept for ``Idempotency-Key`` that are older than a day; a call that still runs is left."""
    return forget_old_requests(stop=run.out_of_time)


def forget_devices(run: Run) -> int:
    """Delete the devices that neither took a push nor reported within ``PUSH_UNUSED_DAYS``."""
    return push_subscriptions.forget_unused(stop=run.out_of_time)


def prune_webhooks(run: Run) -> int:
    """Delete outgoing webhook messages after 30 days; not those that an endpoint is still to be told."""
    return webhook_outbox.prune(stop=run.out_of_time)


def _prune_part(run: Run, name: str, after: uuid.UUID) -> int:
    part = _PARTS[name]
    now = current_time()
    moments = limits(*part.fields, now=now)
    if moments is None:
        return 0
    given = {**moments, "now": now, "live": LIVE, "growing": GROWING, "links_outlive": LINKS_OUTLIVE}
    given |= {"before": first_id_at(moments["newest"]), "limit": BATCH}
    changed = 0
    while not run.out_of_time():
        window = sql.run(part.statement(_WINDOW), {**given, "after": after})
        changed += _delete_due(part, [row[0] for row in window if row[1]], given)
        if len(window) < BATCH:
            break
        after = window[-1][0]
        run.keep(f"{name}:{after}")
    return changed


def _delete_due(part: Part, ids: Sequence[uuid.UUID], given: dict[str, Any]) -> int:
    if not ids:
        return 0
    with transaction.atomic():
        locked = [row[0] for row in sql.run(part.statement(_LOCKED), {**given, "ids": list(ids)}) if row[1]]
        part.lock(locked)
        # A statement of its own: it sees what was committed before the locks were had.
        due = [row[0] for row in sql.run(part.statement(_AGAIN), {**given, "ids": locked}) if row[1]]
        part.delete(due)
    return len(due)


def _lock_deliveries(notification_ids: list[uuid.UUID]) -> None:
    sql.run(_LOCK_DELIVERIES, (notification_ids,))


def _delete_notifications(ids: list[uuid.UUID]) -> None:
    deliveries = [
        row[0]
        for row in sql.run("SELECT id FROM notifications_delivery WHERE notification_id = ANY(%s)", (ids,))
    ]
    for statement in (
        "DELETE FROM notifications_providerevent WHERE delivery_id = ANY(%s)",
        "DELETE FROM notifications_deliveryattempt WHERE delivery_id = ANY(%s)",
        "DELETE FROM notifications_digestitem WHERE delivery_id = ANY(%s)",
        "DELETE FROM notifications_delivery WHERE id = ANY(%s)",
    ):
        sql.run(statement, (deliveries,))
    sql.run(
        "UPDATE notifications_digestwindow SET notification_id = NULL WHERE notification_id = ANY(%s)", (ids,)
    )
    sql.run("DELETE FROM notifications_notification WHERE id = ANY(%s)", (ids,))


def _delete_requests(ids: list[uuid.UUID]) -> None:
    sql.run("DELETE FROM notifications_broadcast WHERE request_id = ANY(%s)", (ids,))
    sql.run("DELETE FROM notifications_attachment WHERE request_id = ANY(%s)", (ids,))
    _delete("notifications_notificationrequest", ids)


def _delete(table: str, ids: list[uuid.UUID]) -> None:
    sql.run(f"DELETE FROM {table} WHERE id = ANY(%s)", (ids,))  # noqa: S608 - a table of ours


# The order matters: what a row holds goes before it.
_PARTS = {
    "notifications": Part(
        "notifications_notification",
        _NOTIFICATION_IS_DUE,
        ("keep_notifications", "keep_archived"),
        _delete_notifications,
        _lock_deliveries,
    ),
    "requests": Part(
        "notifications_notificationrequest",
        _REQUEST_IS_DUE,
        ("keep_notifications", "keep_archived"),
        _delete_requests,
    ),
    "digests": Part(
        "notifications_digestwindow",
        _WINDOW_IS_DUE,
        ("keep_notifications", "keep_archived"),
        functools.partial(_delete, "notifications_digestwindow"),
    ),
    "events": Part(
        "notifications_providerevent",
        _EVENT_IS_DUE,
        ("keep_events", "keep_events"),
        functools.partial(_delete, "notifications_providerevent"),
    ),
    "links": Part(
        "notifications_trackedlink",
        _LINK_IS_DUE,
        ("keep_notifications", "keep_notifications"),
        functools.partial(_delete, "notifications_trackedlink"),
    ),
}
