"""Devices that may be reached by push: browsers (W3C Push API) and apps (Firebase)."""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction

from accounts.models import Organization, User
from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.crypto import DecryptionFailed, blind_index, decrypt
from castcomm.common.errors import InvalidInput, NotFound
from castcomm.common.http import RequestFailed, check_address
from castcomm.common.ids import parse_id
from notifications.models import PushKind, PushSubscription
from notifications.providers.base import PushTarget
from notifications.providers.push.base import PushResult
from notifications.providers.push.encryption import BadReceiver, receiver_of
from notifications.providers.push.endpoints import refusal_of

log = structlog.get_logger(__name__)

MAX_DEVICES = 20
MAX_TOKEN = 4096  # characters; Firebase promises no length
MARKED_AGAIN_AFTER = dt.timedelta(hours=1)  # ``last_used_at`` need not be written for every push
FORGET_BATCH = 1_000  # devices per transaction

# Locked and looked at under the lock: a device may be used at this very moment. One that somebody else holds is left.
_FORGET_UNUSED = """
DELETE FROM notifications_pushsubscription WHERE id = ANY(ARRAY(
  SELECT id FROM notifications_pushsubscription
   WHERE id > %(after)s AND coalesce(last_used_at, created_at) < %(before)s
   ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED
)) RETURNING id
"""


def subscribe(
    *,
    organization: Organization,
    user: User,
    endpoint: str,
    keys: Mapping[str, str] | None = None,
    kind: str = PushKind.WEB,
    device_name: str | None = "",
    user_agent: str = "",
) -> dict[str, Any]:
    """Keep a device; the same one again renews its keys and counts as use. Raises InvalidInput.

    ``device_name`` None leaves the name that it has.

    A browser's ``endpoint`` is https at a known push service, and ``keys`` are ``p256dh`` (65 bytes) and ``auth`` (16
    bytes), base64url without padding (RFC 8291). An app's ``endpoint`` is its Firebase token. A device belongs to who
    signed in on it last: others lose it.
    """
    given = dict(keys or {})
    if kind == PushKind.WEB:
        _check_endpoint(endpoint)
        _check_keys(given)
    elif not endpoint or len(endpoint) > MAX_TOKEN or not endpoint.isascii() or not endpoint.isprintable():
        raise InvalidInput("The app's Firebase token.", attr="token")
    index = blind_index(endpoint, kind="push")
    attr = "endpoint" if kind == PushKind.WEB else "token"
    with transaction.atomic():
        mine = PushSubscription.objects.for_organization(organization).filter(user=user)
        if mine.exclude(endpoint_index=index).count() >= MAX_DEVICES:
            raise InvalidInput(
                f"At most {MAX_DEVICES} devices; remove one first.", attr=attr, code="too_many"
            )
        PushSubscription.objects.filter(endpoint_index=index).exclude(user=user).delete()
        row, _ = PushSubscription.objects.update_or_create(
            organization=organization,
            user=user,
            endpoint_index=index,
            defaults={
                "kind": kind,
                "endpoint": endpoint,
                "p256dh": given.get("p256dh", ""),
                "auth": given.get("auth", ""),
                **({} if device_name is None else {"device_name": device_name}),
                "user_agent": user_agent[:400],
                "last_used_at": current_time(),
            },
        )
    return _json(row)


def _check_endpoint(endpoint: str) -> None:
    refusal = refusal_of(endpoint)
    if not refusal and "*" in settings.WEBPUSH_ALLOWED_HOSTS:
        # Where any host will do, at least it has to be on the public internet.
        try:
            check_address(endpoint, allow_loopback=settings.WEBPUSH_ALLOW_LOOPBACK)
        except RequestFailed as error:
            refusal = error.message
    if refusal:
        raise InvalidInput(refusal, attr="endpoint")


def _check_keys(keys: Mapping[str, str]) -> None:
    try:
        receiver_of(keys.get("p256dh", ""), keys.get("auth", ""))
    except BadReceiver as error:
        raise InvalidInput(error.message, attr=f"keys.{error.field}") from error


def rename(
    *, organization: Organization, user: User, subscription_id: str, device_name: str
) -> dict[str, Any]:
    """Give a device of this person another name; raises NotFound."""
    mine = PushSubscription.objects.for_organization(organization).filter(user=user)
    row = mine.filter(id=parse_id(subscription_id)).first()
    if row is None:
        raise NotFound("There is no such device.")
    row.device_name = device_name
    row.save(update_fields=["device_name"])
    return _json(row)


