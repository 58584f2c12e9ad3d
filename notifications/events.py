"""What notifications tell the apps above them (castcomm.common.events)."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from castcomm.common.events import DomainEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One delivery that a receipt has moved: from ``before`` to ``status`` (vocabulary.DeliveryStatus).

    ``kind`` is the receipt that did it (vocabulary.ReceiptKind), ``occurred_at`` when that happened, ``provider`` who
    said so, ``detail`` what it said.
    """

    delivery_id: uuid.UUID
    notification_id: uuid.UUID
    organization_id: uuid.UUID
    channel: str
    before: str
    status: str
    reason: str
    kind: str
    provider: str
    occurred_at: dt.datetime
    detail: str


@dataclass(frozen=True, kw_only=True)
class DeliveryMoved(DomainEvent):
    """Receipts have moved these deliveries. Published in the transaction that moved them, many at once."""

    moves: tuple[Move, ...]


@dataclass(frozen=True, kw_only=True)
class InboxActed(DomainEvent):
    """A person attended to rows of their inbox. Published in the transaction of the act, if it changed something.

    ``act`` is read, archive, snooze, action or action_undone; ``action_key`` names the button of the last two.
    """

    organization_id: uuid.UUID
    user_id: uuid.UUID
    act: str
    notification_ids: tuple[uuid.UUID, ...]
    action_key: str
    occurred_at: dt.datetime
