"""What every organization has from its first send: the category and event type of direct messages."""

from __future__ import annotations

from accounts.models import Organization
from notifications.models import Category, EventType
from notifications.vocabulary import Channel

DIRECT = "direct"
GENERAL = "general"
DIGEST = "digest"  # the event type of digests, and the template that it comes with


def ensure_direct_event_type(organization: Organization) -> EventType:
    """The event type under which a template or text is sent when the call names none; made when missing."""
    category, _ = Category.objects.get_or_create(
        organization=organization, key=GENERAL, defaults={"name": "General"}
    )
    event_type, _ = EventType.objects.get_or_create(
        organization=organization,
        key=DIRECT,
        defaults={
            "name": "Direct message",
            "description": "Sends that name a template or give their text.",
            "category": category,
            "channels": [Channel.EMAIL.value, Channel.IN_APP.value],
        },
    )
    return event_type
