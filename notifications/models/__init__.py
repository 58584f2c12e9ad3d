"""One file per noun."""

from notifications.models.catalog import Category, EventType, QuietHoursPolicy
from notifications.models.deliveries import Delivery, DeliveryAttempt
from notifications.models.preferences import (
    Preference,
    PreferenceScope,
    PushKind,
    PushSubscription,
    QuietHours,
    Suppression,
)
from notifications.models.providers import (
    BreakerState,
    ProviderAccount,
    ProviderBreaker,
    ProviderEvent,
    TrackedLink,
)
from notifications.models.requests import (
    Attachment,
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
from notifications.models.webhooks import (
    DisabledReason,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookKind,
    WebhookMessage,
    WebhookStatus,
)
from notifications.vocabulary import SuppressionReason

__all__ = [
    "Attachment",
    "BreakerState",
    "Category",
    "Delivery",
    "DeliveryAttempt",
    "DisabledReason",
    "EventType",
    "FanoutChunk",
    "Inbox",
    "Notification",
    "NotificationRequest",
    "Preference",
    "PreferenceScope",
    "ProviderAccount",
    "ProviderBreaker",
    "ProviderEvent",
    "PushKind",
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
    "TrackedLink",
    "VersionStatus",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookKind",
    "WebhookMessage",
    "WebhookStatus",
]
