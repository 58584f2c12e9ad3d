"""What the mail of a digest is about: read when it is sent, from what its window holds."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from castcomm.common import sql
from notifications.rendering.fragments import FRAGMENTS, new_marker
from notifications.services.digests.schedule import frequency_of
from notifications.services.digests.sections import (
    IN_FULL,
    MAX_BODY,
    Entry,
    Section,
    address,
    fragment_of,
    shortened,
)
from notifications.services.local_times import zone_of

# Several channels of one notification may have ended up in a digest (a cap was full on each): it is shown once.
_ITEMS = """
SELECT w.notification_id, w.cadence, u.time_zone, u.locale, n.id, c.id, c.name,
       CASE WHEN n.title = '' THEN t.name ELSE n.title END, left(n.body, 1000), n.action_url, n.created_at
  FROM notifications_digestwindow w
  JOIN accounts_user u ON u.id = w.user_id
  JOIN notifications_digestitem i ON i.window_id = w.id
  JOIN notifications_delivery d ON d.id = i.delivery_id AND d.status = '{status}'
  JOIN notifications_notification n ON n.id = d.notification_id
  JOIN notifications_eventtype t ON t.id = n.event_type_id
  JOIN notifications_category c ON c.id = t.category_id
 WHERE {which}
 ORDER BY w.id, c.position, c.name, c.id, i.position
"""
_OF_NOTIFICATIONS = _ITEMS.format(status="digested", which="w.notification_id = ANY(%s)")
_WAITING = _ITEMS.format(
    status="in_digest",
    which="w.organization_id = %s AND w.user_id = %s AND w.status = 'open' AND n.read_at IS NULL"
    " AND n.archived_at IS NULL AND split_part(split_part(w.cadence, '@', 1), '.', 1) = %s",
)


class _Row(NamedTuple):
    digest_id: uuid.UUID | None
    cadence: str
    zone: str
    locale: str
    notification_id: uuid.UUID
    category_id: uuid.UUID
    category: str
    title: str
    body: str
    action_url: str
    created_at: dt.datetime


def data_for(notification_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Mapping[str, Any]]:
    """What the templates of these digests see besides the person, by the digest's notification.

    Whoever has no window (a digest that somebody sent by hand) is not in it.
    """
    rows: dict[uuid.UUID, list[_Row]] = {}
    for row in sql.run(_OF_NOTIFICATIONS, (list(notification_ids),)):
        rows.setdefault(row[0], []).append(_Row._make(row))
    return {
        id_: context_of(
            sections_of(of_one),
            frequency=frequency_of(of_one[0].cadence),
            zone=of_one[0].zone,
            locale=of_one[0].locale,
        )
        for id_, of_one in rows.items()
    }


def waiting_sections(*, organization_id: uuid.UUID, user_id: uuid.UUID, frequency: str) -> list[Section]:
    """What would be in a person's digest if it went out now."""
    rows = sql.run(_WAITING, (organization_id, user_id, frequency), prepare=False)
    return sections_of(map(_Row._make, rows))


def sections_of(rows: Iterable[_Row]) -> list[Section]:
    """Rows in their order, by category, each notification once."""
    made: dict[uuid.UUID, Section] = {}
    seen: set[uuid.UUID] = set()
    for row in rows:
        if row.notification_id in seen:
            continue
        seen.add(row.notification_id)
        section = made.setdefault(row.category_id, Section(row.category))
        section.entries.append(Entry(row.title, row.body, row.action_url, row.created_at))
    return list(made.values())


def context_of(sections: Sequence[Section], *, frequency: str, zone: str, locale: str) -> dict[str, Any]:
    """``digest`` for a template: count, frequency, title (of the first), items, sections.

    ``items`` is the whole list, ready to be put into the mail; ``sections`` has the first of each category as data, for
    templates that want to show them in their own way.
    """
    marker = new_marker()
    count = sum(len(section.entries) for section in sections)
    place = zone_of(zone)
    return {
        "digest": {
            "count": count,
            "frequency": frequency,
            "title": sections[0].entries[0].title if count else "",
            "items": marker,
            "sections": [_section_data(section, place) for section in sections],
        },
        FRAGMENTS: {marker: fragment_of(sections, zone=place, locale=locale)},
    }


def _section_data(section: Section, zone: dt.tzinfo) -> dict[str, Any]:
    return {
        "name": section.name,
        "count": len(section.entries),
        "entries": [
            {
                "title": entry.title,
                "body": shortened(entry.body, MAX_BODY),
                "url": address(entry.action_url),
                "at": entry.at.astimezone(zone).isoformat(timespec="minutes"),
            }
            for entry in section.entries[:IN_FULL]
        ],
    }
