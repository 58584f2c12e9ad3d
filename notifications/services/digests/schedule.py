"""When digests close: pure functions of what was chosen, a time zone and the clock."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import replace

from notifications.models.digests import DigestFrequency
from notifications.services.local_times import moment_of, zone_of
from notifications.services.policy_facts import DigestChoice

OVERFLOW = DigestChoice(category_id=None, frequency=DigestFrequency.DAILY.value)


def choice_for(
    category_id: uuid.UUID, *, personal: Iterable[DigestChoice], defaults: Iterable[DigestChoice]
) -> DigestChoice | None:
    """How often mail of a category goes out to a person; None for at once.

    The person's choice for the category decides, then the person's for all, then the organization's the same way.
    """
    chosen = _deciding(category_id, personal) or _deciding(category_id, defaults)
    return None if chosen is None or chosen.frequency == DigestFrequency.INSTANT else chosen


def overflow_for(
    category_id: uuid.UUID, *, personal: Iterable[DigestChoice], defaults: Iterable[DigestChoice]
) -> DigestChoice:
    """Where mail beyond a cap goes: the person's digest, and a daily one for who has none."""
    return choice_for(category_id, personal=personal, defaults=defaults) or OVERFLOW


def _deciding(category_id: uuid.UUID | None, choices: Iterable[DigestChoice]) -> DigestChoice | None:
    for_all = None
    for choice in choices:
        if choice.category_id is None:
            for_all = choice
        elif choice.category_id == category_id:
            return choice
    return for_all


def cadence_of(choice: DigestChoice) -> str:
    """What tells one person's digests apart: ``hourly``, ``daily@09:00``, ``weekly.0@09:00``."""
    at = choice.at.strftime("%H:%M")
    if choice.frequency == DigestFrequency.HOURLY:
        return "hourly"
    if choice.frequency == DigestFrequency.DAILY:
        return f"daily@{at}"
    return f"weekly.{choice.weekday}@{at}"


def choice_of(cadence: str) -> DigestChoice:
    """The choice that ``cadence_of`` made a name of, without its category."""
    kind, _, at = cadence.partition("@")
    frequency, _, weekday = kind.partition(".")
    made = DigestChoice(category_id=None, frequency=frequency, weekday=int(weekday or 0))
    return replace(made, at=dt.time.fromisoformat(at)) if at else made


def frequency_of(cadence: str) -> str:
    """The frequency that a cadence is named for."""
    return choice_of(cadence).frequency


def closes_at(choice: DigestChoice, zone: str, now: dt.datetime) -> dt.datetime:
    """The first moment after ``now`` (UTC) at which the digest goes out, by the clocks of ``zone``.

    A time that clocks skip means the first moment after the gap, one that comes twice the first of both: a daily
    digest goes out once on each day of the year. An hourly one goes out at full hours of the local clock.
    """
    if choice.frequency == DigestFrequency.HOURLY:
        return _next_full_hour(zone, now)
    day = now.astimezone(zone_of(zone)).date()
    step = dt.timedelta(days=1)
    if choice.frequency == DigestFrequency.WEEKLY:
        day += dt.timedelta(days=(choice.weekday - day.weekday()) % 7)
        step = dt.timedelta(days=7)
    at = choice.at.replace(second=0, microsecond=0)
    while (moment := moment_of(dt.datetime.combine(day, at), zone)) <= now:
        day += step
    return moment


def moved_with(cadence: str, closes_at: dt.datetime, *, before: str, after: str) -> dt.datetime:
    """When a window closes whose person went from one zone to another: at the same time of the clocks there.

    That may have passed already. Full hours are the same nearly everywhere, so hourly windows stay as they are.
    """
    if cadence == "hourly":
        return closes_at
    return moment_of(closes_at.astimezone(zone_of(before)).replace(tzinfo=None), after)


def _next_full_hour(zone: str, now: dt.datetime) -> dt.datetime:
    local = now.astimezone(zone_of(zone))
    past = dt.timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return now - past + dt.timedelta(hours=1)
