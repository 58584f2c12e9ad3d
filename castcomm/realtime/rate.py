"""How many events one socket may send."""

from __future__ import annotations

import time


class RateLimit:
    """A generic cell rate algorithm: ``per_minute`` events in any burst, then one per interval.

    One number of state per socket. ``per_minute`` 0 lets everything pass.
    """

    __slots__ = ("_due", "_interval", "_tolerance")

    def __init__(self, per_minute: int) -> None:
        self._interval = 60.0 / per_minute if per_minute else 0.0
        self._tolerance = 60.0 - self._interval
        self._due = 0.0

    def wait(self) -> float:
        """0.0 when an event may pass now (and it is counted), else the seconds until one may."""
        if not self._interval:
            return 0.0
        now = time.monotonic()
        ahead = self._due - now
        if ahead > self._tolerance:
            return ahead - self._tolerance
        self._due = (now if ahead < 0 else self._due) + self._interval
        return 0.0