def unsubscribe(*, organization: Organization, user: User, subscription_id: str) -> None:
    """Forget a device of this person; raises NotFound."""
    mine = PushSubscription.objects.for_organization(organization).filter(user=user)
    deleted, _ = mine.filter(id=parse_id(subscription_id)).delete()
    if not deleted:
        raise NotFound("There is no such device.")


def subscriptions_of(*, organization: Organization, user: User) -> list[dict[str, Any]]:
    """A person's devices, newest first."""
    rows = PushSubscription.objects.for_organization(organization).filter(user=user)
    return [_json(row) for row in rows.order_by("-created_at")]


_TARGETS = """
SELECT user_id, id, kind, endpoint, p256dh, auth FROM notifications_pushsubscription
 WHERE organization_id = %s AND user_id = ANY(%s) ORDER BY created_at
"""


def targets_for(
    organization_id: uuid.UUID, user_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, tuple[PushTarget, ...]]:
    """The devices of these people in one organization, oldest first; people without one are not in it."""
    found: dict[uuid.UUID, list[PushTarget]] = {}
    for user_id, id_, kind, *sealed in sql.run(_TARGETS, (organization_id, list(set(user_ids)))):
        try:
            found.setdefault(user_id, []).append(_target(str(id_), kind, *sealed))
        except DecryptionFailed:
            log.warning("push.unreadable", subscription_id=str(id_))  # one row must not stop all others
    return {user_id: tuple(targets) for user_id, targets in found.items()}


@functools.lru_cache(maxsize=10_000)
def _target(subscription_id: str, kind: str, endpoint: str, p256dh: str, auth: str) -> PushTarget:
    """The device of a row. Opening its three fields costs as much as the push itself, and they hardly ever change."""
    opened = (decrypt(one) if one else "" for one in (endpoint, p256dh, auth))
    plain, public, secret = opened
    return PushTarget(subscription_id=subscription_id, kind=kind, endpoint=plain, p256dh=public, auth=secret)


def learn_from(results: Sequence[Any]) -> None:
    """Remove the devices that are gone and mark those that took a push, of the push results among ``results``.

    Never raises: what came of the pushes is already written, and the next ones may be under way.
    """
    pushed = [one for one in results if isinstance(one, PushResult)]
    try:
        forget([id_ for one in pushed for id_ in one.gone])
        mark_used([id_ for one in pushed for id_ in one.taken])
    except DatabaseError:
        log.exception("push.not_learned")


def forget(subscription_ids: Sequence[str]) -> int:
    """Remove devices that will never take a push again; returns how many there were."""
    if not subscription_ids:
        return 0
    return sql.count(
        "DELETE FROM notifications_pushsubscription WHERE id = ANY(%s::uuid[])", (list(subscription_ids),)
    )


def mark_used(subscription_ids: Sequence[str]) -> int:
    """Note that these devices took a push now; returns how many had not been noted within the hour."""
    if not subscription_ids:
        return 0
    now = current_time()
    return sql.count(
        "UPDATE notifications_pushsubscription SET last_used_at = %s"
        " WHERE id = ANY(%s::uuid[]) AND (last_used_at IS NULL OR last_used_at < %s)",
        (now, list(subscription_ids), now - MARKED_AGAIN_AFTER),
    )


def forget_unused(*, batch: int = FORGET_BATCH, stop: Callable[[], bool] = lambda: False) -> int:
    """Remove devices that neither took a push nor reported within ``PUSH_UNUSED_DAYS``; returns how many.

    ``batch`` at a time, in the order of their ids; ``stop`` is asked before each batch.
    """
    if settings.PUSH_UNUSED_DAYS <= 0:
        return 0
    before = current_time() - dt.timedelta(days=settings.PUSH_UNUSED_DAYS)
    after, deleted = uuid.UUID(int=0), 0
    while not stop():
        gone = sql.run(_FORGET_UNUSED, {"after": after, "before": before, "batch": batch})
        deleted += len(gone)
        if len(gone) < batch:
            break
        after = max(row[0] for row in gone)
    return deleted


def _json(row: PushSubscription) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "kind": row.kind,
        "device_name": row.device_name,
        "user_agent": row.user_agent,
        "created_at": row.created_at.isoformat(),
        "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
    }
