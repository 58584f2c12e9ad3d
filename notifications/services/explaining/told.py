"""What was decided about deliveries and what became of them, as plain facts for the timelines of other apps."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from notifications.models import Delivery
from notifications.services.explaining.words import why
from notifications.vocabulary import Channel, DeliveryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldDecision:
    """What routing decided at a moment; ``until`` when what waits is due."""

    at: dt.datetime
    action: str
    reason: str
    until: dt.datetime | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldDelivery:
    """A delivery with its decisions in the order in which they were made."""

    notification_id: uuid.UUID
    channel: str
    status: str
    reason: str
    decisions: Sequence[ToldDecision]
    left_at: dt.datetime | None
    error: str


def deliveries_told(notification_ids: Sequence[uuid.UUID]) -> list[ToldDelivery]:
    """The deliveries of these notifications, each notification's in the order of channels."""
    rows = Delivery.objects.filter(notification_id__in=notification_ids)
    told = [_told(row) for row in rows]
    return sorted(told, key=lambda one: Channel.values.index(one.channel))


def _told(row: Delivery) -> ToldDelivery:
    return ToldDelivery(
        notification_id=row.notification_id,
        channel=row.channel,
        status=row.status,
        reason=row.reason,
        decisions=list(_decisions(row)),
        left_at=row.settled_at if row.status == DeliveryStatus.DELIVERED and not row.sent_at else row.sent_at,
        error=row.error,
    )


def _decisions(row: Delivery) -> Iterator[ToldDecision]:
    for one in (*row.decision.get("earlier", ()), row.decision):
        if "action" in one:
            yield _decision(one, dt.datetime.fromisoformat(one["at"]) if "at" in one else row.created_at)


def _decision(decision: Mapping[str, Any], at: dt.datetime) -> ToldDecision:
    until = decision.get("until")
    return ToldDecision(
        at=at,
        action=decision["action"],
        reason=decision["reason"],
        until=dt.datetime.fromisoformat(until) if until else None,
        sentence=why(decision["reason"], decision),
    )
