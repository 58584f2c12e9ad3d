"""Would it reach this person now, and why: what routing would decide, without writing, counting or locking anything."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from accounts.models import Organization
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from notifications.services.caps.room import Room, room_as_it_is
from notifications.services.catalog import Catalog, EventTypeFacts, catalog_of
from notifications.services.explaining.surroundings import open_window, window_json
from notifications.services.explaining.words import why
from notifications.services.local_times import parse_local
from notifications.services.planning import decide_within, routing_facts
from notifications.services.recipients import Person, load_people, parse_recipients
from notifications.services.routing import Action, Decision, EventFacts
from notifications.services.send_checks import check_priority
from notifications.services.smart_send.moments import Moments, moments_for
from notifications.vocabulary import Channel


def would_reach(
    *,
    organization: Organization,
    recipient: Any,
    event_type: str,
    channels: Sequence[str] | None = None,
    priority: str | None = None,
    critical: bool | None = None,
    scheduled_for: dt.datetime | None = None,
    scheduled_local: str | None = None,
) -> list[dict[str, Any]]:
    """What routing would decide for this person now, per channel; nothing is written. Raises InvalidInput.

    The rest is as in ``send_notification``.
    """
    facts, [person] = load_people(organization.id, parse_recipients([recipient]))
    catalog = catalog_of(organization.id, revision=facts.catalog_revision)
    kind = catalog.event_types.get(event_type)
    if kind is None:
        raise InvalidInput(
            f"There is no event type {event_type!r}.", attr="event_type", code="unknown_event_type"
        )
    event = replace(
        kind.routing,
        priority=check_priority(priority, kind.priority),
        is_critical=kind.routing.is_critical if critical is None else critical,
    )
    now = current_time()
    room, moments = _room_and_moments(organization, person, kind, event, catalog, now)
    content = kind.template.content_for(person.locale, facts.locale) if kind.template else None
    decisions = decide_within(
        room,
        person.user_id,
        event=event,
        person=routing_facts(person, kind, catalog, room=room, moments=moments),
        # Without a template the caller gives the text, so that no channel lacks content.
        contents=content.channels() if content else frozenset(Channel.values),
        now=now,
        requested=tuple(channels) if channels is not None else None,
        scheduled_for=scheduled_for,
        scheduled_local=parse_local(scheduled_local, attr="scheduled_local") if scheduled_local else None,
    )
    return [_decision_json(one, organization, person) for one in decisions]


def _room_and_moments(
    organization: Organization,
    person: Person,
    kind: EventTypeFacts,
    event: EventFacts,
    catalog: Catalog,
    now: dt.datetime,
) -> tuple[Room, Moments]:
    room = room_as_it_is(
        organization_id=organization.id,
        catalog=catalog,
        event_type=kind,
        critical=event.is_critical,
        user_ids=[person.user_id],
        now=now,
    )
    moments = moments_for(
        organization_id=organization.id,
        catalog=catalog,
        priority=event.priority,
        user_ids=[person.user_id],
        zones={person.user_id: person.time_zone} if person.user_id else {},
        now=now,
        until=now + kind.expires_after if kind.expires_after else None,
    )
    return room, moments


def _decision_json(decision: Decision, organization: Organization, person: Person) -> dict[str, Any]:
    made: dict[str, Any] = {
        "channel": decision.channel,
        "action": decision.action.value,
        "reason": decision.reason.value,
        "sentence": why(decision.reason.value, decision.detail),
        "due_at": decision.due_at.isoformat(),
        "detail": dict(decision.detail),
    }
    if decision.action == Action.DIGEST and person.user_id is not None:
        window = open_window(organization.id, person.user_id, decision.detail["cadence"])
        made["digest"] = window_json(window) if window else None
    return made
