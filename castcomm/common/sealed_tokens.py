"""Tokens for addresses that are keys: what they say is encrypted and authenticated at once with AES-SIV (RFC 5297).

A token can be neither read nor altered, and equal contents make equal tokens, so that a mail that is made twice is
the same mail. The key follows from ``SECRET_KEY`` and the purpose; tokens made under a key in
``SECRET_KEY_FALLBACKS`` still open.
"""

from __future__ import annotations

import binascii
import functools
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from django.conf import settings
from django.utils.crypto import salted_hmac


def seal(plain: bytes, *, purpose: bytes) -> str:
    """The URL-safe token that says ``plain``: four characters for every three bytes, and 22 more."""
    return _text(_cipher(settings.SECRET_KEY, purpose).encrypt(plain, [purpose]))


def unseal(token: str, *, purpose: bytes, max_length: int) -> bytes | None:
    """What ``token`` says, or None when nobody here made it for this purpose."""
    if len(token) > max_length or not token.isascii():
        return None
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    # The decoder passes over letters it does not know: only what we would have written is ours.
    if _text(sealed) != token:
        return None
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return _cipher(secret, purpose).decrypt(sealed, [purpose])
        except (InvalidTag, ValueError):
            continue
    return None


def _text(sealed: bytes) -> str:
    return urlsafe_b64encode(sealed).rstrip(b"=").decode()


@functools.lru_cache(maxsize=32)
def _cipher(secret: str, purpose: bytes) -> AESSIV:
    return AESSIV(salted_hmac(purpose, b"", secret=secret, algorithm="sha512").digest())
