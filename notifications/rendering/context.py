"""What a template sees besides the data of the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

# Names that CastComm fills in; the data of a call may not use them.
RESERVED_NAMES = frozenset(
    {
        "user",
        "organization",
        "event",
        "links",
        "notification_id",
        "unsubscribe_url",
        "preferences_url",
    }
)


def person_context(
    *,
    user_id: str,
    email: str,
    first_name: str,
    last_name: str,
    locale: str,
    time_zone: str,
    attributes: Mapping[str, Any],
) -> dict[str, Any]:
    """The recipient, as ``user``."""
    return {
        "id": user_id,
        "email": email,
        "first_name": first_name,
        "last_name": last_name,
        "name": f"{first_name} {last_name}".strip() or email.split("@", 1)[0],
        "locale": locale,
        "time_zone": time_zone,
        "attributes": attributes,
    }


def message_context(
    *,
    data: Mapping[str, Any],
    user: Mapping[str, Any],
    organization_name: str,
    event_key: str,
    event_name: str,
    notification_id: str,
    unsubscribe_url: str = "",
    preferences_url: str = "",
) -> dict[str, Any]:
    """The whole context; the names beside the data are reserved (``RESERVED_NAMES``).

    ``unsubscribe_url`` and ``preferences_url`` are the mail's own links (``mail_links.context_links``), and "" where
    there is none: on other channels, and the first one in critical mail.
    """
    return {
        **data,
        "user": user,
        "organization": {"name": organization_name},
        "event": {"key": event_key, "name": event_name},
        "links": {
            "home": settings.FRONTEND_URL,
            "inbox": f"{settings.PUBLIC_URL}/inbox/",
            "chat": f"{settings.PUBLIC_URL}/chat/",
            "preferences": f"{settings.PUBLIC_URL}/preferences/",
        },
        "notification_id": notification_id,
        "unsubscribe_url": unsubscribe_url,
        "preferences_url": preferences_url,
    }
