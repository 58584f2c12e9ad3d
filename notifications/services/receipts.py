"""Receipts: store what providers report, once; find the delivery it is about; move that forward.

Each chunk is a handful of statements, however many receipts it has. A delivery that somebody else has locked at that
moment is taken afterwards and alone: whoever holds one lock at a time cannot be part of a deadlock with dispatch.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from django.db import transaction

from castcomm.common import events, sql
from castcomm.common.clock import now as current_time
from castcomm.common.crypto import decrypt
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import new_id, parse_id
from notifications.events import DeliveryMoved, Move
from notifications.models import ProviderAccount
from notifications.services.receipt_states import Evidence, Standing, Tried, apply
from notifications.services.recipients import address_index, normalize_email, normalize_phone
from notifications.services.suppressions import Entry, checked_entry, put_on_list
from notifications.vocabulary import Channel, ReceiptKind, SuppressionReason
from notifications.webhooks.base import Receipt

log = structlog.get_logger(__name__)

CHUNK = 500
MAX_PAYLOAD = 16 * 1024  # bytes of a raw event that are kept
MAX_DETAIL = 1000
MAX_KEY = 200

SUPPRESSING = {
    ReceiptKind.BOUNCED: SuppressionReason.BOUNCE,
    ReceiptKind.COMPLAINED: SuppressionReason.COMPLAINT,
    ReceiptKind.UNSUBSCRIBED: SuppressionReason.UNSUBSCRIBE,
}

# An account of an organization speaks of that organization's deliveries alone, one without of all.
_MATCH = """
SELECT g.n, coalesce(own.id, said.id)
  FROM unnest(%s::int[], %s::uuid[], %s::text[], %s::text[], %s::uuid[])
    AS g(n, delivery_id, provider, message_id, organization_id)
  LEFT JOIN notifications_delivery own
    ON own.id = g.delivery_id AND (g.organization_id IS NULL OR own.organization_id = g.organization_id)
  LEFT JOIN LATERAL (
    SELECT d.id FROM notifications_delivery d
     WHERE own.id IS NULL AND d.provider_message_id = g.message_id AND d.provider_message_id <> ''
       AND d.provider = g.provider AND (g.organization_id IS NULL OR d.organization_id = g.organization_id)
     LIMIT 1) said ON true
 WHERE coalesce(own.id, said.id) IS NOT NULL
"""

_MATCH_ATTEMPTS = """
SELECT g.n, a.delivery_id
  FROM notifications_deliveryattempt a
  JOIN unnest(%s::int[], %s::text[], %s::text[], %s::uuid[]) AS g(n, provider, message_id, organization_id)
    ON g.message_id = a.provider_message_id AND g.provider = a.provider
  JOIN notifications_delivery d ON d.id = a.delivery_id
 WHERE a.provider_message_id = ANY(%s) AND a.provider_message_id <> ''
   AND (g.organization_id IS NULL OR d.organization_id = g.organization_id)
"""

_LOCK = """
SELECT id, notification_id, organization_id, channel, status, reason, provider, account, provider_message_id, error
  FROM notifications_delivery WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
"""

_STORE = """
INSERT INTO notifications_providerevent
  (id, created_at, organization_id, delivery_id, provider, account, event_key, kind, is_automatic,
   provider_message_id, recipient_index, occurred_at, detail, payload)
SELECT g.id, %s, g.organization_id, g.delivery_id, g.provider, g.account, g.event_key, g.kind, g.is_automatic,
       g.message_id, g.recipient_index, g.occurred_at, g.detail, g.payload::jsonb
  FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bool[],
              %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::text[])
    AS g(id, organization_id, delivery_id, provider, account, event_key, kind, is_automatic, message_id,
         recipient_index, occurred_at, detail, payload)
ON CONFLICT (provider, event_key) DO NOTHING RETURNING id
"""

_ATTEMPTS = """
SELECT delivery_id, id, provider, account, outcome, provider_message_id, started_at
  FROM notifications_deliveryattempt WHERE delivery_id = ANY(%s) ORDER BY delivery_id, number
