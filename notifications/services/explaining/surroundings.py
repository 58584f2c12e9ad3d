"""What a notification is part of: the digests that its mails wait for or went out in, and its broadcast."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from notifications.models import Broadcast, Delivery, DigestItem, DigestWindow, Notification, WindowStatus
from notifications.services.defaults import DIGEST
from notifications.services.explaining.words import digest_name, moment
from notifications.vocabulary import DeliveryStatus


def digests_of(deliveries: Iterable[Delivery]) -> dict[uuid.UUID, DigestWindow]:
    """The windows that these deliveries were put into. No query when none was."""
    put_in = [one.id for one in deliveries if one.decision.get("cadence")]
    if not put_in:
        return {}
    items = DigestItem.objects.filter(delivery_id__in=put_in).select_related("window")
    return {item.delivery_id: item.window for item in items}


def window_json(window: DigestWindow) -> dict[str, Any]:
    """A window as *explain* tells it; ``notification`` is the digest itself."""
    return {
        "window": str(window.id),
        "cadence": window.cadence,
        "status": window.status,
        "items": window.item_count,
        "sent": window.sent_count,
        "closes_at": window.closes_at.isoformat(),
        "closed_at": window.closed_at.isoformat() if window.closed_at else None,
        "notification": str(window.notification_id) if window.notification_id else None,
    }


def window_sentence(window: DigestWindow, status: str) -> str:
    """What became, or is to become, of a delivery in a digest."""
    name = digest_name(window.cadence)
    if status == DeliveryStatus.IN_DIGEST:
        return f"It waits in the {name}, which closes {moment(window.closes_at, window.zone)}."
    if status == DeliveryStatus.DIGESTED and window.closed_at:
        mail = f", as notification {window.notification_id}" if window.notification_id else ""
        return f"The {name} went out {moment(window.closed_at, window.zone)}{mail}."
    return ""


def digest_itself(notification: Notification) -> DigestWindow | None:
    """The window that this notification is the digest of."""
    if notification.event_type.key != DIGEST:
        return None
    return DigestWindow.objects.filter(notification=notification).first()


def open_window(organization_id: uuid.UUID, user_id: uuid.UUID, cadence: str) -> DigestWindow | None:
    """What the person's next digest of this cadence holds so far."""
    mine = DigestWindow.objects.for_organization(organization_id).filter(user_id=user_id, cadence=cadence)
    return mine.filter(status=WindowStatus.OPEN).first()


def broadcast_json(notification: Notification) -> dict[str, Any] | None:
    """The broadcast that it belongs to, and how that stands; None for any other."""
    found = Broadcast.objects.filter(request_id=notification.request_id).first()
    if found is None:
        return None
    return {
        "id": str(found.id),
        "status": notification.request.status,
        "audience": found.audience,
        "paused_at": found.paused_at.isoformat() if found.paused_at else None,
    }
