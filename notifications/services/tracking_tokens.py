"""Tokens in tracking links: references to a delivery and a stored link that nobody else can make.

``base64url(delivery, link, HMAC-SHA256 truncated to 96 bits)``. The key follows from ``SECRET_KEY``; tokens made under
a key in ``SECRET_KEY_FALLBACKS`` still work. They hold no address and no URL, so that altering one leads nowhere.
"""

from __future__ import annotations

import binascii
import functools
import hmac
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.utils.crypto import salted_hmac

_MAC_BYTES = 12  # 96 bits
_OPEN, _CLICK = b"o", b"c"


def open_token(delivery_id: uuid.UUID) -> str:
    """The token of the picture that tells of opening: 38 characters."""
    body = delivery_id.bytes
    return urlsafe_b64encode(body + _mac(settings.SECRET_KEY, _OPEN, body)).rstrip(b"=").decode()


def click_tokens(delivery_id: uuid.UUID, link_ids: Iterable[uuid.UUID]) -> Iterator[str]:
    """The tokens of these links in one mail, in order: 59 characters each."""
    key = _key(settings.SECRET_KEY)
    delivery = delivery_id.bytes
    for link_id in link_ids:
        body = delivery + link_id.bytes
        mac = hmac.digest(key, _CLICK + body, "sha256")[:_MAC_BYTES]
        yield urlsafe_b64encode(body + mac)[:59].decode()


def read_open_token(token: str) -> uuid.UUID | None:
    """The delivery, or None when the token is not ours."""
    body = _checked(_OPEN, token, 16)
    return uuid.UUID(bytes=body) if body is not None else None


def read_click_token(token: str) -> tuple[uuid.UUID, uuid.UUID] | None:
    """Delivery and link, or None when the token is not ours."""
    body = _checked(_CLICK, token, 32)
    return (uuid.UUID(bytes=body[:16]), uuid.UUID(bytes=body[16:])) if body is not None else None


def _checked(purpose: bytes, token: str, size: int) -> bytes | None:
    padding = "=" * (-len(token) % 4)
    try:
        given = urlsafe_b64decode(token + padding)
    except (binascii.Error, ValueError):
        return None
    body, mac = given[:size], given[size:]
    # The decoder passes over letters it does not know: only what we would have written is ours.
    if len(mac) != _MAC_BYTES or urlsafe_b64encode(given).decode() != token + padding:
        return None
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    good = any(hmac.compare_digest(_mac(secret, purpose, body), mac) for secret in secrets)
    return body if good else None


def _mac(secret: str, purpose: bytes, body: bytes) -> bytes:
    return hmac.digest(_key(secret), purpose + body, "sha256")[:_MAC_BYTES]


@functools.lru_cache(maxsize=8)
def _key(secret: str) -> bytes:
    return salted_hmac("castcomm.tracking.1", b"", secret=secret, algorithm="sha256").digest()
