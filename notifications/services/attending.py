"""A worker that has been rung for attends to its channel for a while, instead of being rung for again and again.

While it attends, producers find the bell held and need not ring: a ring is a message through Celery, which costs
more than writing the notification. A stream of single sends is gathered into batches, because a batch
of twenty costs little more than a batch of one.
"""

from __future__ import annotations

import time

from notifications.services import dispatch, doorbell
from notifications.vocabulary import Priority

BUDGET = 3.0  # seconds; then other work gets its turn
LINGER = 0.1  # seconds of quiet after which the worker goes back to sleep
POLL = 0.02  # seconds between two looks while it is quiet
SMALL_BATCH = 24
# Seconds in which a stream gathers. Urgent news does not wait for company.
GATHER = {Priority.URGENT: 0.0, Priority.HIGH: 0.002, Priority.NORMAL: 0.02, Priority.LOW: 0.04}
HOLD_AGAIN = 1.0  # seconds


def attend(channel: str, priority: int) -> int:
    """Send what is due and what becomes due meanwhile; returns how many deliveries were handled."""
    name = f"{channel}:{Priority(priority).key}"
    handled = 0
    started = last_work = time.monotonic()
    held = 0.0
    while True:
        now = time.monotonic()
        if now - held > HOLD_AGAIN:
            doorbell.hold(name)
            held = now
        batch = dispatch.send_due_batch(channel, priority)
        handled += batch
        now = time.monotonic()
        if batch:
            last_work = now
            if batch < SMALL_BATCH:
                time.sleep(GATHER[Priority(priority)])
        elif now - last_work > LINGER:
            return handled + _let_go(channel, priority)
        else:
            time.sleep(POLL)
        if now - started > BUDGET:
            doorbell.heard(name)
            doorbell.ring(channel, priority)
            return handled


def _let_go(channel: str, priority: int) -> int:
    """Free the bell and look twice: whoever wrote while it was held, or had just seen it held, did not ring."""
    handled = dispatch.drain(channel, priority)
    time.sleep(2 * doorbell.TRUST)
    return handled + dispatch.drain(channel, priority)
