"""What each device said to a test push, for some minutes: an attempt keeps one sentence for all of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import structlog
from django.core.cache import cache

log = structlog.get_logger(__name__)

TEST_TOPIC = "castcomm-test"  # also lets the next test take the place of one that still waits
KEPT_SECONDS = 600


def keep(delivery_id: str, outcomes: Sequence[Any]) -> None:
    """Note the DeviceOutcomes of one attempt. Never raises: the push itself is done."""
    told = [
        {"id": one.subscription_id, "outcome": str(one.outcome), "detail": one.detail, "gone": one.gone}
        for one in outcomes
    ]
    try:
        cache.set(_key(delivery_id), told, KEPT_SECONDS)
    except Exception:
        log.exception("push.outcomes_not_kept")


def kept(delivery_id: uuid.UUID | str) -> list[dict[str, Any]]:
    """What was noted last; empty when no device was asked yet, or too long ago."""
    found: list[dict[str, Any]] = cache.get(_key(delivery_id)) or []
    return found


def _key(delivery_id: uuid.UUID | str) -> str:
    return f"push-outcomes:{delivery_id}"
