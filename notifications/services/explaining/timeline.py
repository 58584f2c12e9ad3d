"""What happened to a notification, in order, for staff."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from notifications.models import Delivery, DeliveryAttempt, Notification
from notifications.services.explain import MAX_EVENTS, event_sentence, resolution, sentence
from notifications.services.explaining.words import why

_DECIDED_TO = {"digest": "put it into a digest", "defer": "put it off", "suppress": "leave it out"}

Happening = tuple[dt.datetime, str]


def timeline(notification: Notification) -> list[tuple[str, str]]:
    """(time, what happened) of a notification with its ledger (selectors.notifications_with_ledger)."""
    events = [(notification.created_at, f"Accepted from {notification.request.source}")]
    for delivery in notification.deliveries.all():
        channel = delivery.get_channel_display()
        events += [(moment, f"{channel}: {text}") for moment, text in _of(delivery)]
    return [
        (moment.isoformat(timespec="milliseconds"), text.strip())
        for moment, text in sorted(events, key=lambda e: e[0])
    ]


def _of(delivery: Delivery) -> Iterator[Happening]:
    yield from _decisions(delivery)
    attempts = list(delivery.attempts.all())
    for attempt in attempts:
        yield from _tried(attempt)
    for event in list(delivery.events.all())[:MAX_EVENTS]:
        yield event.occurred_at, f"{event_sentence(event)} {event.detail}"
    if resolved := delivery.decision.get("resolved"):
        yield dt.datetime.fromisoformat(resolved["at"]), resolution(resolved)
    if delivery.settled_at and not attempts:
        yield delivery.settled_at, f"{delivery.get_status_display()}. {sentence(delivery)}"


def _decisions(delivery: Delivery) -> Iterator[Happening]:
    """What was decided when it was accepted, and each time that it was looked at again."""
    decided = delivery.decision
    for one in (*decided.get("earlier", ()), decided):
        action = one.get("action", "")
        moment = dt.datetime.fromisoformat(one["at"]) if one.get("at") else delivery.created_at
        words = why(one.get("reason", ""), one)
        yield moment, f"decided to {_DECIDED_TO.get(action, action)}. {words}"


def _tried(attempt: DeliveryAttempt) -> Iterator[Happening]:
    yield attempt.started_at, f"attempt {attempt.number} through {attempt.provider}"
    if attempt.finished_at:
        outcome = attempt.get_outcome_display() if attempt.outcome else "cut short"
        yield attempt.finished_at, f"{outcome}. {attempt.detail}"
