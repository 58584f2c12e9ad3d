"""The key pair by which push services know us, and what it signs (VAPID, RFC 8292)."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from notifications.providers.push.encryption import base64url, base64url_decoded

VALID_FOR = 12 * 3600  # seconds beyond the hour in which it was signed; the standard allows 24 hours
_CURVE = ec.SECP256R1()
_HEAD = base64url(b'{"typ":"JWT","alg":"ES256"}')


class BadVapidKeys(ValueError):
    """The configured keys cannot be used; the message says which variable is wrong."""


@dataclass(frozen=True, slots=True)
class VapidKeys:
    """``public`` is what a browser takes as ``applicationServerKey``: an uncompressed point in base64url."""

    public: str
    private: ec.EllipticCurvePrivateKey = field(repr=False)


def make_keys() -> tuple[str, str]:
    """A new pair: the public point and the private number, both in base64url, as other tools write them."""
    made = ec.generate_private_key(_CURVE)
    return _point(made), base64url(made.private_numbers().private_value.to_bytes(32, "big"))


@functools.lru_cache(maxsize=64)
def read_keys(private: str, public: str = "") -> VapidKeys:
    """The pair that is written as base64url (32 bytes, or DER) or PEM, with ``\\n`` for line ends if need be.

    Without ``public`` it follows from ``private``. Raises BadVapidKeys.
    """
    key = _private(private)
    point = _point(key)
    if public and _public(public) != point:
        raise BadVapidKeys("VAPID_PUBLIC_KEY does not belong to VAPID_PRIVATE_KEY.")
    return VapidKeys(point, key)


def authorization(keys: VapidKeys, *, audience: str, subject: str, hour: int) -> str:
    """The ``Authorization`` header for a push service (``audience`` is its origin), good for an hour from ``hour``.

    ``hour`` counts hours since 1970; ``subject`` is where the service can reach us (``mailto:`` or ``https:``).
    """
    claims = {"aud": audience, "exp": (hour + 1) * 3600 + VALID_FOR, "sub": subject}
    signed = f"{_HEAD}.{base64url(orjson.dumps(claims))}"
    r, s = decode_dss_signature(keys.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))  # RFC 7518, 3.4
    return f"vapid t={signed}.{signature},k={keys.public}"


def _point(key: ec.EllipticCurvePrivateKey) -> str:
    return base64url(
        key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
    )


def _private(text: str) -> ec.EllipticCurvePrivateKey:
    try:
        if "-----BEGIN" in text:
            key = serialization.load_pem_private_key(text.replace("\\n", "\n").encode(), password=None)
        elif len(raw := base64url_decoded(text.strip())) == 32:
            key = ec.derive_private_key(int.from_bytes(raw, "big"), _CURVE)
        else:
            key = serialization.load_der_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadVapidKeys("VAPID_PRIVATE_KEY is neither 32 bytes in base64url nor a key in PEM.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != _CURVE.name:
        raise BadVapidKeys("VAPID_PRIVATE_KEY is no key on the curve P-256.")
    return key


def _public(text: str) -> str:
    """A public key as a point in base64url."""
    try:
        if "-----BEGIN" not in text:
            raw = base64url_decoded(text.strip())
            ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, raw)
            return base64url(raw)
        key = serialization.load_pem_public_key(text.replace("\\n", "\n").encode())
        return base64url(
            key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadVapidKeys("VAPID_PUBLIC_KEY is neither 65 bytes in base64url nor a key in PEM.") from error
