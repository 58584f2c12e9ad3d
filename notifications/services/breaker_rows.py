"""Breakers as rows: the record for staff, and what workers go by while Redis is away or has forgotten.

Rows are written when a breaker changes its state, and the newer state wins whoever writes last.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from castcomm.common import sql
from castcomm.common.clock import now as current_time
from notifications.models import BreakerState, ProviderBreaker
from notifications.services import breaker_script
from notifications.services.breaker_script import Answer, BreakerView

_WRITE = """
INSERT INTO notifications_providerbreaker AS mine
    (account, state, failures, openings, opened_at, open_until, reason, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (account) DO UPDATE SET
    state = EXCLUDED.state, failures = EXCLUDED.failures, openings = EXCLUDED.openings,
    opened_at = EXCLUDED.opened_at, open_until = EXCLUDED.open_until, reason = EXCLUDED.reason,
    updated_at = EXCLUDED.updated_at
WHERE mine.updated_at <= EXCLUDED.updated_at
"""
_CLAIM_PROBE = """
UPDATE notifications_providerbreaker SET state = 'half_open', updated_at = %s
WHERE account = %s AND ((state = 'open' AND open_until <= %s) OR (state = 'half_open' AND updated_at <= %s))
"""


class Tally:
    """What this process has counted of one account while Redis is away."""

    def __init__(self) -> None:
        self.streak = 0
        self._calls: deque[tuple[float, int, int]] = deque(maxlen=1000)

    def add(self, succeeded: int, failed: int) -> bool:
        """Count; True when that is reason to open the breaker."""
        now = time.monotonic()
        self.streak = failed if succeeded else self.streak + failed
        self.streak = 0 if succeeded else self.streak
        self._calls.append((now, succeeded, failed))
        while self._calls[0][0] < now - breaker_script.WINDOW:
            self._calls.popleft()
        calls = sum(good + bad for _, good, bad in self._calls)
        failures = sum(bad for _, _, bad in self._calls)
        is_share = calls >= breaker_script.MIN_CALLS and failures >= calls * breaker_script.FAILURE_SHARE
        return failed > 0 and (self.streak >= breaker_script.FAILURES or is_share)


_tallies: dict[str, Tally] = {}


def read(accounts: Iterable[str]) -> dict[str, BreakerView]:
    """The rows there are, by account."""
    return {row.account: _view(row) for row in ProviderBreaker.objects.filter(account__in=list(accounts))}


def read_one(account: str) -> BreakerView:
    """The row of an account; closed since ever when there is none."""
    return read([account]).get(account) or BreakerView(account=account, state=BreakerState.CLOSED)


def write(view: BreakerView) -> None:
    """Keep a state, unless the row knows a newer one."""
    sql.count(
        _WRITE,
        (
            view.account, view.state, view.failures, view.openings, view.opened_at, view.open_until, view.reason,
            view.changed_at or current_time(),
        ),
    )  # fmt: skip


def permit(account: str) -> Answer:
    """``breaker_script.permit`` by the row: ``closed``, ``open`` or ``probe``; one prober at a time here, too."""
    view = read_one(account)
    if view.state == BreakerState.CLOSED:
        return Answer("closed", 0.0, view)
    now = current_time()
    dead_since = now - dt.timedelta(seconds=breaker_script.PROBE_LASTS)
    if sql.count(_CLAIM_PROBE, (now, account, now, dead_since)):
        return Answer("probe", 0.0, replace(view, state=BreakerState.HALF_OPEN, changed_at=now))
    free_at = view.open_until if view.state == BreakerState.OPEN else None
    return Answer("open", max((free_at - now).total_seconds(), 0.0) if free_at else 1.0, view)


def record(account: str, *, is_prober: bool, succeeded: int, failed: int, reason: str) -> Answer:
    """``breaker_script.record`` by the row and this process's own count; the caller writes what was changed."""
    if not is_prober:
        return _counted(account, succeeded, failed, reason)
    view = read_one(account)
    if view.state != BreakerState.HALF_OPEN:
        return Answer("late", 0.0, view)
    if failed:
        opened = _opened(view, openings=view.openings + 1, failures=view.failures + failed, reason=reason)
        return Answer("reopened", 0.0, opened)
    now = current_time()
    if succeeded:
        return Answer("closed", 0.0, closed(account))
    return Answer("returned", 0.0, replace(view, state=BreakerState.OPEN, open_until=now, changed_at=now))


def closed(account: str) -> BreakerView:
    """A breaker that has just been closed."""
    return BreakerView(account=account, state=BreakerState.CLOSED, changed_at=current_time())


def opened_for(account: str, *, seconds: float, reason: str) -> BreakerView:
    """A breaker that somebody has just opened."""
    now = current_time()
    return BreakerView(
        account=account,
        state=BreakerState.OPEN,
        opened_at=now,
        open_until=now + dt.timedelta(seconds=seconds),
        reason=reason,
        changed_at=now,
    )


def forget_tallies() -> None:
    """Redis counts again."""
    _tallies.clear()


def _counted(account: str, succeeded: int, failed: int, reason: str) -> Answer:
    tally = _tallies.setdefault(account, Tally())
    if not tally.add(succeeded, failed):
        return Answer("counted")
    del _tallies[account]
    view = read_one(account)
    if view.state != BreakerState.CLOSED:
        return Answer("late", 0.0, view)
    return Answer("opened", 0.0, _opened(view, openings=1, failures=tally.streak, reason=reason))


def _opened(view: BreakerView, *, openings: int, failures: int, reason: str) -> BreakerView:
    wait = min(breaker_script.FIRST_OPEN * 2 ** min(openings - 1, 30), breaker_script.LONGEST_OPEN)
    opened = opened_for(view.account, seconds=wait * breaker_script.jitter(), reason=reason)
    return replace(opened, openings=openings, failures=failures)


def _view(row: ProviderBreaker) -> BreakerView:
    return BreakerView(
        account=row.account,
        state=row.state,
        failures=row.failures,
        openings=row.openings,
        opened_at=row.opened_at,
        open_until=row.open_until,
        reason=row.reason,
        changed_at=row.updated_at,
    )
