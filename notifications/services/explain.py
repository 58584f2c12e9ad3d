"""Explain: why each channel of a notification was or was not used; and what would happen if it were sent now."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from accounts.models import Organization
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput, NotFound
from notifications import selectors
from notifications.models import Delivery, Notification, ProviderEvent
from notifications.rendering.content import ContentFacts
from notifications.services.catalog import Catalog, EventTypeFacts, catalog_of
from notifications.services.planning import routing_facts
from notifications.services.recipients import Person, load_people, parse_recipients
from notifications.services.routing import Decision, decide
from notifications.vocabulary import Channel, DeliveryStatus, Reason

MAX_EVENTS = 100  # told per delivery, the first ones


def explain_notification(
    *, notification_id: uuid.UUID, organization: Organization | None, with_details: bool = True
) -> dict[str, Any]:
    """Everything that is known of one notification, in words; raises NotFound.

    Without an organization it looks in all (for the command line). ``with_details`` False leaves out what providers
    and templates said: that is for those who run the system, not for the recipient.
    """
    rows = selectors.notifications_with_ledger(organization.id if organization else None)
    found = rows.filter(id=notification_id).first()
    if found is None:
        raise NotFound("There is no such notification.")
    considered = {delivery.channel: delivery for delivery in found.deliveries.all()}
    return {
        "id": str(found.id),
        "request": str(found.request_id),
        "event_type": found.event_type.key,
        "source": found.request.source,
        "recipient": str(found.user_id) if found.user_id else "bare address",
        "created_at": found.created_at.isoformat(),
        "cancelled_at": found.cancelled_at.isoformat() if found.cancelled_at else None,
        "channels": [
            _explain_channel(channel, considered.get(channel), with_details) for channel in Channel.values
        ],
    }


def _explain_channel(channel: str, delivery: Delivery | None, with_details: bool) -> dict[str, Any]:
    if delivery is None:
        return {
            "channel": channel,
            "status": "not_used",
            "reason": Reason.NOT_REQUESTED.value,
            "sentence": Reason.NOT_REQUESTED.label,
        }
    return {
        "channel": channel,
        "delivery": str(delivery.id),
        "status": delivery.status,
        "reason": delivery.reason,
        "sentence": sentence(delivery, with_details=with_details),
        "decision": delivery.decision,
        "due_at": delivery.due_at.isoformat(),
        "sent_at": delivery.sent_at.isoformat() if delivery.sent_at else None,
        "error": delivery.error if with_details else "",
        "template_version": str(delivery.template_version) if delivery.template_version else None,
        "attempts": [
            {
                "number": attempt.number,
                "provider": attempt.provider,
                "started_at": attempt.started_at.isoformat(),
                "finished_at": attempt.finished_at.isoformat() if attempt.finished_at else None,
                "outcome": attempt.outcome or "cut short",
                "detail": attempt.detail if with_details else "",
                "provider_message_id": attempt.provider_message_id if with_details else "",
            }
            for attempt in delivery.attempts.all()
        ],
        "events": [_explain_event(event, with_details) for event in list(delivery.events.all())[:MAX_EVENTS]],
    }


def _explain_event(event: ProviderEvent, with_details: bool) -> dict[str, Any]:
    """What the provider, or our own tracking, reported."""
    return {
        "kind": event.kind,
        "sentence": event_sentence(event),
        "provider": event.provider,
        "occurred_at": event.occurred_at.isoformat(),
        "is_automatic": event.is_automatic,
        "detail": event.detail if with_details else "",
    }


def event_sentence(event: ProviderEvent) -> str:
    """What was reported, in words, and by whom."""
    machine = " by a machine, not a person" if event.is_automatic else ""
    who = f"reported by {event.provider}" if event.account else f"seen by CastComm ({event.provider})"
    return f"{event.get_kind_display()}{machine}, {who}."


def sentence(delivery: Delivery, *, with_details: bool = True) -> str:
    """Why the delivery is in its state, as one or two sentences."""
    decided = delivery.decision.get("reason", "")
    parts = []
    if decided in Reason.values and decided != delivery.reason:
        parts.append(Reason(decided).label)
    if delivery.reason in Reason.values:
        parts.append(Reason(delivery.reason).label)
    detail = delivery.decision
    if detail.get("scope") and Reason.PREFERENCE in (decided, delivery.reason):
        parts.append(
            f"The switch: {detail['scope']}, channel {detail['channel']}, set by the {detail['set_by']}."
        )
    if detail.get("until") and delivery.status == DeliveryStatus.DEFERRED:
        parts.append(f"Until {detail['until']}.")
    if (resolved := delivery.decision.get("resolved")) and delivery.status == DeliveryStatus.SENT:
        # Nobody saw the provider accept it.
        parts = [_resolution(resolved)]
    if delivery.status == DeliveryStatus.PENDING and delivery.attempt_count == 0:
        parts.append("It is waiting for a worker.")
    if delivery.error and with_details:
        parts.append(f"Detail: {delivery.error}")
    return " ".join(parts)


def _resolution(resolved: Mapping[str, Any]) -> str:
    who = resolved["by"] or "Staff"
    return f"{who} said that it arrived." if resolved["sent"] else f"{who} had it sent again."


def timeline(notification: Notification) -> list[tuple[str, str]]:
    """(time, what happened) of a notification, in order, for the admin."""
    events = [(notification.created_at, f"Accepted from {notification.request.source}")]
    for delivery in notification.deliveries.all():
        action = delivery.decision.get("action", "")
        decided = delivery.decision.get("reason", "")
        words = Reason(decided).label if decided in Reason.values else ""
        events.append(
            (delivery.created_at, f"{delivery.get_channel_display()}: decided to {action}. {words}")
        )
        for attempt in delivery.attempts.all():
            events.append(
                (
                    attempt.started_at,
                    f"{delivery.get_channel_display()}: attempt {attempt.number} through {attempt.provider}",
                )
            )
            if attempt.finished_at:
                outcome = attempt.get_outcome_display() if attempt.outcome else "cut short"
                events.append(
                    (attempt.finished_at, f"{delivery.get_channel_display()}: {outcome}. {attempt.detail}")
                )
        for event in list(delivery.events.all())[:MAX_EVENTS]:
            said = f"{delivery.get_channel_display()}: {event_sentence(event)} {event.detail}"
            events.append((event.occurred_at, said))
        if resolved := delivery.decision.get("resolved"):
            said = f"{delivery.get_channel_display()}: {_resolution(resolved)}"
            events.append((dt.datetime.fromisoformat(resolved["at"]), said))
        if delivery.settled_at and not delivery.attempts.all():
            events.append(
                (
                    delivery.settled_at,
                    f"{delivery.get_channel_display()}: {delivery.get_status_display()}. {sentence(delivery)}",
                )
            )
    return [
        (moment.isoformat(timespec="milliseconds"), text.strip())
        for moment, text in sorted(events, key=lambda e: e[0])
    ]


def would_reach(
    *, organization: Organization, recipient: Any, event_type: str, channels: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """What routing would decide for this person now; nothing is written. Raises InvalidInput."""
    facts, people = load_people(organization.id, parse_recipients([recipient]))
    catalog = catalog_of(organization.id, revision=facts.catalog_revision)
    kind = catalog.event_types.get(event_type)
    if kind is None:
        raise InvalidInput(
            f"There is no event type {event_type!r}.", attr="event_type", code="unknown_event_type"
        )
    person = people[0]
    content = kind.template.content_for(person.locale, facts.locale) if kind.template else None
    wanted = tuple(channels) if channels is not None else None
    return [_decision_json(one) for one in _decide(person, kind, content, catalog, wanted)]


def _decide(
    person: Person,
    kind: EventTypeFacts,
    content: ContentFacts | None,
    catalog: Catalog,
    wanted: tuple[str, ...] | None,
) -> list[Decision]:
    # Without a template the caller gives the text, so that no channel lacks content.
    contents = content.channels() if content else frozenset(Channel.values)
    return decide(
        event=kind.routing,
        person=routing_facts(person, kind, catalog),
        contents=contents,
        now=current_time(),
        requested=wanted,
    )


def _decision_json(decision: Decision) -> dict[str, Any]:
    return {
        "channel": decision.channel,
        "action": decision.action.value,
        "reason": decision.reason.value,
        "sentence": decision.reason.label,
        "due_at": decision.due_at.isoformat(),
        "detail": dict(decision.detail),
    }
