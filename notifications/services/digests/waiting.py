"""What waits for its digest, and sending it before its time."""

from __future__ import annotations

import uuid
from typing import Any

from accounts.models import Organization, User
from castcomm.common import sql
from castcomm.common.errors import NotFound
from notifications.models import DigestWindow
from notifications.services.digests.closing import close_now
from notifications.services.digests.schedule import frequency_of

SHOWN = 100  # items of each window

_ITEMS = """
SELECT w.id, i.position, n.id, n.title, n.body, n.action_url, n.created_at, t.key, c.key
  FROM unnest(%s::uuid[]) AS w(id)
 CROSS JOIN LATERAL (
   SELECT i.position, i.delivery_id FROM notifications_digestitem i
     JOIN notifications_delivery d ON d.id = i.delivery_id AND d.status = 'in_digest'
    WHERE i.window_id = w.id ORDER BY i.position LIMIT %s
 ) i
  JOIN notifications_delivery d ON d.id = i.delivery_id
  JOIN notifications_notification n ON n.id = d.notification_id
  JOIN notifications_eventtype t ON t.id = n.event_type_id
  JOIN notifications_category c ON c.id = t.category_id
 ORDER BY w.id, i.position
"""


def open_windows(*, organization: Organization, user: User) -> list[dict[str, Any]]:
    """A person's open windows, the one that closes first on top, with the first items of each."""
    windows = list(
        DigestWindow.objects.for_organization(organization)
        .filter(user=user, status="open")
        .order_by("closes_at")
    )
    items: dict[uuid.UUID, list[dict[str, Any]]] = {}
    for row in sql.run(_ITEMS, ([one.id for one in windows], SHOWN), prepare=False):
        items.setdefault(row[0], []).append(_item_json(row))
    return [{**window_json(one), "items": items.get(one.id, [])} for one in windows]


def _item_json(row: tuple[Any, ...]) -> dict[str, Any]:
    _, position, id_, title, body, action_url, created_at, event_type, category = row
    return {
        "position": position,
        "notification": str(id_),
        "title": title,
        "body": body,
        "action_url": action_url,
        "event_type": event_type,
        "category": category,
        "created_at": created_at.isoformat().replace("+00:00", "Z"),
    }


def window_json(window: DigestWindow) -> dict[str, Any]:
    """A window without its items."""
    return {
        "id": str(window.id),
        "cadence": window.cadence,
        "frequency": frequency_of(window.cadence),
        "status": window.status,
        "time_zone": window.zone,
        "closes_at": window.closes_at.isoformat().replace("+00:00", "Z"),
        "item_count": window.item_count,
        "sent_count": window.sent_count,
        "notification": str(window.notification_id) if window.notification_id else None,
    }


def flush(
    *, organization: Organization, user: User, window_id: uuid.UUID | None = None
) -> list[dict[str, Any]]:
    """Send a person's digest now (None: all of them); returns the windows as they are then.

    Raises NotFound for a window that is not theirs or not open. Quiet hours still hold the mail back.
    """
    rows = DigestWindow.objects.for_organization(organization).filter(user=user, status="open")
    if window_id is not None:
        rows = rows.filter(id=window_id)
    ids = list(rows.values_list("id", flat=True))
    if window_id is not None and not ids:
        raise NotFound("There is no such open digest.")
    close_now(organization.id, ids)
    return [window_json(one) for one in DigestWindow.objects.filter(id__in=ids).order_by("closes_at")]
