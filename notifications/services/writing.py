"""From the people of a call to their rows: planned within the room that caps leave, written, counted.

Sending does it for the people of a call, workers for a part of a large audience at a time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from castcomm.common.clock import now as current_time
from notifications.models import Delivery, Notification, NotificationRequest
from notifications.services import ledger
from notifications.services.caps.room import room_for
from notifications.services.catalog import Catalog, catalog_of
from notifications.services.planning import Message, PlannedNotification, literal, plan
from notifications.services.recipients import OrganizationFacts, Person, Reference, address_index, load_people
from notifications.services.smart_send.moments import moments_for

Write = Callable[[list[PlannedNotification]], bool]


def plan_and_write(
    message: Message, *, people: list[Person], organization: OrganizationFacts, catalog: Catalog, write: Write
) -> list[PlannedNotification] | None:
    """Plan for these people and hand it to ``write``; None, and nothing counted, when that says False.

    Where caps hold, both happen in one transaction that holds the people's counters.
    """
    user_ids = [person.user_id for person in people]
    moments = moments_for(
        organization_id=message.organization_id,
        catalog=catalog,
        priority=message.priority,
        user_ids=user_ids,
        zones={person.user_id: person.time_zone for person in people if person.user_id},
        now=message.now,
        until=message.expires_at,
    )
    with room_for(
        organization_id=message.organization_id,
        catalog=catalog,
        event_type=message.event_type,
        critical=message.critical,
        user_ids=user_ids,
        now=message.now,
    ) as room:
        planned = plan(
            message, people=people, organization=organization, catalog=catalog, room=room, moments=moments
        )
        if not write(planned):
            return None
        room.count(planned)
    return planned


def write_part(
    request: NotificationRequest,
    references: Sequence[Reference],
    *,
    skip_users: bool = True,
    skip_addresses: bool = False,
) -> int:
    """Write the notifications of these recipients of an accepted request; returns how many.

    Users must be active members. ``skip_users`` and ``skip_addresses`` leave out those who have it already, which is
    asked only where an earlier part may have reached them. The caller holds the request's row, so that nobody else
    writes for it.
    """
    if not references:
        return 0
    facts, people = load_people(request.organization_id, references)
    catalog = catalog_of(request.organization_id, revision=facts.catalog_revision)
    if skip_users:
        people = _without_users(request, people)
    if skip_addresses:
        people = _without_addresses(request, people)
    if not people:
        return 0
    message = _message_of(request, catalog)

    def write(planned: list[PlannedNotification]) -> bool:
        ledger.write_notifications(message, planned)
        return True

    plan_and_write(message, people=people, organization=facts, catalog=catalog, write=write)
    return len(people)


def _message_of(request: NotificationRequest, catalog: Catalog) -> Message:
    local = request.scheduled_local
    return Message(
        request_id=request.id,
        organization_id=request.organization_id,
        event_type=catalog.event_types_by_id[request.event_type_id],
        template=catalog.templates_by_id.get(request.template_id) if request.template_id else None,
        literal=literal(request.content) if request.template_id is None else None,
        data=request.data,
        channels=tuple(request.channels) if request.channels else None,
        priority=request.priority,
        critical=request.critical,
        scheduled_for=request.scheduled_for,
        scheduled_local=dt.datetime.fromisoformat(local) if local else None,
        source=request.source,
        idempotency_key="",
        now=current_time(),
        tags=tuple(request.tags or ()),
    )


def _without_users(request: NotificationRequest, people: list[Person]) -> list[Person]:
    """An address and an id in different parts can be the same person, who gets it once."""
    ids = [one.user_id for one in people if one.user_id]
    if not ids:
        return people
    found = Notification.objects.filter(request=request, user_id__in=ids)
    reached = set(found.values_list("user_id", flat=True))
    return [one for one in people if one.user_id is None or one.user_id not in reached]


def _without_addresses(request: NotificationRequest, people: list[Person]) -> list[Person]:
    """A bare address can be named by the call and stand in a list."""
    bare = {address_index(one.email, one.phone): one.ref for one in people if one.user_id is None}
    if not bare:
        return people
    found = Delivery.objects.filter(notification__request=request, address_index__in=list(bare))
    reached = {bare[index] for index in found.values_list("address_index", flat=True)}
    return [one for one in people if one.ref not in reached]
