"""Routing: which channels a notification takes, when, and why. A pure function of facts.

The same function decides for a real send, for "would this person get it" and for a simulation. The order in
which it decides, first match wins:

1. no content or no address for the channel, or the address is suppressed: not sent
2. critical: sent (at the time asked for), whatever the person's preferences, quiet hours and caps say
3. the person's switches, the most specific first (event type × channel, event type, category × channel,
   category, everything × channel, everything), then the organization's in the same order; then consent, where the
   category needs it: the person's own yes to the category or the event type

For the inbox only a later time asked for follows, for the other channels:

4. a later time asked for by the caller, moved to the end of quiet hours; the rest is for what would go out now
5. the person's digest (e-mail that may go into one and is not urgent)
6. quiet hours of the channel
7. a cap that is full: into the digest, later, or not at all
8. a better moment for what has low priority
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from notifications.models.caps import CapOverflow
from notifications.services.digests.schedule import cadence_of, closes_at
from notifications.services.local_times import QuietPeriod, moment_of
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


_SPECIFICITY = {"event_type": 0, "category": 2, "global": 4}


@dataclass(frozen=True, slots=True)
class _Question:
    """What is the same for all channels. ``later`` is when the caller wants it, if that is still to come."""

    event: EventFacts
    person: PersonFacts
    contents: frozenset[str]
    now: dt.datetime
    requested: tuple[str, ...] | None
    later: dt.datetime | None
    local: dt.datetime | None


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
    caller named (None: the event type's own, and those that the person turned on for it). ``scheduled_for`` is aware;
    ``scheduled_local`` is naive, a time in the person's zone, and stands instead of it. What has passed goes at once.
    """
    wanted = moment_of(scheduled_local, person.zone) if scheduled_local is not None else scheduled_for
    later = wanted if wanted is not None and wanted > now else None
    question = _Question(event, person, contents, now, requested, later, scheduled_local)
    return [_decide(channel, question) for channel in _channels_in_question(event, person, requested)]


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


def _decide(channel: str, asked: _Question) -> Decision:
    person, now = asked.person, asked.now
    if channel not in asked.contents:
        return Decision(channel, Action.SUPPRESS, Reason.NO_TEMPLATE, now)
    if channel not in person.addresses:
        return Decision(channel, Action.SUPPRESS, Reason.NO_ADDRESS, now)
    if channel in person.suppressed:
        return Decision(channel, Action.SUPPRESS, Reason.SUPPRESSION, now)
    if asked.event.is_critical:
        return _scheduled(channel, asked) or Decision(channel, Action.SEND, Reason.CRITICAL, now)
    switch = deciding_switch(person.switches, channel)
    if switch is not None and not switch.enabled:
        return Decision(channel, Action.SUPPRESS, Reason.PREFERENCE, now, _switch_detail(switch))
    if channel == Channel.IN_APP:
        # Nothing rings in the inbox: none of what follows but a later time concerns it.
        return _scheduled(channel, asked) or _send(channel, asked, switch)
    if asked.event.requires_consent and not _is_consent(switch):
        return Decision(channel, Action.SUPPRESS, Reason.NO_CONSENT, now)
    return _held_back(channel, asked) or _send(channel, asked, switch)


def _held_back(channel: str, asked: _Question) -> Decision | None:
    """Why it does not go out now; what would go out later is weighed again when its time has come."""
    if asked.later is not None:
        return _quiet(channel, asked) or _scheduled(channel, asked)
    return (
        _digested(channel, asked)
        or _quiet(channel, asked)
        or _capped(channel, asked)
        or _at_a_good_moment(channel, asked)
    )


def _send(channel: str, asked: _Question, switch: Switch | None) -> Decision:
    reason = Reason.REQUESTED if asked.requested is not None else Reason.DEFAULT
    if switch is not None and switch.is_personal:
        reason = Reason.PREFERRED
    return Decision(channel, Action.SEND, reason, asked.now)


def _is_consent(switch: Switch | None) -> bool:
    """Whether a switch that is on says yes to this very kind of news, and was set by the person."""
    return switch is not None and switch.is_personal and switch.scope != "global"


def _scheduled(channel: str, asked: _Question) -> Decision | None:
    if asked.later is None:
        return None
    reason = Reason.SCHEDULED if asked.local is None else Reason.LOCAL_TIME
    return Decision(channel, Action.DEFER, reason, asked.later, _until(asked.later, asked))


def _until(moment: dt.datetime, asked: _Question) -> dict[str, Any]:
    if asked.local is None:
        return {"until": moment.isoformat()}
    local = asked.local.isoformat(timespec="minutes")
    return {"until": moment.isoformat(), "zone": asked.person.zone, "local": local}


def _digested(channel: str, asked: _Question) -> Decision | None:
    choice = asked.person.digest
    if choice is None or channel != Channel.EMAIL or not _may_wait_for_a_digest(asked.event):
        return None
    return _into_digest(channel, asked, choice, Reason.DIGEST, {})


def _may_wait_for_a_digest(event: EventFacts) -> bool:
    return event.is_digestible and event.priority != Priority.URGENT


def _into_digest(
    channel: str, asked: _Question, choice: DigestChoice, reason: Reason, detail: Mapping[str, Any]
) -> Decision:
    zone = asked.person.zone
    closes = closes_at(choice, zone, asked.now)
    detail = {**detail, "cadence": cadence_of(choice), "until": closes.isoformat(), "zone": zone}
    return Decision(channel, Action.DIGEST, reason, closes, detail, choice)


def _quiet(channel: str, asked: _Question) -> Decision | None:
    person = asked.person
    period = person.quiet_by_channel.get(channel, person.quiet)
    wanted = asked.later or asked.now
    free = period.next_free(wanted) if period is not None else wanted
    if period is None or free == wanted:
        return None
    detail = {**_until(free, asked), "zone": period.zone}
    if asked.event.quiet_hours_policy == "drop":
        return Decision(channel, Action.SUPPRESS, Reason.QUIET_HOURS_DROP, asked.now, detail)
    return Decision(channel, Action.DEFER, Reason.QUIET_HOURS, free, detail)


def _capped(channel: str, asked: _Question) -> Decision | None:
    full = asked.person.full.get(channel)
    if full is None:
        return None
    cap = full.cap
    detail = {"used": full.used, "limit": cap.limit, "period": cap.period, "counts": cap.channel or "*"}
    if cap.overflow == CapOverflow.DROP:
        return Decision(channel, Action.SUPPRESS, Reason.CAP_DROP, asked.now, detail)
    overflow = asked.person.overflow
    if cap.overflow == CapOverflow.DIGEST and overflow is not None and _may_wait_for_a_digest(asked.event):
        return _into_digest(channel, asked, overflow, Reason.CAP, detail)
    free = max(full.free_at, asked.now)
    return Decision(channel, Action.DEFER, Reason.CAP_WAIT, free, {**detail, "until": free.isoformat()})


def _at_a_good_moment(channel: str, asked: _Question) -> Decision | None:
    moment = asked.person.moment
    if moment is None or asked.event.priority != Priority.LOW or moment.due_at <= asked.now:
        return None
    detail = {
        "until": moment.due_at.isoformat(),
        "zone": asked.person.zone,
        "weekday": moment.weekday,
        "hour": moment.hour,
        "score": moment.score,
        "usual": moment.usual,
        "observations": moment.observations,
    }
    return Decision(channel, Action.DEFER, Reason.SMART_TIME, moment.due_at, detail)


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
