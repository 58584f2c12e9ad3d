"""Explain: why each channel of a notification was or was not used."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from accounts.models import Organization
from castcomm.common.errors import NotFound
from notifications import selectors
from notifications.models import Delivery, DigestWindow, ProviderEvent
from notifications.services.explaining.surroundings import (
    broadcast_json,
    digest_itself,
    digests_of,
    window_json,
    window_sentence,
)
from notifications.services.explaining.words import why
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
    windows = digests_of(considered.values())
    itself = digest_itself(found)
    return {
        "id": str(found.id),
        "request": str(found.request_id),
        "event_type": found.event_type.key,
        "source": found.request.source,
        "recipient": str(found.user_id) if found.user_id else "bare address",
        "created_at": found.created_at.isoformat(),
        "cancelled_at": found.cancelled_at.isoformat() if found.cancelled_at else None,
        "channels": [
            _explain_channel(channel, considered.get(channel), windows, with_details)
            for channel in Channel.values
        ],
        "digest": window_json(itself) if itself else None,
        "broadcast": broadcast_json(found),
    }


def _explain_channel(
    channel: str,
    delivery: Delivery | None,
    windows: Mapping[uuid.UUID, DigestWindow],
    with_details: bool,
) -> dict[str, Any]:
    if delivery is None:
        return {
            "channel": channel,
            "status": "not_used",
            "reason": Reason.NOT_REQUESTED.value,
            "sentence": Reason.NOT_REQUESTED.label,
        }
    window = windows.get(delivery.id)
    in_digest = window_sentence(window, delivery.status) if window else ""
    return {
        "channel": channel,
        "delivery": str(delivery.id),
        "status": delivery.status,
        "reason": delivery.reason,
        "sentence": f"{sentence(delivery, with_details=with_details)} {in_digest}".strip(),
        "decision": delivery.decision,
        "digest": window_json(window) if window else None,
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
    """Why the delivery is in its state, in a few sentences."""
    detail = delivery.decision
    decided = detail.get("reason", "")
    parts = []
    if decided != delivery.reason:
        parts.append(why(decided, detail, is_waiting=False))
    parts.append(why(delivery.reason, detail, is_waiting=delivery.status == DeliveryStatus.DEFERRED))
    if (resolved := detail.get("resolved")) and delivery.status == DeliveryStatus.SENT:
        # Nobody saw the provider accept it.
        parts = [resolution(resolved)]
    if delivery.status == DeliveryStatus.PENDING and delivery.attempt_count == 0:
        parts.append("It is waiting for a worker.")
    parts += [
        f"Before that: {why(one['reason'], one)}" for one in detail.get("earlier", ()) if one.get("reason")
    ]
    if delivery.error and with_details:
        parts.append(f"Detail: {delivery.error}")
    return " ".join(part for part in parts if part)


def resolution(resolved: Mapping[str, Any]) -> str:
    """What staff said of a delivery of which nobody knew whether it arrived."""
    who = resolved["by"] or "Staff"
    return f"{who} said that it arrived." if resolved["sent"] else f"{who} had it sent again."
