"""The truth table: which channels a notification takes, and why."""

from __future__ import annotations

import datetime as dt
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.services.routing import (
    Action,
    Decision,
    EventFacts,
    PersonFacts,
    QuietPeriod,
    Switch,
    decide,
    deciding_switch,
)
from notifications.vocabulary import Channel, Reason

NOON = dt.datetime(2026, 3, 4, 12, 0, tzinfo=dt.UTC)
ALL = frozenset(Channel.values)
NIGHT = QuietPeriod(start=dt.time(22), end=dt.time(8), days=frozenset(range(7)), zone="UTC")
LATE = NOON.replace(hour=23)


def one(channel: str = "email", *, event: dict[str, Any] | None = None, **given: Any) -> Decision:
    """The decision for one channel; what is not given stands in the way of nothing."""
    person = PersonFacts(
        switches=given.pop("switches", ()),
        quiet=given.pop("quiet", None),
        addresses=given.pop("addresses", ALL),
        suppressed=given.pop("suppressed", frozenset()),
    )
    facts = EventFacts(**{"channels": (channel,), **(event or {})})
    given = {"contents": ALL, "now": NOON, **given}
    [decision] = [d for d in decide(event=facts, person=person, **given) if d.channel == channel]
    return decision


OFF = Switch("global", "", False)
NOT_HERE = Switch("global", "", False, False)
CRITICAL = {"is_critical": True}
TABLE: list[tuple[str, dict[str, Any], Action, Reason]] = [
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
    ("quiet hours", {"quiet": NIGHT, "now": LATE}, Action.DEFER, Reason.QUIET_HOURS),
    ("quiet hours, critical", {"quiet": NIGHT, "now": LATE, "event": CRITICAL}, Action.SEND, Reason.CRITICAL),
    (
        "quiet hours, not waiting",
        {"quiet": NIGHT, "now": LATE, "event": {"quiet_hours_policy": "drop"}},
        Action.SUPPRESS,
        Reason.QUIET_HOURS_DROP,
    ),
    ("outside of quiet hours", {"quiet": NIGHT}, Action.SEND, Reason.DEFAULT),
    ("scheduled", {"scheduled_for": LATE}, Action.DEFER, Reason.SCHEDULED),
    ("scheduled, critical", {"scheduled_for": LATE, "event": CRITICAL}, Action.DEFER, Reason.SCHEDULED),
    ("scheduled into quiet hours", {"scheduled_for": LATE, "quiet": NIGHT}, Action.DEFER, Reason.QUIET_HOURS),
    ("scheduled for the past", {"scheduled_for": NOON - dt.timedelta(1)}, Action.SEND, Reason.DEFAULT),
    ("off and quiet", {"switches": (OFF,), "quiet": NIGHT, "now": LATE}, Action.SUPPRESS, Reason.PREFERENCE),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "action", "reason"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_truth_table(facts: dict[str, Any], action: Action, reason: Reason) -> None:
    decision = one(**facts)
    assert (decision.action, decision.reason) == (action, reason)


def test_the_inbox_has_no_quiet_hours() -> None:
    decision = one("in_app", quiet=NIGHT, now=LATE)
    assert (decision.action, decision.due_at) == (Action.SEND, LATE)


def test_quiet_hours_hold_back_until_they_end() -> None:
    decision = one(quiet=NIGHT, now=LATE)
    assert decision.due_at == dt.datetime(2026, 3, 5, 8, 0, tzinfo=dt.UTC)
    assert decision.detail["until"] == decision.due_at.isoformat()


def test_a_scheduled_send_goes_at_its_time() -> None:
    assert one(scheduled_for=LATE).due_at == LATE


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


switches = st.lists(
    st.builds(
        Switch,
        st.sampled_from(["global", "category", "event_type"]),
        st.sampled_from(["", *Channel.values]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=8,
    unique_by=lambda s: (s.scope, s.channel, s.is_personal),
)
channel_sets = st.frozensets(st.sampled_from(Channel.values))
quiet_periods = st.none() | st.builds(
    QuietPeriod,
    start=st.times(),
    end=st.times(),
    days=st.frozensets(st.integers(0, 6)),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Not/AZone"]),
)
moments = st.datetimes(dt.datetime(2025, 1, 1), dt.datetime(2027, 1, 1), timezones=st.just(dt.UTC))


@given(
    event=st.builds(
        EventFacts,
        channels=channel_sets.map(lambda found: tuple(c for c in Channel.values if c in found)),
        is_critical=st.booleans(),
        quiet_hours_policy=st.sampled_from(["defer", "drop"]),
    ),
    person=st.builds(
        PersonFacts,
        switches=switches.map(tuple),
        quiet=quiet_periods,
        addresses=channel_sets,
        suppressed=channel_sets,
    ),
    contents=channel_sets,
    now=moments,
    requested=st.none() | channel_sets.map(tuple),
    scheduled_for=st.none() | moments,
)
def test_whatever_the_facts_the_rules_hold(
    event: EventFacts,
    person: PersonFacts,
    contents: frozenset[str],
    now: dt.datetime,
    requested: tuple[str, ...] | None,
    scheduled_for: dt.datetime | None,
) -> None:
    decisions = decide(
        event=event,
        person=person,
        contents=contents,
        now=now,
        requested=requested,
        scheduled_for=scheduled_for,
    )
    assert len({d.channel for d in decisions}) == len(decisions)
    assert {d.channel for d in decisions} >= set(requested if requested is not None else event.channels)
    for decision in decisions:
        assert isinstance(decision.reason, Reason)
        assert decision.due_at >= now
        assert decision.due_at.utcoffset() == dt.timedelta(0)
        reachable = (
            decision.channel in contents
            and decision.channel in person.addresses
            and decision.channel not in person.suppressed
        )
        if not reachable:
            assert decision.action == Action.SUPPRESS
            continue
        switch = deciding_switch(person.switches, decision.channel)
        if event.is_critical:
            assert decision.action != Action.SUPPRESS
            later = scheduled_for is not None and scheduled_for > now
            assert decision.action == (Action.DEFER if later else Action.SEND)
        elif switch is not None and not switch.enabled:
            assert (decision.action, decision.reason) == (Action.SUPPRESS, Reason.PREFERENCE)
        elif decision.action == Action.SUPPRESS:
            assert decision.reason == Reason.QUIET_HOURS_DROP
            assert event.quiet_hours_policy == "drop"
        elif (
            decision.channel != Channel.IN_APP
            and person.quiet is not None
            and decision.action == Action.DEFER
        ):
            assert (
                person.quiet.end_if_inside(decision.due_at) is None or person.quiet.start == person.quiet.end
            )
