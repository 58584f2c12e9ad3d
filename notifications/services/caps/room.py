"""How much room frequency caps leave a person: asked before routing decides, counted when what it decided is written.

Without caps, and for what is critical or exempt, there is nothing to ask and nothing to count.
"""

from __future__ import annotations

import datetime as dt
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import transaction

from notifications.models.caps import CapOverflow
from notifications.services.caps import counters
from notifications.services.policy_facts import CapFacts, CapFull
from notifications.vocabulary import Channel, DeliveryStatus

if TYPE_CHECKING:
    from notifications.services.catalog import Catalog, EventTypeFacts
    from notifications.services.planning import PlannedNotification


class Room(ABC):
    """What the caps leave the people of one call."""

    @abstractmethod
    def full(self, user_id: uuid.UUID | None) -> Mapping[str, CapFull]:
        """The channels on which the person may get nothing more now, and the cap that says so."""

    @abstractmethod
    def beyond(self, user_id: uuid.UUID | None, channels: Sequence[str]) -> Mapping[str, CapFull]:
        """Of ``channels``, on all of which something is to go out at once, those for which there is no room then."""

    @abstractmethod
    def take(self, user_id: uuid.UUID | None, channel: str) -> None:
        """Count one message that goes out now."""

    def count(self, planned: Sequence[PlannedNotification]) -> None:
        """Count what goes out now; call it once, after the rows were written, in the transaction of ``room_for``."""
        for one in planned:
            for delivery in one.deliveries:
                if delivery.status == DeliveryStatus.PENDING:
                    self.take(one.person.user_id, delivery.channel)


class _NoCaps(Room):
    def full(self, user_id: uuid.UUID | None) -> Mapping[str, CapFull]:
        return {}

    def beyond(self, user_id: uuid.UUID | None, channels: Sequence[str]) -> Mapping[str, CapFull]:
        return {}

    def take(self, user_id: uuid.UUID | None, channel: str) -> None:
        pass

    def count(self, planned: Sequence[PlannedNotification]) -> None:
        pass


NO_CAPS: Room = _NoCaps()
EXTERNAL = tuple(channel.value for channel in Channel if channel != Channel.IN_APP)
_STRICTNESS = {CapOverflow.DIGEST.value: 0, CapOverflow.DEFER.value: 1, CapOverflow.DROP.value: 2}


class _Room(Room):
    """The room under ``caps`` as ``kept`` counts; what is taken is counted here too."""

    def __init__(
        self, caps: Sequence[CapFacts], kept: Mapping[counters.Key, counters.Counter], now: dt.datetime
    ) -> None:
        self._caps = caps
        self._kept = kept
        self._now = now
        self.taken: Counter[tuple[uuid.UUID, str]] = Counter()

    def full(self, user_id: uuid.UUID | None) -> Mapping[str, CapFull]:
        if user_id is None:
            return {}
        found = {channel: self._fullest(user_id, channel, {}) for channel in EXTERNAL}
        return {channel: one for channel, one in found.items() if one is not None}

    def beyond(self, user_id: uuid.UUID | None, channels: Sequence[str]) -> Mapping[str, CapFull]:
        found: dict[str, CapFull] = {}
        going: dict[str, int] = {}
        for channel in channels if user_id is not None else ():
            if channel not in EXTERNAL or user_id is None:
                continue
            full = self._fullest(user_id, channel, going)
            if full is not None:
                found[channel] = full
            else:
                going[channel] = 1
        return found

    def take(self, user_id: uuid.UUID | None, channel: str) -> None:
        if user_id is not None and channel in EXTERNAL:
            self.taken[user_id, channel] += 1

    def _fullest(self, user_id: uuid.UUID, channel: str, going: Mapping[str, int]) -> CapFull | None:
        """Of the caps on ``channel`` that are full, the one that is so for the longest."""
        found = [
            CapFull(cap=cap, used=int(used), free_at=counter.free_at(cap.limit))
            for cap in self._caps
            if cap.channel in ("", channel)
            for counter in [self._counter(user_id, cap, going)]
            if (used := counter.used(self._now)) >= cap.limit
        ]
        return max(found, key=lambda one: (one.free_at, _STRICTNESS[one.cap.overflow]), default=None)

    def _counter(self, user_id: uuid.UUID, cap: CapFacts, going: Mapping[str, int]) -> counters.Counter:
        """What counts towards a cap, with what was taken here and what is going to be."""
        made = counters.Counter(cap.period, counters.beginning(cap.period, self._now))
        for channel in (cap.channel,) if cap.channel else EXTERNAL:
            taken = self.taken[user_id, channel] + going.get(channel, 0)
            made = made.plus(replace(made, count=taken))
            kept = self._kept.get((user_id, channel, cap.period))
            made = made.plus(kept) if kept is not None else made
        return made


@contextmanager
def room_for(
    *,
    organization_id: uuid.UUID,
    catalog: Catalog,
    event_type: EventTypeFacts,
    critical: bool,
    user_ids: Sequence[uuid.UUID | None],
    now: dt.datetime,
) -> Iterator[Room]:
    """The room of these people (None: bare addresses, which have no caps) for this event type.

    Where caps hold it is a transaction, in which the people's counters are locked in the order of their ids: whoever
    sends to the same people at the same time waits, and sees what was counted.
    """
    people = _held(catalog, event_type, critical, user_ids)
    if not people:
        yield NO_CAPS
        return
    with transaction.atomic():
        kept = counters.lock(organization_id, people, _kinds(catalog.caps), now=now)
        room = _Room(catalog.caps, kept, now)
        yield room
        counters.count(organization_id, room.taken, {cap.period for cap in catalog.caps})


def room_as_it_is(
    *,
    organization_id: uuid.UUID,
    catalog: Catalog,
    event_type: EventTypeFacts,
    critical: bool,
    user_ids: Sequence[uuid.UUID | None],
    now: dt.datetime,
) -> Room:
    """The same room, only to be looked at: nothing is locked, and nothing will be counted."""
    people = _held(catalog, event_type, critical, user_ids)
    if not people:
        return NO_CAPS
    return _Room(catalog.caps, counters.read(organization_id, people, now=now), now)


def room_as_counted(
    *,
    catalog: Catalog,
    event_type: EventTypeFacts,
    critical: bool,
    kept: Mapping[counters.Key, counters.Counter],
    now: dt.datetime,
) -> Room:
    """The room that counters in hand leave at ``now``: nothing is read, locked or counted anywhere else."""
    if not catalog.caps or critical or event_type.is_cap_exempt:
        return NO_CAPS
    return _Room(catalog.caps, {key: counter.moved_on(now) for key, counter in kept.items()}, now)


def _held(
    catalog: Catalog, event_type: EventTypeFacts, critical: bool, user_ids: Sequence[uuid.UUID | None]
) -> list[uuid.UUID]:
    """The people whom caps hold back from what is sent."""
    if not catalog.caps or critical or event_type.is_cap_exempt:
        return []
    return sorted({id_ for id_ in user_ids if id_ is not None})


def _kinds(caps: Sequence[CapFacts]) -> set[tuple[str, str]]:
    return {
        (channel, cap.period) for cap in caps for channel in ((cap.channel,) if cap.channel else EXTERNAL)
    }
