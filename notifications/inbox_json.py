"""The one JSON form of an inbox row, over REST and over the WebSocket."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from notifications.vocabulary import Priority


def inbox_json(
    *,
    id: uuid.UUID,
    seq: int,
    event_type: str,
    category: str,
    priority: int,
    title: str,
    body: str,
    action_url: str,
    data: Mapping[str, Any],
    created_at: dt.datetime,
    seen_at: dt.datetime | None = None,
    read_at: dt.datetime | None = None,
    archived_at: dt.datetime | None = None,
    snoozed_until: dt.datetime | None = None,
    expires_at: dt.datetime | None = None,
    tags: Sequence[str] | None = (),
    actions: Sequence[Mapping[str, str]] | None = None,
    actions_done: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """JSON-ready values; times are ISO 8601 in UTC."""
    return {
        "id": str(id),
        "seq": seq,
        "event_type": event_type,
        "category": category,
        "priority": Priority(priority).key,
        "title": title,
        "body": body,
        "action_url": action_url,
        "data": dict(data),
        "created_at": _time(created_at),
        "seen_at": _time(seen_at),
        "read_at": _time(read_at),
        "archived_at": _time(archived_at),
        "snoozed_until": _time(snoozed_until),
        "expires_at": _time(expires_at),
        "tags": list(tags or ()),
        "actions": [_action(one, actions_done or {}) for one in actions or ()],
    }


def _action(action: Mapping[str, str], done: Mapping[str, str]) -> dict[str, str | None]:
    return {
        "key": action["key"],
        "label": action["label"],
        "url": action.get("url", ""),
        "style": action.get("style", "secondary"),
        "done_at": done.get(action["key"]),
    }


def _time(moment: dt.datetime | None) -> str | None:
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z") if moment else None
