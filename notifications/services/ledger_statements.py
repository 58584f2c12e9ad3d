"""The statement that writes a request with its notifications, in the shapes that a call can have.

Rows come as two JSON documents: the statement is the same, and stays prepared, for two recipients and for five hundred,
and encoding them costs a tenth of what arrays do. One recipient's rows come as values, which spares the server the
documents: 55 µs of 470.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

# Columns of the rows as they are given, with their types.
NOTIFICATION = {
    "id": "uuid",
    "user_id": "uuid",
    "address": "text",
    "title": "text",
    "body": "text",
    "action_url": "text",
    "in_inbox": "bool",
    "tags": "varchar[]",
    "actions": "jsonb",
}
DELIVERY = {
    "id": "uuid",
    "notification_id": "uuid",
    "channel": "text",
    "status": "text",
    "reason": "text",
    "decision": "jsonb",
    "address": "text",
    "address_index": "text",
    "due_at": "timestamptz",
    "error": "text",
}
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
  SELECT * FROM {notifications}
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
    FROM {deliveries}
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


WRITE_REQUEST_ONLY = _REQUEST + " SELECT id FROM request"  # noqa: S608 - constants only


def statement_for(
    notifications: Sequence[Mapping[str, Any]], deliveries: Sequence[Mapping[str, Any]], *, known: bool
) -> str:
    """The statement for these rows; ``known``: the request exists, and its facts stand for its columns."""
    inbox = any(one["in_inbox"] for one in notifications)
    return _statement(known, inbox, len(deliveries) if len(notifications) == 1 else 0)


def rows_as_params(
    notifications: Sequence[Mapping[str, Any]], deliveries: Sequence[Mapping[str, Any]], *, expires_at: Any
) -> tuple[Any, ...]:
    """The rows as the statement takes them; each has the columns named above, with plain Python values."""
    if len(notifications) == 1 and deliveries:
        given = [_plain(NOTIFICATION, row) for row in notifications]
        made = [_plain(DELIVERY, row) for row in deliveries]
        return (*given[0], expires_at, *(value for row in made for value in row))
    return orjson.dumps(notifications).decode(), expires_at, orjson.dumps(deliveries).decode()


def _plain(columns: Mapping[str, str], row: Mapping[str, Any]) -> list[Any]:
    return [
        orjson.dumps(row[name]).decode() if kind == "jsonb" and row[name] is not None else row[name]
        for name, kind in columns.items()
    ]


@functools.cache
def _statement(known: bool, inbox: bool, deliveries_of_one: int) -> str:
    """``deliveries_of_one``: of the only recipient; 0: several recipients, in documents."""
    text = (_KNOWN_REQUEST if known else _REQUEST) + _ROWS
    if not inbox:
        text = _without_inbox(text)
    if deliveries_of_one:
        return text.format(
            notifications=_values("g", NOTIFICATION, 1),
            deliveries=_values("d", DELIVERY, deliveries_of_one),
        )
    return text.format(notifications=_records("g", NOTIFICATION), deliveries=_records("d", DELIVERY))


def _values(name: str, columns: Mapping[str, str], rows: int) -> str:
    row = f"({', '.join(f'%s::{kind}' for kind in columns.values())})"
    return f"(VALUES {', '.join([row] * rows)}) AS {name}({', '.join(columns)})"


def _records(name: str, columns: Mapping[str, str]) -> str:
    described = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    return f"json_to_recordset(%s::json) AS {name}({described})"


_REQUEST_COLUMNS = {
    "id": "uuid",
    "created_at": "timestamptz",
    "organization_id": "uuid",
    "event_type_id": "uuid",
    "template_id": "uuid",
    "source": "text",
    "idempotency_key": "text",
    "data": "jsonb",
    "content": "jsonb",
    "mail": "jsonb",
    "channels": "jsonb",
    "priority": "smallint",
    "critical": "bool",
    "scheduled_for": "timestamptz",
    "scheduled_local": "text",
    "tags": "varchar[]",
}
_OF_MANY = {**NOTIFICATION, "request_id": "uuid", "expires_at": "timestamptz", "place": "int"}
# Requests of one organization, each with one notification. A person may get several: they are numbered in order.
WRITE_TOGETHER = f"""
WITH request AS (
  INSERT INTO notifications_notificationrequest ({", ".join(_REQUEST_COLUMNS)}, recipient_count, status)
  SELECT {", ".join(f"r.{name}" for name in _REQUEST_COLUMNS)}, 1, 'done' FROM {_records("r", _REQUEST_COLUMNS)}
  ON CONFLICT (organization_id, idempotency_key) WHERE NOT (idempotency_key = '') DO NOTHING
  RETURNING id, organization_id, created_at, event_type_id, priority
),
given AS (
  SELECT g.*, request.organization_id, request.created_at, request.event_type_id, request.priority
    FROM {_records("g", _OF_MANY)} JOIN request ON request.id = g.request_id
),
counted AS (
  INSERT INTO notifications_inbox (organization_id, user_id, last_seq)
  SELECT organization_id, user_id, count(*) FROM given WHERE in_inbox
   GROUP BY organization_id, user_id ORDER BY user_id
  ON CONFLICT (organization_id, user_id) DO UPDATE SET last_seq = notifications_inbox.last_seq + excluded.last_seq
  RETURNING user_id, last_seq
),
numbered AS (
  SELECT given.id, counted.last_seq + 1 - row_number() OVER (PARTITION BY given.user_id ORDER BY place DESC) AS seq
    FROM given JOIN counted ON counted.user_id = given.user_id WHERE given.in_inbox
),
written AS (
  INSERT INTO notifications_notification
    (id, created_at, organization_id, request_id, event_type_id, user_id, address, priority, title, body,
     action_url, tags, actions, inbox_seq, expires_at)
  SELECT given.id, created_at, organization_id, request_id, event_type_id, user_id, address, priority, title, body,
         action_url, tags, actions, numbered.seq, expires_at
    FROM given LEFT JOIN numbered ON numbered.id = given.id
),
delivered AS (
  INSERT INTO notifications_delivery
    (id, created_at, organization_id, notification_id, channel, priority, status, reason, decision, address,
     address_index, due_at, attempt_count, attempts_forgiven, provider, provider_message_id, error, settled_at)
  SELECT d.id, given.created_at, given.organization_id, d.notification_id, d.channel, given.priority,
         d.status, d.reason, d.decision, d.address, d.address_index, d.due_at, 0, 0, '', '', d.error,
         CASE WHEN d.status IN ('pending', 'deferred', 'in_digest') THEN NULL ELSE given.created_at END
    FROM {_records("d", DELIVERY)} JOIN given ON given.id = d.notification_id
)
SELECT given.id, numbered.seq FROM given LEFT JOIN numbered ON numbered.id = given.id
"""  # noqa: S608 - constants only
