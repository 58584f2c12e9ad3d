"""The words of the notification system, in one place: channels, priorities, states, reasons."""

from __future__ import annotations

from django.db import models


class Channel(models.TextChoices):
    """Where a notification can reach a person."""

    IN_APP = "in_app", "In-app"
    EMAIL = "email", "E-mail"
    SMS = "sms", "SMS"
    PUSH = "push", "Push"


class Priority(models.IntegerChoices):
    """Each priority has its own queue; a lower number goes first."""

    URGENT = 0, "Urgent"
    HIGH = 1, "High"
    NORMAL = 2, "Normal"
    LOW = 3, "Low"

    @property
    def key(self) -> str:
        """The word of the API and the name of the Celery queue."""
        return self.name.lower()

    @classmethod
    def from_key(cls, key: str) -> Priority:
        """The priority that ``key`` names; raises KeyError."""
        return _PRIORITIES[key]


_PRIORITIES = {priority.key: priority for priority in Priority}


class DeliveryStatus(models.TextChoices):
    """The life of one delivery. It only ever moves forward, but for a retry."""

    PENDING = "pending", "Pending"
    DEFERRED = "deferred", "Deferred"
    IN_DIGEST = "in_digest", "Waiting for a digest"
    PAUSED = "paused", "Paused"
    SENDING = "sending", "Sending"
    UNKNOWN = "unknown", "Unknown"
    SENT = "sent", "Sent"
    DIGESTED = "digested", "Sent in a digest"
    DELIVERED = "delivered", "Delivered"
    OPENED = "opened", "Opened"
    CLICKED = "clicked", "Clicked"
    BOUNCED = "bounced", "Bounced"
    COMPLAINED = "complained", "Complained"
    FAILED = "failed", "Failed"
    SUPPRESSED = "suppressed", "Suppressed"
    CANCELLED = "cancelled", "Cancelled"
    DEAD = "dead", "Dead letter"


WAITING = (DeliveryStatus.PENDING, DeliveryStatus.DEFERRED)
CANCELLABLE = (*WAITING, DeliveryStatus.IN_DIGEST, DeliveryStatus.PAUSED)
FAILED = (DeliveryStatus.FAILED, DeliveryStatus.DEAD)
REQUEUABLE = (*FAILED, DeliveryStatus.UNKNOWN)  # what may have arrived, only on somebody's word


class Outcome(models.TextChoices):
    """What one provider call came to; the classifier that every provider shares gives one of these."""

    SENT = "sent", "Accepted by the provider"
    NOT_SENT = "not_sent", "Definitely not sent"
    UNKNOWN = "unknown", "Nobody knows"
    PERMANENT = "permanent", "Refused for good"


class ReceiptKind(models.TextChoices):
    """What a provider, or our own tracking, can report about a message after it was sent."""

    ACCEPTED = "accepted", "Accepted"
    DEFERRED = "deferred", "Delayed by the receiving side"
    DELIVERED = "delivered", "Delivered"
    OPENED = "opened", "Opened"
    CLICKED = "clicked", "Clicked"
    BOUNCED = "bounced", "Bounced for good"
    SOFT_BOUNCED = "soft_bounced", "Bounced for now"
    COMPLAINED = "complained", "Reported as spam"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"
    FAILED = "failed", "Failed at the provider"


class SuppressionReason(models.TextChoices):
    """Why nothing is sent to an address any more."""

    BOUNCE = "bounce", "Hard bounce"
    COMPLAINT = "complaint", "Complaint"
    UNSUBSCRIBE = "unsubscribe", "Unsubscribed"
    MANUAL = "manual", "Added by staff"


class Reason(models.TextChoices):
    """Why a channel was or was not used: the codes that *explain* turns into sentences."""

    DEFAULT = "default", "The event type sends on this channel by default."
    REQUESTED = "requested", "The caller asked for this channel."
    CRITICAL = "critical", "It is critical: preferences and quiet hours do not hold it back."
    PREFERRED = "preferred", "The person turned this channel on."
    NOT_REQUESTED = "not_requested", "It does not use this channel."
    PREFERENCE = "preference", "It was turned off in the preferences."
    QUIET_HOURS = "quiet_hours", "The person's quiet hours: it waits until they end."
    QUIET_HOURS_DROP = "quiet_hours_drop", "The person's quiet hours, and this event type does not wait."
    SCHEDULED = "scheduled", "The caller asked for a later time."
    LOCAL_TIME = "local_time", "The caller asked for a time in the recipient's own time zone."
    SMART_TIME = "smart_time", "It waits for an hour at which the person usually reads."
    DIGEST = "digest", "The person gets this kind of news in a digest."
    DIGESTED = "digested", "It went out in a digest."
    READ_MEANWHILE = "read_meanwhile", "It was read before the digest went out."
    CAP = "cap", "The person has had as much as the organization allows: it goes into the digest."
    CAP_WAIT = "cap_wait", "The person has had as much as the organization allows: it waits."
    CAP_DROP = "cap_drop", "The person has had as much as the organization allows, and the rest is not sent."
    NO_CONSENT = "no_consent", "This kind of news needs the person's consent, which was not given."
    PAUSED = "paused", "Its broadcast is paused."
    SUPPRESSION = "suppression", "The address is on the suppression list."
    REGION = "region", "SMS to this country, or to this kind of number, are not allowed."
    NO_ADDRESS = "no_address", "The person has no address for this channel."
    NO_TEMPLATE = "no_template", "There is no published content for this channel."
    RENDERING = "rendering", "The template could not be rendered."
    EXPIRED = "expired", "It expired before it could be sent."
    CANCELLED = "cancelled", "It was cancelled."
    ACCEPTED = "accepted", "The provider accepted it."
    IN_INBOX = "in_inbox", "It is in the person's inbox."
    REFUSED = "refused", "The provider refused it for good."
    RETRYING = "retrying", "The provider did not take it; it will be tried again."
    EXHAUSTED = "exhausted", "It was tried as often as allowed."
    AMBIGUOUS = "ambiguous", "The provider hung or broke off: it may or may not have arrived."
    WORKER_LOST = "worker_lost", "The worker died after the attempt began: it may or may not have arrived."
    FAILOVER = "failover", "The provider refused it; the next one is tried."
    SAME_PROVIDER = (
        "same_provider",
        "The provider broke off: it is asked again, with the same idempotency key.",
    )
    RATE_LIMITED = "rate_limited", "A limit per minute, hour or day was reached: it waits."
    BREAKER_OPEN = "breaker_open", "No provider account works at the moment: it waits."
    NO_PROVIDER = "no_provider", "No provider account is configured for this channel."
    DELIVERED = "delivered", "The provider reports that it was delivered."
    OPENED = "opened", "It was opened."
    CLICKED = "clicked", "A link in it was clicked."
    BOUNCED = "bounced", "The receiving side refused it."
    COMPLAINED = "complained", "The recipient reported it as spam."
    UNSUBSCRIBED = "unsubscribed", "The recipient unsubscribed."
    PROVIDER_FAILED = "provider_failed", "The provider accepted it and reported later that it failed."
    RECIPIENT_INACTIVE = "recipient_inactive", "The person is no longer active in this organization."
    ORGANIZATION_INACTIVE = "org_inactive", "The organization is not active."
