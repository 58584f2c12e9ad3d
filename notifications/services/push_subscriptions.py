"""Devices that may be reached by push (W3C Push API)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from accounts.models import Organization, User
from castcomm.common.crypto import blind_index
from castcomm.common.errors import InvalidInput, NotFound
from castcomm.common.ids import parse_id
from notifications.models import PushSubscription

MAX_DEVICES = 20


def subscribe(
    *,
    organization: Organization,
    user: User,
    endpoint: str,
    keys: Mapping[str, str],
    device_name: str = "",
    user_agent: str = "",
) -> dict[str, Any]:
    """Keep a device; the same endpoint again renews its keys. Raises InvalidInput.

    ``keys`` are ``p256dh`` (65 bytes) and ``auth`` (16 bytes), base64url without padding (RFC 8291).
    """
    if urlsplit(endpoint).scheme != "https":
        raise InvalidInput("An https address.", attr="endpoint")
    _check_key(keys, "p256dh", 65)
    _check_key(keys, "auth", 16)
    mine = PushSubscription.objects.for_organization(organization).filter(user=user)
    index = blind_index(endpoint, kind="push")
    if mine.exclude(endpoint_index=index).count() >= MAX_DEVICES:
        raise InvalidInput(
            f"At most {MAX_DEVICES} devices; remove one first.", attr="endpoint", code="too_many"
        )
    row, _ = PushSubscription.objects.update_or_create(
        organization=organization,
        user=user,
        endpoint_index=index,
        defaults={
            "endpoint": endpoint,
            "p256dh": keys["p256dh"],
            "auth": keys["auth"],
            "device_name": device_name,
            "user_agent": user_agent[:400],
        },
    )
    return _json(row)


def _check_key(keys: Mapping[str, str], name: str, length: int) -> None:
    value = keys.get(name, "")
    try:
        decoded = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != length:
        raise InvalidInput(f"{length} bytes as base64url.", attr=f"keys.{name}")


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


def _json(row: PushSubscription) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "device_name": row.device_name,
        "user_agent": row.user_agent,
        "created_at": row.created_at.isoformat(),
    }
