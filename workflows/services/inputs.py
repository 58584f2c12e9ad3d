"""What callers hand in, checked before anything is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from castcomm.common.errors import InvalidInput
from notifications.services.planning import check_data as check_template_data

MAX_DATA_BYTES = 64 * 1024
MAX_KEY = 255
MAX_EVENT = 100


def check_data(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """The data of a trigger, fit for templates and for the database; raises InvalidInput."""
    checked = check_template_data(data)
    try:
        text = json.dumps(checked, allow_nan=False, default=str)
        text.encode()
        json.dumps(checked, ensure_ascii=False, default=str).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput("This is not JSON that can be stored.", attr="data") from error
    if len(text) > MAX_DATA_BYTES:
        raise InvalidInput(
            f"Data may have at most {MAX_DATA_BYTES} bytes as JSON.", attr="data", code="too_large"
        )
    if "\\u0000" in text:
        raise InvalidInput("Data may not contain NUL characters.", attr="data")
    plain: dict[str, Any] = json.loads(text)
    return plain


def check_key(key: str, *, attr: str) -> str:
    """An idempotency or cancellation key; raises InvalidInput."""
    if len(key) > MAX_KEY or not (key == "" or key.isprintable()):
        raise InvalidInput(f"A printable key of at most {MAX_KEY} characters.", attr=attr)
    return key


def check_event(event: str) -> str:
    """The name of an event; raises InvalidInput."""
    if not 0 < len(event) <= MAX_EVENT or not event.isprintable():
        raise InvalidInput(f"The name of an event has 1 to {MAX_EVENT} printable characters.", attr="event")
    return event
