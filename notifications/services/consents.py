"""What people agreed to and took back: one record per change, sealed in a chain per person.

A record is written in the transaction of the change that it proves. Its seal is an HMAC-SHA256 over the record and the
seal before it of the same person (or bare address), under a key that follows from ``SECRET_KEY``.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from castcomm.common import sql
from castcomm.common.callers import client_address
from castcomm.common.clock import now as current_time
from castcomm.common.ids import new_id
from notifications.models import ConsentRecord, ConsentSource

MAX_AGENT = 400  # characters
MAX_LOCALE = 16
MAX_WORDING = 2_000
_PURPOSE = "castcomm.consents.1"
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """From where a change was asked for. All empty when nobody was asked over HTTP."""

    ip_address: str = ""
    user_agent: str = ""
    locale: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """How a change came about: everything that a record says besides what was decided.

    ``wording`` is what the person was shown; empty, the service says it with the names that pages show. ``actor_id`` is
    who did it for them.
    """

    source: str = ConsentSource.API.value
    facts: RequestFacts = RequestFacts()
    wording: str = ""
    delivery_id: uuid.UUID | None = None
    actor_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a person decided on one matter; ``granted`` None: the choice was taken away."""

    scope: str
    key: str
    channel: str
    granted: bool | None
    wording: str


def facts_of(request: HttpRequest | Any) -> RequestFacts:
    """What is kept of a request as proof."""
    language = request.headers.get("Accept-Language", "").split(",", 1)[0].split(";", 1)[0].strip()
    return RequestFacts(
        ip_address=client_address(request),
        user_agent=request.headers.get("User-Agent", "").replace("\x00", "")[:MAX_AGENT],
        locale=language[:MAX_LOCALE] if language.isascii() and language.isprintable() else "",
    )


def record(
    *,
    organization_id: uuid.UUID,
    user_id: uuid.UUID | None = None,
    address_index: str = "",
    scope: str,
    key: str,
    channel: str,
    granted: bool | None,
    source: str,
    wording: str,
    request_facts: RequestFacts | None = None,
    delivery_id: uuid.UUID | None = None,
    actor_id: uuid.UUID | None = None,
) -> ConsentRecord:
    """Put one decision on record; call it in the transaction of the change.

    Either ``user_id`` or ``address_index`` says whose it is. ``granted`` None: the choice was taken away. ``wording``
    is what the person was shown; ``actor_id`` who did it for them.
    """
    [row] = record_all(
        organization_id=organization_id,
        user_id=user_id,
        address_index=address_index,
        decided=[Decided(scope=scope, key=key, channel=channel, granted=granted, wording=wording)],
        origin=Origin(
            source=source, facts=request_facts or RequestFacts(), delivery_id=delivery_id, actor_id=actor_id
        ),
    )
    return row


def record_all(
    *,
    organization_id: uuid.UUID,
    user_id: uuid.UUID | None = None,
    address_index: str = "",
    decided: Sequence[Decided],
    origin: Origin,
) -> list[ConsentRecord]:
    """Put decisions of one person, made at once, on record in this order. What is too long is cut."""
    rows = [
        ConsentRecord(
            organization_id=organization_id,
            user_id=user_id,
            address_index="" if user_id else address_index,
            scope=one.scope,
            key=one.key,
            channel=one.channel,
            granted=one.granted,
            source=origin.source,
            wording=(origin.wording or one.wording)[:MAX_WORDING],
            locale=origin.facts.locale,
            ip_address=origin.facts.ip_address,
            user_agent=origin.facts.user_agent,
            delivery_id=origin.delivery_id,
            actor_id=origin.actor_id,
        )
        for one in decided
    ]
    return _add_to_chain(rows) if rows else []


def _add_to_chain(rows: list[ConsentRecord]) -> list[ConsentRecord]:
    first = rows[0]
    with transaction.atomic():
        who = first.user_id or first.address_index
        # One writer at a time, so that the chain has no forks.
        sql.run(_ONE_AT_A_TIME, (f"consent:{first.organization_id}:{who}",))
        last = chain_of(first.organization_id, first.user_id, first.address_index).order_by("-id")
        last_id, seal = last.values_list("id", "seal").first() or (uuid.UUID(int=0), "")
        for row in rows:
            # Numbered under the lock: the order of ids is the order of the chain, whatever the machines' clocks say.
            made = new_id()
            row.id = last_id = made if made > last_id else uuid.UUID(int=last_id.int + 1)
            row.created_at = current_time()
            row.seal = seal = seal_of(row, seal)
        return ConsentRecord.objects.bulk_create(rows)


def chain_of(
    organization_id: uuid.UUID, user_id: uuid.UUID | None, address_index: str = ""
) -> QuerySet[ConsentRecord]:
    """The records of one person, or of one bare address."""
    rows = ConsentRecord.objects.for_organization(organization_id)
    if user_id is not None:
        return rows.filter(user_id=user_id)
    return rows.filter(user_id=None, address_index=address_index)


def seal_of(row: ConsentRecord, before: str, *, secret: str | None = None) -> str:
    """The seal that the record must bear after ``before``, the seal of the person's record before it ("" for none)."""
    said = [
        before,
        row.id.hex,
        row.created_at.isoformat(),
        row.organization_id.hex,
        row.user_id.hex if row.user_id else "",
        row.address_index,
        row.scope,
        row.key,
        row.channel,
        row.granted,
        row.source,
        row.wording,
        row.locale,
        row.ip_address,
        row.user_agent,
        row.delivery_id.hex if row.delivery_id else "",
    ]
    key = salted_hmac(_PURPOSE, b"", secret=secret or settings.SECRET_KEY, algorithm="sha256").digest()
    return hmac.digest(key, orjson.dumps(said), "sha256").hex()
