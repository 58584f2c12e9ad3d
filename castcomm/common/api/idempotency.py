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
from typing import Any

from django.db import IntegrityError, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from castcomm.common.clock import now
from castcomm.common.errors import InvalidInput, StillRunning, Unprocessable
from castcomm.common.ids import new_id
from castcomm.common.models import IdempotentRequest

LIFETIME = dt.timedelta(hours=24)
LOCK = dt.timedelta(seconds=60)
MAX_KEY_LENGTH = 255


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
    record, stored = _claim(organization_id, actor, key, fingerprint)
    if stored is not None:
        return stored
    try:
        # One transaction for the effects and the record of the answer: a process that dies in between
        # leaves neither, and the repeated request does the work.
        with transaction.atomic():
            response = act()
            IdempotentRequest.objects.filter(id=record).update(
                status_code=response.status_code, body=_plain(response.data)
            )
    except Exception:
        IdempotentRequest.objects.filter(id=record).delete()
        raise
    return response


def forget_old_requests() -> int:
    """Delete the records that are older than 24 hours; returns how many."""
    deleted, _ = IdempotentRequest.objects.filter(created_at__lt=now() - LIFETIME).delete()
    return deleted


def _fingerprint(request: Request) -> str:
    digest = hashlib.sha256(f"{request.method} {request.path}\n".encode())
    digest.update(request.body)
    return digest.hexdigest()


def _claim(
    organization_id: uuid.UUID, actor: str, key: str, fingerprint: str
) -> tuple[uuid.UUID, Response | None]:
    moment = now()
    identity = {"organization_id": organization_id, "actor": actor, "key": key}
    fresh = IdempotentRequest(
        id=new_id(), fingerprint=fingerprint, locked_until=moment + LOCK, created_at=moment, **identity
    )
    try:
        with transaction.atomic():
            fresh.save(force_insert=True)
        return fresh.id, None
    except IntegrityError:
        # The key is taken. What that means is decided on the row itself, below.
        return _claim_existing(identity, fingerprint, moment)


def _claim_existing(
    identity: dict[str, Any], fingerprint: str, moment: dt.datetime
) -> tuple[uuid.UUID, Response | None]:
    with transaction.atomic():
        existing = IdempotentRequest.objects.select_for_update().filter(**identity).first()
        if existing is None:
            raise StillRunning("A request with this Idempotency-Key has just ended; send it again.")
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
                return existing.id, answer
            if existing.locked_until > moment:
                raise StillRunning("A request with this Idempotency-Key is still running.", retry_after=1)
        existing.fingerprint = fingerprint
        existing.created_at = moment
        existing.locked_until = moment + LOCK
        existing.status_code = None
        existing.body = None
        existing.save()
        return existing.id, None


def _plain(data: Any) -> Any:
    """The answer as JSON types, as the client saw it."""
    return json.loads(JSONRenderer().render(data)) if data is not None else None
