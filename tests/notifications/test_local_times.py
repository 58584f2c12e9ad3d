"""Local times mean one moment, also where the clock skips them or shows them twice."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castcomm.common.errors import InvalidInput
from notifications.services.local_times import moment_of, parse_local

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "UTC",
]


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("local", "zone", "first", "last"),
    [
        ("2026-06-10T09:00", "Europe/Berlin", "2026-06-10T07:00", "2026-06-10T07:00"),
        # skipped: the first moment after the gap
        ("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:00", "2026-03-29T01:00"),
        ("2026-03-29T02:00", "Europe/Berlin", "2026-03-29T01:00", "2026-03-29T01:00"),
        ("2026-03-08T02:59", "America/New_York", "2026-03-08T07:00", "2026-03-08T07:00"),
        ("2026-10-04T02:15", "Australia/Lord_Howe", "2026-10-03T15:30", "2026-10-03T15:30"),  # half an hour
        ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T10:00", "2011-12-30T10:00"),  # a whole day
        # twice: the first, or the last
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30", "2026-10-25T01:30"),
        ("2026-11-01T01:30", "America/New_York", "2026-11-01T05:30", "2026-11-01T06:30"),
        # the borders are neither
        ("2026-10-25T02:00", "Europe/Berlin", "2026-10-25T00:00", "2026-10-25T00:00"),
        ("2026-10-25T03:00", "Europe/Berlin", "2026-10-25T02:00", "2026-10-25T02:00"),
        ("2026-03-29T03:00", "Europe/Berlin", "2026-03-29T01:00", "2026-03-29T01:00"),
        ("2026-06-10T09:00", "Mars/Olympus", "2026-06-10T09:00", "2026-06-10T09:00"),  # unknown here
        ("2026-06-10T09:00", "", "2026-06-10T09:00", "2026-06-10T09:00"),
        ("2026-06-10T09:00", "../../etc/passwd", "2026-06-10T09:00", "2026-06-10T09:00"),
    ],
)
def test_what_a_local_time_means(local: str, zone: str, first: str, last: str) -> None:
    given = dt.datetime.fromisoformat(local)
    assert moment_of(given, zone) == utc(first)
    assert moment_of(given, zone, last=True) == utc(last)


@settings(max_examples=150)
@given(st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2030, 1, 1)), st.sampled_from(ZONES))
def test_a_moment_shows_its_local_time_unless_it_was_skipped(local: dt.datetime, zone: str) -> None:
    local = local.replace(second=0, microsecond=0)
    moment = moment_of(local, zone)
    shown = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    before = (moment - dt.timedelta(seconds=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert shown == local or before < local < shown
    assert moment <= moment_of(local, zone, last=True)


@pytest.mark.parametrize("value", ["2026-12-24T09:00", "2026-02-28T00:00"])
def test_a_local_time_is_read_as_it_is_written(value: str) -> None:
    assert parse_local(value, attr="scheduled_local") == dt.datetime.fromisoformat(value)


@pytest.mark.parametrize(
    "value",
    [
        None, 5, "", "tomorrow", "2026-12-24", "2026-12-24T09:00Z", "2026-12-24T09:00+01:00", "2026-12-24T09:00:00",
        "2026-02-30T09:00", "2026-12-24T24:00", "2026-12-24 09:00", "9999-12-31T23:59", "２０２６-12-24T09:00",
    ],
)  # fmt: skip
def test_what_is_no_local_time_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_local(value, attr="scheduled_local")
    assert raised.value.attr == "scheduled_local"
