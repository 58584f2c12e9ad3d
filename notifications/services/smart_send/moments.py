"""When a low priority message had best go out to each person: from what they opened and read, and at what hour.

What a person did counts as much as there is of it; what everybody does stands in for the rest. Hours next to a good one
are good too.
"""

from __future__ import annotations

import datetime as dt
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from castcomm.common import sql
from notifications.models.engagement import HOURS_OF_WEEK, no_engagement
from notifications.services.local_times import QuietPeriod, zone_of
from notifications.services.policy_facts import GoodMoment
from notifications.vocabulary import Priority

if TYPE_CHECKING:
    from notifications.services.catalog import Catalog

PRIOR_WEIGHT = 20  # as many engagements of a person weigh as much as what everybody does
FEWEST = 5  # engagements, of the person and of everybody, below which nothing is guessed
WORTH = 1.1  # times as good as now an hour must be for something to wait for it
_HOUR = dt.timedelta(hours=1)
_NEIGHBOUR = 0.5

_HISTOGRAMS = """
SELECT user_id, counts, total FROM notifications_engagementhistogram
 WHERE organization_id = %s AND (user_id = ANY(%s) OR user_id IS NULL)
"""


Histograms = Mapping[uuid.UUID | None, Sequence[int]]


class Moments(ABC):
    """A good moment for each person of one call."""

    @abstractmethod
    def of(self, user_id: uuid.UUID | None, *, quiet: Sequence[QuietPeriod] = ()) -> GoodMoment | None:
        """When to send to this person, outside of their quiet hours; None for at once."""


class _NoMoments(Moments):
    def of(self, user_id: uuid.UUID | None, *, quiet: Sequence[QuietPeriod] = ()) -> GoodMoment | None:
        return None


NO_MOMENTS: Moments = _NoMoments()


class Habits:
    """How likely a person attends to things at each hour of the week (0 is Monday, midnight to one)."""

    def __init__(self, counts: Sequence[int], prior: Sequence[int]) -> None:
        self.observations = sum(counts)
        everybody = sum(prior)
        self.is_known = max(self.observations, everybody) >= FEWEST
        usual = [one / everybody for one in prior] if everybody else [1 / HOURS_OF_WEEK] * HOURS_OF_WEEK
        weight = self.observations + PRIOR_WEIGHT
        own = [(count + PRIOR_WEIGHT * share) / weight for count, share in zip(counts, usual, strict=True)]
        self._own, self._usual = _smoothed(own), _smoothed(usual)

    def score(self, hour: int) -> float:
        """The share of the week's engagement that the person is expected to have in this hour."""
        return self._own[hour]

    def usual(self, hour: int) -> float:
        """Everybody's share in this hour."""
        return self._usual[hour]


def _smoothed(shares: Sequence[float]) -> list[float]:
    """Each hour with half of either neighbour; the week is a circle. The sum stays one."""
    return [
        (one + _NEIGHBOUR * (shares[hour - 1] + shares[(hour + 1) % HOURS_OF_WEEK])) / (1 + 2 * _NEIGHBOUR)
        for hour, one in enumerate(shares)
    ]


def best_moment(
    habits: Habits, *, zone: str, now: dt.datetime, until: dt.datetime, quiet: Sequence[QuietPeriod] = ()
) -> GoodMoment | None:
    """The best hour from ``now`` to ``until`` (UTC) that is not quiet; None when none is worth waiting for."""
    if not habits.is_known:
        return None
    best: GoodMoment | None = None
    for moment in _hours(zone, now, until):
        if any(period.end_if_inside(moment) for period in quiet):
            continue
        local = moment.astimezone(zone_of(zone))
        hour = local.weekday() * 24 + local.hour
        if best is None or habits.score(hour) > best.score * (WORTH if best.due_at == now else 1.0):
            best = GoodMoment(
                due_at=moment,
                weekday=local.weekday(),
                hour=local.hour,
                score=habits.score(hour),
                usual=habits.usual(hour),
                observations=habits.observations,
            )
    return best if best is not None and best.due_at > now else None


def _hours(zone: str, now: dt.datetime, until: dt.datetime) -> Iterator[dt.datetime]:
    """Now, and then each full hour of the local clock before ``until``."""
    yield now
    local = now.astimezone(zone_of(zone))
    past = dt.timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    moment = now - past + _HOUR
    while moment < until:
        yield moment
        moment += _HOUR


class _Moments(Moments):
    def __init__(
        self,
        histograms: Histograms,
        zones: Mapping[uuid.UUID, str],
        now: dt.datetime,
        until: dt.datetime,
    ) -> None:
        self._histograms = histograms
        self._zones = zones
        self._now = now
        self._until = until

    def of(self, user_id: uuid.UUID | None, *, quiet: Sequence[QuietPeriod] = ()) -> GoodMoment | None:
        if user_id is None:
            return None
        nothing = no_engagement()
        habits = Habits(self._histograms.get(user_id, nothing), self._histograms.get(None, nothing))
        zone = self._zones.get(user_id, "UTC")
        return best_moment(habits, zone=zone, now=self._now, until=self._until, quiet=quiet)


def moments_for(
    *,
    organization_id: uuid.UUID,
    catalog: Catalog,
    priority: int,
    user_ids: Sequence[uuid.UUID | None],
    zones: Mapping[uuid.UUID, str],
    now: dt.datetime,
    until: dt.datetime | None = None,
) -> Moments:
    """Good moments for these people, whose time zones are ``zones``, before ``until`` (when the message expires).

    No query unless the organization has smart send on and the priority is low.
    """
    people = [id_ for id_ in user_ids if id_ is not None]
    if catalog.smart_send is None or priority != Priority.LOW or not people:
        return NO_MOMENTS
    histograms = histograms_of(organization_id, people)
    return moments_from(histograms, catalog=catalog, priority=priority, zones=zones, now=now, until=until)


def histograms_of(organization_id: uuid.UUID, user_ids: Sequence[uuid.UUID]) -> Histograms:
    """What these people, and everybody (None), attended to in each hour of the week."""
    return {user_id: counts for user_id, counts, _ in sql.run(_HISTOGRAMS, (organization_id, list(user_ids)))}


def moments_from(
    histograms: Histograms,
    *,
    catalog: Catalog,
    priority: int,
    zones: Mapping[uuid.UUID, str],
    now: dt.datetime,
    until: dt.datetime | None = None,
) -> Moments:
    """The same from histograms in hand."""
    if catalog.smart_send is None or priority != Priority.LOW:
        return NO_MOMENTS
    ends = now + catalog.smart_send.max_wait
    return _Moments(histograms, zones, now, min(ends, until) if until else ends)
