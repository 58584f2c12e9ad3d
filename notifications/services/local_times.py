"""Local times: what they mean in UTC, also on the days on which clocks jump, and periods of a person's day."""

from __future__ import annotations

import datetime as dt
import functools
import re
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput

MAX_AHEAD = dt.timedelta(days=731)
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}")
_DAY = dt.timedelta(days=1)


@functools.lru_cache(maxsize=1024)
def zone_of(name: str) -> dt.tzinfo:
    """The time zone; UTC for one that this machine does not know, so that one person's typo stops no send."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return dt.UTC


def moment_of(local: dt.datetime, zone: str, *, last: bool = False) -> dt.datetime:
    """The moment (UTC) of a naive local time.

    A time that the clock skips means the first moment after the gap; one that comes twice means the first of both, or
    with ``last`` the moment from which on the clock shows no earlier time any more.
    """
    first = local.replace(tzinfo=zone_of(zone), fold=0)
    second = first.replace(fold=1)
    before, after = first.utcoffset(), second.utcoffset()
    if before == after or before is None or after is None:
        return first.astimezone(dt.UTC)
    if before > after:
        just_before = first - dt.timedelta(microseconds=1)
        is_repeated = just_before.utcoffset() != just_before.replace(fold=1).utcoffset()
        return (second if last and is_repeated else first).astimezone(dt.UTC)
    return _end_of_gap(first, before, after)


def _end_of_gap(skipped: dt.datetime, before: dt.timedelta, after: dt.timedelta) -> dt.datetime:
    """The moment at which the clock jumps over ``skipped``, to the second."""
    naive = skipped.replace(tzinfo=dt.UTC)
    early, late = naive - after, naive - before
    while late - early > dt.timedelta(seconds=1):
        middle = early + dt.timedelta(seconds=int((late - early).total_seconds()) // 2)
        if middle.astimezone(skipped.tzinfo).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late


def parse_local(value: Any, *, attr: str) -> dt.datetime:
    """A naive local time written like ``2026-12-24T09:00``; raises InvalidInput that names ``attr``."""
    if not isinstance(value, str) or not _LOCAL.fullmatch(value):
        raise InvalidInput("A local time without zone and seconds, such as 2026-12-24T09:00.", attr=attr)
    try:
        local = dt.datetime.fromisoformat(value)
    except ValueError as error:
        raise InvalidInput("There is no such day or time.", attr=attr) from error
    # By the clocks that are last of all, so that it is right wherever the recipient is.
    if local.replace(tzinfo=dt.UTC) - current_time() > MAX_AHEAD:
        raise InvalidInput(f"At most {MAX_AHEAD.days} days ahead.", attr=attr)
    return local


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietPeriod:
    """Local times; ``days`` are those on which a period begins (Monday is 0)."""

    start: dt.time
    end: dt.time
    days: frozenset[int]
    zone: str

    def end_if_inside(self, moment: dt.datetime) -> dt.datetime | None:
        """When the period ends that contains ``moment`` (UTC), or None outside of any."""
        today = moment.astimezone(zone_of(self.zone)).date()
        for begin in (today - _DAY, today):
            if begin.weekday() not in self.days:
                continue
            last_day = begin if self.end > self.start else begin + _DAY
            ends = moment_of(dt.datetime.combine(last_day, self.end), self.zone, last=True)
            if moment < ends and moment_of(dt.datetime.combine(begin, self.start), self.zone) <= moment:
                return ends
        return None

    def next_free(self, moment: dt.datetime) -> dt.datetime:
        """The first moment from ``moment`` on that lies in no period."""
        for _ in range(8):  # periods can touch from one day to the next, for a week at the most
            ends = self.end_if_inside(moment)
            if ends is None:
                return moment
            moment = ends
        return moment
