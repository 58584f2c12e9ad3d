"""One file per noun."""

from notifications.models.catalog import Category, EventType, QuietHoursPolicy
from notifications.models.deliveries import Delivery, DeliveryAttempt
from notifications.models.preferences import (
    Preference,
    PreferenceScope,
    PushSubscription,
    QuietHours,
    Suppression,
    SuppressionReason,
)
from notifications.models.requests import (
    FanoutChunk,
    Inbox,
    Notification,
    NotificationRequest,
    RequestStatus,
)
from notifications.models.templates import (
    Template,
    TemplateContent,
    TemplateKind,
    TemplateVersion,
    VersionStatus,
)

__all__ = [
    "Category",
    "Delivery",
    "DeliveryAttempt",
    "EventType",
    "FanoutChunk",
    "Inbox",
    "Notification",
    "NotificationRequest",
    "Preference",
    "PreferenceScope",
    "PushSubscription",
    "QuietHours",
    "QuietHoursPolicy",
    "RequestStatus",
    "Suppression",
    "SuppressionReason",
    "Template",
    "TemplateContent",
    "TemplateKind",
    "TemplateVersion",
    "VersionStatus",
]
