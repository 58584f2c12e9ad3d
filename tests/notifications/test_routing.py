"""The truth table: which channels a notification takes, and why."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields
from itertools import product
from typing import Any

import pytest

from notifications.services.local_times import QuietPeriod
from notifications.services.policy_facts import CapFacts, CapFull, DigestChoice, GoodMoment
from notifications.services.routing import (
    Action,
    Decision,
    EventFacts,
    PersonFacts,
    Switch,
    decide,
    deciding_switch,
)
from notifications.vocabulary import Channel, Priority, Reason

NOON = dt.datetime(2026, 3, 4, 12, 0, tzinfo=dt.UTC)
ALL = frozenset(Channel.values)
NIGHT = QuietPeriod(start=dt.time(22), end=dt.time(8), days=frozenset(range(7)), zone="UTC")
EVENING = QuietPeriod(start=dt.time(17), end=dt.time(20), days=frozenset(range(7)), zone="UTC")
LATE = NOON.replace(hour=23)
SIX = dt.datetime(2026, 3, 4, 18, 0)


def one(channel: str = "email", *, event: dict[str, Any] | None = None, **given: Any) -> Decision:
    """The decision for one channel; what is not given stands in the way of nothing."""
    known = {field.name: given.pop(field.name) for field in fields(PersonFacts) if field.name in given}
    person = PersonFacts(**{"addresses": ALL, **known})
    facts = EventFacts(**{"channels": (channel,), **(event or {})})
    given = {"contents": ALL, "now": NOON, **given}
    [decision] = [d for d in decide(event=facts, person=person, **given) if d.channel == channel]
    return decision


OFF = Switch("global", "", False)
ON = Switch("category", "email", True)
NOT_HERE = Switch("global", "", False, False)
CRITICAL = {"is_critical": True}
DIGESTIBLE = {"is_digestible": True}
URGENT = {"is_digestible": True, "priority": Priority.URGENT}
CONSENT = {"requires_consent": True}
LOW = {"priority": Priority.LOW}
DAILY = DigestChoice(category_id=None, frequency="daily")
BETTER = GoodMoment(due_at=LATE, weekday=2, hour=23, score=0.2, usual=0.05, observations=40)


def full(overflow: str) -> dict[str, CapFull]:
    """A cap on e-mail that was reached, with room again in the evening."""
    cap = CapFacts(channel="email", period="day", limit=3, overflow=overflow)
    return {"email": CapFull(cap=cap, used=3, free_at=LATE)}


Row = tuple[str, dict[str, Any], Action, Reason]
TABLE: list[Row] = [
    ("nothing in the way", {}, Action.SEND, Reason.DEFAULT),
    ("asked for by the caller", {"requested": ("email",)}, Action.SEND, Reason.REQUESTED),
    ("turned on", {"switches": (Switch("global", "", True),)}, Action.SEND, Reason.PREFERRED),
    ("turned off", {"switches": (OFF,)}, Action.SUPPRESS, Reason.PREFERENCE),
    ("turned off, asked for", {"switches": (OFF,), "requested": ("email",)}, Action.SUPPRESS, Reason.PREFERENCE),
    ("turned off, critical", {"switches": (OFF,), "event": CRITICAL}, Action.SEND, Reason.CRITICAL),
    ("on by the organization", {"switches": (Switch("global", "", True, False),)}, Action.SEND, Reason.DEFAULT),
    ("off by the organization", {"switches": (NOT_HERE,)}, Action.SUPPRESS, Reason.PREFERENCE),
    (
        "off by the organization, on by the person",
        {"switches": (Switch("event_type", "email", False, False), Switch("global", "", True))},
        Action.SEND,
        Reason.PREFERRED,
    ),
    ("no content", {"contents": frozenset({"sms"})}, Action.SUPPRESS, Reason.NO_TEMPLATE),
    ("no content, critical", {"contents": frozenset(), "event": CRITICAL}, Action.SUPPRESS, Reason.NO_TEMPLATE),
    ("no address", {"addresses": frozenset()}, Action.SUPPRESS, Reason.NO_ADDRESS),
    ("no address, critical", {"addresses": frozenset(), "event": CRITICAL}, Action.SUPPRESS, Reason.NO_ADDRESS),
    ("suppressed", {"suppressed": frozenset({"email"})}, Action.SUPPRESS, Reason.SUPPRESSION),
    ("suppressed, critical", {"suppressed": ALL, "event": CRITICAL}, Action.SUPPRESS, Reason.SUPPRESSION),
    ("suppressed elsewhere", {"suppressed": frozenset({"sms"})}, Action.SEND, Reason.DEFAULT),
    ("needs consent, none given", {"event": CONSENT}, Action.SUPPRESS, Reason.NO_CONSENT),
    ("needs consent, asked for", {"event": CONSENT, "requested": ("email",)}, Action.SUPPRESS, Reason.NO_CONSENT),
    ("needs consent, category turned on", {"event": CONSENT, "switches": (ON,)}, Action.SEND, Reason.PREFERRED),
    (
        "needs consent, event type turned on",
        {"event": CONSENT, "switches": (Switch("event_type", "", True),)},
        Action.SEND,
        Reason.PREFERRED,
    ),
    (
        "needs consent, everything turned on",
        {"event": CONSENT, "switches": (Switch("global", "", True),)},
        Action.SUPPRESS,
        Reason.NO_CONSENT,
    ),
    (
        "needs consent, on by the organization",
        {"event": CONSENT, "switches": (Switch("category", "email", True, False),)},
        Action.SUPPRESS,
        Reason.NO_CONSENT,
    ),
    ("needs consent, turned off", {"event": CONSENT, "switches": (OFF,)}, Action.SUPPRESS, Reason.PREFERENCE),
    ("needs consent, critical", {"event": CONSENT | CRITICAL}, Action.SEND, Reason.CRITICAL),
    ("needs consent, in the inbox", {"channel": "in_app", "event": CONSENT}, Action.SEND, Reason.DEFAULT),
    ("scheduled", {"scheduled_for": LATE}, Action.DEFER, Reason.SCHEDULED),
    ("scheduled, critical", {"scheduled_for": LATE, "event": CRITICAL}, Action.DEFER, Reason.SCHEDULED),
    ("scheduled into quiet hours", {"scheduled_for": LATE, "quiet": NIGHT}, Action.DEFER, Reason.QUIET_HOURS),
    ("scheduled for the past", {"scheduled_for": NOON - dt.timedelta(1)}, Action.SEND, Reason.DEFAULT),
    (
        "scheduled, digest",
        {"scheduled_for": LATE, "event": DIGESTIBLE, "digest": DAILY},
        Action.DEFER,
        Reason.SCHEDULED,
    ),
    ("at 18:00 where the person is", {"scheduled_local": SIX}, Action.DEFER, Reason.LOCAL_TIME),
    ("at 18:00, where it is later", {"scheduled_local": SIX, "zone": "Asia/Tokyo"}, Action.SEND, Reason.DEFAULT),
    ("at 18:00, critical", {"scheduled_local": SIX, "event": CRITICAL}, Action.DEFER, Reason.LOCAL_TIME),
    ("at 18:00, in quiet hours", {"scheduled_local": SIX, "quiet": EVENING}, Action.DEFER, Reason.QUIET_HOURS),
    ("digest", {"digest": DAILY, "event": DIGESTIBLE}, Action.DIGEST, Reason.DIGEST),
    (
        "digest, asked for",
        {"digest": DAILY, "event": DIGESTIBLE, "requested": ("email",)},
        Action.DIGEST,
        Reason.DIGEST,
    ),
    ("digest, not digestible", {"digest": DAILY}, Action.SEND, Reason.DEFAULT),
    ("digest, urgent", {"digest": DAILY, "event": URGENT}, Action.SEND, Reason.DEFAULT),
    ("digest, critical", {"digest": DAILY, "event": DIGESTIBLE | CRITICAL}, Action.SEND, Reason.CRITICAL),
    (
        "digest, turned off",
        {"digest": DAILY, "event": DIGESTIBLE, "switches": (OFF,)},
        Action.SUPPRESS,
        Reason.PREFERENCE,
    ),
    ("digest, by push", {"channel": "push", "digest": DAILY, "event": DIGESTIBLE}, Action.SEND, Reason.DEFAULT),
    (
        "digest, quiet hours",
        {"digest": DAILY, "event": DIGESTIBLE, "quiet": NIGHT, "now": LATE},
        Action.DIGEST,
        Reason.DIGEST,
    ),
    ("quiet hours", {"quiet": NIGHT, "now": LATE}, Action.DEFER, Reason.QUIET_HOURS),
    ("quiet hours, critical", {"quiet": NIGHT, "now": LATE, "event": CRITICAL}, Action.SEND, Reason.CRITICAL),
    (
        "quiet hours, not waiting",
        {"quiet": NIGHT, "now": LATE, "event": {"quiet_hours_policy": "drop"}},
        Action.SUPPRESS,
        Reason.QUIET_HOURS_DROP,
    ),
    ("outside of quiet hours", {"quiet": NIGHT}, Action.SEND, Reason.DEFAULT),
    ("quiet hours, in the inbox", {"channel": "in_app", "quiet": NIGHT, "now": LATE}, Action.SEND, Reason.DEFAULT),
    (
        "none on this channel",
        {"quiet": NIGHT, "quiet_by_channel": {"email": None}, "now": LATE},
        Action.SEND,
        Reason.DEFAULT,
    ),
    ("others on this channel", {"quiet_by_channel": {"email": NIGHT}, "now": LATE}, Action.DEFER, Reason.QUIET_HOURS),
    ("on another channel", {"quiet_by_channel": {"push": NIGHT}, "now": LATE}, Action.SEND, Reason.DEFAULT),
    ("off and quiet", {"switches": (OFF,), "quiet": NIGHT, "now": LATE}, Action.SUPPRESS, Reason.PREFERENCE),
    (
        "cap full, into the digest",
        {"full": full("digest"), "overflow": DAILY, "event": DIGESTIBLE},
        Action.DIGEST,
        Reason.CAP,
    ),
    ("cap full, not digestible", {"full": full("digest")}, Action.DEFER, Reason.CAP_WAIT),
    ("cap full, urgent", {"full": full("digest"), "overflow": DAILY, "event": URGENT}, Action.DEFER, Reason.CAP_WAIT),
    (
        "cap full, waiting",
        {"full": full("defer"), "overflow": DAILY, "event": DIGESTIBLE},
        Action.DEFER,
        Reason.CAP_WAIT,
    ),
    (
        "cap full, not sent",
        {"full": full("drop"), "overflow": DAILY, "event": DIGESTIBLE},
        Action.SUPPRESS,
        Reason.CAP_DROP,
    ),
    ("cap full, critical", {"full": full("drop"), "event": CRITICAL}, Action.SEND, Reason.CRITICAL),
    ("cap full, scheduled", {"full": full("drop"), "scheduled_for": LATE}, Action.DEFER, Reason.SCHEDULED),
    ("cap full, quiet hours", {"full": full("drop"), "quiet": NIGHT, "now": LATE}, Action.DEFER, Reason.QUIET_HOURS),
    ("a better hour", {"moment": BETTER, "event": LOW}, Action.DEFER, Reason.SMART_TIME),
    ("a better hour, normal priority", {"moment": BETTER}, Action.SEND, Reason.DEFAULT),
    ("a better hour, critical", {"moment": BETTER, "event": LOW | CRITICAL}, Action.SEND, Reason.CRITICAL),
    ("a better hour, in the inbox", {"channel": "in_app", "moment": BETTER, "event": LOW}, Action.SEND, Reason.DEFAULT),
    (
        "a better hour, cap full",
        {"moment": BETTER, "event": LOW, "full": full("drop")},
        Action.SUPPRESS,
        Reason.CAP_DROP,
    ),
    ("the better hour is now", {"moment": BETTER, "event": LOW, "now": LATE}, Action.SEND, Reason.DEFAULT),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "action", "reason"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_truth_table(facts: dict[str, Any], action: Action, reason: Reason) -> None:
    decision = one(**facts)
    assert (decision.action, decision.reason) == (action, reason)


def test_quiet_hours_hold_back_until_they_end() -> None:
    decision = one(quiet=NIGHT, now=LATE)
    assert decision.due_at == dt.datetime(2026, 3, 5, 8, 0, tzinfo=dt.UTC)
    assert decision.detail["until"] == decision.due_at.isoformat()


def test_a_scheduled_send_goes_at_its_time() -> None:
    assert one(scheduled_for=LATE).due_at == LATE


def test_a_local_time_is_the_persons_own() -> None:
    decision = one(scheduled_local=SIX, zone="America/New_York")
    assert decision.due_at == dt.datetime(2026, 3, 4, 23, 0, tzinfo=dt.UTC)
    assert decision.detail == {
        "until": decision.due_at.isoformat(),
        "zone": "America/New_York",
        "local": "2026-03-04T18:00",
    }


def test_a_digest_says_when_it_closes_and_which_one_it_is() -> None:
    decision = one(digest=DAILY, event=DIGESTIBLE, zone="Asia/Tokyo")
    assert decision.due_at == dt.datetime(2026, 3, 5, 0, 0, tzinfo=dt.UTC)  # 09:00 in Tokyo
    assert decision.digest == DAILY
    assert decision.detail["cadence"] == "daily@09:00"


def test_a_full_cap_says_how_full_and_until_when() -> None:
    waiting = one(full=full("defer"))
    assert waiting.due_at == LATE
    assert waiting.detail["used"] == waiting.detail["limit"] == 3
    assert (waiting.detail["period"], waiting.detail["until"]) == ("day", LATE.isoformat())
    collected = one(full=full("digest"), overflow=DAILY, event=DIGESTIBLE)
    assert collected.digest == DAILY
    assert collected.detail["cadence"] == "daily@09:00"


def test_a_better_hour_says_why() -> None:
    decision = one(moment=BETTER, event=LOW)
    assert decision.due_at == LATE
    told = {name: decision.detail[name] for name in ("weekday", "hour", "score", "usual", "observations")}
    assert told == {"weekday": 2, "hour": 23, "score": 0.2, "usual": 0.05, "observations": 40}


def test_a_person_can_turn_on_a_channel_that_the_event_type_does_not_use() -> None:
    person = PersonFacts(switches=(Switch("event_type", "sms", True),), addresses=ALL)
    decisions = decide(event=EventFacts(channels=("in_app", "email")), person=person, contents=ALL, now=NOON)
    assert [(d.channel, d.reason) for d in decisions] == [
        ("in_app", Reason.DEFAULT),
        ("email", Reason.DEFAULT),
        ("sms", Reason.PREFERRED),
    ]


def test_a_general_switch_turns_on_no_further_channel() -> None:
    """Who wants everything by SMS still gets by SMS only what is sent by SMS."""
    person = PersonFacts(
        switches=(Switch("global", "sms", True), Switch("category", "sms", True)), addresses=ALL
    )
    decisions = decide(event=EventFacts(channels=("email",)), person=person, contents=ALL, now=NOON)
    assert [d.channel for d in decisions] == ["email"]


def test_the_callers_channels_are_the_only_ones() -> None:
    person = PersonFacts(switches=(Switch("event_type", "sms", True),), addresses=ALL)
    event = EventFacts(channels=("in_app", "email"))
    decisions = decide(event=event, person=person, contents=ALL, now=NOON, requested=("push",))
    assert [d.channel for d in decisions] == ["push"]


# From the most to the least specific: the person's own, then the organization's.
ORDER = [
    (scope, channel, personal)
    for personal in (True, False)
    for scope, channel in product(("event_type", "category", "global"), ("email", ""))
]


@pytest.mark.parametrize("position", range(len(ORDER)))
def test_the_most_specific_switch_decides(position: int) -> None:
    scope, channel, personal = ORDER[position]
    deciding = Switch(scope, channel, False, personal)
    others = [Switch(s, c, True, p) for s, c, p in ORDER[position + 1 :]]
    assert deciding_switch([*others, deciding], "email") == deciding
    assert deciding_switch([deciding, *others], "email") == deciding
