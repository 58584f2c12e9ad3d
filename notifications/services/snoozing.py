"""Until when something is put aside: a moment that was named, or a preset in the person's own time."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from castcomm.common.errors import InvalidInput

LONGEST = dt.timedelta(days=366)
PRESETS = ("later_today", "tomorrow", "weekend", "next_week")

_MORNING = dt.time(9)
_EVENING = dt.time(18)
_LATER = dt.timedelta(hours=3)
_LEAST = dt.timedelta(hours=1)  # "later today" is never sooner than this
_SATURDAY = 5


def moment_of(*, until: Any, preset: Any, zone: str, now: dt.datetime) -> dt.datetime:
    """The moment, in UTC, from what a call gave: ``until`` (ISO 8601 with a zone) or ``preset``, exactly one of both.

    Raises InvalidInput that names ``until`` or ``preset``.
    """
    if (until is None) == (preset is None):
        raise InvalidInput(f'Give either "until" or "preset" ({", ".join(PRESETS)}).', attr="until")
    if preset is None:
        return _checked(until, now)
    if preset not in PRESETS:
        raise InvalidInput(f"One of {', '.join(PRESETS)}.", attr="preset", code="invalid_choice")
    return preset_moment(preset, zone=zone, now=now)


def preset_moment(preset: str, *, zone: str, now: dt.datetime) -> dt.datetime:
    """When a preset ends.

    ``later_today``: in three hours, but not after 18:00 unless that is less than an hour away. ``tomorrow``,
    ``weekend`` (Saturday) and ``next_week`` (the Monday of the week after this one): 09:00 there.
    """
    local = now.astimezone(_zone(zone))
    if preset == "later_today":
        evening = dt.datetime.combine(local.date(), _EVENING, local.tzinfo).astimezone(dt.UTC)
        return min(now + _LATER, evening) if evening - now >= _LEAST else now + _LATER
    if preset == "tomorrow":
        return _morning(local, days=1)
    if preset == "next_week":
        return _morning(local, days=7 - local.weekday())
    days = (_SATURDAY - local.weekday()) % 7
    return _morning(local, days=7 if days == 0 and local.time() >= _MORNING else days)


def _morning(local: dt.datetime, *, days: int) -> dt.datetime:
    day = local.date() + dt.timedelta(days=days)
    return dt.datetime.combine(day, _MORNING, local.tzinfo).astimezone(dt.UTC)


def _checked(until: Any, now: dt.datetime) -> dt.datetime:
    try:
        given = dt.datetime.fromisoformat(until)
        # Near the ends of the calendar a moment exists in its own zone and not in UTC.
        moment = given.astimezone(dt.UTC)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput("A date and time: 2030-06-01T09:00:00+02:00.", attr="until") from None
    if given.tzinfo is None:
        raise InvalidInput("The time zone is missing: 2030-06-01T09:00:00+02:00.", attr="until")
    if moment <= now:
        raise InvalidInput("That moment has passed.", attr="until", code="in_the_past")
    if moment - now > LONGEST:
        raise InvalidInput(f"At most {LONGEST.days} days from now.", attr="until", code="too_late")
    return moment


def _zone(name: str) -> dt.tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return dt.UTC
