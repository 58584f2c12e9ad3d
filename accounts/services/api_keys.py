"""Keys of servers: made once, kept as a hash, rotated with an overlap, revoked at once.

The secret has 256 random bits, so one SHA-256 is enough to keep it: there is nothing to guess.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Collection

from django.db import transaction
from django.db.models import Q

from accounts.models import ApiKey, Organization, User
from castcomm.common.clock import now
from castcomm.common.errors import Conflict, InvalidInput

SCOPES = {
    "notifications:send": "Send notifications",
    "notifications:read": "Read notifications, their deliveries and decisions",
    "templates:write": "Change templates and event types",
    "workflows:write": "Change and run workflows",
    "events:write": "Report events that start workflows",
    "messages:write": "Write chat messages and threads",
    "admin": "Everything in the organization",
}
ROTATION_OVERLAP = dt.timedelta(hours=24)
MAX_OVERLAP = dt.timedelta(days=30)
# "Last used" is a hint for people; it need not cost a write per request.
LAST_USED_RESOLUTION = dt.timedelta(minutes=1)
_PREFIX_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_PREFIX_LENGTH = 10


def create_api_key(
    *,
    organization: Organization,
    name: str,
    scopes: Collection[str],
    created_by: User | None = None,
    expires_at: dt.datetime | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its wire form ``cc_<prefix>_<secret>``, which nobody can see again later.

    Raises InvalidInput for an empty name, an unknown scope, or a moment of expiry that has passed.
    """
    name = name.strip()
    if not name or len(name) > 100:
        raise InvalidInput("A name has 1 to 100 characters.", attr="name")
    if expires_at is not None and expires_at <= now():
        raise InvalidInput("This moment has passed.", attr="expires_at")
    prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(_PREFIX_LENGTH))
    plain = f"cc_{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        organization=organization,
        name=name,
        scopes=check_scopes(scopes),
        prefix=prefix,
        key_hash=hash_key(plain),
        expires_at=expires_at,
        created_by=created_by,
    )
    return key, plain


def rotate(
    *, key: ApiKey, created_by: User | None = None, overlap: dt.timedelta = ROTATION_OVERLAP
) -> tuple[ApiKey, str]:
    """A successor with the same name and scopes; the old key works for ``overlap`` (at most 30 days) more.

    Raises Conflict when the old key does not work any more.
    """
    if not dt.timedelta(0) <= overlap <= MAX_OVERLAP:
        raise InvalidInput("The overlap is between no time and 30 days.", attr="overlap_seconds")
    with transaction.atomic():
        old = ApiKey.objects.select_for_update().select_related("organization").get(id=key.id)
        if not is_usable(old):
            raise Conflict("This key is revoked or has expired.", code="key_not_usable")
        lifetime = old.expires_at - old.created_at if old.expires_at else None
        ends = now() + overlap
        if old.expires_at is None or ends < old.expires_at:
            old.expires_at = ends
            old.save(update_fields=["expires_at"])
        return create_api_key(
            organization=old.organization,
            name=old.name,
            scopes=old.scopes,
            created_by=created_by,
            expires_at=now() + lifetime if lifetime else None,
        )


def revoke(*, key: ApiKey) -> ApiKey:
    """End the key now; a revoked key stays revoked."""
    ApiKey.objects.filter(id=key.id, revoked_at=None).update(revoked_at=now())
    key.refresh_from_db(fields=["revoked_at"])
    return key


def authenticate_key(plain: str) -> ApiKey | None:
    """The usable key with this wire form and its organization, or None. One query, and a seldom write."""
    parts = plain.split("_", 2)
    if len(parts) != 3 or parts[0] != "cc" or not parts[1].isalnum() or len(plain) > 200:
        return None
    key: ApiKey | None = ApiKey.objects.select_related("organization").filter(prefix=parts[1]).first()
    expected = key.key_hash if key is not None else hash_key("")
    # Compared also when there is no such prefix, so that the time says nothing.
    matches = hmac.compare_digest(hash_key(plain), expected)
    if key is None or not matches or not is_usable(key) or not key.organization.is_active:
        return None
    _note_use(key)
    return key


def is_usable(key: ApiKey) -> bool:
    """Whether the key is neither revoked nor expired."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now())


def check_scopes(scopes: Collection[str]) -> list[str]:
    """The scopes in their own order, once each; raises InvalidInput for an unknown one or for none."""
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown:
        raise InvalidInput(f"Unknown scope {unknown[0]!r}; known: {', '.join(SCOPES)}.", attr="scopes")
    if not scopes:
        raise InvalidInput("A key needs at least one scope.", attr="scopes")
    return [scope for scope in SCOPES if scope in scopes]


def hash_key(plain: str) -> str:
    """SHA-256 of the wire form, in hexadecimal."""
    return hashlib.sha256(plain.encode()).hexdigest()


def _note_use(key: ApiKey) -> None:
    moment = now()
    if key.last_used_at is None or key.last_used_at < moment - LAST_USED_RESOLUTION:
        unused = Q(last_used_at=None) | Q(last_used_at__lt=moment - LAST_USED_RESOLUTION)
        ApiKey.objects.filter(unused, id=key.id).update(last_used_at=moment)
