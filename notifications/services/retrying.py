"""When a delivery is tried again, and when no more."""

from __future__ import annotations

import datetime as dt
import random

from django.conf import settings

from notifications.services.outbox import Settled
from notifications.vocabulary import DeliveryStatus, Reason


def try_again(
    made: Settled,
    tries: int,
    *,
    retry_after: float | None,
    now: dt.datetime,
    accounts: int = 1,
    may_have_left: bool = False,
) -> None:
    """Put the delivery back for later, or give it up after ``EMAIL_MAX_RETRIES`` rounds through all ``accounts``.

    ``may_have_left``: an earlier try has an outcome that nobody knows; given up, it is parked and not called dead.
    """
    rounds = -(-tries // max(accounts, 1))
    if rounds < settings.EMAIL_MAX_RETRIES:
        made.status = DeliveryStatus.PENDING
        made.due_at = now + backoff(rounds, retry_after)
    elif may_have_left:
        made.status, made.reason = DeliveryStatus.UNKNOWN, Reason.AMBIGUOUS
    else:
        made.status, made.reason = DeliveryStatus.DEAD, Reason.EXHAUSTED


def backoff(attempts: int, retry_after: float | None) -> dt.timedelta:
    """Four times as long each time, at least half of it, never sooner than the provider's Retry-After (seconds).

    With the defaults the tries reach over some seven hours: a mail server may be away for a morning.
    """
    ceiling = min(settings.EMAIL_RETRY_MAX_DELAY, settings.EMAIL_RETRY_DELAY * 4 ** min(attempts - 1, 30))
    wait = random.uniform(ceiling / 2000, ceiling / 1000)  # noqa: S311 - spreads load, guards no secret
    return dt.timedelta(seconds=max(wait, retry_after or 0.0))
