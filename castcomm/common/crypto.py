"""Encryption of single values, and indexes that can be searched without reading them.

Values are encrypted with Fernet (AES-128-CBC with HMAC-SHA256) under the first of
``FIELD_ENCRYPTION_KEYS``; older keys in the list still decrypt, which is how keys are rotated.
A blind index is an HMAC-SHA256 under ``BLIND_INDEX_KEY`` of the normalised value: equal values have equal
indexes, and the index says nothing to who lacks the key.
"""

from __future__ import annotations

import functools
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class DecryptionFailed(ValueError):
    """No configured key opens this value."""


@functools.cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _current() -> MultiFernet:
    return _fernet(tuple(settings.FIELD_ENCRYPTION_KEYS))


def encrypt(plain: str) -> str:
    """The encrypted form of ``plain`` as ASCII text."""
    return _current().encrypt(plain.encode()).decode()


def decrypt(token: str) -> str:
    """The plain text of ``token``; raises DecryptionFailed when no key fits."""
    try:
        return _current().decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise DecryptionFailed("No key in FIELD_ENCRYPTION_KEYS opens this value.") from error


def rotate(token: str) -> str:
    """``token`` encrypted anew under the first key; its plain text does not change."""
    try:
        return _current().rotate(token.encode()).decode()
    except InvalidToken as error:
        raise DecryptionFailed("No key in FIELD_ENCRYPTION_KEYS opens this value.") from error


def blind_index(value: str, *, kind: str) -> str:
    """The searchable index of ``value``: 32 hexadecimal digits (128 bits).

    ``kind`` ("email", "phone") keeps indexes of different kinds apart. The value must be normalised.
    """
    key = settings.BLIND_INDEX_KEY.encode()
    digest = hmac.new(key, f"{kind}:{value}".encode(), hashlib.sha256)
    return digest.hexdigest()[:32]
