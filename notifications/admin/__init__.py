"""The admin of notifications: what can be said, what was sent and why, and what people want."""

from notifications.admin import (
    catalog,
    deliveries,
    digests,
    events,
    lifecycle,
    notifications,
    preferences,
    providers,
    requests,
    schedules,
    suppressions,
    templates,
    webhook_deliveries,
    webhook_endpoints,
)

__all__ = [
    "catalog",
    "deliveries",
    "digests",
    "events",
    "lifecycle",
    "notifications",
    "preferences",
    "providers",
    "requests",
    "schedules",
    "suppressions",
    "templates",
    "webhook_deliveries",
    "webhook_endpoints",
]
