"""Looks again at deliveries that were put off: by the time they are due, what was weighed may have changed.

A person may have turned something off, moved their quiet hours, or had as much meanwhile as the caps allow. Routing
decides anew, without the time that was asked for: that has come. What goes out is counted towards the caps now, once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import orjson

from castcomm.common import sql
from castcomm.common.errors import InvalidInput
from notifications.models.caps import CapOverflow
from notifications.services.caps.counters import LENGTHS
from notifications.services.caps.room import NO_CAPS, Room, room_for
from notifications.services.catalog import Catalog, EventTypeFacts, catalog_of
from notifications.services.digests.collecting import Collected
from notifications.services.outbox import Details, Settled
from notifications.services.planning import STATUS_OF, decide_within, decision_json, routing_facts
from notifications.services.policy_facts import CapFull
from notifications.services.recipients import Person, Reference, load_people
from notifications.services.routing import Action, Decision, PersonFacts
from notifications.services.smart_send.moments import NO_MOMENTS, Moments, moments_for
from notifications.vocabulary import DeliveryStatus, Priority, Reason

MAX_PERIODS = 3  # of a cap that something waits for room; then it goes into the digest, or is given up
MAX_EARLIER = 5  # decisions that are kept for explain, the last ones
_KEPT_ONCE = {"earlier", "counted", "waiting_since"}
_MAY_WAIT_FOR_A_MOMENT = {
    Reason.QUIET_HOURS,
    Reason.CAP_WAIT,
}  # anything else was asked for, or has waited for one

_COUNTED = """
UPDATE notifications_delivery SET decision = decision || '{"counted": true}' WHERE id = ANY(%s) AND status = 'sending'
"""


def look_again(channel: str, rows: Sequence[Details], *, now: dt.datetime) -> dict[uuid.UUID, Settled]:
    """The deliveries (all of them put off once) that are not to go out now after all, and how they stand instead."""
    settled: dict[uuid.UUID, Settled] = {}
    by_organization: dict[uuid.UUID, list[Details]] = {}
    for row in rows:
        by_organization.setdefault(row.organization_id, []).append(row)
    for some in by_organization.values():
        settled.update(_Again(channel, some, now).decided())
    return settled


class _Again:
    """The deliveries of one organization, with what routing needs to know of their people."""

    def __init__(self, channel: str, rows: Sequence[Details], now: dt.datetime) -> None:
        self.channel = channel
        self.now = now
        self.organization_id = rows[0].organization_id
        self.catalog: Catalog = catalog_of(self.organization_id, revision=rows[0].catalog_revision)
        self.rows = [(row, orjson.loads(row.put_off or "{}")) for row in sorted(rows, key=_age)]
        self.people = _people(self.organization_id, (row.user_id for row in rows if row.user_id is not None))
        self.moments = self._moments()

    def decided(self) -> dict[uuid.UUID, Settled]:
        """How those stand that do not go out."""
        made: dict[uuid.UUID, Settled] = {}
        capped = [row for row, before in self.rows if self._is_capped(row, before)]
        if capped:
            with self._room(capped) as room:
                taken = self._decide_all(self.rows, room, {row.delivery_id for row in capped}, made)
                if taken and room is not NO_CAPS:
                    sql.run(_COUNTED, (taken,))
        else:
            self._decide_all(self.rows, NO_CAPS, set(), made)
        return made

    def _room(self, capped: Sequence[Details]) -> contextlib.AbstractContextManager[Room]:
        return room_for(
            organization_id=self.organization_id,
            catalog=self.catalog,
            event_type=self.catalog.event_types_by_id[capped[0].event_type_id],
            critical=False,
            user_ids=[row.user_id for row in capped],
            now=self.now,
        )

    def _is_capped(self, row: Details, before: Mapping[str, Any]) -> bool:
        """Whether caps concern it, and it was not counted when it was about to go out before."""
        exempt = self.catalog.event_types_by_id[row.event_type_id].is_cap_exempt
        return not exempt and row.user_id is not None and not before.get("counted") and not row.is_pinned

    def _decide_all(
        self,
        rows: Iterable[tuple[Details, Mapping[str, Any]]],
        room: Room,
        capped: set[uuid.UUID],
        made: dict[uuid.UUID, Settled],
    ) -> list[uuid.UUID]:
        """Fill ``made``; returns those that took a place under the caps."""
        taken = []
        for row, before in rows:
            person = self._person(row)
            if person is None:
                made[row.delivery_id] = _settled(row, DeliveryStatus.SUPPRESSED, Reason.RECIPIENT_INACTIVE)
                continue
            own_room = room if row.delivery_id in capped else NO_CAPS
            decision = self._decide(row, person, before, own_room)
            if decision.action == Action.SEND:
                own_room.take(row.user_id, self.channel)
                taken += [row.delivery_id] if own_room is not NO_CAPS else []
            elif decision.action == Action.SUPPRESS or not row.is_pinned:
                made[row.delivery_id] = _put_off(row, person, before, decision, self.now)
        return taken

    def _person(self, row: Details) -> Person | None:
        if (
            row.user_id is None
        ):  # a bare address has no preferences; whether it is suppressed was asked just now
            return Person(ref="", addresses=frozenset({self.channel}))
        return self.people.get(row.user_id)

    def _decide(self, row: Details, person: Person, before: Mapping[str, Any], room: Room) -> Decision:
        return decide_anew(
            self.channel,
            person=person,
            event_type=self.catalog.event_types_by_id[row.event_type_id],
            priority=row.priority,
            catalog=self.catalog,
            room=room,
            moments=self.moments if self._may_wait_for_a_moment(row, before) else NO_MOMENTS,
            since=_since(row, before, self.now),
            now=self.now,
        )

    def _may_wait_for_a_moment(self, row: Details, before: Mapping[str, Any]) -> bool:
        reasons = {before.get("reason"), *(one["reason"] for one in before.get("earlier", ()))}
        return may_wait_for_a_moment(
            self.catalog, priority=row.priority, reasons=reasons, asked_at=row.created_at, now=self.now
        )

    def _moments(self) -> Moments:
        waiting = [row for row, before in self.rows if self._may_wait_for_a_moment(row, before)]
        if not waiting or self.catalog.smart_send is None:
            return NO_MOMENTS
        ends = [row.created_at + self.catalog.smart_send.max_wait for row in waiting]
        return moments_for(
            organization_id=self.organization_id,
            catalog=self.catalog,
            priority=Priority.LOW,
            user_ids=[row.user_id for row in waiting],
            zones={id_: person.time_zone for id_, person in self.people.items()},
            now=self.now,
            until=min([*ends, *(row.expires_at for row in waiting if row.expires_at)]),
        )


def decide_anew(
    channel: str,
    *,
    person: Person,
    event_type: EventTypeFacts,
    priority: int,
    catalog: Catalog,
    room: Room,
    moments: Moments,
    since: dt.datetime,
    now: dt.datetime,
) -> Decision:
    """What routing says of a delivery that was put off and is due; ``since``: from when it has waited for room."""
    facts = routing_facts(person, event_type, catalog, room=room, moments=moments)
    full = facts.full.get(channel)
    if full is not None and now - since >= MAX_PERIODS * LENGTHS[full.cap.period]:
        facts = _without_waiting(facts, full, is_urgent=priority == Priority.URGENT)
    return decide_within(
        room,
        person.user_id,
        event=replace(event_type.routing, is_critical=False, priority=priority),
        person=facts,
        contents=frozenset({channel}),
        now=now,
        requested=(channel,),
    )[0]


def may_wait_for_a_moment(
    catalog: Catalog, *, priority: int, reasons: Set[Any], asked_at: dt.datetime, now: dt.datetime
) -> bool:
    """Whether what was put off for ``reasons`` may be put off once more, to a better hour."""
    policy = catalog.smart_send
    return (
        policy is not None
        and priority == Priority.LOW
        and reasons <= _MAY_WAIT_FOR_A_MOMENT
        and now < asked_at + policy.max_wait
    )


def _age(row: Details) -> tuple[dt.datetime, uuid.UUID]:
    return row.created_at, row.delivery_id


def _people(organization_id: uuid.UUID, user_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Person]:
    """The people by id, without those who have left this very moment."""
    references = [Reference(0, user_id=id_) for id_ in dict.fromkeys(user_ids)]
    if not references:
        return {}
    try:
        found = load_people(organization_id, references)[1]
    except InvalidInput:
        found = []
        for one in references:
            with contextlib.suppress(InvalidInput):
                found += load_people(organization_id, [one])[1]
    return {person.user_id: person for person in found if person.user_id is not None}


def _since(row: Details, before: Mapping[str, Any], now: dt.datetime) -> dt.datetime:
    """Since when it has been waiting for room: since the call, unless something else held it first."""
    if (since := before.get("waiting_since")) is not None:
        return dt.datetime.fromisoformat(since)
    return row.created_at if before.get("reason") == Reason.CAP_WAIT else now


def _without_waiting(facts: PersonFacts, full: CapFull, *, is_urgent: bool) -> PersonFacts:
    """The same with a cap beyond which nothing waits any longer. What is urgent is of no use in a digest."""
    overflow = CapOverflow.DROP if facts.overflow is None or is_urgent else CapOverflow.DIGEST
    strict = replace(full, cap=replace(full.cap, overflow=overflow.value))
    return replace(facts, full={channel: strict for channel in facts.full})


def _put_off(
    row: Details, person: Person, before: Mapping[str, Any], decision: Decision, now: dt.datetime
) -> Settled:
    """The delivery as it was decided now, with what was decided before."""
    made = _settled(row, STATUS_OF[decision.action], decision.reason)
    made.due_at = decision.due_at
    made.decision = {**decision_json(decision), "at": now.isoformat(), "earlier": _earlier(row, before)}
    if decision.reason == Reason.CAP_WAIT:
        made.decision["waiting_since"] = _since(row, before, now).isoformat()
    if before.get("counted"):
        made.decision["counted"] = True
    if decision.digest is not None and person.user_id is not None:
        made.digest = Collected(row.delivery_id, person.user_id, person.time_zone, decision.digest)
    return made


def _earlier(row: Details, before: Mapping[str, Any]) -> list[dict[str, Any]]:
    last = {name: value for name, value in before.items() if name not in _KEPT_ONCE}
    return [*before.get("earlier", ()), {"at": row.created_at.isoformat(), **last}][-MAX_EARLIER:]


def _settled(row: Details, status: DeliveryStatus, reason: Reason) -> Settled:
    made = Settled(row.delivery_id, row.organization_id, status, reason, row.attempts)
    made.provider, made.account = row.provider, row.account
    return made
