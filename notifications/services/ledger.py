"""Writes what was planned, in one statement, and rings for it.

One statement is its own transaction, so a call outside of a transaction needs no BEGIN and COMMIT of its own,
and a call inside one is part of it. Rows go as two JSON documents: the statement is the same, and stays
prepared, for one recipient and for five hundred, and encoding them costs a tenth of what arrays do.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.db import transaction

from castcomm.common import sql
from castcomm.common.crypto import decrypt
from castcomm.realtime import hub
from castcomm.realtime.topics import user_topic
from notifications.inbox_json import inbox_json
from notifications.services import doorbell
from notifications.services.digests.collecting import Collected, collect
from notifications.services.planning import Message, PlannedNotification
from notifications.vocabulary import DeliveryStatus

_REQUEST = """
WITH request AS (
  INSERT INTO notifications_notificationrequest
    (id, created_at, organization_id, event_type_id, template_id, source, idempotency_key, data, content, mail,
     channels, priority, critical, scheduled_for, scheduled_local, tags, recipient_count, status)
  VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s::jsonb, %s::jsonb, %s, %s, %s, %s, %s::varchar[], %s, %s)
  ON CONFLICT (organization_id, idempotency_key) WHERE NOT (idempotency_key = '') DO NOTHING
  RETURNING id, organization_id, created_at, event_type_id, priority
)"""

_KNOWN_REQUEST = """
WITH request AS (
  SELECT %s::uuid AS id, %s::uuid AS organization_id, %s::timestamptz AS created_at, %s::uuid AS event_type_id,
         %s::smallint AS priority
)"""

# People are taken in the order of their ids: two calls that reach the same people cannot lock each other out.
_ROWS = """,
given AS (
  SELECT * FROM json_to_recordset(%s::json)
    AS g(id uuid, user_id uuid, address text, title text, body text, action_url text, in_inbox bool,
         tags varchar[], actions jsonb)
),
counted AS (
  INSERT INTO notifications_inbox (organization_id, user_id, last_seq)
  SELECT request.organization_id, given.user_id, 1 FROM given CROSS JOIN request
   WHERE given.in_inbox ORDER BY given.user_id
  ON CONFLICT (organization_id, user_id) DO UPDATE SET last_seq = notifications_inbox.last_seq + 1
  RETURNING user_id, last_seq
),
written AS (
  INSERT INTO notifications_notification
    (id, created_at, organization_id, request_id, event_type_id, user_id, address, priority, title, body,
     action_url, tags, actions, inbox_seq, expires_at)
  SELECT given.id, request.created_at, request.organization_id, request.id, request.event_type_id, given.user_id,
         given.address, request.priority, given.title, given.body, given.action_url, given.tags, given.actions,
         CASE WHEN given.in_inbox THEN counted.last_seq END, %s
    FROM given CROSS JOIN request LEFT JOIN counted ON counted.user_id = given.user_id
),
delivered AS (
  INSERT INTO notifications_delivery
    (id, created_at, organization_id, notification_id, channel, priority, status, reason, decision, address,
     address_index, due_at, attempt_count, attempts_forgiven, provider, provider_message_id, error, settled_at)
  SELECT d.id, request.created_at, request.organization_id, d.notification_id, d.channel, request.priority,
         d.status, d.reason, d.decision, d.address, d.address_index, d.due_at, 0, 0, '', '', d.error,
         CASE WHEN d.status IN ('pending', 'deferred', 'in_digest') THEN NULL ELSE request.created_at END
    FROM json_to_recordset(%s::json)
      AS d(id uuid, notification_id uuid, channel text, status text, reason text, decision jsonb, address text,
           address_index text, due_at timestamptz, error text)
    CROSS JOIN request
)
SELECT request.id, counted.user_id, counted.last_seq FROM request LEFT JOIN counted ON true
"""


def _without_inbox(statement: str) -> str:
    """The statement for notifications of which none goes into an inbox: a third of its work is not there."""
    start = statement.index("counted AS (")
    end = statement.index("written AS (")
    shorter = statement[:start] + statement[end:]
    for part, instead in (
        ("CASE WHEN given.in_inbox THEN counted.last_seq END", "NULL::bigint"),
        (" LEFT JOIN counted ON counted.user_id = given.user_id", ""),
        (
            "counted.user_id, counted.last_seq FROM request LEFT JOIN counted ON true",
            "NULL, NULL FROM request",
        ),
    ):
        assert part in shorter
        shorter = shorter.replace(part, instead)
    return shorter


_WRITE = _REQUEST + _ROWS
_WRITE_TO_KNOWN = _KNOWN_REQUEST + _ROWS
_WRITE_OUTSIDE = _without_inbox(_WRITE)
_WRITE_OUTSIDE_TO_KNOWN = _without_inbox(_WRITE_TO_KNOWN)
_WRITE_REQUEST_ONLY = _REQUEST + " SELECT id FROM request"  # noqa: S608 - constants only


def write(
    message: Message,
    planned: Sequence[PlannedNotification],
    *,
    data: str,
    content: Mapping[str, str] | None,
    recipient_count: int,
) -> bool:
    """Write the request and its notifications; False when its idempotency key was used before (nothing written)."""
    params = request_params(message, data=data, content=content, count=recipient_count, status="done")
    statement = _WRITE if any(one.in_inbox for one in planned) else _WRITE_OUTSIDE
    rows = _run(statement, params + _row_params(message, planned), message, planned)
    if not rows:
        return False
    _announce(message, planned, rows)
    return True


def write_request(
    message: Message, *, data: str, content: Mapping[str, str] | None, recipient_count: int
) -> bool:
    """Write a request alone, whose notifications follow in chunks; False when its key was used before."""
    params = request_params(message, data=data, content=content, count=recipient_count, status="fanning_out")
    return bool(sql.run(_WRITE_REQUEST_ONLY, params))


def write_notifications(message: Message, planned: Sequence[PlannedNotification]) -> None:
    """Write notifications of a request that exists."""
    known = (
        message.request_id,
        message.organization_id,
        message.now,
        message.event_type.id,
        message.priority,
    )
    statement = _WRITE_TO_KNOWN if any(one.in_inbox for one in planned) else _WRITE_OUTSIDE_TO_KNOWN
    rows = _run(statement, known + _row_params(message, planned), message, planned)
    _announce(message, planned, rows)


def _run(
    statement: str, params: tuple[Any, ...], message: Message, planned: Sequence[PlannedNotification]
) -> list[tuple[Any, ...]]:
    """Run the statement; what goes into digests finds its place there in the same transaction."""
    collected = _collected(planned)
    if not collected:
        return sql.run(statement, params)
    with transaction.atomic():
        rows = sql.run(statement, params)
        if rows:
            collect(message.organization_id, collected, now=message.now)
    return rows


def _collected(planned: Sequence[PlannedNotification]) -> list[Collected]:
    return [
        Collected(delivery.id, one.person.user_id, one.person.time_zone, delivery.digest)
        for one in planned
        for delivery in one.deliveries
        if delivery.digest is not None and one.person.user_id is not None
    ]


def request_params(
    message: Message, *, data: str, content: Mapping[str, str] | None, count: int, status: str
) -> tuple[Any, ...]:
    return (
        message.request_id,
        message.now,
        message.organization_id,
        message.event_type.id,
        message.template.id if message.template else None,
        message.source,
        message.idempotency_key,
        data,
        orjson.dumps(content).decode() if content else None,
        orjson.dumps(message.mail).decode() if message.mail else None,
        orjson.dumps(message.channels).decode() if message.channels else None,
        message.priority,
        message.critical,
        message.scheduled_for,
        message.scheduled_local.isoformat(timespec="minutes") if message.scheduled_local else "",
        list(message.tags) or None,
        count,
        status,
    )


def _row_params(message: Message, planned: Sequence[PlannedNotification]) -> tuple[Any, ...]:
    notifications = [
        {
            "id": one.id,
            "user_id": one.person.user_id,
            "address": one.address,
            "title": one.title,
            "body": one.body,
            "action_url": one.action_url,
            "in_inbox": one.in_inbox,
            "tags": one.tags or None,
            "actions": one.actions,
        }
        for one in planned
    ]
    deliveries = [
        {
            "id": delivery.id,
            "notification_id": one.id,
            "channel": delivery.channel,
            "status": delivery.status,
            "reason": delivery.reason,
            "decision": delivery.decision,
            "address": one.address,
            "address_index": one.address_index,
            "due_at": delivery.due_at,
            "error": delivery.error,
        }
        for one in planned
        for delivery in one.deliveries
    ]
    return orjson.dumps(notifications).decode(), message.expires_at, orjson.dumps(deliveries).decode()


def _announce(message: Message, planned: Sequence[PlannedNotification], rows: list[tuple[Any, ...]]) -> None:
    """After the commit: ring for what is due, and show new inbox rows on open pages."""
    due = {
        delivery.channel
        for one in planned
        for delivery in one.deliveries
        if delivery.status == DeliveryStatus.PENDING
    }
    sequences = {user_id: seq for _, user_id, seq in rows if user_id is not None}
    if not due and not sequences:
        return

    def tell() -> None:
        for channel in due:
            doorbell.ring(channel, message.priority)
        hub.publish_many(
            (user_topic(user_id, message.organization_id), _inbox_frame(message, one, sequences[user_id]))
            for one in planned
            if one.in_inbox and (user_id := one.person.user_id) is not None and user_id in sequences
        )

    transaction.on_commit(tell)


def _inbox_frame(message: Message, one: PlannedNotification, seq: int) -> dict[str, Any]:
    """The new inbox row as the person's open pages get it."""
    row = inbox_json(
        id=one.id,
        seq=seq,
        event_type=message.event_type.key,
        category=message.event_type.category_key,
        priority=message.priority,
        title=one.title,
        body=one.body,
        action_url=one.action_url,
        data=message.data,
        created_at=message.now,
        expires_at=message.expires_at,
        tags=one.tags,
        actions=one.actions,
    )
    return {"event": "notification", "seq": seq, "data": row}


_FIND = """
SELECT r.id, r.recipient_count, n.id, n.user_id, n.address
  FROM notifications_notificationrequest r LEFT JOIN notifications_notification n ON n.request_id = r.id
 WHERE r.organization_id = %s AND r.idempotency_key = %s ORDER BY n.id LIMIT 500
"""


def find_request(
    organization_id: uuid.UUID, idempotency_key: str
) -> tuple[uuid.UUID, int, list[tuple[uuid.UUID, uuid.UUID | None, str]]]:
    """The request that used a key: its id, its number of recipients, and (id, user, address) of the first 500."""
    rows = sql.run(_FIND, (organization_id, idempotency_key))
    made = [
        (id_, user_id, decrypt(address) if address else "")
        for _, _, id_, user_id, address in rows
        if id_ is not None
    ]
    return rows[0][0], rows[0][1], made
