"""The ready-made categories and event types."""

from __future__ import annotations

from dataclasses import dataclass, field

from notifications.services.defaults import DIGEST
from notifications.vocabulary import Priority

CATEGORIES = (
    ("account", "Account", "Sign-up, sign-in and security."),
    ("activity", "Activity", "What happens around your projects."),
    ("messages", "Messages", "Conversations with other people."),
    ("general", "General", "Everything else."),
    ("digests", "Digests", "Mails with several notifications in them."),
)


@dataclass(frozen=True, kw_only=True)
class ReadyMadeEventType:
    key: str
    name: str
    category: str
    template: str
    channels: tuple[str, ...]
    priority: Priority = Priority.NORMAL
    flags: dict[str, bool] = field(default_factory=dict)


EVENT_TYPES = (
    ReadyMadeEventType(
        key="user_registered",
        name="Registration",
        category="account",
        template="welcome",
        channels=("in_app",),
        flags={"notify_on_event": True},
    ),
    ReadyMadeEventType(
        key="email_verification",
        name="E-mail verification",
        category="account",
        template="email-verification",
        channels=("email",),
        priority=Priority.URGENT,
        flags={"is_critical": True, "duplicates_allowed": True},
    ),
    ReadyMadeEventType(
        key="password_reset",
        name="Password reset",
        category="account",
        template="password-reset",
        channels=("email",),
        priority=Priority.URGENT,
        flags={"is_critical": True, "duplicates_allowed": True},
    ),
    ReadyMadeEventType(
        key="oauth_linked",
        name="Sign-in linked",
        category="account",
        template="oauth-linked",
        channels=("in_app", "email"),
        priority=Priority.HIGH,
        flags={"is_critical": True},
    ),
    ReadyMadeEventType(
        key="security_alert",
        name="Security alert",
        category="account",
        template="security-alert",
        channels=("in_app", "email", "sms", "push"),
        priority=Priority.URGENT,
        flags={"is_critical": True},
    ),
    ReadyMadeEventType(
        key="nda_request",
        name="NDA request",
        category="activity",
        template="nda_request",
        channels=("in_app", "email", "push"),
        flags={"is_digestible": True},
    ),
    ReadyMadeEventType(
        key="chat_unread",
        name="Unread chat messages",
        category="messages",
        template="chat-unread",
        channels=("email", "push"),
        priority=Priority.LOW,
        flags={"is_digestible": True},
    ),
    ReadyMadeEventType(
        key=DIGEST,
        name="Digest",
        category="digests",
        template=DIGEST,
        channels=("email",),
        flags={"is_cap_exempt": True},
    ),
)
