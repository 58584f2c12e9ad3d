"""The best hour: from what a person did, what everybody does, and the clocks of the person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.models.engagement import HOURS_OF_WEEK
from notifications.services.local_times import QuietPeriod, zone_of
from notifications.services.smart_send.moments import Habits, best_moment

MONDAY = dt.datetime(2026, 5, 4, 6, 20, tzinfo=dt.UTC)  # 08:20 in Berlin
WEEK = dt.timedelta(days=7)
NOTHING = [0] * HOURS_OF_WEEK


def counts(*hours: tuple[int, int, int]) -> list[int]:
    """Counts by (weekday, hour, count)."""
    made = list(NOTHING)
    for weekday, hour, count in hours:
        made[weekday * 24 + hour] = count
    return made


def best(own: Sequence[int], prior: Sequence[int] = NOTHING, **how: object) -> tuple[int, int] | None:
    """(weekday, hour) of the best moment in the week after Monday morning, in Berlin."""
    asked = {"zone": "Europe/Berlin", "now": MONDAY, "until": MONDAY + WEEK, **how}
    found = best_moment(Habits(own, prior), **asked)  # type: ignore[arg-type]
    return (found.weekday, found.hour) if found else None


def test_the_hour_is_the_persons_own_by_their_clock() -> None:
    found = best_moment(
        Habits(counts((2, 18, 40)), NOTHING), zone="Europe/Berlin", now=MONDAY, until=MONDAY + WEEK
    )
    assert found is not None
    assert (found.weekday, found.hour, found.observations) == (2, 18, 40)
    assert found.due_at == dt.datetime(2026, 5, 6, 16, 0, tzinfo=dt.UTC)
    assert found.score > 0.3 > found.usual


def test_who_did_little_gets_what_everybody_does() -> None:
    everybody = counts((1, 9, 500), (4, 20, 50))
    assert best(NOTHING, everybody) == (1, 9)
    assert best(counts((4, 20, 3)), everybody) == (1, 9)
    assert best(counts((4, 20, 60)), everybody) == (4, 20)


@pytest.mark.parametrize(
    ("own", "prior", "how", "expected"),
    [
        (counts((2, 18, 2), (3, 9, 2)), NOTHING, {}, None),  # four times is no habit
        (counts((0, 8, 40)), NOTHING, {}, None),  # now is the best hour
        (counts((0, 8, 40), (2, 18, 41)), NOTHING, {}, None),  # hardly any better than now
        (
            counts((2, 18, 40)),
            NOTHING,
            {"until": MONDAY + dt.timedelta(hours=24)},
            None,
        ),  # the best is too late
        (counts((2, 18, 40), (0, 20, 9)), NOTHING, {"until": MONDAY + dt.timedelta(hours=24)}, (0, 20)),
        (counts((0, 23, 30), (1, 0, 5), (1, 1, 30)), NOTHING, {}, (1, 0)),  # between two good hours
        (counts((6, 23, 30), (0, 0, 5), (0, 1, 30)), NOTHING, {}, (0, 0)),  # and over the end of the week
    ],
)
def test_what_is_not_worth_waiting_for(
    own: list[int], prior: list[int], how: dict[str, object], expected: tuple[int, int] | None
) -> None:
    assert best(own, prior, **how) == expected


def test_quiet_hours_are_no_good_moment() -> None:
    night = QuietPeriod(start=dt.time(21), end=dt.time(7), days=frozenset(range(7)), zone="Europe/Berlin")
    own = counts((0, 22, 40), (1, 12, 10))
    assert best(own) == (0, 22)
    assert best(own, quiet=[night]) == (1, 12)


def test_a_zone_of_half_an_hour_and_the_days_on_which_clocks_jump() -> None:
    found = best_moment(
        Habits(counts((0, 18, 40)), NOTHING), zone="Asia/Kolkata", now=MONDAY, until=MONDAY + WEEK
    )
    assert found is not None
    assert found.due_at == dt.datetime(2026, 5, 4, 12, 30, tzinfo=dt.UTC)
    # At two o'clock on the last Sunday of March it becomes three: that hour is not there.
    saturday = dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC)
    found = best_moment(
        Habits(counts((6, 2, 40)), NOTHING),
        zone="Europe/Berlin",
        now=saturday,
        until=saturday + dt.timedelta(1),
    )
    assert found is not None
    assert (found.weekday, found.hour) in {(6, 1), (6, 3)}


histograms = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 23), st.integers(1, 500)), max_size=12).map(
    lambda some: counts(*some)
)


@settings(max_examples=40, deadline=None)
@given(
    histograms,
    histograms,
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Nowhere/Land"]),
    st.integers(0, 60 * 24 * 365),
    st.integers(1, 168),
)
def test_whatever_was_counted_the_moment_is_a_full_local_hour_in_time_that_is_better_than_now(
    own: list[int], prior: list[int], zone: str, minute: int, hours: int
) -> None:
    now = MONDAY + dt.timedelta(minutes=minute)
    until = now + dt.timedelta(hours=hours)
    habits = Habits(own, prior)
    assert sum(habits.score(hour) for hour in range(HOURS_OF_WEEK)) == pytest.approx(1)
    found = best_moment(habits, zone=zone, now=now, until=until)
    if found is None:
        return
    local = found.due_at.astimezone(zone_of(zone))
    assert (local.minute, local.second, local.weekday(), local.hour) == (0, 0, found.weekday, found.hour)
    assert now < found.due_at < until
    here = now.astimezone(zone_of(zone))
    assert found.score > habits.score(here.weekday() * 24 + here.hour)
    assert 0 <= found.usual <= 1
