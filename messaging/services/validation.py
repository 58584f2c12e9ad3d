"""The input of conversations, checked before anything is locked or written."""

from __future__ import annotations

import json
import math
import uuid
from typing import Any

from castcomm.common.errors import InvalidInput
from castcomm.common.ids import parse_id

MAX_CONTENT = 10_000  # characters
MAX_CLIENT_ID = 100  # characters
MAX_SUBJECT = 200  # characters
MAX_METADATA = 8_192  # bytes of JSON
MAX_METADATA_DEPTH = 8
MAX_SEQ = 2**63 - 1


def check_text(value: object, *, attr: str, limit: int, may_be_empty: bool = False) -> str:
    """``value`` as text that PostgreSQL can store; raises InvalidInput with ``attr``."""
    if not isinstance(value, str):
        raise InvalidInput(f"{attr} must be a string.", attr=attr, code="wrong_type")
    if not may_be_empty and not value.strip():
        raise InvalidInput(f"{attr} must not be empty.", attr=attr, code="blank")
    if len(value) > limit:
        raise InvalidInput(
            f"{attr} has {len(value)} characters; at most {limit} are allowed.", attr=attr, code="max_length"
        )
    _refuse_unstorable(value, attr)
    return value


def check_content(value: object) -> str:
    """What a message says: 1 to 10,000 characters, not only white space."""
    return check_text(value, attr="content", limit=MAX_CONTENT)


def check_client_id(value: object) -> str:
    """The sender's name for a message; without one the message gets one that no retry can repeat."""
    if value is None:
        return str(uuid.uuid4())
    client_id = check_text(value, attr="client_id", limit=MAX_CLIENT_ID)
    if not client_id.isprintable():
        raise InvalidInput("client_id must be printable.", attr="client_id")
    return client_id


def check_subject(value: object) -> str:
    """What a thread is about, on one line; may be empty."""
    subject = check_text(value, attr="subject", limit=MAX_SUBJECT, may_be_empty=True).strip()
    if subject and not subject.isprintable():
        raise InvalidInput("subject must be one line of printable text.", attr="subject")
    return subject


def check_metadata(value: object) -> dict[str, Any]:
    """A JSON object of at most MAX_METADATA bytes."""
    if not isinstance(value, dict):
        raise InvalidInput("metadata must be an object.", attr="metadata", code="wrong_type")
    _check_json(value, MAX_METADATA_DEPTH)
    if len(json.dumps(value).encode()) > MAX_METADATA:
        raise InvalidInput(
            f"metadata may have at most {MAX_METADATA} bytes.", attr="metadata", code="max_length"
        )
    return value


def check_id(value: object, *, attr: str) -> uuid.UUID:
    """``value`` as a UUID; raises InvalidInput with ``attr``."""
    parsed = parse_id(value)
    if parsed is None:
        raise InvalidInput(f"{attr} must be a UUID.", attr=attr)
    return parsed


def check_seq(value: object, *, attr: str = "seq") -> int:
    """A sequence number; digits in a string (from a query) are fine."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEQ:
        raise InvalidInput(f"{attr} must be a whole number from 0.", attr=attr, code="wrong_type")
    return value


def _check_json(value: object, depth: int) -> None:
    if depth < 0:
        raise InvalidInput("metadata is nested too deeply.", attr="metadata")
    if isinstance(value, str):
        _refuse_unstorable(value, "metadata")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_json(key, depth - 1)
            _check_json(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check_json(item, depth - 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput("metadata must not contain NaN or infinite numbers.", attr="metadata")


def _refuse_unstorable(value: str, attr: str) -> None:
    """PostgreSQL stores neither NUL nor half of a surrogate pair."""
    if "\x00" in value:
        raise InvalidInput(f"{attr} must not contain NUL characters.", attr=attr, code="null_character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{attr} is not valid Unicode.", attr=attr, code="invalid_unicode") from None
