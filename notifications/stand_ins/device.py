"""A browser as a push service sees it: it makes a subscription and can read what is encrypted to it (RFC 8291)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_CURVE = ec.SECP256R1()
_SALT, _RECORD_SIZE, _TAG = 16, 4, 16  # bytes
_LAST_RECORD = b"\x02"


class Device:
    """One subscription. ``endpoint`` is its URL at the push service, ``name`` the end of that.

    ``private_key`` (32 bytes) and ``auth_secret`` (16 bytes) are made unless they are given.
    """

    def __init__(self, endpoint: str, *, private_key: bytes = b"", auth_secret: bytes = b"") -> None:
        self.endpoint = endpoint
        self._key = (
            ec.derive_private_key(int.from_bytes(private_key, "big"), _CURVE)
            if private_key
            else ec.generate_private_key(_CURVE)
        )
        self._auth = auth_secret or os.urandom(16)
        self._public = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @property
    def name(self) -> str:
        return self.endpoint.rpartition("/")[2]

    @property
    def p256dh(self) -> str:
        """The public key, base64url without padding."""
        return _base64url(self._public)

    @property
    def auth(self) -> str:
        """The authentication secret, base64url without padding."""
        return _base64url(self._auth)

    def subscription(self) -> dict[str, object]:
        """What ``PushSubscription.toJSON()`` gives in a browser."""
        return {
            "endpoint": self.endpoint,
            "expirationTime": None,
            "keys": {"p256dh": self.p256dh, "auth": self.auth},
        }

    def decrypt(self, content: bytes) -> bytes:
        """The plain text of an ``aes128gcm`` body; raises ValueError when it is not for this device or damaged."""
        salt, sealed, sender = _parts(content)
        try:
            public = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, sender)
        except ValueError:
            raise ValueError("the key id is no point on P-256") from None
        shared = self._key.exchange(ec.ECDH(), public)
        material = _derive(self._auth, shared, b"WebPush: info\0" + self._public + sender, 32)
        key = _derive(salt, material, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _derive(salt, material, b"Content-Encoding: nonce\0", 12)
        try:
            padded = AESGCM(key).decrypt(nonce, sealed, None)
        except InvalidTag:
            raise ValueError("the content was not encrypted for this device") from None
        text, delimiter, padding = padded.rpartition(_LAST_RECORD)
        if not delimiter or padding.strip(b"\0"):
            raise ValueError("the record does not end as the last one does")
        return text


def _parts(content: bytes) -> tuple[bytes, bytes, bytes]:
    """Salt, record and the sender's public key of RFC 8188's header; a push is one record (RFC 8291, 4)."""
    start = _SALT + _RECORD_SIZE + 1
    if len(content) <= start:
        raise ValueError("the content is shorter than its header")
    size = int.from_bytes(content[_SALT : _SALT + _RECORD_SIZE], "big")
    end = start + content[start - 1]
    record = content[end:]
    if len(record) < _TAG + 1 or len(record) > size:
        raise ValueError(f"the record has {len(record)} bytes and says at most {size}")
    return content[:_SALT], record, content[start:end]


def _derive(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    """HKDF with SHA-256 for up to 32 bytes (RFC 5869)."""
    extracted = hmac.new(salt, material, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()[:length]


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
