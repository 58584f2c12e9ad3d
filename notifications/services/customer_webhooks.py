"""Telling customers' endpoints what happened: rows in the caller's transaction, a ring on commit.

``publish`` is called on hot paths. Who listens is read once per ``TRUST`` for all organizations, so that one without an
endpoint costs a look into a dictionary.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.crypto import encrypt
from castcomm.common.ids import new_id
from notifications.models import WebhookEndpoint
from notifications.services import doorbell

TRUST = 2.0  # seconds for which a process trusts what it has read
PING = "ping"
# What can happen. Alerts have kinds of their own behind ``alert.``.
EVENT_TYPES = (
    "delivery.sent",
    "delivery.delivered",
    "delivery.opened",
    "delivery.clicked",
    "delivery.bounced",
    "delivery.complained",
    "delivery.failed",
    "suppression.added",
)
ALERTS = "alert."
ADDRESS = "address"  # the one key of a payload that may hold an address; told to who asked for it

# The endpoints are locked against being deleted before this commits; a deleted one is simply not told.
_WRITE = """
WITH news AS (
  SELECT * FROM unnest(%(ids)s::uuid[], %(organizations)s::uuid[], %(types)s::text[], %(moments)s::timestamptz[],
                       %(payloads)s::jsonb[], %(addresses)s::text[])
    AS n(id, organization_id, event_type, occurred_at, payload, address)
),
endpoints AS (
  SELECT id, organization_id FROM notifications_webhookendpoint
   WHERE id = ANY(%(endpoints)s::uuid[]) AND is_active ORDER BY id FOR KEY SHARE
),
told AS (
  SELECT t.delivery_id, t.message_id, e.id AS endpoint_id, e.organization_id
    FROM unnest(%(deliveries)s::uuid[], %(messages)s::uuid[], %(endpoints)s::uuid[])
         AS t(delivery_id, message_id, endpoint_id) JOIN endpoints e ON e.id = t.endpoint_id
),
written AS (
  INSERT INTO notifications_webhookmessage
    (id, created_at, organization_id, event_type, occurred_at, payload, address)
  SELECT id, %(now)s, organization_id, event_type, occurred_at, payload, address
    FROM news WHERE id IN (SELECT message_id FROM told)
)
INSERT INTO notifications_webhookdelivery
  (id, created_at, organization_id, endpoint_id, message_id, status, due_at, attempt_count, attempts_forgiven,
   last_detail)
SELECT delivery_id, %(now)s, organization_id, endpoint_id, message_id, 'pending', %(now)s, 0, 0, '' FROM told
RETURNING id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something that happened. ``payload`` holds plain JSON values and no personal data but under ``address``.

    The organization is None when it concerns the deployment. ``also`` are endpoints that hear it in any case, with
    ``only_also`` alone.
    """

    organization_id: uuid.UUID | None
    event_type: str
    payload: Mapping[str, Any]
    occurred_at: dt.datetime
    also: tuple[uuid.UUID, ...] = ()
    only_also: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """An active endpoint, as ``publish`` needs to know it."""

    id: uuid.UUID
    patterns: tuple[str, ...] = field(default=())
    include_address: bool = False

    def wants(self, event_type: str) -> bool:
        return not self.patterns or any(matches(pattern, event_type) for pattern in self.patterns)


_listeners: dict[uuid.UUID, list[Listener]] = {}
_read_at = -TRUST


def publish(
    *,
    organization_id: uuid.UUID,
    event_type: str,
    payload: Mapping[str, Any],
    occurred_at: dt.datetime,
) -> int:
    """Tell the organization's endpoints that want ``event_type``; returns how many there are.

    What is written is part of the caller's transaction. ``payload`` becomes ``data``.
    """
    if not listens(organization_id, event_type):
        return 0
    news = News(
        organization_id=organization_id, event_type=event_type, payload=payload, occurred_at=occurred_at
    )
    return len(publish_all([news]))


def publish_all(news: Sequence[News]) -> list[uuid.UUID]:
    """``publish`` for many at once, in one statement; returns the ids of the deliveries to be made."""
    told = [(one, new_id(), endpoint) for one in news for endpoint in _told(one)]
    if not told:
        return []
    kept = {id(one): new_id() for one, _, _ in told}
    rows = [(kept[id(one)], one) for one in news if id(one) in kept]
    written = sql.run(
        _WRITE,
        {
            "now": current_time(),
            "ids": [message for message, _ in rows],
            "organizations": [one.organization_id for _, one in rows],
            "types": [one.event_type for _, one in rows],
            "moments": [one.occurred_at for _, one in rows],
            "payloads": [_payload(one.payload) for _, one in rows],
            "addresses": [_address(one.payload) for _, one in rows],
            "deliveries": [delivery for _, delivery, _ in told],
            "messages": [kept[id(one)] for one, _, _ in told],
            "endpoints": [endpoint for _, _, endpoint in told],
        },
        prepare=False,
    )
    transaction.on_commit(doorbell.ring_webhooks)
    return [row[0] for row in written]


def listens(organization_id: uuid.UUID, event_type: str) -> bool:
    """Whether any endpoint of the organization wants to hear of this; as a rule without a query."""
    return any(one.wants(event_type) for one in listeners_of(organization_id))


def wants_addresses(organization_ids: Collection[uuid.UUID]) -> bool:
    """Whether any endpoint of these organizations is told addresses: else nobody needs to look them up."""
    return any(one.include_address for id_ in organization_ids for one in listeners_of(id_))


def listeners_of(organization_id: uuid.UUID) -> list[Listener]:
    """The active endpoints of an organization."""
    global _listeners, _read_at
    if time.monotonic() - _read_at > TRUST:
        moment = time.monotonic()
        found: dict[uuid.UUID, list[Listener]] = {}
        rows = WebhookEndpoint.objects.filter(is_active=True, organization__isnull=False)
        for owner, id_, patterns, address in rows.values_list(
            "organization_id", "id", "event_types", "include_address"
        ):
            found.setdefault(owner, []).append(Listener(id_, tuple(patterns), address))
        _listeners, _read_at = found, moment
    return _listeners.get(organization_id, [])


def matches(pattern: str, event_type: str) -> bool:
    """Whether a subscription covers a type: itself, everything below ``delivery.*``, or all with ``*``."""
    if pattern.endswith("*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def forget_listeners(**_signal: Any) -> None:
    """Look anew next time."""
    global _read_at  # noqa: PLW0603
    _read_at = -TRUST


def watch_listeners() -> None:
    """Let a change made in this process be seen at once (in others after ``TRUST``)."""
    for signal in (post_save, post_delete):
        signal.connect(forget_listeners, sender=WebhookEndpoint, dispatch_uid="webhook-listeners")


def _told(news: News) -> list[uuid.UUID]:
    if news.organization_id is None or news.only_also:
        return list(news.also)
    listening = listeners_of(news.organization_id)
    found = [one.id for one in listening if one.wants(news.event_type)]
    return [*found, *(id_ for id_ in news.also if id_ not in found)]


def _payload(payload: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in payload.items() if key != ADDRESS}
    encoded = orjson.dumps(plain)
    if b"\\u0000" in encoded:  # which PostgreSQL cannot hold
        encoded = orjson.dumps(_without_nul(plain))
    return encoded.decode()


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(one) for key, one in value.items()}
    return [_without_nul(one) for one in value] if isinstance(value, list | tuple) else value


def _address(payload: Mapping[str, Any]) -> str:
    given = payload.get(ADDRESS)
    return encrypt(str(given)) if given else ""
