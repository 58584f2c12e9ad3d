"""Encryption of a push to one browser: RFC 8291 over RFC 8188 (``aes128gcm``), in one record."""

from __future__ import annotations

import base64
import binascii
import functools
import hmac
import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD_SIZE = 4096  # bytes; the least that a push service must take (RFC 8030, 7.2)
# Salt, record size, length of the key, key; then the delimiter and the tag.
LARGEST_TEXT = RECORD_SIZE - (16 + 4 + 1 + 65) - 1 - 16  # 3,993 bytes (RFC 8291, 4)
_CURVE = ec.SECP256R1()
_ECDH = ec.ECDH()
_EXTENT = RECORD_SIZE.to_bytes(4, "big") + b"\x41"
_LAST_RECORD = b"\x02"


@dataclass(frozen=True, slots=True)
class Receiver:
    """A subscription's keys, ready for use."""

    key: ec.EllipticCurvePublicKey
    point: bytes = field(repr=False)
    secret: bytes = field(repr=False)


class BadReceiver(ValueError):
    """A subscription's keys cannot be used; ``field`` says which of them."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(f"{field_name}: {message}")
        self.field = field_name
        self.message = message


@functools.lru_cache(maxsize=10_000)
def receiver_of(p256dh: str, auth: str) -> Receiver:
    """The receiver with these keys (base64url, as a browser gives them); raises BadReceiver."""
    try:
        point = base64url_decoded(p256dh)
        key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
    except ValueError as error:
        raise BadReceiver("p256dh", "A point on P-256 as base64url, 65 bytes.") from error
    try:
        secret = base64url_decoded(auth)
    except ValueError:
        secret = b""
    if len(secret) != 16:
        raise BadReceiver("auth", "16 bytes as base64url.")
    if len(point) != 65:
        raise BadReceiver("p256dh", "Not compressed: 65 bytes as base64url.")
    return Receiver(key, point, secret)


def encrypt(
    text: bytes,
    receiver: Receiver,
    *,
    sender: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes = b"",
) -> bytes:
    """The body of a push to one receiver. ``text`` has at most ``LARGEST_TEXT`` bytes; raises ValueError.

    ``sender`` and ``salt`` are made for each push; only the standard's own example gives them.
    """
    if len(text) > LARGEST_TEXT:
        raise ValueError(f"{len(text)} bytes; at most {LARGEST_TEXT} fit")
    sender = sender or ec.generate_private_key(_CURVE)
    salt = salt or os.urandom(16)
    ours = sender.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = _extract(receiver.secret, sender.exchange(_ECDH, receiver.key))
    material = _expand(shared, b"WebPush: info\0" + receiver.point + ours)
    key = _extract(salt, material)
    sealed = AESGCM(_expand(key, b"Content-Encoding: aes128gcm\0")[:16]).encrypt(
        _expand(key, b"Content-Encoding: nonce\0")[:12], text + _LAST_RECORD, None
    )
    return salt + _EXTENT + ours + sealed


def _extract(salt: bytes, material: bytes) -> bytes:
    """HKDF-Extract with SHA-256 (RFC 5869, 2.2)."""
    return hmac.digest(salt, material, "sha256")


def _expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand for the first 32 bytes (RFC 5869, 2.3)."""
    return hmac.digest(key, info + b"\x01", "sha256")


def base64url(content: bytes) -> str:
    """base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def base64url_decoded(text: str) -> bytes:
    """The bytes of base64url with or without padding; raises ValueError."""
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
