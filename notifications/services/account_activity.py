"""What went through provider accounts lately, for staff.

Attempts are many and are found by time alone (their ids are UUIDv7). So the newest are looked through,
``LOOKED_AT`` at the most: a glance at an account costs the same with a million attempts as with a thousand.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from castcomm.common import sql
from castcomm.common.clock import now

LOOKED_AT = 100_000
_COUNT = """
SELECT account, outcome, count(*) FROM (
    SELECT account, outcome FROM notifications_deliveryattempt WHERE id >= %s ORDER BY id DESC LIMIT %s
) AS newest WHERE account = ANY(%s) GROUP BY account, outcome
"""
_RECENT = """
SELECT delivery_id, started_at, finished_at, outcome, detail FROM (
    SELECT * FROM notifications_deliveryattempt WHERE id >= %s ORDER BY id DESC LIMIT %s
) AS newest WHERE account = %s ORDER BY id DESC LIMIT %s
"""


@dataclass(slots=True)
class Activity:
    """Attempts of the last 24 hours. ``failed`` are all that did not end as sent; some were tried again."""

    sent: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class RecentAttempt:
    """One call to the provider; ``seconds`` is how long it took, None while it lasts or when it was cut short."""

    delivery_id: uuid.UUID
    started_at: dt.datetime
    seconds: float | None
    outcome: str
    detail: str


def activity_of(accounts: Sequence[str]) -> dict[str, Activity]:
    """By account's key: what became of its attempts of the last 24 hours."""
    found = {account: Activity() for account in accounts}
    for account, outcome, count in sql.run(_COUNT, (_since(), LOOKED_AT, list(accounts))):
        if outcome == "sent":
            found[account].sent += count
        elif outcome:
            found[account].failed += count
    return found


def recent_attempts(account: str, *, limit: int = 20) -> list[RecentAttempt]:
    """The newest attempts of the last 24 hours, newest first."""
    rows = sql.run(_RECENT, (_since(), LOOKED_AT, account, limit))
    return [
        RecentAttempt(id_, started, (ended - started).total_seconds() if ended else None, outcome, detail)
        for id_, started, ended, outcome, detail in rows
    ]


def _since() -> uuid.UUID:
    """The smallest id that a day old attempt can have (RFC 9562, 5.7: the first 48 bits are milliseconds)."""
    moment = now() - dt.timedelta(days=1)
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)