"""

# The lease stays: a worker that still has the delivery in its hands settles its attempt, and leaves the state alone.
_APPLY = """
UPDATE notifications_delivery d
   SET status = m.status, reason = m.reason, error = m.error, provider = m.provider, account = m.account,
       provider_message_id = m.message_id, sent_at = coalesce(d.sent_at, m.sent_at),
       delivered_at = least(d.delivered_at, m.delivered_at), opened_at = least(d.opened_at, m.opened_at),
       clicked_at = least(d.clicked_at, m.clicked_at),
       settled_at = CASE WHEN m.moved THEN coalesce(d.settled_at, %s) ELSE d.settled_at END
  FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[],
              %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::bool[])
    AS m(id, status, reason, error, provider, account, message_id, sent_at, delivered_at, opened_at, clicked_at, moved)
 WHERE d.id = m.id
"""

_RESOLVE = """
UPDATE notifications_deliveryattempt a
   SET outcome = r.outcome, provider_message_id = r.message_id, finished_at = coalesce(a.finished_at, %s)
  FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS r(id, outcome, message_id)
 WHERE a.id = r.id
"""

_ADDRESSES = """
SELECT d.id, d.address, u.email, u.phone
  FROM notifications_delivery d JOIN notifications_notification n ON n.id = d.notification_id
  LEFT JOIN accounts_user u ON u.id = n.user_id
 WHERE d.id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many receipts were new, how many were known already, and how many deliveries moved."""

    new: int = 0
    duplicates: int = 0
    applied: int = 0


@dataclass(slots=True)
class _Taken:
    """A receipt on its way into the database."""

    id: uuid.UUID
    key: str
    receipt: Receipt
    delivery_id: uuid.UUID | None = None

    @property
    def order(self) -> tuple[str, str]:
        return self.receipt.provider, self.key


def record_receipts(receipts: Sequence[Receipt]) -> Recorded:
    """Store receipts that are new and move the deliveries that they are about.

    A receipt that belongs to no delivery is stored without one. Safe to call again with the same ones, and from
    any number of processes at once. What was stored was also applied: both happen in one transaction.
    """
    total = Recorded()
    for at in range(0, len(receipts), CHUNK):
        done = _record_chunk(receipts[at : at + CHUNK])
        total = Recorded(
            total.new + done.new, total.duplicates + done.duplicates, total.applied + done.applied
        )
    return total


def _record_chunk(receipts: Sequence[Receipt]) -> Recorded:
    taken = _once(receipts)
    _match(taken)
    with transaction.atomic():
        wanted = {one.delivery_id for one in taken if one.delivery_id}
        locked = _lock(wanted, skip=True)
        ready = [one for one in taken if one.delivery_id is None or one.delivery_id in locked]
        new, applied = _write(ready, locked)
    held = defaultdict(list)
    for one in taken:
        if one.delivery_id and one.delivery_id not in locked:
            held[one.delivery_id].append(one)
    for delivery_id, theirs in held.items():
        with transaction.atomic():
            more, moved = _write(theirs, _lock({delivery_id}, skip=False))
        new, applied = new + more, applied + moved
    return Recorded(new, len(receipts) - new, applied)


def _once(receipts: Sequence[Receipt]) -> list[_Taken]:
    """Each event once, in an order that is the same in all processes."""
    found: dict[tuple[str, str], _Taken] = {}
    for receipt in receipts:
        key = _scoped_key(receipt)
        found.setdefault((receipt.provider, key), _Taken(new_id(), key, receipt))
    return sorted(found.values(), key=lambda one: one.order)


def _scoped_key(receipt: Receipt) -> str:
    """The event's key within its account: nobody can take a key away from another account by using it first."""
    key = f"{receipt.account}:{receipt.event_key}" if receipt.account else receipt.event_key
    return key if len(key) <= MAX_KEY and key.isprintable() else hashlib.sha256(key.encode()).hexdigest()


