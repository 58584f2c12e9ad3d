"""``Idempotency-Key`` on POST (IETF draft-ietf-httpapi-idempotency-key-header).

The same key with the same body answers what the first request answered, for 24 hours. The same key with
another body is 422. While the first is still running, 409 with ``Retry-After``. A first request that
failed on our side (5xx, or a process that died) leaves the key free after its lock has run out.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Q
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from castcomm.common.clock import now
from castcomm.common.errors import InvalidInput, StillRunning, Unprocessable
from castcomm.common.ids import new_id
from castcomm.common.models import IdempotentRequest

LIFETIME = dt.timedelta(hours=24)
FORGET_BATCH = 1_000
LOCK = dt.timedelta(seconds=60)
MAX_KEY_LENGTH = 255


@dataclass(frozen=True)
class _Claim:
    """The record of a key, and until when it was given to this request: that tells whose it is."""

    id: uuid.UUID
    locked_until: dt.datetime


def run_once(
    *, request: Request, organization_id: uuid.UUID, actor: str, act: Callable[[], Response]
) -> Response:
    """Run ``act`` unless this key was answered before; without the header, just run it."""
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        return act()
    if len(key) > MAX_KEY_LENGTH or not key.isprintable():
        raise InvalidInput(
            f"Idempotency-Key must be printable and have at most {MAX_KEY_LENGTH} characters.",
            attr="Idempotency-Key",
        )
    fingerprint = _fingerprint(request)
    claim, stored = _claim(organization_id, actor, key, fingerprint)
    if stored is not None:
        return stored
    try:
        # One transaction for the effects and the record of the answer: a process that dies in between
        # leaves neither, and the repeated request does the work.
        with transaction.atomic():
            _hold(claim)
            response = act()
            IdempotentRequest.objects.filter(id=claim.id).update(
                status_code=response.status_code, body=_plain(response.data)
            )
    except Exception:
        # Not the record of someone who has taken the key over meanwhile.
        IdempotentRequest.objects.filter(id=claim.id, locked_until=claim.locked_until).delete()
        raise
    return response


def forget_old_requests(*, batch: int = FORGET_BATCH, stop: Callable[[], bool] = lambda: False) -> int:
    """Delete the records that are older than 24 hours, ``batch`` at a time; returns how many.

    One that is still running stays. ``stop`` is asked before each batch.
    """
    moment, deleted = now(), 0
    old = IdempotentRequest.objects.filter(created_at__lt=moment - LIFETIME)
    over = old.filter(Q(status_code__isnull=False) | Q(locked_until__lt=moment)).order_by("created_at")
    while not stop():
        with transaction.atomic():
            found = over.select_for_update(skip_locked=True).values_list("id", flat=True)
            count, _ = IdempotentRequest.objects.filter(id__in=list(found[:batch])).delete()
        deleted += count
        if count < batch:
            break
    return deleted


def _fingerprint(request: Request) -> str:
    digest = hashlib.sha256(f"{request.method} {request.path}\n".encode())
    digest.update(request.body)
    return digest.hexdigest()


def _hold(claim: _Claim) -> None:
    """Keep the record locked while the effects happen; raises StillRunning when the key was taken over.

    A request that stalled for longer than its lock must not have its effects beside those of its repetition.
    """
    if _locked(id=claim.id, locked_until=claim.locked_until) is None:
        raise _still_running()


def _locked(**where: Any) -> IdempotentRequest | None:
    """The record, locked until the transaction ends; raises StillRunning when another transaction has it."""
    try:
        with transaction.atomic():
            found: IdempotentRequest | None = (
                IdempotentRequest.objects.select_for_update(nowait=True).filter(**where).first()
            )
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise _still_running() from error
        raise
    return found


def _still_running() -> StillRunning:
    return StillRunning("A request with this Idempotency-Key is still running.", retry_after=1)


def _claim(
    organization_id: uuid.UUID, actor: str, key: str, fingerprint: str
) -> tuple[_Claim, Response | None]:
    moment = now()
    identity = {"organization_id": organization_id, "actor": actor, "key": key}
    fresh = IdempotentRequest(
        id=new_id(), fingerprint=fingerprint, locked_until=moment + LOCK, created_at=moment, **identity
    )
    try:
        with transaction.atomic():
            fresh.save(force_insert=True)
        return _Claim(fresh.id, fresh.locked_until), None
    except IntegrityError:
        # The key is taken. What that means is decided on the row itself, below.
        return _claim_existing(identity, fingerprint, moment)


def _claim_existing(
    identity: dict[str, Any], fingerprint: str, moment: dt.datetime
) -> tuple[_Claim, Response | None]:
    existing = IdempotentRequest.objects.filter(**identity).first()
    if existing is None:
        raise StillRunning("A request with this Idempotency-Key has just ended; send it again.")
    seen = _Claim(existing.id, existing.locked_until)
    if existing.created_at > moment - LIFETIME:
        if existing.fingerprint != fingerprint:
            raise Unprocessable(
                "This Idempotency-Key was used with another request.",
                attr="Idempotency-Key",
                code="idempotency_key_reused",
            )
        if existing.status_code is not None:
            answer = Response(existing.body, status=existing.status_code)
            answer["Idempotency-Replayed"] = "true"
            return seen, answer
        if existing.locked_until > moment:
            raise _still_running()
    return _take_over(seen, fingerprint, moment), None


def _take_over(seen: _Claim, fingerprint: str, moment: dt.datetime) -> _Claim:
    """Take a key whose lock or lifetime has run out; raises StillRunning when somebody else is at it."""
    with transaction.atomic():
        existing = _locked(id=seen.id, locked_until=seen.locked_until)
        if existing is None or (existing.status_code is not None and existing.created_at > moment - LIFETIME):
            # It was taken over, or ended after all, since it was read.
            raise _still_running()
        existing.fingerprint = fingerprint
        existing.created_at = moment
        existing.locked_until = moment + LOCK
        existing.status_code = None
        existing.body = None
        existing.save()
    return _Claim(existing.id, existing.locked_until)


def _plain(data: Any) -> Any:
    """The answer as JSON types, as the client saw it."""
    return json.loads(JSONRenderer().render(data)) if data is not None else None
