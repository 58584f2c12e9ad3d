"""References in pushes to browsers: a delivery and the moment, sealed. Only ``push_clicks.take`` accepts them."""

from __future__ import annotations

import datetime as dt
import uuid

from castcomm.common.clock import now as current_time
from castcomm.common.sealed_tokens import seal, unseal

VALID = dt.timedelta(days=7)
MAX_TOKEN = 100  # characters; a token has 48
_PURPOSE = b"castcomm.push-click.1"
_ID, _TIME = 16, 4  # bytes


def make(delivery_id: uuid.UUID) -> str:
    """The reference that a push carries: 48 characters that are safe in JSON and URLs."""
    made = int(current_time().timestamp()).to_bytes(_TIME, "big")
    return seal(delivery_id.bytes + made, purpose=_PURPOSE)


def read(token: str) -> uuid.UUID | None:
    """The delivery, or None when nobody here made the token or it is too old."""
    plain = unseal(token, purpose=_PURPOSE, max_length=MAX_TOKEN)
    if plain is None or len(plain) != _ID + _TIME:
        return None
    made = dt.datetime.fromtimestamp(int.from_bytes(plain[_ID:], "big"), dt.UTC)
    return uuid.UUID(bytes=plain[:_ID]) if current_time() - made <= VALID else None
