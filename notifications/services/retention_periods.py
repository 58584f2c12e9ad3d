"""How long each organization keeps what: its policy, or the deployment's ``RETENTION_*`` settings without one."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.conf import settings

from notifications.models import RetentionPolicy

LONGEST = 36_500  # days; what is longer is for ever as far as anybody will see

DEFAULTS = {
    "archive_read_after": "RETENTION_ARCHIVE_READ_DAYS",
    "archive_unread_after": "RETENTION_ARCHIVE_UNREAD_DAYS",
    "keep_archived": "RETENTION_KEEP_ARCHIVED_DAYS",
    "keep_notifications": "RETENTION_KEEP_NOTIFICATIONS_DAYS",
    "keep_events": "RETENTION_KEEP_EVENTS_DAYS",
}


def default_days(field: str) -> int | None:
    """The deployment's days of one of the policy's fields; None is for ever."""
    return _days(getattr(settings, DEFAULTS[field]))


def limits(first: str, second: str, *, now: dt.datetime) -> dict[str, Any] | None:
    """Two periods of all organizations, as parameters of a statement; None when nobody has either.

    What is older than the moment is to go: ``default_first`` and ``default_second`` for organizations that are not
    in ``organizations``, else their place in ``firsts`` and ``seconds``; a moment that is None means for ever.
    ``newest`` is the latest of all.
    """
    rows = list(RetentionPolicy.objects.order_by("id").values_list("organization_id", first, second))
    found: dict[str, Any] = {
        "organizations": [row[0] for row in rows],
        "firsts": [_moment(row[1], now) for row in rows],
        "seconds": [_moment(row[2], now) for row in rows],
        "default_first": _moment(default_days(first), now),
        "default_second": _moment(default_days(second), now),
    }
    moments = [found["default_first"], found["default_second"], *found["firsts"], *found["seconds"]]
    known = [moment for moment in moments if moment is not None]
    return {**found, "newest": max(known)} if known else None


def first_id_at(moment: dt.datetime) -> uuid.UUID:
    """The smallest UUIDv7 of a moment: what was made before has a smaller id."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


def _moment(days: int | None, now: dt.datetime) -> dt.datetime | None:
    found = _days(days)
    return now - dt.timedelta(days=found) if found else None


def _days(given: int | None) -> int | None:
    """Nothing, zero and less mean for ever: a wrong number must not delete everything."""
    return min(given, LONGEST) if given and given > 0 else None
