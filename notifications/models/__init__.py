"""One file per noun."""

from notifications.models.audiences import (
    Broadcast,
    BroadcastPhase,
    ListMember,
    RecipientList,
    Topic,
    TopicSubscription,
)
from notifications.models.caps import CapCounter, CapOverflow, CapPeriod, FrequencyCap
from notifications.models.catalog import Category, EventType, QuietHoursPolicy
from notifications.models.consents import ConsentRecord, ConsentSource
from notifications.models.deliveries import Delivery, DeliveryAttempt
from notifications.models.digests import (
    DigestFrequency,
    DigestItem,
    DigestSetting,
    DigestWindow,
    WindowStatus,
)
from notifications.models.engagement import HOURS_OF_WEEK, EngagementHistogram, SmartSendPolicy
from notifications.models.lifecycle import LifecycleJob, RetentionPolicy
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
    "HOURS_OF_WEEK",
    "Attachment",
    "BreakerState",
    "Broadcast",
    "BroadcastPhase",
    "CapCounter",
    "CapOverflow",
    "CapPeriod",
    "Category",
    "ConsentRecord",
    "ConsentSource",
    "Delivery",
    "DeliveryAttempt",
    "DigestFrequency",
    "DigestItem",
    "DigestSetting",
    "DigestWindow",
    "DisabledReason",
    "EngagementHistogram",
    "EventType",
    "FanoutChunk",
    "FrequencyCap",
    "Inbox",
    "LifecycleJob",
    "ListMember",
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
    "RecipientList",
    "RequestStatus",
    "RetentionPolicy",
    "SmartSendPolicy",
    "Suppression",
    "SuppressionReason",
    "Template",
    "TemplateContent",
    "TemplateKind",
    "TemplateVersion",
    "Topic",
    "TopicSubscription",
    "TrackedLink",
    "VersionStatus",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookKind",
    "WebhookMessage",
    "WebhookStatus",
    "WindowStatus",
]
