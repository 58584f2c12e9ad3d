"""From one call and its recipients to the rows that have to be written: decided, rendered, not yet stored."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from castcomm.common.crypto import encrypt
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import new_id
from notifications.rendering.content import ContentFacts, InAppText, literal_content, render_in_app
from notifications.rendering.context import RESERVED_NAMES, message_context
from notifications.rendering.sandbox import RenderingError, plain
from notifications.services.caps.room import NO_CAPS, Room
from notifications.services.catalog import Catalog, EventTypeFacts, TemplateFacts
from notifications.services.digests.schedule import choice_for, overflow_for
from notifications.services.digests.text import text_for
from notifications.services.policy_facts import DigestChoice
from notifications.services.recipients import OrganizationFacts, Person, address_index
from notifications.services.routing import Action, Decision, EventFacts, PersonFacts, Switch, decide
from notifications.services.smart_send.moments import NO_MOMENTS, Moments
from notifications.vocabulary import Channel, DeliveryStatus, Reason

LAST_ZONE = dt.timedelta(hours=12)  # behind UTC
STATUS_OF = {
    Action.SEND: DeliveryStatus.PENDING,
    Action.DEFER: DeliveryStatus.DEFERRED,
    Action.DIGEST: DeliveryStatus.IN_DIGEST,
    Action.SUPPRESS: DeliveryStatus.SUPPRESSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one call asks for, checked and independent of its recipients.

    ``scheduled_local`` is naive: a time in each recipient's own zone. ``tags`` are the event type's and the call's.
    """

    request_id: uuid.UUID
    organization_id: uuid.UUID
    event_type: EventTypeFacts
    template: TemplateFacts | None
    literal: ContentFacts | None
    data: Mapping[str, Any]
    channels: tuple[str, ...] | None
    priority: int
    critical: bool
    scheduled_for: dt.datetime | None
    source: str
    idempotency_key: str
    now: dt.datetime
    mail: Mapping[str, Any] | None = None
    tags: tuple[str, ...] = ()
    scheduled_local: dt.datetime | None = None

    @property
    def expires_at(self) -> dt.datetime | None:
        lifetime = self.event_type.expires_after
        return (self.scheduled_for or self._last_local or self.now) + lifetime if lifetime else None

    @property
    def _last_local(self) -> dt.datetime | None:
        """When the local time is there in the last of all zones."""
        local = self.scheduled_local
        return local.replace(tzinfo=dt.UTC) + LAST_ZONE if local else None

    @property
    def event(self) -> EventFacts:
        """The event type as routing weighs it, with what the call says instead."""
        event = self.event_type.routing
        if (event.is_critical, event.priority) == (self.critical, self.priority):
            return event
        return replace(event, is_critical=self.critical, priority=self.priority)

    def content_for(self, person: Person, organization: OrganizationFacts) -> ContentFacts | None:
        if self.literal is not None:
            return self.literal
        return self.template.content_for(person.locale, organization.locale) if self.template else None


@dataclass(slots=True)
class PlannedDelivery:
    id: uuid.UUID
    channel: str
    status: str
    reason: str
    decision: dict[str, Any]
    due_at: dt.datetime
    error: str = ""
    digest: DigestChoice | None = None


@dataclass(slots=True)
class PlannedNotification:
    id: uuid.UUID
    person: Person
    deliveries: list[PlannedDelivery]
    title: str = ""
    body: str = ""
    action_url: str = ""
    in_inbox: bool = False
    address: str = ""
    address_index: str = ""
    tags: tuple[str, ...] = ()
    actions: list[dict[str, str]] | None = None