def _match(taken: Sequence[_Taken]) -> None:
    """Find the delivery of each: by our id, by the provider's id, and by that of an earlier attempt."""
    owners = _owners({one.receipt.account for one in taken})
    known = [one for one in taken if one.receipt.account in owners]
    by_number = dict(enumerate(known))
    found = sql.run(
        _MATCH,
        (
            list(by_number),
            [one.receipt.delivery_id for one in known],
            [one.receipt.provider for one in known],
            [one.receipt.provider_message_id for one in known],
            [owners[one.receipt.account] for one in known],
        ),
    )
    for number, delivery_id in found:
        by_number[number].delivery_id = delivery_id
    rest = {
        number: one
        for number, one in by_number.items()
        if one.delivery_id is None and one.receipt.provider_message_id
    }
    if not rest:
        return
    columns = (
        list(rest),
        [one.receipt.provider for one in rest.values()],
        [one.receipt.provider_message_id for one in rest.values()],
        [owners[one.receipt.account] for one in rest.values()],
        [one.receipt.provider_message_id for one in rest.values()],
    )
    for number, delivery_id in sql.run(_MATCH_ATTEMPTS, columns):
        rest[number].delivery_id = delivery_id


def _owners(keys: Iterable[str]) -> dict[str, uuid.UUID | None]:
    """The organization of each account, None where it serves all; accounts that are gone are left out."""
    owners: dict[str, uuid.UUID | None] = {}
    rows = {}
    for key in keys:
        if id_ := parse_id(key):
            rows[id_] = key
        else:
            owners[key] = None
    if rows:
        found = ProviderAccount.objects.filter(id__in=rows).values_list("id", "organization_id")
        owners.update({rows[id_]: organization_id for id_, organization_id in found})
    return owners


def _lock(ids: set[uuid.UUID], *, skip: bool) -> dict[uuid.UUID, Standing]:
    """Lock deliveries until the end of the transaction; ``skip`` leaves out those that somebody else holds."""
    if not ids:
        return {}
    statement = _LOCK + (" SKIP LOCKED" if skip else "")
    return {row[0]: Standing(*row) for row in sql.run(statement, (sorted(ids),))}


def _write(taken: Sequence[_Taken], standings: dict[uuid.UUID, Standing]) -> tuple[int, int]:
    """Store these, apply the new ones to the locked deliveries; (new, moved deliveries)."""
    for one in taken:
        if one.delivery_id not in standings:
            one.delivery_id = None  # it was deleted in between
    new_ids = {row[0] for row in _store(taken, standings)} if taken else set()
    new = [one for one in taken if one.id in new_ids]
    matched = [one for one in new if one.delivery_id]
    if not matched:
        return len(new), 0
    touched = _apply(matched, standings)
    _suppress(matched, standings)
    moves = tuple(_moves(touched))
    if moves:
        events.publish(DeliveryMoved(moves=moves))
    return len(new), len(moves)


def _store(taken: Sequence[_Taken], standings: dict[uuid.UUID, Standing]) -> list[tuple[Any, ...]]:
    owned = [standings[one.delivery_id].organization_id if one.delivery_id else None for one in taken]
    columns = (
        [one.id for one in taken],
        owned,
        [one.delivery_id for one in taken],
        [one.receipt.provider for one in taken],
        [one.receipt.account for one in taken],
        [one.key for one in taken],
        [one.receipt.kind.value for one in taken],
        [one.receipt.is_automatic for one in taken],
        [_storable(one.receipt.provider_message_id, 255) for one in taken],
        [_recipient_index(one.receipt.recipient) for one in taken],
        [one.receipt.occurred_at for one in taken],
        [_storable(one.receipt.detail, MAX_DETAIL) for one in taken],
        [_payload(one.receipt) for one in taken],
    )
    return sql.run(_STORE, (current_time(), *columns))


def _apply(matched: Sequence[_Taken], standings: dict[uuid.UUID, Standing]) -> list[Standing]:
    """Move the deliveries forward in one statement, and their attempts in another."""
    evidence: dict[uuid.UUID, list[Evidence]] = defaultdict(list)
    for one in matched:
        assert one.delivery_id is not None
        evidence[one.delivery_id].append(_evidence(one.receipt))
    for delivery_id, *row in sql.run(_ATTEMPTS, (sorted(evidence),)):
        standings[delivery_id].attempts.append(Tried(*row))
    touched = [standings[id_] for id_ in sorted(evidence)]
    for standing in touched:
        apply(standing, evidence[standing.id])
    fields = ("id", "status", "reason", "error", "provider", "account", "provider_message_id", "sent_at",
              "delivered_at", "opened_at", "clicked_at", "has_moved")  # fmt: skip
    now = current_time()
    sql.run(_APPLY, (now, *([getattr(one, name) for one in touched] for name in fields)))
    resolved = [attempt for one in touched for attempt in one.attempts if attempt.resolved]
    if resolved:
        ids, outcomes = [one.id for one in resolved], [str(one.outcome) for one in resolved]
        sql.run(_RESOLVE, (now, ids, outcomes, [one.provider_message_id for one in resolved]))
    return touched


