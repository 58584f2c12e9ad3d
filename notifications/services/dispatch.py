"""Dispatch: takes what is due from the outbox, has it composed and carried, and sweeps up after the dead.

For each batch: claim with a lease (``outbox``), make the messages (``composing``), send them through the accounts
(``carrying``). Everything a killed worker held is due again when the lease runs out.
"""

from __future__ import annotations

import datetime as dt
import time

import structlog
from django.conf import settings

from castcomm.common.clock import now as current_time
from notifications.providers.base import providers_of
from notifications.services import doorbell, fanout, in_app, outbox, settling
from notifications.services.carrying import carry
from notifications.services.composing import compose
from notifications.services.provider_accounts import PRIMARY_SETTINGS
from notifications.vocabulary import Channel, Priority

log = structlog.get_logger(__name__)

BUDGET = dt.timedelta(seconds=20)


def drain(channel: str, priority: int, *, budget: dt.timedelta = BUDGET) -> int:
    """Send what is due on ``channel`` at ``priority``; returns how many deliveries were handled.

    Stops when nothing is due, or when the time is up.
    """
    doorbell.heard(f"{channel}:{Priority(priority).key}")
    handled = 0
    ends = current_time() + budget
    while current_time() < ends:
        batch = send_due_batch(channel, priority)
        if batch == 0:
            break
        handled += batch
    return handled


def send_due_batch(channel: str, priority: int) -> int:
    """Claim one batch of what is due and send it; returns its size, 0 when nothing is due."""
    limit = settings.NOTIFICATION_BATCH_SIZE
    lease, claimed = outbox.claim(channel, priority, now=current_time(), limit=limit)
    if not claimed:
        return 0
    if len(claimed) >= limit // 2:
        doorbell.wake_another(channel, priority)  # there is likely more than one worker's share
    if channel == Channel.IN_APP:
        in_app.deliver(lease, claimed)
    else:
        jobs, refused = compose(channel, claimed)
        settling.settle(lease, refused, now=current_time())
        carry(lease, jobs, channel=channel)
    return len(claimed)


def sweep() -> int:
    """Take back what dead workers held and ring for everything that is due; returns how many rings.

    Runs every second from Beat. It is what makes Redis, and any worker, expendable.
    """
    now = current_time()
    started = time.monotonic()
    rescued = settling.rescue(now=now, idempotent=_idempotent_providers())
    if rescued:
        log.warning(
            "dispatch.rescued", count=len(rescued), parked=sum(one.status == "unknown" for one in rescued)
        )
    due = outbox.due_pairs(Channel.values, now=now)
    for channel, priority in due:
        doorbell.ring(channel, priority)
    if fanout.is_waiting():
        doorbell.ring_fanout()
    log.debug("dispatch.swept", due=len(due), seconds=round(time.monotonic() - started, 4))
    return len(due)


def _idempotent_providers() -> list[str]:
    """The providers that recognise a second try."""
    kinds = [pair for channel in PRIMARY_SETTINGS for pair in providers_of(channel).items()]
    return [key for key, kind in kinds if kind.idempotent]
