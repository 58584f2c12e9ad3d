"""Counters of what people got: one row per person, channel and period, counted up in place.

What counts at a moment is what came in this hour or day (UTC), and of the one before the share that its end still has
within the last hour or day. It is an estimate: around a full hour at most one more gets through than the limit.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from castcomm.common import sql
from notifications.models.caps import CapPeriod

LENGTHS = {CapPeriod.HOUR.value: dt.timedelta(hours=1), CapPeriod.DAY.value: dt.timedelta(days=1)}
_A_LITTLE = dt.timedelta(seconds=1)

Key = tuple[uuid.UUID, str, str]  # person, channel, period

# Rows are taken in the order of people's ids: two calls that reach the same people cannot lock each other out. A row
# that somebody with a faster clock has moved on stays there.
_LOCK = """
INSERT INTO notifications_capcounter AS c (organization_id, user_id, channel, period, began_at, count, previous)
SELECT %s, u.id, p.channel, p.period, p.began_at, 0, 0
  FROM unnest(%s::uuid[]) AS u(id)
 CROSS JOIN unnest(%s::text[], %s::text[], %s::timestamptz[]) AS p(channel, period, began_at)
 ORDER BY u.id, p.channel, p.period
ON CONFLICT (organization_id, user_id, channel, period) DO UPDATE SET
  previous = CASE WHEN c.began_at >= excluded.began_at THEN c.previous
                  WHEN c.began_at + ('1 ' || c.period)::interval = excluded.began_at THEN c.count
                  ELSE 0 END,
  count = CASE WHEN c.began_at >= excluded.began_at THEN c.count ELSE 0 END,
  began_at = greatest(c.began_at, excluded.began_at)
RETURNING user_id, channel, period, began_at, count, previous
"""

_READ = """
SELECT user_id, channel, period, began_at, count, previous FROM notifications_capcounter
 WHERE organization_id = %s AND user_id = ANY(%s)
"""

_COUNT = """
UPDATE notifications_capcounter c SET count = c.count + g.count
  FROM unnest(%s::uuid[], %s::text[], %s::int[]) AS g(user_id, channel, count)
 WHERE c.organization_id = %s AND c.user_id = g.user_id AND c.channel = g.channel AND c.period = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Counter:
    """What was counted in the period that began at ``began_at`` (UTC), and in the one before."""

    period: str
    began_at: dt.datetime
    count: int = 0
    previous: int = 0

    def moved_on(self, now: dt.datetime) -> Counter:
        """The counter as it is in the period of ``now``."""
        began_at = beginning(self.period, now)
        if began_at <= self.began_at:
            return self
        is_next = began_at - self.began_at == LENGTHS[self.period]
        return Counter(self.period, began_at, 0, self.count if is_next else 0)

    def plus(self, other: Counter) -> Counter:
        """Two counters of the same period together."""
        return replace(self, count=self.count + other.count, previous=self.previous + other.previous)

    def used(self, now: dt.datetime) -> float:
        """How much counts at ``now``, a moment in this period."""
        passed = max((now - self.began_at) / LENGTHS[self.period], 0.0)
        return self.count + self.previous * max(1.0 - passed, 0.0)

    def free_at(self, limit: int) -> dt.datetime:
        """When less than ``limit`` counts, if nothing more comes."""
        began_at, fixed, sliding = self.began_at, self.count, self.previous
        if fixed >= limit:
            began_at, fixed, sliding = began_at + LENGTHS[self.period], 0, fixed
        passed = 1.0 - (limit - fixed) / sliding if sliding else 0.0
        return began_at + max(passed, 0.0) * LENGTHS[self.period] + _A_LITTLE


def beginning(period: str, now: dt.datetime) -> dt.datetime:
    """When the hour or day (UTC) of ``now`` began."""
    moment = now.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    return moment if period == CapPeriod.HOUR else moment.replace(hour=0)


def lock(
    organization_id: uuid.UUID,
    user_ids: Sequence[uuid.UUID],
    kinds: Iterable[tuple[str, str]],
    *,
    now: dt.datetime,
) -> dict[Key, Counter]:
    """The counters of these people and (channel, period) pairs, locked until the end of the transaction."""
    pairs = sorted(kinds)
    columns = (
        [channel for channel, _ in pairs],
        [period for _, period in pairs],
        [beginning(period, now) for _, period in pairs],
    )
    return _counters(sql.run(_LOCK, (organization_id, list(user_ids), *columns)), now)


def read(
    organization_id: uuid.UUID, user_ids: Sequence[uuid.UUID], *, now: dt.datetime
) -> dict[Key, Counter]:
    """The counters of these people as they are; nobody has to wait for it."""
    return _counters(sql.run(_READ, (organization_id, list(user_ids))), now)


def _counters(
    rows: Iterable[tuple[uuid.UUID, str, str, dt.datetime, int, int]], now: dt.datetime
) -> dict[Key, Counter]:
    return {
        (user_id, channel, period): Counter(period, began_at, count, previous).moved_on(now)
        for user_id, channel, period, began_at, count, previous in rows
    }


def count(
    organization_id: uuid.UUID, more: Mapping[tuple[uuid.UUID, str], int], periods: Iterable[str]
) -> None:
    """Count up rows that this transaction has locked: so many more for each (person, channel)."""
    if not more:
        return
    columns = ([user_id for user_id, _ in more], [channel for _, channel in more], list(more.values()))
    sql.run(_COUNT, (*columns, organization_id, sorted(periods)))
