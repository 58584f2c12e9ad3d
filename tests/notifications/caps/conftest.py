"""Caps, and a clock that stands where no hour or day turns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from accounts.models import Organization
from notifications.models import CapCounter, FrequencyCap
from notifications.services import composing, dispatch, send_checks

NOON = dt.datetime(2026, 5, 4, 12, 30, tzinfo=dt.UTC)


class Clock:
    """What sending, dispatch and composing take for the time."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now

    def move(self, **by: int) -> None:
        self.now += dt.timedelta(**by)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(NOON)
    for module in (send_checks, dispatch, composing):
        monkeypatch.setattr(module, "current_time", made)
    return made


@pytest.fixture
def cap(organization: Organization) -> Callable[..., FrequencyCap]:
    def make(limit: int, *, channel: str = "", period: str = "day", overflow: str = "digest") -> FrequencyCap:
        return FrequencyCap.objects.create(
            organization=organization, channel=channel, period=period, limit=limit, overflow=overflow
        )

    return make


def counted() -> dict[str, int]:
    """Channel to what was counted in this period."""
    rows = CapCounter.objects.order_by("channel").values_list("channel", "count")
    return {channel: count for channel, count in rows if count}