def _evidence(receipt: Receipt) -> Evidence:
    return Evidence(
        kind=receipt.kind,
        provider=receipt.provider,
        account=receipt.account,
        provider_message_id=_storable(receipt.provider_message_id, 255),
        occurred_at=receipt.occurred_at,
        detail=_storable(receipt.detail, MAX_DETAIL),
        is_automatic=receipt.is_automatic,
    )


def _suppress(matched: Sequence[_Taken], standings: dict[uuid.UUID, Standing]) -> None:
    """Put the addresses of hard bounces, complaints and unsubscribes on their organizations' lists, for good."""
    theirs = [one for one in matched if one.receipt.kind in SUPPRESSING]
    nameless = {one.delivery_id for one in theirs if not one.receipt.recipient}
    addresses = _addresses(nameless) if nameless else {}
    entries: dict[uuid.UUID, list[Entry]] = defaultdict(list)
    for one in theirs:
        assert one.delivery_id is not None
        standing = standings[one.delivery_id]
        address = one.receipt.recipient or addresses.get((one.delivery_id, standing.channel), "")
        try:
            entry = checked_entry(
                channel=standing.channel,
                address=address,
                reason=SUPPRESSING[one.receipt.kind],
                detail=f"{one.receipt.provider}: {_storable(one.receipt.detail, MAX_DETAIL)}".rstrip(": "),
                expires_at=None,
            )
        except InvalidInput as error:  # no address, or a channel without a list
            log.info("receipts.not_suppressed", delivery_id=str(one.delivery_id), reason=error.message)
        else:
            entries[standing.organization_id].append(entry)
    for organization_id in sorted(entries):
        put_on_list(organization_id=organization_id, entries=entries[organization_id])


def _addresses(ids: set[uuid.UUID | None]) -> dict[tuple[uuid.UUID, str], str]:
    """The address of each delivery by channel, for providers that do not name the recipient."""
    found: dict[tuple[uuid.UUID, str], str] = {}
    for id_, bare, email, phone in sql.run(_ADDRESSES, (list(ids),)):
        address = decrypt(bare) if bare else ""
        found[id_, Channel.EMAIL.value] = address if "@" in address else email or ""
        found[id_, Channel.SMS.value] = address or (decrypt(phone) if phone else "")
    return found


def _moves(touched: Iterable[Standing]) -> Iterator[Move]:
    for one in touched:
        if one.mover is not None:
            yield Move(
                delivery_id=one.id,
                notification_id=one.notification_id,
                organization_id=one.organization_id,
                channel=one.channel,
                before=one.before,
                status=str(one.status),
                reason=str(one.reason),
                kind=str(one.mover.kind),
                provider=one.mover.provider,
                occurred_at=one.mover.occurred_at,
                detail=one.mover.detail,
            )


def _recipient_index(recipient: str) -> str:
    """The blind index of the address, "" when it is none."""
    try:
        if "@" in recipient:
            return address_index(normalize_email(recipient, attr="recipient"), "")
        return address_index("", normalize_phone(recipient, attr="recipient")) if recipient else ""
    except InvalidInput:
        return ""


def _payload(receipt: Receipt) -> str:
    """The raw event as JSON that PostgreSQL can hold; of one that is too large or too deep, the beginning."""
    try:
        raw = orjson.dumps(receipt.payload, default=str, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError):  # nested too deep
        raw = orjson.dumps({"left_out": "nested too deep"})
    if len(raw) > MAX_PAYLOAD:
        log.info("receipts.payload_cut", provider=receipt.provider, bytes=len(raw))
        raw = orjson.dumps(
            {"left_out": f"{len(raw)} bytes", "beginning": raw[: MAX_PAYLOAD // 2].decode("utf-8", "ignore")}
        )
    return raw.replace(b"\\u0000", b"\\ufffd").decode()


def _storable(text: str, limit: int) -> str:
    return text[:limit].replace("\x00", "").encode("utf-8", "replace").decode()
