"""References in pushes to browsers: a delivery and the moment, encrypted and authenticated with AES-SIV (RFC 5297).

Only ``push_clicks.take`` accepts them. The key follows from ``SECRET_KEY``; those made under a key in
``SECRET_KEY_FALLBACKS`` still work.
"""

from __future__ import annotations

import binascii
import datetime as dt
import functools
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from django.conf import settings
from django.utils.crypto import salted_hmac

from castcomm.common.clock import now as current_time

VALID = dt.timedelta(days=7)
MAX_TOKEN = 100  # characters; a token has 48
_PURPOSE = b"castcomm.push-click.1"
_ID, _TIME = 16, 4  # bytes


def make(delivery_id: uuid.UUID) -> str:
    """The reference that a push carries: 48 characters that are safe in JSON and URLs."""
    made = int(current_time().timestamp()).to_bytes(_TIME, "big")
    sealed = _cipher(settings.SECRET_KEY).encrypt(delivery_id.bytes + made, [_PURPOSE])
    return urlsafe_b64encode(sealed).decode()


def read(token: str) -> uuid.UUID | None:
    """The delivery, or None when nobody here made the token or it is too old."""
    if len(token) > MAX_TOKEN or not token.isascii():
        return None
    try:
        sealed = urlsafe_b64decode(token)
    except (binascii.Error, ValueError):
        return None
    # The decoder passes over letters it does not know: only what we would have written is ours.
    plain = _opened(sealed) if urlsafe_b64encode(sealed).decode() == token else None
    if plain is None or len(plain) != _ID + _TIME:
        return None
    made = dt.datetime.fromtimestamp(int.from_bytes(plain[_ID:], "big"), dt.UTC)
    return uuid.UUID(bytes=plain[:_ID]) if current_time() - made <= VALID else None


def _opened(sealed: bytes) -> bytes | None:
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return _cipher(secret).decrypt(sealed, [_PURPOSE])
        except (InvalidTag, ValueError):
            continue
    return None


@functools.lru_cache(maxsize=8)
def _cipher(secret: str) -> AESSIV:
    return AESSIV(salted_hmac(_PURPOSE, b"", secret=secret, algorithm="sha512").digest())
