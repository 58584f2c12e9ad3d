"""Routing: which channels a notification takes, when, and why. A pure function of facts.

The same function decides for a real send, for "would this person get it" and for a simulation. The order in
which it decides, first match wins:

1. no content or no address for the channel, or the address is suppressed: not sent
2. critical: sent now, whatever the person's preferences and quiet hours say
3. the person's switches, the most specific first (event type × channel, event type, category × channel,
   category, everything × channel, everything), then the organization's in the same order
4. a later time asked for by the caller, then quiet hours (never for the inbox)
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from notifications.services.policy_facts import CapFull, DigestChoice, GoodMoment
from notifications.vocabulary import Channel, Priority, Reason


class Action(enum.StrEnum):
    SEND = "send"
    DEFER = "defer"
    DIGEST = "digest"
    SUPPRESS = "suppress"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFacts:
    """What routing needs to know of the event type; channels in the order of the enumeration."""

    channels: tuple[str, ...]
    is_critical: bool = False
    quiet_hours_policy: str = "defer"
    is_digestible: bool = False
    requires_consent: bool = False
    priority: int = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class Switch:
    """One preference that concerns this event type. ``channel`` empty means all channels."""

    scope: str
    channel: str
    enabled: bool
    is_personal: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietPeriod:
    """Local times; ``days`` are those on which a period begins (Monday is 0)."""

    start: dt.time
    end: dt.time
    days: frozenset[int]
    zone: str

    def end_if_inside(self, moment: dt.datetime) -> dt.datetime | None:
        """When the period ends that contains ``moment`` (UTC), or None outside of any."""
        zone = _zone(self.zone)
        today = moment.astimezone(zone).date()
        for begin in (today - dt.timedelta(days=1), today):
            if begin.weekday() not in self.days:
                continue
            last_day = begin if self.end > self.start else begin + dt.timedelta(days=1)
            starts = dt.datetime.combine(begin, self.start, zone).astimezone(dt.UTC)
            ends = dt.datetime.combine(last_day, self.end, zone).astimezone(dt.UTC)
            if starts <= moment < ends:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonFacts:
    """What routing needs to know of one recipient.

    ``quiet_by_channel`` stands instead of ``quiet`` for the channels that it names (None: no quiet hours there).
    ``digest`` is how often mail of this event's category is wanted (None: at once), ``overflow`` the digest into
    which a full cap sends it (None: this event cannot be digested), ``full`` the caps that leave no room, by channel.
    """

    switches: tuple[Switch, ...] = ()
    quiet: QuietPeriod | None = None
    quiet_by_channel: Mapping[str, QuietPeriod | None] = field(default_factory=dict)
    zone: str = "UTC"
    digest: DigestChoice | None = None
    overflow: DigestChoice | None = None
    full: Mapping[str, CapFull] = field(default_factory=dict)
    moment: GoodMoment | None = None
    addresses: frozenset[str] = frozenset()
    suppressed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """One channel: what is done, why, and when it may go out (UTC)."""

    channel: str
    action: Action
    reason: Reason
    due_at: dt.datetime
    detail: Mapping[str, Any] = field(default_factory=dict)
    digest: DigestChoice | None = None


@functools.lru_cache(maxsize=1024)
def _zone(name: str) -> dt.tzinfo:
    """The time zone; UTC for one that this machine does not know, so that one person's typo stops no send."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return dt.UTC


_SPECIFICITY = {"event_type": 0, "category": 2, "global": 4}


def decide(
    *,
    event: EventFacts,
    person: PersonFacts,
    contents: frozenset[str],
    now: dt.datetime,
    requested: tuple[str, ...] | None = None,
    scheduled_for: dt.datetime | None = None,
    scheduled_local: dt.datetime | None = None,
) -> list[Decision]:
    """One decision per channel that is in question, in the order of ``Channel``.

    ``contents`` are the channels for which there is something to say; ``requested`` are the channels that the
    caller named (None: the event type's own, and those that the person turned on for it).
    """
    return [
        _decide_channel(channel, event, person, contents, now, requested, scheduled_for)
        for channel in _channels_in_question(event, person, requested)
    ]


def _channels_in_question(
    event: EventFacts, person: PersonFacts, requested: tuple[str, ...] | None
) -> Iterable[str]:
    if requested is not None:
        return requested
    chosen = {
        switch.channel
        for switch in person.switches
        if switch.scope == "event_type" and switch.enabled and switch.channel
    }
    if chosen <= set(event.channels):
        return event.channels
    return tuple(channel.value for channel in Channel if channel in chosen or channel in event.channels)


def _decide_channel(
    channel: str,
    event: EventFacts,
    person: PersonFacts,
    contents: frozenset[str],
    now: dt.datetime,
    requested: tuple[str, ...] | None,
    scheduled_for: dt.datetime | None,
) -> Decision:
    if channel not in contents:
        return Decision(channel, Action.SUPPRESS, Reason.NO_TEMPLATE, now)
    if channel not in person.addresses:
        return Decision(channel, Action.SUPPRESS, Reason.NO_ADDRESS, now)
    if channel in person.suppressed:
        return Decision(channel, Action.SUPPRESS, Reason.SUPPRESSION, now)
    later = scheduled_for if scheduled_for is not None and scheduled_for > now else None
    if event.is_critical:
        return _timed(channel, Reason.CRITICAL, now, later)
    switch = deciding_switch(person.switches, channel)
    if switch is not None and not switch.enabled:
        return Decision(channel, Action.SUPPRESS, Reason.PREFERENCE, now, _switch_detail(switch))
    reason = Reason.REQUESTED if requested is not None else Reason.DEFAULT
    if switch is not None and switch.is_personal:
        reason = Reason.PREFERRED
    return _after_quiet_hours(channel, event, person, reason, now, later)


def _after_quiet_hours(
    channel: str,
    event: EventFacts,
    person: PersonFacts,
    reason: Reason,
    now: dt.datetime,
    later: dt.datetime | None,
) -> Decision:
    if person.quiet is None or channel == Channel.IN_APP:
        return _timed(channel, reason, now, later)
    wanted = later or now
    free = person.quiet.next_free(wanted)
    if free == wanted:
        return _timed(channel, reason, now, later)
    detail = {"until": free.isoformat(), "zone": person.quiet.zone}
    if event.quiet_hours_policy == "drop":
        return Decision(channel, Action.SUPPRESS, Reason.QUIET_HOURS_DROP, now, detail)
    return Decision(channel, Action.DEFER, Reason.QUIET_HOURS, free, detail)


def _timed(channel: str, reason: Reason, now: dt.datetime, later: dt.datetime | None) -> Decision:
    if later is not None:
        return Decision(channel, Action.DEFER, Reason.SCHEDULED, later, {"until": later.isoformat()})
    return Decision(channel, Action.SEND, reason, now)


def deciding_switch(switches: Iterable[Switch], channel: str) -> Switch | None:
    """The switch that decides for ``channel``: personal before the organization's, then the most specific."""
    best: Switch | None = None
    best_rank = 99
    for switch in switches:
        if switch.channel not in ("", channel):
            continue
        rank = _SPECIFICITY[switch.scope] + (switch.channel == "") + (0 if switch.is_personal else 6)
        if rank < best_rank:
            best, best_rank = switch, rank
    return best


def _switch_detail(switch: Switch) -> dict[str, Any]:
    return {
        "scope": switch.scope,
        "channel": switch.channel or "*",
        "set_by": "person" if switch.is_personal else "organization",
    }
