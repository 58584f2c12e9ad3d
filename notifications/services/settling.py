"""Writes down how deliveries ended, together with what the organizations' own endpoints are to be told of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import transaction

from notifications.services import delivery_news, outbox
from notifications.services.delivery_news import Change
from notifications.services.outbox import Beginning, Lease, Rescued, Settled


def settle(
    lease: Lease, settled: Sequence[Settled], *, now: dt.datetime, then: Beginning | None = None
) -> None:
    """``outbox.settle``, and news of what it has changed, in one transaction when anybody listens."""
    changes = [
        Change(
            organization_id=one.organization_id,
            delivery_id=one.delivery_id,
            status=str(one.status),
            reason=str(one.reason),
            occurred_at=now,
            provider=one.provider,
            detail=one.error,
        )
        for one in settled
        if delivery_news.is_heard(one.organization_id, str(one.status))
    ]
    if not changes:
        outbox.settle(lease, settled, now=now, then=then)
        return
    with transaction.atomic():
        changed = outbox.settle(lease, settled, now=now, then=then)
        delivery_news.tell_of([one for one in changes if one.delivery_id in changed])


def rescue(*, now: dt.datetime, idempotent: Sequence[str]) -> list[Rescued]:
    """``outbox.rescue``, and news of those that are given up."""
    with transaction.atomic():
        rescued = outbox.rescue(now=now, idempotent=idempotent)
        delivery_news.tell_of(
            [
                Change(
                    organization_id=one.organization_id,
                    delivery_id=one.delivery_id,
                    status=one.status,
                    reason=one.reason,
                    occurred_at=now,
                )
                for one in rescued
            ]
        )
    return rescued
