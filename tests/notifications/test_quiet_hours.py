"""Quiet hours are local times, also on the two days a year on which the clock jumps."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from notifications.services.local_times import QuietPeriod

EVERY_DAY = frozenset(range(7))


def period(
    start: str, end: str, zone: str = "Europe/Berlin", days: frozenset[int] = EVERY_DAY
) -> QuietPeriod:
    return QuietPeriod(
        start=dt.time.fromisoformat(start), end=dt.time.fromisoformat(end), days=days, zone=zone
    )


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def local(text: str, zone: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)


NIGHTS = [
    # zone, a moment in the night of the change, local end of the night
    ("Europe/Berlin", "2026-03-28T23:30", "2026-03-29T08:00"),
    ("Europe/Berlin", "2026-03-29T03:30", "2026-03-29T08:00"),
    ("Europe/Berlin", "2026-10-24T23:30", "2026-10-25T08:00"),
    ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T08:00"),
    ("America/New_York", "2026-03-07T23:30", "2026-03-08T08:00"),
    ("America/New_York", "2026-03-08T03:30", "2026-03-08T08:00"),
    ("America/New_York", "2026-10-31T23:30", "2026-11-01T08:00"),
    ("America/New_York", "2026-11-01T01:30", "2026-11-01T08:00"),
]


@pytest.mark.parametrize(("zone", "moment", "end"), NIGHTS)
def test_the_night_of_the_change_ends_at_eight_on_the_wall(zone: str, moment: str, end: str) -> None:
    quiet = period("22:00", "08:00", zone)
    assert quiet.next_free(local(moment, zone)) == local(end, zone)


def test_the_nights_of_the_change_are_an_hour_shorter_and_longer() -> None:
    quiet = period("22:00", "08:00")
    spring, autumn = utc("2026-03-28T21:00"), utc("2026-10-24T20:00")
    assert quiet.next_free(spring) - spring == dt.timedelta(hours=9)
    assert quiet.next_free(autumn) - autumn == dt.timedelta(hours=11)


def test_both_hours_of_the_autumn_night_are_quiet() -> None:
    quiet = period("01:00", "04:00")
    first = dt.datetime(2026, 10, 25, 2, 30, fold=0, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(dt.UTC)
    second = first + dt.timedelta(hours=1)
    assert quiet.next_free(first) == quiet.next_free(second) == utc("2026-10-25T03:00")


def test_an_end_in_the_hour_that_does_not_exist() -> None:
    """02:30 is skipped in spring: after 01:59 the wall says 03:00, when the quiet is over."""
    quiet = period("01:00", "02:30")
    assert quiet.next_free(utc("2026-03-29T00:15")) == utc("2026-03-29T01:00")


def test_an_end_that_comes_twice_is_the_second() -> None:
    """In autumn the wall says 02:15 twice, and it is quiet both times."""
    quiet = period("01:00", "02:30")
    assert quiet.next_free(utc("2026-10-25T00:45")) == utc("2026-10-25T01:30")
    assert quiet.next_free(utc("2026-10-25T01:15")) == utc("2026-10-25T01:30")


@pytest.mark.parametrize(
    ("moment", "free"),
    [
        ("2026-06-10T19:59", "2026-06-10T19:59"),  # 21:59 local
        ("2026-06-10T20:00", "2026-06-11T06:00"),  # 22:00: the start is inside
        ("2026-06-11T05:59", "2026-06-11T06:00"),
        ("2026-06-11T06:00", "2026-06-11T06:00"),  # 08:00: the end is outside
    ],
)
def test_the_borders_of_a_night(moment: str, free: str) -> None:
    assert period("22:00", "08:00").next_free(utc(moment)) == utc(free)


def test_the_days_are_those_on_which_a_period_begins() -> None:
    saturday = period("22:00", "08:00", "UTC", frozenset({5}))
    assert saturday.next_free(utc("2026-06-13T23:00")) == utc("2026-06-14T08:00")  # Saturday night
    assert saturday.next_free(utc("2026-06-14T07:00")) == utc("2026-06-14T08:00")  # its Sunday morning
    assert saturday.next_free(utc("2026-06-14T23:00")) == utc("2026-06-14T23:00")  # Sunday night
    assert saturday.next_free(utc("2026-06-13T07:00")) == utc("2026-06-13T07:00")  # Saturday morning


def test_a_period_within_a_day() -> None:
    lunch = period("12:00", "13:30", "UTC")
    assert lunch.next_free(utc("2026-06-10T12:45")) == utc("2026-06-10T13:30")
    assert lunch.next_free(utc("2026-06-10T13:30")) == utc("2026-06-10T13:30")


def test_the_local_day_counts_not_utcs() -> None:
    """It is Monday in Auckland while it is still Sunday in UTC."""
    monday = period("00:00", "09:00", "Pacific/Auckland", frozenset({0}))
    assert monday.next_free(utc("2026-06-14T13:00")) == local("2026-06-15T09:00", "Pacific/Auckland")


def test_a_minute_between_two_days_is_free() -> None:
    nearly_always = period("08:01", "08:00", "UTC")
    assert nearly_always.next_free(utc("2026-06-10T12:00")) == utc("2026-06-11T08:00")


def test_periods_that_touch_are_one() -> None:
    """Equal ends cover the whole day; with six such days the first free moment is on the seventh."""
    most_days = period("00:00", "00:00", "UTC", frozenset(range(6)))
    assert most_days.next_free(utc("2026-06-08T10:00")) == utc("2026-06-14T00:00")


def test_an_unknown_zone_is_utc() -> None:
    assert period("22:00", "08:00", "Mars/Olympus").next_free(utc("2026-06-10T23:00")) == utc(
        "2026-06-11T08:00"
    )
