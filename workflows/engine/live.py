"""The engine on real time, real people and real sends."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings

from accounts.models import Membership, Organization
from accounts.selectors import active_memberships, get_membership
from castcomm.common import sql
from castcomm.common.clock import SystemClock
from castcomm.common.ids import new_id
from notifications.services.send_checks import SendOptions
from notifications.services.sending import send_notification
from notifications.services.sending_together import SendsTogether
from workflows.engine import awaiting, windows
from workflows.engine.leaf_effects import LiveLeafEffects
from workflows.engine.ports import (
    Assign,
    AwaitEvent,
    DigestClosed,
    DigestJoined,
    JoinDigest,
    Origin,
    Person,
    Send,
    Sent,
)
from workflows.engine.runner import Engine
from workflows.engine.wants import SetAttributes


class MembersReader:
    """Reads active members as they are now."""

    def find(self, *, user_id: uuid.UUID, organization_id: uuid.UUID) -> Person | None:
        """The person, or None when they are no longer an active member."""
        membership = get_membership(user_id, organization_id)
        return person_of(membership) if membership is not None else None

    def find_all(
        self, wanted: Sequence[tuple[uuid.UUID, uuid.UUID]]
    ) -> dict[tuple[uuid.UUID, uuid.UUID], Person]:
        """The active members among these pairs, read at once."""
        pairs = set(wanted)
        memberships = active_memberships().filter(
            user__in={user for user, _ in pairs}, organization__in={organization for _, organization in pairs}
        )
        return {
            (one.user_id, one.organization_id): person_of(one)
            for one in memberships.select_related("user", "organization")
            if (one.user_id, one.organization_id) in pairs
        }


def person_of(membership: Membership) -> Person:
    """A member as steps and expressions see them."""
    user = membership.user
    fields = {
        "id": str(user.id),
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "display_name": user.display_name,
        "locale": user.locale,
        "time_zone": user.time_zone,
        "role": membership.role,
        "domain_role": membership.domain_role,
    }
    return Person(id=user.id, organization=membership.organization, fields=fields, attributes=user.attributes)


def options_of(wanted: Send) -> SendOptions:
    """What a step wants sent, in the words of ``send_notification``."""
    return {
        "event_type": wanted.event_type,
        "template": wanted.template,
        "data": wanted.data,
        "channels": wanted.channels,
        "content": wanted.content,
        "priority": wanted.priority,
        "critical": wanted.critical or None,
        "idempotency_key": wanted.key,
        "source": "workflow",
    }


class NotificationEffects(LiveLeafEffects):
    """Sends through the one door of notifications, collects and waits in PostgreSQL: in the engine's transaction.

    An engine has its own; ``begin`` and ``finish`` are called around the steps of one transaction.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self, together: Iterable[Person] = ()) -> None:
        """A transaction begins; whatever an earlier one left is forgotten.

        What is sent to people of ``together`` is written at its end, all at once.
        """
        self._wakes: dict[uuid.UUID, dt.datetime] = {}
        self._sends: dict[uuid.UUID, SendsTogether | None] = {}
        self._changed: set[uuid.UUID] = set()
        self._together: dict[uuid.UUID, list[uuid.UUID]] = {}
        for person in together:
            self._together.setdefault(person.organization.id, []).append(person.id)

    def finish(self) -> None:
        """The results are recorded: do what has to come after them, before the commit."""
        for sends in self._sends.values():
            if sends is not None:
                sends.write()
        windows.wake(self._wakes)

    def send(self, wanted: Send) -> Sent:
        """Send once per key; raises CastCommError."""
        together = self._sends_of(wanted.organization)
        if together is not None and wanted.user_id not in self._changed:
            return Sent(*together.add(wanted.user_id, **options_of(wanted)))
        result = send_notification(
            organization=wanted.organization, recipients=[wanted.user_id], **options_of(wanted)
        )
        first = result.notifications[0].id if result.notifications else None
        return Sent(result.request_id, first)

    def set_attributes(self, wanted: SetAttributes) -> None:
        """Lay the values over the person's attributes; what is sent from now on shows them."""
        self._changed.add(wanted.user_id)
        super().set_attributes(wanted)

    def _sends_of(self, organization: Organization) -> SendsTogether | None:
        """The organization's sends of this transaction, where they can be put off to its end."""
        people = self._together.get(organization.id)
        if people is None:
            return None
        if organization.id not in self._sends:
            made = SendsTogether(organization, people)
            self._sends[organization.id] = made if made.are_independent else None
        return self._sends[organization.id]

    def join_digest(self, wanted: JoinDigest) -> DigestJoined:
        """Put the item into the open window, or open one."""
        joined, woken = windows.join(wanted)
        if woken is not None:
            self._wakes[woken[0]] = woken[1]
        return joined

    def close_digest(self, window: str, *, now: dt.datetime) -> DigestClosed | dt.datetime:
        """Close the window and return what is in it; or the later time at which it closes by now."""
        return windows.close(window, now=now)

    def await_event(self, wanted: AwaitEvent) -> Mapping[str, Any] | None:
        """The data of an event that has come already, else None; raises TemporarilyUnavailable."""
        return awaiting.subscribe(wanted)

    def awaited_event(self, origin: Origin, *, now: dt.datetime) -> Mapping[str, Any] | None:
        """The data of the event that this step waited for, or None when it has not come."""
        return awaiting.take(origin, now=now)

    def assign(self, wanted: Assign) -> str:
        """The variant in which the person is from now on; the first one that was recorded."""
        origin = wanted.origin
        names = (origin.organization_id, wanted.experiment, origin.user_id)
        sql.run(_ASSIGN, (new_id(), *names, wanted.variant, origin.workflow_id, origin.execution_id))
        [(variant,)] = sql.run(_ASSIGNED, names)
        return str(variant)


_ASSIGN = """
INSERT INTO workflows_experimentassignment
  (id, created_at, organization_id, experiment, user_id, variant, workflow_id, execution_id)
VALUES (%s, now(), %s, %s, %s, %s, %s, %s) ON CONFLICT (organization_id, experiment, user_id) DO NOTHING
"""
_ASSIGNED = """
SELECT variant FROM workflows_experimentassignment WHERE organization_id = %s AND experiment = %s AND user_id = %s
"""


def live_engine() -> Engine:
    """An engine for one run over what is due."""
    return Engine(
        clock=SystemClock(),
        people=MembersReader(),
        effects=NotificationEffects(),
        time_scale=settings.DEMO_TIME_SCALE,
    )
