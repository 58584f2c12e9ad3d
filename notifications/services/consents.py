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
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from castcomm.common import sql
from castcomm.common.callers import client_address
from castcomm.common.clock import now as current_time
from castcomm.common.ids import new_id
from notifications.models import ConsentRecord

MAX_AGENT = 400  # characters
MAX_LOCALE = 16
_PURPOSE = "castcomm.consents.1"
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """From where a change was asked for. All empty when nobody was asked over HTTP."""

    ip_address: str = ""
    user_agent: str = ""
    locale: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """What does not hold: ``record_id`` is None when it is a record that is missing."""

    who: str
    record_id: uuid.UUID | None
    problem: str


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
    facts = request_facts or RequestFacts()
    row = ConsentRecord(
        organization_id=organization_id,
        user_id=user_id,
        address_index=address_index,
        scope=scope,
        key=key,
        channel=channel,
        granted=granted,
        source=source,
        wording=wording,
        locale=facts.locale,
        ip_address=facts.ip_address,
        user_agent=facts.user_agent,
        delivery_id=delivery_id,
        actor_id=actor_id,
    )
    return record_all([row])[0]


def record_all(rows: Sequence[ConsentRecord]) -> list[ConsentRecord]:
    """Seal and store records of one person in this order."""
    if not rows:
        return []
    first = rows[0]
    with transaction.atomic():
        who = first.user_id or first.address_index
        # One writer at a time, so that the chain has no forks.
        sql.run(_ONE_AT_A_TIME, (f"consent:{first.organization_id}:{who}",))
        last_id, seal = _chain(first).order_by("-id").values_list("id", "seal").first() or (
            uuid.UUID(int=0),
            "",
        )
        for row in rows:
            # Numbered under the lock: the order of ids is the order of the chain, whatever the machines' clocks say.
            made = new_id()
            row.id = last_id = made if made > last_id else uuid.UUID(int=last_id.int + 1)
            row.created_at = current_time()
            row.seal = seal = seal_of(row, seal)
        return ConsentRecord.objects.bulk_create(rows)


def _chain(row: ConsentRecord) -> Any:
    rows = ConsentRecord.objects.for_organization(row.organization_id)
    if row.user_id is not None:
        return rows.filter(user_id=row.user_id)
    return rows.filter(user_id=None, address_index=row.address_index)


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
