"""Whatever the facts, routing answers as the rules do when each is worked out on its own."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.services.local_times import QuietPeriod
from notifications.services.policy_facts import CapFacts, CapFull, DigestChoice, GoodMoment
from notifications.services.routing import Action, EventFacts, PersonFacts, Switch, decide
from notifications.vocabulary import Channel, Priority, Reason

from .routing_oracle import UNKNOWN, answer

EXTERNAL = ["email", "sms", "push"]
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
# The last weeks of March and October are over-represented: that is when clocks jump.
days = st.one_of(st.integers(0, 364), st.integers(65, 90), st.integers(295, 310))
quarters = st.builds(lambda day, n: START + dt.timedelta(days=day, minutes=15 * n), days, st.integers(0, 95))
times = st.builds(lambda n: dt.time(n // 4, n % 4 * 15), st.integers(0, 95))
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", UNKNOWN])
channel_sets = st.frozensets(st.sampled_from(Channel.values))
mostly_all = st.one_of(st.just(frozenset(Channel.values)), channel_sets)
periods = st.builds(
    QuietPeriod, start=times, end=times, days=st.frozensets(st.integers(0, 6), min_size=3), zone=zones
)
choices = st.builds(
    DigestChoice,
    category_id=st.none(),
    frequency=st.sampled_from(["hourly", "daily", "weekly"]),
    at=times,
    weekday=st.integers(0, 6),
)
caps = st.builds(
    CapFull,
    cap=st.builds(
        CapFacts,
        channel=st.just(""),
        period=st.sampled_from(["hour", "day"]),
        limit=st.just(3),
        overflow=st.sampled_from(["digest", "defer", "drop"]),
    ),
    used=st.just(3),
    free_at=quarters,
)
good_moments = st.builds(
    GoodMoment,
    due_at=quarters,
    weekday=st.just(0),
    hour=st.just(0),
    score=st.just(0.5),
    usual=st.just(0.1),
    observations=st.just(9),
)
switches = st.lists(
    st.builds(
        Switch,
        st.sampled_from(["global", "category", "event_type"]),
        st.sampled_from(["", *Channel.values]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=4,
    unique_by=lambda s: (s.scope, s.channel, s.is_personal),
)
some_events = st.builds(
    EventFacts,
    channels=mostly_all.map(lambda found: tuple(c for c in Channel.values if c in found)),
    is_critical=st.sampled_from([False, False, False, True]),
    quiet_hours_policy=st.sampled_from(["defer", "drop"]),
    is_digestible=st.booleans(),
    requires_consent=st.sampled_from([False, False, True]),
    priority=st.sampled_from(Priority.values),
)
some_people = st.builds(
    PersonFacts,
    switches=switches.map(tuple),
    quiet=st.none() | periods,
    quiet_by_channel=st.dictionaries(st.sampled_from(EXTERNAL), st.none() | periods, max_size=2),
    zone=zones,
    digest=st.none() | choices,
    overflow=st.none() | choices,
    full=st.dictionaries(st.sampled_from(Channel.values), caps, max_size=2),
    moment=st.none() | good_moments,
    addresses=mostly_all,
    suppressed=st.just(frozenset()) | channel_sets,
)
some_calls = st.fixed_dictionaries(
    {
        "contents": mostly_all,
        "now": quarters,
        "requested": st.none() | channel_sets.map(tuple),
        "scheduled_for": st.none() | quarters,
        "scheduled_local": st.one_of(
            st.none(), st.none(), quarters.map(lambda moment: moment.replace(tzinfo=None))
        ),
    }
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(event=some_events, person=some_people, call=some_calls)
def test_routing_answers_as_the_rules_one_by_one(
    event: EventFacts, person: PersonFacts, call: dict[str, Any]
) -> None:
    decisions = decide(event=event, person=person, **call)
    told = {one.channel: (one.action.value, one.reason.value, one.due_at) for one in decisions}
    assert told == {channel: answer(channel, event, person, call) for channel in told}
    # One decision for each channel in question, and none for others but those that the person turned on.
    asked = set(event.channels if call["requested"] is None else call["requested"])
    assert len(decisions) == len(told)
    assert asked <= set(told)
    for one in decisions:
        assert isinstance(one.reason, Reason)
        assert one.due_at >= call["now"]
        assert one.due_at.utcoffset() == dt.timedelta(0)
        assert (one.digest is not None) == (one.action == Action.DIGEST)
        if event.is_critical and one.action == Action.SUPPRESS:
            assert one.reason in (Reason.NO_TEMPLATE, Reason.NO_ADDRESS, Reason.SUPPRESSION)
        if one.channel == Channel.IN_APP:
            assert one.action != Action.DIGEST
            assert one.reason not in (Reason.QUIET_HOURS, Reason.CAP_WAIT, Reason.CAP_DROP, Reason.SMART_TIME)
