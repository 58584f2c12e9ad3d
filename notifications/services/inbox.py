"""What a person does in the inbox: read, seen, archived, put aside. Each change gets the inbox's next number."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from accounts.models import Organization, User
from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput, NotFound
from castcomm.common.events import publish
from castcomm.realtime import hub
from castcomm.realtime.topics import user_topic
from notifications import selectors
from notifications.events import InboxActed
from notifications.models import Notification
from notifications.services.snoozing import moment_of

MAX_IDS = 1_000
ACTS = ("read", "unread", "seen", "archive", "unarchive", "snooze", "unsnooze")

# What tells when a person attends to things; the others do not (notifications.events.InboxActed).
_TELLING = frozenset({"read", "archive", "snooze", "action", "action_undone"})

_NEXT = """
INSERT INTO notifications_inbox (organization_id, user_id, last_seq) VALUES (%s, %s, %s)
ON CONFLICT (organization_id, user_id) DO UPDATE SET last_seq = notifications_inbox.last_seq + excluded.last_seq
RETURNING last_seq
"""

_NUMBER = """
UPDATE notifications_notification n SET inbox_seq = g.seq
  FROM unnest(%s::uuid[], %s::bigint[]) AS g(id, seq) WHERE n.id = g.id
"""


@dataclass(frozen=True, slots=True)
class Change:
    """What an act sets, and which rows it would change anything about."""

    act: str
    condition: Q
    values: Mapping[str, Any]
    action_key: str = ""


def change_of(act: str, *, now: dt.datetime, until: dt.datetime | None = None) -> Change:
    """The change of one of ACTS; ``until`` is for snoozing alone."""
    # Who reads what was seen before saw it then.
    seen = Coalesce(F("seen_at"), Value(now))
    if act == "read":
        return Change(act, Q(read_at=None), {"read_at": now, "seen_at": seen})
    if act == "unread":
        return Change(act, Q(read_at__isnull=False), {"read_at": None})
    if act == "seen":
        return Change(act, Q(seen_at=None), {"seen_at": now})
    if act == "archive":
        return Change(act, Q(archived_at=None), {"archived_at": now})
    if act == "unarchive":
        return Change(act, Q(archived_at__isnull=False), {"archived_at": None})
    if act == "unsnooze":
        return Change(act, Q(snoozed_until__isnull=False), {"snoozed_until": None})
    # What is archived stays where it is.
    condition = Q(archived_at=None) & (Q(snoozed_until=None) | ~Q(snoozed_until=until))
    return Change("snooze", condition, {"snoozed_until": until, "seen_at": seen})


def mark_one(
    *, organization: Organization, user: User, notification_id: uuid.UUID, act: str
) -> dict[str, Any]:
    """Do ``act`` to one row and return its new form; raises NotFound when it is not in this person's inbox."""
    row = own_row(organization, user, notification_id)
    return change_one(organization, user, row, change_of(act, now=current_time()))


def snooze_one(
    *,
    organization: Organization,
    user: User,
    notification_id: uuid.UUID,
    until: Any = None,
    preset: Any = None,
) -> dict[str, Any]:
    """Put one row aside until a moment (see ``snoozing.moment_of``); raises NotFound and InvalidInput."""
    row = own_row(organization, user, notification_id)
    now = current_time()
    moment = moment_of(until=until, preset=preset, zone=user.time_zone, now=now)
    return change_one(organization, user, row, change_of("snooze", now=now, until=moment))


def mark_many(
    *,
    organization: Organization,
    user: User,
    act: str,
    ids: Sequence[uuid.UUID] | None,
    category: str = "",
    tag: str = "",
    until: Any = None,
    preset: Any = None,
) -> int:
    """Do ``act`` to these rows; returns how many changed.

    Without ids: to all rows that the person sees where the act is offered, of this category and with this tag. That is
    the archive for unarchive, what is put aside for unsnooze, and else what is neither. An id that is not in this
    person's inbox raises InvalidInput, and nothing is changed.
    """
    now = current_time()
    moment = None
    if act == "snooze":
        moment = moment_of(until=until, preset=preset, zone=user.time_zone, now=now)
    change = change_of(act, now=now, until=moment)
    rows = selectors.inbox_rows(organization.id, user.id)
    if ids is None:
        shown = selectors.in_place(rows, archived=act == "unarchive", snoozed=act == "unsnooze", now=now)
        return apply(organization, user, selectors.narrowed(shown, category=category, tag=tag), change)
    if len(ids) > MAX_IDS:
        raise InvalidInput(f"At most {MAX_IDS} ids.", attr="ids", code="max_length")
    wanted = set(ids)
    found = set(rows.filter(id__in=wanted).values_list("id", flat=True))
    for position, given in enumerate(ids):
        if given not in found:
            raise InvalidInput(
                "There is no such notification in your inbox.", attr=f"ids.{position}", code="not_found"
            )
    return apply(organization, user, rows.filter(id__in=wanted), change)


def own_row(organization: Organization, user: User, notification_id: uuid.UUID) -> Notification:
    """A row of this person's inbox, or NotFound."""
    found = selectors.inbox_rows(organization.id, user.id).filter(id=notification_id).first()
    if found is None:
        raise NotFound("There is no such notification in your inbox.")
    return found


def change_one(organization: Organization, user: User, row: Notification, change: Change) -> dict[str, Any]:
    """Change one row and return its new form."""
    mine = selectors.inbox_rows(organization.id, user.id).filter(id=row.id)
    apply(organization, user, mine, change)
    return selectors.row_json(mine.get())


def apply(organization: Organization, user: User, rows: QuerySet[Notification], change: Change) -> int:
    """Change the rows that ``change`` changes anything about; a repeated act changes nothing and numbers nothing."""
    with transaction.atomic():
        # The inbox row is the lock: two tabs that mark at once do so one after the other.
        reserved = sql.run(_NEXT, (organization.id, user.id, 0))[0][0]
        ids = list(rows.filter(change.condition).order_by("inbox_seq").values_list("id", flat=True))
        if not ids:
            return 0
        Notification.objects.filter(id__in=ids).update(**change.values)
        sql.run(_NEXT, (organization.id, user.id, len(ids)))
        sql.run(_NUMBER, (ids, list(range(reserved + 1, reserved + len(ids) + 1))))
        if change.act in _TELLING:
            publish(
                InboxActed(
                    organization_id=organization.id,
                    user_id=user.id,
                    act=change.act,
                    notification_ids=tuple(ids),
                    action_key=change.action_key,
                    occurred_at=current_time(),
                )
            )
        publish_on_commit(ids)
    return len(ids)


def publish_on_commit(notification_ids: Sequence[uuid.UUID]) -> None:
    """Show the present state of these rows on their owners' open pages, once the transaction has committed."""
    if not notification_ids:
        return

    def tell() -> None:
        rows = Notification.objects.filter(id__in=notification_ids, inbox_seq__isnull=False)
        full = rows.select_related("event_type__category", "request").order_by("inbox_seq")
        hub.publish_many(
            (
                user_topic(row.user_id, row.organization_id),
                {"event": "notification", "seq": row.inbox_seq, "data": selectors.row_json(row)},
            )
            for row in full
            if row.user_id is not None
        )

    transaction.on_commit(tell)
