"""Writes down how deliveries ended, together with what the organizations' own endpoints are to be told of it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from django.db import transaction

from castcomm.common import sql
from notifications.services import delivery_news, outbox
from notifications.services.delivery_news import Change
from notifications.services.digests.collecting import Collected, collect
from notifications.services.outbox import Beginning, Lease, Rescued, Settled

_FILL_IN = """
UPDATE notifications_notification n SET title = g.title, body = g.body, action_url = g.action_url
  FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) AS g(delivery_id, title, body, action_url)
  JOIN notifications_delivery d ON d.id = g.delivery_id
 WHERE n.id = d.notification_id AND n.title = ''
"""


def settle(
    lease: Lease, settled: Sequence[Settled], *, now: dt.datetime, then: Beginning | None = None
) -> None:
    """``outbox.settle``; news of what it has changed, and places in digests, come in the same transaction."""
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
    into_digests = [one for one in settled if one.digest is not None]
    if not changes and not into_digests:
        outbox.settle(lease, settled, now=now, then=then)
        return
    with transaction.atomic():
        changed = outbox.settle(lease, settled, now=now, then=then)
        delivery_news.tell_of([one for one in changes if one.delivery_id in changed])
        _collect([one for one in into_digests if one.delivery_id in changed], now)


def _collect(settled: Sequence[Settled], now: dt.datetime) -> None:
    """Give what goes into a digest after all its place there, in the order in which it was accepted."""
    by_organization: dict[uuid.UUID, list[Collected]] = {}
    for one in sorted(settled, key=lambda one: one.delivery_id):
        assert one.digest is not None
        by_organization.setdefault(one.organization_id, []).append(one.digest)
    for organization_id, items in by_organization.items():
        collect(organization_id, items, now=now)
    texts = [(one.delivery_id, one.text) for one in settled if one.text is not None]
    if texts:
        columns = zip(*((id_, text.title, text.body, text.action_url) for id_, text in texts), strict=True)
        sql.run(_FILL_IN, [list(column) for column in columns])


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
