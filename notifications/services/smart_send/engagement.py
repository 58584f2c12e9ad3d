"""Counts at which hours of their week people open, click, read and act, where an organization wants to make use of it.

Nothing is counted for an organization without smart send; to see that costs no query, as a rule.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
from django.db.models.signals import post_delete, post_save

from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.events import subscribe
from castcomm.common.ids import new_id
from notifications.events import DeliveryMoved, InboxActed
from notifications.models import SmartSendPolicy
from notifications.models.engagement import HOURS_OF_WEEK
from notifications.services.local_times import zone_of
from notifications.vocabulary import ReceiptKind

TRUST = 60.0  # seconds for which a process trusts what it has read about who uses this
FULL = 2_000  # engagements after which a person's counts are halved, so that habits can change
FULL_PRIOR = 200_000  # the same for everybody's together
_TOLD_BY_RECEIPTS = {ReceiptKind.OPENED.value, ReceiptKind.CLICKED.value}
_TAKEN_BACK = "action_undone"

# People are taken in the order of their ids: two transactions that count the same people cannot lock each other out.
_COUNT = """
INSERT INTO notifications_engagementhistogram AS h
  (id, created_at, updated_at, organization_id, user_id, counts, total)
SELECT g.id, %(now)s, %(now)s, g.organization_id, g.user_id, g.counts, g.total
  FROM json_to_recordset(%(given)s::json)
    AS g(id uuid, organization_id uuid, user_id uuid, counts int[], total int)
 ORDER BY g.organization_id, g.user_id
ON CONFLICT (organization_id, coalesce(user_id, '00000000-0000-0000-0000-000000000000'::uuid)) DO UPDATE SET
  (counts, total, updated_at) = (
    SELECT array_agg(sums.one ORDER BY sums.place), sum(sums.one), excluded.updated_at
      FROM (SELECT (a + b) / CASE WHEN h.total + excluded.total >= %(full)s THEN 2 ELSE 1 END AS one, place
              FROM unnest(h.counts, excluded.counts) WITH ORDINALITY AS pairs(a, b, place)) sums)
"""

# Everybody's row is wanted by all at once: whoever finds it taken leaves it at that. It is a rough average anyway.
_FREE_PRIORS = """
SELECT organization_id FROM notifications_engagementhistogram
 WHERE organization_id = ANY(%s) AND user_id IS NULL FOR NO KEY UPDATE SKIP LOCKED
"""
_PRIORS = """
SELECT organization_id FROM notifications_engagementhistogram WHERE organization_id = ANY(%s) AND user_id IS NULL
"""

# Nobody is counted who does not want to be tracked.
_ZONE = "SELECT time_zone FROM accounts_user WHERE id = %s AND allow_tracking"

_WHO = """
SELECT d.id, n.user_id, u.time_zone FROM notifications_delivery d
  JOIN notifications_notification n ON n.id = d.notification_id
  JOIN accounts_user u ON u.id = n.user_id AND u.allow_tracking
 WHERE d.id = ANY(%s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engagement:
    """A person attended to something (``occurred_at`` in UTC); ``zone`` is where the person is."""

    organization_id: uuid.UUID
    user_id: uuid.UUID
    zone: str
    occurred_at: dt.datetime

    @property
    def hour_of_week(self) -> int:
        """The person's own hour: 0 is Monday, midnight to one."""
        local = self.occurred_at.astimezone(zone_of(self.zone))
        return local.weekday() * 24 + local.hour


_in_use: frozenset[uuid.UUID] = frozenset()
_read_at = -TRUST


def is_counted(organization_id: uuid.UUID) -> bool:
    """Whether the organization has smart send on."""
    global _in_use, _read_at  # noqa: PLW0603 - one process, one memory
    if time.monotonic() - _read_at > TRUST:
        moment = time.monotonic()
        policies = SmartSendPolicy.objects.filter(is_enabled=True)
        _in_use = frozenset(policies.values_list("organization_id", flat=True))
        _read_at = moment
    return organization_id in _in_use


def forget_policies(**_signal: object) -> None:
    """Look anew next time."""
    global _read_at  # noqa: PLW0603 - one process, one memory
    _read_at = -TRUST


def watch_policies() -> None:
    """Let a change made in this process be seen at once (in others after ``TRUST``)."""
    for signal in (post_save, post_delete):
        signal.connect(forget_policies, sender=SmartSendPolicy, dispatch_uid="smart-send-policies")


@subscribe(InboxActed)
def on_inbox_acted(event: InboxActed) -> None:
    """A person attended to their inbox: once, however many rows it was."""
    if event.act == _TAKEN_BACK or not is_counted(event.organization_id):
        return
    for (zone,) in sql.run(_ZONE, (event.user_id,)):
        count(
            [
                Engagement(
                    organization_id=event.organization_id,
                    user_id=event.user_id,
                    zone=zone,
                    occurred_at=event.occurred_at,
                )
            ]
        )


@subscribe(DeliveryMoved)
def on_delivery_moved(event: DeliveryMoved) -> None:
    """People opened or clicked; what machines do moves no delivery."""
    moves = [one for one in event.moves if one.kind in _TOLD_BY_RECEIPTS and is_counted(one.organization_id)]
    if not moves:
        return
    found = sql.run(_WHO, ([one.delivery_id for one in moves],), prepare=False)
    people = {id_: (user_id, zone) for id_, user_id, zone in found}
    count(
        [
            Engagement(
                organization_id=one.organization_id,
                user_id=people[one.delivery_id][0],
                zone=people[one.delivery_id][1],
                occurred_at=one.occurred_at,
            )
            for one in moves
            if one.delivery_id in people
        ]
    )


def count(engagements: Sequence[Engagement]) -> None:
    """Add these to the people's histograms and to everybody's, as part of the caller's transaction."""
    if not engagements:
        return
    people: dict[tuple[uuid.UUID, uuid.UUID | None], Counter[int]] = {}
    everybody: dict[tuple[uuid.UUID, uuid.UUID | None], Counter[int]] = {}
    for one in engagements:
        people.setdefault((one.organization_id, one.user_id), Counter())[one.hour_of_week] += 1
        everybody.setdefault((one.organization_id, None), Counter())[one.hour_of_week] += 1
    _add(people.items(), full=FULL)
    organizations = [organization_id for organization_id, _ in everybody]
    free = {id_ for (id_,) in sql.run(_FREE_PRIORS, (organizations,))}
    if len(free) < len(organizations):
        free |= set(organizations) - {id_ for (id_,) in sql.run(_PRIORS, (organizations,))}
    _add([(key, hours) for key, hours in everybody.items() if key[0] in free], full=FULL_PRIOR)


def _add(hours: Iterable[tuple[tuple[uuid.UUID, uuid.UUID | None], Counter[int]]], *, full: int) -> None:
    given = [
        {
            "id": new_id(),
            "organization_id": organization_id,
            "user_id": user_id,
            "counts": [counted[hour] for hour in range(HOURS_OF_WEEK)],
            "total": counted.total(),
        }
        for (organization_id, user_id), counted in hours
    ]
    if given:
        sql.run(_COUNT, {"now": current_time(), "given": orjson.dumps(given).decode(), "full": full})
