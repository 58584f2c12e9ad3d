"""A push service: ``POST /webpush/<device>`` answers 201 with ``Location``, and 404 or 410 for a device that is gone.

It checks what a real one checks: ``TTL``, ``Urgency`` and ``Topic`` (RFC 8030), ``Content-Encoding``, the size, and the
VAPID token's signature, audience and expiry (RFC 8292). Any device's name is known unless it is said to be gone; of a
device made here (``StandIn.device``) the content is decrypted too. Errors have the form of Mozilla's service.
https://mozilla-services.github.io/autopush-rs/errors.html
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from notifications.stand_ins.device import Device
from notifications.stand_ins.far_side import Answer, Call, FarSide, Refused, Taken, json_answer
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.marks import HEADER, delivery_in

LARGEST_CONTENT = 4096  # bytes; RFC 8030, 7.2
LONGEST_VALIDITY = 24 * 3600  # seconds; RFC 8292, 2
_URGENCIES = frozenset({"very-low", "low", "normal", "high"})
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_VAPID = re.compile(r"vapid\s+(?=.*\bt=([\w.-]+))(?=.*\bk=([\w-]+))", re.IGNORECASE)
_MOST_TOKENS = 1000
_FAILURES = {
    400: (110, "Bad Request", "Invalid crypto keys specified"),
    401: (109, "Unauthorized", "Invalid authentication"),
    403: (109, "Forbidden", "Invalid bearer token"),
    404: (102, "Not Found", "Endpoint Not Found"),
    410: (106, "Gone", "The subscription has expired or its user has unsubscribed"),
    413: (104, "Payload Too Large", "Data payload too large"),
    429: (201, "Too Many Requests", "Too many messages for this subscription"),
    500: (999, "Internal Server Error", "Unknown error"),
    503: (202, "Service Unavailable", "Use exponential back-off for retries"),
}


class WebPush(FarSide):
    key = "webpush"
    modes = frozenset({"404", "410"})

    def __init__(self, *, keep: int = 1000) -> None:
        super().__init__(keep=keep)
        self.devices: dict[str, Device] = {}
        self.gone: dict[str, int] = {}
        self._tokens: dict[tuple[str, str], float] = {}

    def take(self, call: Call) -> Taken:
        name = call.path
        if call.method != "POST" or not name or "/" in name:
            raise Refused(self.failure(404))
        if name in self.gone or name in self.refused_recipients:
            raise Refused(self.failure(self.gone.get(name, 410)))
        self._check_headers(call)
        self._check_token(call)
        message_id = secrets.token_urlsafe(24)
        body = self._body(call, name)
        accepted = Accepted(
            to=name,
            message_id=message_id,
            delivery_id=_delivery(body) or call.headers.get(HEADER, ""),
            body=body,
            headers=dict(call.headers),
            size=len(call.content),
            content=call.content,
        )
        location = ("Location", f"{call.origin}/webpush/m/{message_id}")
        return Taken(Answer(201, headers=(location, ("TTL", call.headers["ttl"]))), (accepted,))

    def _check_headers(self, call: Call) -> None:
        headers = call.headers
        if not headers.get("ttl", "").isdigit():
            raise Refused(_error(400, 111, "Bad Request", "Missing TTL Header"))
        if headers.get("urgency", "normal") not in _URGENCIES:
            raise Refused(_error(400, 100, "Bad Request", "Invalid Urgency"))
        if not _TOPIC.fullmatch(headers.get("topic", "a")):
            raise Refused(_error(400, 113, "Bad Request", "Invalid Topic header"))
        if call.content and headers.get("content-encoding") != "aes128gcm":
            raise Refused(self.failure(400))
        if len(call.content) > LARGEST_CONTENT:
            raise Refused(self.failure(413))

    def _check_token(self, call: Call) -> None:
        found = _VAPID.match(call.headers.get("authorization", ""))
        if found is None:
            raise Refused(self.failure(401))
        token, key = found.groups()
        if self._tokens.get((token, key), 0.0) > time.time():
            return
        expires = _expiry(token, key, call.origin)
        if expires is None:
            raise Refused(self.failure(403))
        self._tokens[token, key] = expires
        if len(self._tokens) > _MOST_TOKENS:
            del self._tokens[next(iter(self._tokens))]

    def _body(self, call: Call, name: str) -> Any:
        device = self.devices.get(name)
        if device is None or not call.content:
            return None
        try:
            text = device.decrypt(call.content)
        except ValueError:
            raise Refused(self.failure(400)) from None
        try:
            return orjson.loads(text)
        except ValueError:
            return text.decode("utf-8", "replace")

    def failure(self, status: int) -> Answer:
        return _error(status, *_FAILURES[status])


def _delivery(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    data = body.get("data")
    return delivery_in(body) or (delivery_in(data) if isinstance(data, dict) else "")


def _expiry(token: str, key: str, audience: str) -> float | None:
    """When a VAPID token ends (seconds since 1970), or None when it does not hold."""
    try:
        head, claims_part, signature_part = token.split(".")
        claims = orjson.loads(_decoded(claims_part))
        signature = _decoded(signature_part)
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _decoded(key))
        der = encode_dss_signature(
            int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        )
        public.verify(der, f"{head}.{claims_part}".encode(), ec.ECDSA(hashes.SHA256()))
        expires = float(claims["exp"])
    except (ValueError, KeyError, TypeError, InvalidSignature):
        return None
    in_time = 0 < expires - time.time() <= LONGEST_VALIDITY
    return expires if in_time and claims.get("aud") == audience else None


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _error(status: int, errno: int, error: str, message: str) -> Answer:
    return json_answer(status, {"code": status, "errno": errno, "error": error, "message": message})
