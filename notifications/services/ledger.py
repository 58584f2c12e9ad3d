"""Writes what was planned, in one statement, and rings for it.

One statement is its own transaction, so a call outside of a transaction needs no BEGIN and COMMIT of its own,
and a call inside one is part of it.
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
from notifications.services.ledger_statements import WRITE_REQUEST_ONLY, rows_as_params, statement_for
from notifications.services.planning import Message, PlannedNotification
from notifications.vocabulary import DeliveryStatus


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
    rows = _run(params, message, planned, known=False)
    if not rows:
        return False
    _announce(message, planned, rows)
    return True


def write_request(
    message: Message, *, data: str, content: Mapping[str, str] | None, recipient_count: int
) -> bool:
    """Write a request alone, whose notifications follow in chunks; False when its key was used before."""
    params = request_params(message, data=data, content=content, count=recipient_count, status="fanning_out")
    return bool(sql.run(WRITE_REQUEST_ONLY, params))


def write_notifications(message: Message, planned: Sequence[PlannedNotification]) -> None:
    """Write notifications of a request that exists."""
    known = (
        message.request_id,
        message.organization_id,
        message.now,
        message.event_type.id,
        message.priority,
    )
    rows = _run(known, message, planned, known=True)
    _announce(message, planned, rows)


def _run(
    request: tuple[Any, ...], message: Message, planned: Sequence[PlannedNotification], *, known: bool
) -> list[tuple[Any, ...]]:
    """Write the rows; what goes into digests finds its place there in the same transaction."""
    notifications, deliveries = rows_of(planned)
    statement = statement_for(notifications, deliveries, known=known)
    params = request + rows_as_params(notifications, deliveries, expires_at=message.expires_at)
    collected = collected_of(planned)
    if not collected:
        return sql.run(statement, params)
    with transaction.atomic():
        rows = sql.run(statement, params)
        if rows:
            collect(message.organization_id, collected, now=message.now)
    return rows


def collected_of(planned: Sequence[PlannedNotification]) -> list[Collected]:
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


def request_row(message: Message, *, data: str, content: Mapping[str, Any] | None) -> dict[str, Any]:
    """The request of one notification, by the names of its columns, to be written as JSON."""
    return {
        "id": message.request_id,
        "created_at": message.now,
        "organization_id": message.organization_id,
        "event_type_id": message.event_type.id,
        "template_id": message.template.id if message.template else None,
        "source": message.source,
        "idempotency_key": message.idempotency_key,
        "data": orjson.Fragment(data),
        "content": content or None,
        "mail": message.mail,
        "channels": message.channels,
        "priority": message.priority,
        "critical": message.critical,
        "scheduled_for": message.scheduled_for,
        "scheduled_local": message.scheduled_local.isoformat(timespec="minutes")
        if message.scheduled_local
        else "",
        "tags": list(message.tags) or None,
    }


def rows_of(planned: Sequence[PlannedNotification]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The notifications and their deliveries, by the names of their columns."""
    notifications: list[dict[str, Any]] = [
        {
            "id": one.id,
            "user_id": one.person.user_id,
            "address": one.address,
            "title": one.title,
            "body": one.body,
            "action_url": one.action_url,
            "in_inbox": one.in_inbox,
            "tags": list(one.tags) or None,
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
    return notifications, deliveries


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
            (user_topic(user_id, message.organization_id), inbox_frame(message, one, sequences[user_id]))
            for one in planned
            if one.in_inbox and (user_id := one.person.user_id) is not None and user_id in sequences
        )

    transaction.on_commit(tell)


def inbox_frame(message: Message, one: PlannedNotification, seq: int) -> dict[str, Any]:
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
