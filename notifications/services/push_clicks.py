"""A click on a shown push, told by the service worker: the notification is read, the delivery clicked.

A worker may run while nobody is signed in, so each push to a browser carries a reference of its own
(``push_click_tokens``). It is valid for seven days and counts once. Whoever has it can mark that one notification read,
and sees nothing.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache

from accounts.models import Organization, User
from castcomm.common.clock import now as current_time
from castcomm.common.errors import NotFound
from notifications.models import Delivery
from notifications.services import inbox
from notifications.services.push_click_tokens import VALID, read
from notifications.services.receipts import record_receipts
from notifications.vocabulary import Channel, ReceiptKind
from notifications.webhooks.base import Receipt

PROVIDER = "castcomm"


@dataclass(frozen=True, slots=True)
class _Clicked:
    delivery_id: uuid.UUID
    notification_id: uuid.UUID
    organization: Organization
    user: User


def take(token: str) -> bool:
    """Mark read what ``token`` is about; False, and nothing changes, when it is not ours, too old, or was taken."""
    delivery_id = read(token)
    clicked = _find(delivery_id) if delivery_id is not None else None
    if clicked is None or not cache.add(_key(clicked.delivery_id), 1, int(VALID.total_seconds())):
        return False
    try:
        _mark_read(clicked)
        _record(clicked)
    except Exception:
        # Nothing was lost: the worker may come again.
        cache.delete(_key(clicked.delivery_id))
        raise
    return True


def _key(delivery_id: uuid.UUID) -> str:
    return f"push-click:{delivery_id}"


def _find(delivery_id: uuid.UUID) -> _Clicked | None:
    rows = Delivery.objects.filter(id=delivery_id, channel=Channel.PUSH)
    row = rows.select_related("notification__user", "organization").first()
    user = row.notification.user if row is not None else None
    if row is None or user is None:
        return None
    return _Clicked(row.id, row.notification_id, row.organization, user)


def _mark_read(clicked: _Clicked) -> None:
    try:
        inbox.mark_one(
            organization=clicked.organization,
            user=clicked.user,
            notification_id=clicked.notification_id,
            act="read",
        )
    except NotFound:
        return  # it went out by push alone


def _record(clicked: _Clicked) -> None:
    """The receipt, where people and organization allow that clicks are noted."""
    if not (settings.TRACKING_ENABLED and clicked.organization.track_clicks and clicked.user.allow_tracking):
        return
    receipt = Receipt(
        provider=PROVIDER,
        account="",
        event_key=f"push-clicked:{clicked.delivery_id}",
        kind=ReceiptKind.CLICKED,
        delivery_id=clicked.delivery_id,
        occurred_at=current_time(),
    )
    record_receipts([receipt])
