"""Time, as something that can be handed in: the system's clock, or one that a simulation moves."""

from __future__ import annotations

import datetime as dt
from typing import Protocol


def now() -> dt.datetime:
    """The current time, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


class Clock(Protocol):
    """Whoever needs the time in an engine asks one of these."""

    def now(self) -> dt.datetime:
        """The current time, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        return now()


class VirtualClock:
    """A clock that stands still until it is moved; it never moves back."""

    def __init__(self, start: dt.datetime) -> None:
        self._now = start

    def now(self) -> dt.datetime:
        return self._now

    def advance_to(self, moment: dt.datetime) -> None:
        """Move to ``moment``; a moment in the past leaves the clock where it is."""
        self._now = max(self._now, moment)
