"""When digests close: by the clocks of the person, on every day of the year."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from zoneinfo import ZoneInfo

import pytest

from notifications.services.digests.schedule import (
    OVERFLOW,
    cadence_of,
    choice_for,
    choice_of,
    closes_at,
    frequency_of,
    moved_with,
    overflow_for,
)
from notifications.services.policy_facts import DigestChoice


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def choice(
    frequency: str, at: str = "09:00", weekday: int = 0, category: uuid.UUID | None = None
) -> DigestChoice:
    return DigestChoice(
        category_id=category, frequency=frequency, at=dt.time.fromisoformat(at), weekday=weekday
    )


@pytest.mark.parametrize(
    ("chosen", "zone", "now", "expected"),
    [
        (choice("daily"), "UTC", "2026-01-05T08:59:59", "2026-01-05T09:00:00"),
        (choice("daily"), "UTC", "2026-01-05T09:00:00", "2026-01-06T09:00:00"),  # strictly later
        (choice("daily"), "America/New_York", "2026-01-05T13:00:00", "2026-01-05T14:00:00"),
        (choice("daily"), "Pacific/Kiritimati", "2026-01-05T20:00:00", "2026-01-06T19:00:00"),  # a day ahead
        # Clocks jump over 02:30 in Berlin: the first moment after the gap. The next day it is 02:30 again.
        (choice("daily", "02:30"), "Europe/Berlin", "2026-03-28T12:00:00", "2026-03-29T01:00:00"),
        (choice("daily", "02:30"), "Europe/Berlin", "2026-03-29T01:00:00", "2026-03-30T00:30:00"),
        # 02:30 comes twice: the first, and not the second again.
        (choice("daily", "02:30"), "Europe/Berlin", "2026-10-24T12:00:00", "2026-10-25T00:30:00"),
        (choice("daily", "02:30"), "Europe/Berlin", "2026-10-25T00:30:00", "2026-10-26T01:30:00"),
        (choice("weekly", "09:00", 3), "UTC", "2026-12-31T08:00:00", "2026-12-31T09:00:00"),
        (
            choice("weekly", "09:00", 3),
            "UTC",
            "2026-12-31T09:00:00",
            "2027-01-07T09:00:00",
        ),  # over the year's end
        (choice("weekly", "09:00", 0), "UTC", "2026-12-31T09:00:00", "2027-01-04T09:00:00"),
        # It is Sunday in UTC, but Monday in Tokyo already.
        (choice("weekly", "08:00", 0), "Asia/Tokyo", "2026-01-04T22:00:00", "2026-01-04T23:00:00"),
        (choice("hourly"), "UTC", "2026-01-05T08:00:00", "2026-01-05T09:00:00"),
        (choice("hourly"), "Asia/Kolkata", "2026-01-05T08:10:00", "2026-01-05T08:30:00"),  # full hours there
        (choice("daily"), "Nowhere/Atall", "2026-01-05T08:00:00", "2026-01-05T09:00:00"),  # UTC, not an error
    ],
)
def test_when_a_digest_closes(chosen: DigestChoice, zone: str, now: str, expected: str) -> None:
    assert closes_at(chosen, zone, utc(now)) == utc(expected)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"])
def test_a_daily_digest_goes_out_once_on_each_day_of_the_year(zone: str) -> None:
    now, days = utc("2026-01-01T12:00:00"), []
    for _ in range(365):
        now = closes_at(choice("daily", "02:15"), zone, now)
        days.append(now.astimezone(ZoneInfo(zone)).date())
    assert [later - earlier for earlier, later in itertools.pairwise(days)] == [dt.timedelta(days=1)] * 364


def test_whose_choice_decides() -> None:
    news, other = uuid.uuid4(), uuid.uuid4()
    mine, theirs = choice("daily"), choice("hourly", category=news)
    assert choice_for(news, personal=[], defaults=[]) is None
    assert choice_for(news, personal=[], defaults=[theirs]) is theirs
    assert choice_for(other, personal=[], defaults=[theirs]) is None
    assert choice_for(news, personal=[mine], defaults=[theirs]) is mine
    own = choice("weekly", category=news)
    assert choice_for(news, personal=[mine, own], defaults=[theirs]) is own
    instant = choice("instant", category=news)
    assert choice_for(news, personal=[mine, instant], defaults=[theirs]) is None
    assert overflow_for(news, personal=[mine, instant], defaults=[theirs]) is OVERFLOW
    assert overflow_for(news, personal=[own], defaults=[]) is own
    names = [cadence_of(one) for one in (choice("hourly"), mine, choice("weekly", "18:30", 6))]
    assert names == ["hourly", "daily@09:00", "weekly.6@18:30"]
    assert choice_of("weekly.6@18:30") == choice("weekly", "18:30", 6)
    assert [frequency_of(name) for name in names] == ["hourly", "daily", "weekly"]


def test_a_move_keeps_the_time_of_the_clocks() -> None:
    nine_in_berlin = utc("2026-01-06T08:00:00")
    moved = moved_with("daily@09:00", nine_in_berlin, before="Europe/Berlin", after="America/New_York")
    assert moved == utc("2026-01-06T14:00:00")
    moved = moved_with("daily@09:00", nine_in_berlin, before="Europe/Berlin", after="Asia/Tokyo")
    assert moved == utc("2026-01-06T00:00:00")
    moved = moved_with("hourly", nine_in_berlin, before="Europe/Berlin", after="Asia/Tokyo")
    assert moved == nine_in_berlin
