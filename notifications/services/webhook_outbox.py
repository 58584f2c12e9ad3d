"""The statements of the webhooks' outbox: claim with a lease, settle, replay, forget.

A delivery whose lease is over may be taken by anybody: Standard Webhooks promises at least once, and the receiver knows
a repetition by its ``webhook-id``. So a worker that dies needs no rescue.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.ids import new_id
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookMessage, WebhookStatus

LEASE = dt.timedelta(seconds=60)  # several times as long as a call may take
PER_ENDPOINT = 8  # calls at once to an endpoint that works …
PER_FAILING = 1  # … and to one that does not, so that those who work find room
_SHARES = {"per_endpoint": PER_ENDPOINT, "per_failing": PER_FAILING}
RETENTION = dt.timedelta(days=30)
PRUNE_BATCH = 1_000

# Endpoints with something pending are found by skipping from one to the next in the index. Each has room for what it
# may have at once, less what workers hold already.
_WAITING = """
WITH RECURSIVE waiting AS (
  (SELECT endpoint_id FROM notifications_webhookdelivery WHERE status = 'pending' ORDER BY endpoint_id LIMIT 1)
  UNION ALL
  SELECT (SELECT d.endpoint_id FROM notifications_webhookdelivery d
           WHERE d.status = 'pending' AND d.endpoint_id > waiting.endpoint_id ORDER BY d.endpoint_id LIMIT 1)
    FROM waiting WHERE waiting.endpoint_id IS NOT NULL
),
open AS (
  SELECT e.id, e.failing_since IS NOT NULL AS failing
    FROM waiting w JOIN notifications_webhookendpoint e ON e.id = w.endpoint_id
   WHERE e.is_active AND (e.resume_at IS NULL OR e.resume_at <= %(now)s)
),
room AS (
  SELECT open.id, open.failing,
         CASE WHEN open.failing THEN %(per_failing)s ELSE %(per_endpoint)s END - (
           SELECT count(*) FROM notifications_webhookdelivery d
            WHERE d.endpoint_id = open.id AND d.lease_until > %(now)s AND d.status = 'pending') AS rows
    FROM open
)"""

# Endpoints that fail share a part of the worker's room, and each endpoint has its first turn before any has its second.
_CLAIM = (
    _WAITING  # noqa: S608 - constants only
    + """,
due AS (
  SELECT d.id, room.failing, d.due_at, row_number() OVER (PARTITION BY room.failing ORDER BY d.turn, d.due_at) AS place
    FROM room, LATERAL (
      SELECT d.id, d.due_at, row_number() OVER (ORDER BY d.due_at) AS turn FROM notifications_webhookdelivery d
       WHERE d.endpoint_id = room.id AND d.status = 'pending' AND d.due_at <= %(now)s
         AND (d.lease_until IS NULL OR d.lease_until <= %(now)s)
       ORDER BY d.due_at LIMIT greatest(room.rows, 0)
    ) d
),
chosen AS (
  SELECT d.id FROM notifications_webhookdelivery d
    JOIN (SELECT id FROM due WHERE NOT failing OR place <= %(failing_limit)s
           ORDER BY place, failing LIMIT %(limit)s) picked ON picked.id = d.id
   WHERE d.status = 'pending' AND d.due_at <= %(now)s AND (d.lease_until IS NULL OR d.lease_until <= %(now)s)
     FOR UPDATE OF d SKIP LOCKED
)
UPDATE notifications_webhookdelivery d
   SET lease_until = %(lease)s, lease_token = %(token)s, attempt_count = d.attempt_count + 1
  FROM chosen, notifications_webhookmessage m, notifications_webhookendpoint e
 WHERE d.id = chosen.id AND m.id = d.message_id AND e.id = d.endpoint_id
RETURNING d.id, d.attempt_count, d.attempts_forgiven, e.id, e.kind, e.setting, e.url, e.secret, e.previous_secret,
          e.previous_secret_until, e.include_address, e.failing_since IS NOT NULL,
          m.id, m.event_type, m.occurred_at, m.payload::text, m.address
"""
)

_IS_DUE = (
    _WAITING  # noqa: S608 - constants only
    + """
SELECT EXISTS (SELECT 1 FROM room WHERE room.rows > 0 AND EXISTS (
  SELECT 1 FROM notifications_webhookdelivery d
   WHERE d.endpoint_id = room.id AND d.status = 'pending' AND d.due_at <= %(now)s
     AND (d.lease_until IS NULL OR d.lease_until <= %(now)s)))
