"""From one call and its recipients to the rows that have to be written: decided, rendered, not yet stored."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from castcomm.common.crypto import encrypt
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import new_id
from notifications.rendering.content import ContentFacts, literal_content, render_in_app
from notifications.rendering.context import RESERVED_NAMES, message_context
from notifications.rendering.sandbox import RenderingError, plain
from notifications.services.catalog import Catalog, EventTypeFacts, TemplateFacts
from notifications.services.recipients import OrganizationFacts, Person, address_index
from notifications.services.routing import Action, Decision, EventFacts, PersonFacts, Switch, decide
from notifications.vocabulary import Channel, DeliveryStatus, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one call asks for, checked and independent of its recipients."""

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

    @property
    def expires_at(self) -> dt.datetime | None:
        lifetime = self.event_type.expires_after
        return (self.scheduled_for or self.now) + lifetime if lifetime else None

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
    message: Message, *, people: list[Person], organization: OrganizationFacts, catalog: Catalog
) -> list[PlannedNotification]:
    """A planned notification for each person."""
    defaults = tuple(
        Switch(s.scope, s.channel, s.enabled, False) for s in _relevant(catalog.switches, message.event_type)
    )
    return [_plan_one(message, person, organization, defaults) for person in people]


def routing_facts(person: Person, event_type: EventTypeFacts, defaults: tuple[Switch, ...]) -> PersonFacts:
    """The person's facts, narrowed to one event type."""
    personal = tuple(Switch(s.scope, s.channel, s.enabled) for s in _relevant(person.switches, event_type))
    return PersonFacts(
        switches=personal + defaults,
        quiet=person.quiet,
        addresses=person.addresses,
        suppressed=person.suppressed,
    )


def _relevant(switches: Any, event_type: EventTypeFacts) -> Any:
    targets = (None, event_type.id, event_type.category_id)
    return (switch for switch in switches if switch.target in targets)


def _plan_one(
    message: Message, person: Person, organization: OrganizationFacts, defaults: tuple[Switch, ...]
) -> PlannedNotification:
    content = message.content_for(person, organization)
    event = message.event_type.routing
    if message.critical != event.is_critical:
        event = EventFacts(
            channels=event.channels, is_critical=message.critical, quiet_hours_policy=event.quiet_hours_policy
        )
    decisions = decide(
        event=event,
        person=routing_facts(person, message.event_type, defaults),
        contents=content.channels() if content else frozenset(),
        now=message.now,
        requested=message.channels,
        scheduled_for=message.scheduled_for,
    )
    planned = PlannedNotification(new_id(), person, [_planned_delivery(d) for d in decisions])
    if person.user_id is None:
        planned.address = encrypt(person.email or person.phone)
        planned.address_index = address_index(person.email, person.phone)
    for delivery in planned.deliveries:
        if delivery.channel == Channel.IN_APP and delivery.status != DeliveryStatus.SUPPRESSED:
            assert content is not None
            _fill_in_app(planned, delivery, content, context_for(message, planned.id, person, organization))
    return planned


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
    status = {
        Action.SEND: DeliveryStatus.PENDING,
        Action.DEFER: DeliveryStatus.DEFERRED,
        Action.DIGEST: DeliveryStatus.IN_DIGEST,
        Action.SUPPRESS: DeliveryStatus.SUPPRESSED,
    }[decision.action]
    return PlannedDelivery(
        new_id(),
        decision.channel,
        status.value,
        decision.reason.value,
        {"action": decision.action.value, "reason": decision.reason.value, **decision.detail},
        decision.due_at,
    )


def _fill_in_app(
    planned: PlannedNotification, delivery: PlannedDelivery, content: ContentFacts, context: Mapping[str, Any]
) -> None:
    """Render the inbox text now; what goes in at once is delivered by being written."""
    try:
        text = render_in_app(content, context)
    except RenderingError as error:
        delivery.status, delivery.reason = DeliveryStatus.FAILED.value, Reason.RENDERING.value
        delivery.error = str(error)
        return
    planned.title, planned.body, planned.action_url = text.title, text.body, text.action_url
    if delivery.status == DeliveryStatus.PENDING:
        planned.in_inbox = True
        delivery.status, delivery.reason = DeliveryStatus.DELIVERED.value, Reason.IN_INBOX.value
