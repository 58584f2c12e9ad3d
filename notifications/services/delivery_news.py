"""What customers' endpoints hear of deliveries and of the suppression list.

Where nobody listens, this costs a look into a dictionary and no query.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from castcomm.common import sql
from castcomm.common.crypto import decrypt
from castcomm.common.events import subscribe
from castcomm.monitoring.redaction import redact_text
from notifications.events import DeliveryMoved
from notifications.services.customer_webhooks import ADDRESS, News, listens, publish_all, wants_addresses
from notifications.vocabulary import Channel, DeliveryStatus

MAX_DETAIL = 500  # characters
EVENT_TYPES = {
    DeliveryStatus.SENT.value: "delivery.sent",
    DeliveryStatus.DELIVERED.value: "delivery.delivered",
    DeliveryStatus.OPENED.value: "delivery.opened",
    DeliveryStatus.CLICKED.value: "delivery.clicked",
    DeliveryStatus.BOUNCED.value: "delivery.bounced",
    DeliveryStatus.COMPLAINED.value: "delivery.complained",
    DeliveryStatus.FAILED.value: "delivery.failed",
    DeliveryStatus.DEAD.value: "delivery.failed",
}
SUPPRESSION_ADDED = "suppression.added"

_DETAILS = """
SELECT d.id, n.id, d.channel, t.key, n.user_id, d.address, u.email, u.phone
  FROM notifications_delivery d
  JOIN notifications_notification n ON n.id = d.notification_id
  JOIN notifications_eventtype t ON t.id = n.event_type_id
  LEFT JOIN accounts_user u ON u.id = n.user_id
 WHERE d.id = ANY(%s)
"""


class Suppressed(Protocol):
    """An address that came on the suppression list (``suppressions.Entry``)."""

    @property
    def channel(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A delivery has come into a new state (vocabulary.DeliveryStatus)."""

    organization_id: uuid.UUID
    delivery_id: uuid.UUID
    status: str
    reason: str
    occurred_at: dt.datetime
    provider: str = ""
    detail: str = ""


def tell_of(changes: Sequence[Change]) -> int:
    """Tell whoever listens, as part of the caller's transaction; returns how many deliveries that makes."""
    heard = [one for one in changes if is_heard(one.organization_id, one.status)]
    if not heard:
        return 0
    with_address = wants_addresses({one.organization_id for one in heard})
    rows = {row[0]: row for row in sql.run(_DETAILS, ([one.delivery_id for one in heard],), prepare=False)}
    news = [
        News(
            organization_id=one.organization_id,
            event_type=EVENT_TYPES[one.status],
            payload=_payload(one, rows[one.delivery_id], with_address),
            occurred_at=one.occurred_at,
        )
        for one in heard
        if one.delivery_id in rows
    ]
    return len(publish_all(news))


def tell_of_suppressions(
    *, organization_id: uuid.UUID, added: Sequence[Suppressed], occurred_at: dt.datetime
) -> int:
    """Addresses have come on the organization's suppression list."""
    if not listens(organization_id, SUPPRESSION_ADDED):
        return 0
    news = [
        News(
            organization_id=organization_id,
            event_type=SUPPRESSION_ADDED,
            payload={"channel": one.channel, "reason": str(one.reason), ADDRESS: one.address},
            occurred_at=occurred_at,
        )
        for one in added
    ]
    return len(publish_all(news))


@subscribe(DeliveryMoved)
def on_delivery_moved(event: DeliveryMoved) -> None:
    """Receipts have moved deliveries."""
    tell_of(
        [
            Change(
                organization_id=move.organization_id,
                delivery_id=move.delivery_id,
                status=move.status,
                reason=move.reason,
                occurred_at=move.occurred_at,
                provider=move.provider,
                detail=move.detail,
            )
            for move in event.moves
        ]
    )


def is_heard(organization_id: uuid.UUID, status: str) -> bool:
    """Whether anybody of the organization wants to hear of deliveries that come into this state."""
    return status in EVENT_TYPES and listens(organization_id, EVENT_TYPES[status])


def _payload(change: Change, row: tuple[Any, ...], with_address: bool) -> dict[str, Any]:
    _, notification_id, channel, event_type, user_id, bare, email, phone = row
    made = {
        "delivery_id": str(change.delivery_id),
        "notification_id": str(notification_id),
        "user_id": str(user_id) if user_id else None,
        "channel": channel,
        "event_type": event_type,
        "status": str(change.status),
        "reason": str(change.reason),
        "provider": change.provider,
        # Providers like to repeat the address.
        "detail": redact_text(change.detail)[:MAX_DETAIL],
    }
    if with_address and channel in (Channel.EMAIL, Channel.SMS):
        own = email if channel == Channel.EMAIL else decrypt(phone) if phone else ""
        made[ADDRESS] = decrypt(bare) if bare else own or ""
    return made
