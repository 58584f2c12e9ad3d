"""Counters: what counts at a moment, and when there is room again."""

from __future__ import annotations

import datetime as dt
from collections import Counter as Tally

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.services.caps.counters import LENGTHS, Counter, beginning

NOON = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("counter", "minutes", "used"),
    [
        (Counter("hour", NOON, 2, 0), 30, 2.0),
        (Counter("hour", NOON, 1, 4), 30, 3.0),  # half of the hour before is still within the last hour
        (Counter("hour", NOON, 0, 4), 45, 1.0),
        (Counter("hour", NOON, 0, 4), 60, 0.0),
        (Counter("day", NOON.replace(hour=0), 1, 4), 0, 3.0),
    ],
)
def test_what_counts_slides(counter: Counter, minutes: int, used: float) -> None:
    assert counter.used(NOON + dt.timedelta(minutes=minutes)) == pytest.approx(used)


@pytest.mark.parametrize(
    ("moment", "period", "expected"),
    [
        (NOON + dt.timedelta(minutes=59), "hour", (5, 2)),
        (NOON + dt.timedelta(minutes=60), "hour", (0, 5)),
        (NOON + dt.timedelta(minutes=120), "hour", (0, 0)),  # an hour in which nothing came lies between
        (NOON - dt.timedelta(minutes=1), "hour", (5, 2)),  # somebody's clock is behind
    ],
)
def test_periods_follow_each_other(moment: dt.datetime, period: str, expected: tuple[int, int]) -> None:
    made = Counter(period, NOON, 5, 2).moved_on(moment)
    assert (made.count, made.previous) == expected


periods = st.sampled_from(["hour", "day"])


@settings(max_examples=150, deadline=None)
@given(periods, st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(0, 86_399))
def test_there_is_room_when_it_was_said_and_not_long_before(
    period: str, count: int, previous: int, limit: int, second: int
) -> None:
    now = NOON.replace(hour=0) + dt.timedelta(seconds=second)
    counter = Counter(period, beginning(period, now), count, previous)
    free_at = counter.free_at(limit)
    assert counter.moved_on(free_at).used(free_at) < limit
    if counter.used(now) >= limit:
        assert free_at > now
        before = max(free_at - dt.timedelta(seconds=3), now)
        assert counter.moved_on(before).used(before) >= limit


@settings(max_examples=100, deadline=None)
@given(periods, st.integers(1, 5), st.lists(st.integers(0, 40_000), min_size=1, max_size=60))
def test_no_period_gets_more_than_the_limit_and_no_sliding_one_more_than_one_more(
    period: str, limit: int, gaps: list[int]
) -> None:
    """Whatever comes whenever: counted by hand from the moments that got through."""
    now, counter = NOON, Counter(period, beginning(period, NOON))
    through: list[dt.datetime] = []
    for gap in gaps:
        now += dt.timedelta(seconds=gap if period == "day" else gap / 24)
        counter = counter.moved_on(now)
        if counter.used(now) < limit:
            through.append(now)
            counter = counter.plus(Counter(period, counter.began_at, 1))
    aligned = Tally(beginning(period, moment) for moment in through)
    assert not aligned or max(aligned.values()) <= limit
    for start in through:
        begun = beginning(period, start)
        around_the_turn = [
            one for one in through if begun - LENGTHS[period] <= one < begun + LENGTHS[period] / (2 * limit)
        ]
        assert len(around_the_turn) <= limit + 1