def check_data(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """The data as plain values; raises InvalidInput."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise InvalidInput("Data must be an object.", attr="data")
    for reserved in sorted(RESERVED_NAMES & data.keys()):
        raise InvalidInput(
            f"{reserved!r} is filled in by CastComm; use another name.", attr=f"data.{reserved}"
        )
    try:
        made = plain(data)
    except TypeError as error:
        raise InvalidInput(f"{error}.", attr="data") from error
    assert isinstance(made, dict)
    return made


_CHECKS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "list": (list,),
    "object": (dict,),
    "date": (str, dt.date),
}


def check_variables(template: TemplateFacts | None, data: Mapping[str, Any]) -> None:
    """Hold the data to the variables that the template declares; raises InvalidInput that names the variable."""
    for name, declared in (template.variables if template else {}).items():
        value = data.get(name)
        if value is None:
            if declared.get("required"):
                raise InvalidInput(
                    f"The template {template.key!r} needs this variable." if template else "",
                    attr=f"data.{name}",
                    code="required",
                )
            continue
        wanted = _CHECKS.get(declared.get("type", ""))
        if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted)):
            raise InvalidInput(f"This must be a {declared['type']}.", attr=f"data.{name}")


def choose_template(
    catalog: Catalog, key: str | None, event_type: EventTypeFacts | None
) -> TemplateFacts | None:
    """The template named by the call, or the event type's; raises InvalidInput for an unknown or empty one."""
    if key is None:
        return event_type.template if event_type else None
    template = catalog.templates.get(key)
    if template is None:
        raise InvalidInput(f"There is no template {key!r}.", attr="template", code="unknown_template")
    if not template.contents:
        raise InvalidInput(
            f"The template {key!r} has no published version.", attr="template", code="unpublished"
        )
    return template


def literal(content: Mapping[str, str] | None) -> ContentFacts | None:
    """Text given with the call as a content."""
    return literal_content(content) if content else None


def plan(
    message: Message,
    *,
    people: list[Person],
    organization: OrganizationFacts,
    catalog: Catalog,
    room: Room = NO_CAPS,
    moments: Moments = NO_MOMENTS,
) -> list[PlannedNotification]:
    """A planned notification for each person, within the room that the caps leave."""
    planner = _Planner(message, organization, catalog, room, moments)
    return [planner.plan(person) for person in people]


def routing_facts(
    person: Person,
    event_type: EventTypeFacts,
    catalog: Catalog,
    *,
    room: Room = NO_CAPS,
    moments: Moments = NO_MOMENTS,
) -> PersonFacts:
    """The person's facts, narrowed to one event type, with the organization's defaults behind them."""
    personal = tuple(Switch(s.scope, s.channel, s.enabled) for s in _relevant(person.switches, event_type))
    defaults = tuple(
        Switch(s.scope, s.channel, s.enabled, False) for s in _relevant(catalog.switches, event_type)
    )
    choices = {"personal": person.digests, "defaults": catalog.digests}
    collects = event_type.is_digestible and person.user_id is not None and Channel.EMAIL in person.addresses
    quiet = tuple(one for one in (person.quiet, *person.quiet_by_channel.values()) if one is not None)
    return PersonFacts(
        switches=personal + defaults,
        quiet=person.quiet,
        quiet_by_channel=person.quiet_by_channel,
        zone=person.time_zone,
        digest=choice_for(event_type.category_id, **choices) if collects else None,
        overflow=overflow_for(event_type.category_id, **choices)
        if collects and room is not NO_CAPS
        else None,
        full=room.full(person.user_id),
        moment=moments.of(person.user_id, quiet=quiet),
        addresses=person.addresses,
        suppressed=person.suppressed,
    )


def decide_within(
    room: Room,
    user_id: uuid.UUID | None,
    *,
    event: EventFacts,
    person: PersonFacts,
    contents: frozenset[str],
    now: dt.datetime,
    requested: tuple[str, ...] | None = None,
    scheduled_for: dt.datetime | None = None,
    scheduled_local: dt.datetime | None = None,
) -> list[Decision]:
    """``decide``, again while the channels that would go out at once are together more than the caps leave room for."""
    while True:
        decisions = decide(
            event=event,
            person=person,
            contents=contents,
            now=now,
            requested=requested,
            scheduled_for=scheduled_for,
            scheduled_local=scheduled_local,
        )
        beyond = room.beyond(user_id, [one.channel for one in decisions if one.action == Action.SEND])
        if not beyond.keys() - person.full.keys():
            return decisions
        person = replace(person, full={**person.full, **beyond})


def _relevant(switches: Any, event_type: EventTypeFacts) -> Any:
    targets = (None, event_type.id, event_type.category_id)
    return (switch for switch in switches if switch.target in targets)


@dataclass(frozen=True, slots=True)
class _Planner:
    """What the recipients of one call have in common."""

    message: Message
    organization: OrganizationFacts
    catalog: Catalog
    room: Room
    moments: Moments

    def plan(self, person: Person) -> PlannedNotification:
        content = self.message.content_for(person, self.organization)
        deliveries = [_planned_delivery(one) for one in self._decide(person, content)]
        planned = PlannedNotification(new_id(), person, deliveries, tags=self.message.tags)
        if person.user_id is None:
            planned.address = encrypt(person.email or person.phone)
            planned.address_index = address_index(person.email, person.phone)
        if content is not None:
            self._fill_in(planned, content)
        return planned

    def _decide(self, person: Person, content: ContentFacts | None) -> list[Decision]:
        message = self.message
        return decide_within(
            self.room,
            person.user_id,
            event=message.event,
            person=routing_facts(
                person, message.event_type, self.catalog, room=self.room, moments=self.moments
            ),
            contents=content.channels() if content else frozenset(),
            now=message.now,
            requested=message.channels,
            scheduled_for=message.scheduled_for,
            scheduled_local=message.scheduled_local,
        )

    def _fill_in(self, planned: PlannedNotification, content: ContentFacts) -> None:
        """The text that is shown in the inbox and in a digest, if it comes into one of them."""
        for delivery in planned.deliveries:
            if delivery.channel == Channel.IN_APP and delivery.status != DeliveryStatus.SUPPRESSED:
                _fill_in_app(planned, delivery, content, self._context(planned))
        for delivery in planned.deliveries:
            if delivery.status == DeliveryStatus.IN_DIGEST and not planned.title:
                _fill_digest(planned, delivery, content, self._context(planned))

    def _context(self, planned: PlannedNotification) -> dict[str, Any]:
        return context_for(self.message, planned.id, planned.person, self.organization)


def context_for(
    message: Message, notification_id: uuid.UUID, person: Person, organization: OrganizationFacts
) -> dict[str, Any]:
    """What a template sees."""
    return message_context(
        data=message.data,
        user=person.template_context(),
        organization_name=organization.name,
        event_key=message.event_type.key,
        event_name=message.event_type.name,
        notification_id=str(notification_id),
    )


def _planned_delivery(decision: Decision) -> PlannedDelivery:
    return PlannedDelivery(
        new_id(),
        decision.channel,
        STATUS_OF[decision.action].value,
        decision.reason.value,
        decision_json(decision),
        decision.due_at,
        digest=decision.digest,
    )


def decision_json(decision: Decision) -> dict[str, Any]:
    """What a delivery keeps of what routing weighed."""
    return {"action": decision.action.value, "reason": decision.reason.value, **decision.detail}


def _fill_in_app(
    planned: PlannedNotification, delivery: PlannedDelivery, content: ContentFacts, context: Mapping[str, Any]
) -> None:
    """Render the inbox text now; what goes in at once is delivered by being written."""
    try:
        _set_text(planned, render_in_app(content, context))
    except RenderingError as error:
        _fail(delivery, error)
        return
    if delivery.status == DeliveryStatus.PENDING:
        planned.in_inbox = True
        delivery.status, delivery.reason = DeliveryStatus.DELIVERED.value, Reason.IN_INBOX.value


def _fill_digest(
    planned: PlannedNotification, delivery: PlannedDelivery, content: ContentFacts, context: Mapping[str, Any]
) -> None:
    """Render what the digest will say of it: by then its template may have changed."""
    try:
        _set_text(planned, text_for(content, context))
    except RenderingError as error:
        _fail(delivery, error)


def _set_text(planned: PlannedNotification, text: InAppText) -> None:
    planned.title, planned.body, planned.action_url = text.title, text.body, text.action_url
    planned.actions = text.actions


def _fail(delivery: PlannedDelivery, error: RenderingError) -> None:
    delivery.status, delivery.reason = DeliveryStatus.FAILED.value, Reason.RENDERING.value
    delivery.error = str(error)
    delivery.digest = None