"""
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """One delivery in a worker's hands. Secrets, URL and address are still encrypted."""

    token: uuid.UUID
    attempt_id: uuid.UUID
    id: uuid.UUID
    attempts: int
    forgiven: int
    endpoint_id: uuid.UUID
    kind: str
    setting: str
    url: str
    secret: str
    previous_secret: str
    previous_secret_until: dt.datetime | None
    include_address: bool
    failing: bool
    message_id: uuid.UUID
    event_type: str
    occurred_at: dt.datetime
    payload: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call came to. ``due_at`` is when to try again; without it a failure is final."""

    delivered: bool
    status_code: int | None = None
    detail: str = ""
    answer: str = ""
    elapsed_ms: int = 0
    retry_after: float | None = None  # seconds
    gone: bool = False
    due_at: dt.datetime | None = None


def claim(*, limit: int, failing_limit: int) -> list[Claimed]:
    """Take up to ``limit`` due deliveries, at most ``failing_limit`` of them for endpoints that fail.

    Their attempts are written down before anybody makes a call.
    """
    moment, token = current_time(), new_id()
    rows = sql.run(
        _CLAIM,
        {
            "now": moment,
            "lease": moment + LEASE,
            "token": token,
            "limit": limit,
            "failing_limit": failing_limit,
            **_SHARES,
        },
    )
    claimed = [Claimed(token, new_id(), *row) for row in rows]
    WebhookAttempt.objects.bulk_create(
        [
            WebhookAttempt(id=one.attempt_id, delivery_id=one.id, number=one.attempts, created_at=moment)
            for one in claimed
        ]
    )
    return claimed


def is_due() -> bool:
    """Whether anything is due that no worker has."""
    return bool(sql.run(_IS_DUE, {"now": current_time(), **_SHARES})[0][0])


def settle(claimed: Claimed, outcome: Outcome) -> bool:
    """Record what became of a call; returns whether the delivery's state follows from it.

    A success always counts, however late the worker is with it. A failure counts only while the worker still has the
    delivery.
    """
    moment = current_time()
    WebhookAttempt.objects.filter(id=claimed.attempt_id).update(
        finished_at=moment,
        status_code=outcome.status_code,
        detail=outcome.detail[:300],
        answer=outcome.answer,
        elapsed_ms=outcome.elapsed_ms,
    )
    rows = WebhookDelivery.objects.filter(id=claimed.id)
    rows = (
        rows.exclude(status=WebhookStatus.DELIVERED)
        if outcome.delivered
        else rows.filter(lease_token=claimed.token)
    )
    changed: dict[str, Any] = {
        "status": _status(outcome),
        "last_status_code": outcome.status_code,
        "last_detail": outcome.detail[:300],
        "settled_at": None if outcome.due_at else moment,
        "lease_until": None,
        "lease_token": None,
    }
    if outcome.due_at is not None:
        changed["due_at"] = outcome.due_at
    return bool(rows.update(**changed))


def make_due(rows: QuerySet[Any]) -> int:
    """Let these deliveries (a queryset) be made again at once, with all their tries; returns how many."""
    return int(
        rows.update(
            status=WebhookStatus.PENDING,
            due_at=current_time(),
            settled_at=None,
            lease_until=None,
            lease_token=None,
            attempts_forgiven=F("attempt_count"),
        )
    )


def prune(*, batch: int = PRUNE_BATCH, stop: Callable[[], bool] = lambda: False) -> int:
    """Delete messages older than ``RETENTION`` with all that was done about them, ``batch`` per transaction.

    What an endpoint is still to be told stays. ``stop`` is asked before each batch.
    """
    before, deleted = current_time() - RETENTION, 0
    waiting = WebhookDelivery.objects.filter(message=OuterRef("id"), status=WebhookStatus.PENDING)
    old = WebhookMessage.objects.filter(~Exists(waiting), created_at__lt=before).order_by("created_at")
    while not stop():
        with transaction.atomic():
            ids = list(old.select_for_update(skip_locked=True).values_list("id", flat=True)[:batch])
            held = WebhookDelivery.objects.filter(message_id__in=ids).order_by("id").select_for_update()
            replayed = {one.message_id for one in held if one.status == WebhookStatus.PENDING}
            _delete([id_ for id_ in ids if id_ not in replayed])
        deleted += len(ids) - len(replayed)
        if len(ids) < batch:
            break
    return deleted


def _delete(message_ids: Sequence[uuid.UUID]) -> None:
    with transaction.atomic():
        WebhookAttempt.objects.filter(delivery__message_id__in=message_ids).delete()
        WebhookDelivery.objects.filter(message_id__in=message_ids).delete()
        WebhookMessage.objects.filter(id__in=message_ids).delete()


def _status(outcome: Outcome) -> WebhookStatus:
    if outcome.delivered:
        return WebhookStatus.DELIVERED
    return WebhookStatus.PENDING if outcome.due_at else WebhookStatus.FAILED
