"""The ready-made messages, in English. Their variables have defaults or are declared, so that they always render."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from notifications.ready_made.layout import section

FIRST_NAME = "{{ user.first_name or user.name }}"


@dataclass(frozen=True, kw_only=True)
class ReadyMadeTemplate:
    """One template with its English content (fields of TemplateContent)."""

    key: str
    name: str
    content: dict[str, str]
    description: str = ""
    variables: dict[str, Any] = field(default_factory=dict)


def _url(example: str) -> dict[str, Any]:
    return {"type": "string", "required": True, "example": example}


TEMPLATES = (
    ReadyMadeTemplate(
        key="welcome",
        name="Welcome",
        description="The first message to a new user.",
        content={
            "subject": "Welcome to {{ organization.name }}, " + FIRST_NAME,
            "mjml": section(
                "Welcome, " + FIRST_NAME,
                "Your account at {{ organization.name }} is ready.",
                "{% if user.attributes.profile_completion is defined %}Your profile is "
                "{{ user.attributes.profile_completion }}% complete. {% endif %}A complete profile is found sooner.",
                button=("Open my inbox", "{{ links.inbox }}"),
            ),
            "in_app_title": "Welcome, " + FIRST_NAME,
            "in_app_body": "Your account at {{ organization.name }} is ready.",
            "action_url": "/preferences/",
            "push_title": "Welcome to {{ organization.name }}",
            "push_body": "Your account is ready.",
        },
    ),
    ReadyMadeTemplate(
        key="profile-completion-reminder",
        name="Profile completion reminder",
        description="Sent by the welcome sequence to those whose profile is less than half complete.",
        content={
            "subject": "Your profile is {{ user.attributes.profile_completion | default(0) }}% complete",
            "mjml": section(
                "A little more, " + FIRST_NAME,
                "Your profile is {{ user.attributes.profile_completion | default(0) }}% complete.",
                "People with a complete profile are found sooner. It takes a few minutes.",
            ),
            "in_app_title": "Complete your profile",
            "in_app_body": "It is {{ user.attributes.profile_completion | default(0) }}% complete.",
        },
    ),
    ReadyMadeTemplate(
        key="email-verification",
        name="E-mail verification",
        variables={"verification_url": _url("https://example.com/verify/token")},
        content={
            "subject": "Confirm your e-mail address",
            "mjml": section(
                "Confirm your e-mail address",
                "Press the button to confirm that {{ user.email }} is yours.",
                "If you did not sign up, nothing happens when you do nothing.",
                button=("Confirm", "{{ verification_url }}"),
            ),
        },
    ),
    ReadyMadeTemplate(
        key="password-reset",
        name="Password reset",
        variables={"reset_url": _url("https://example.com/reset/token"), "expiry_hours": {"type": "number"}},
        content={
            "subject": "Reset your password",
            "mjml": section(
                "Reset your password",
                "Press the button to choose a new password."
                "{% if expiry_hours is defined %} The link works for {{ expiry_hours }} hours.{% endif %}",
                "If you did not ask for this, you can ignore it.",
                button=("Choose a new password", "{{ reset_url }}"),
            ),
        },
    ),
    ReadyMadeTemplate(
        key="oauth-linked",
        name="Sign-in linked",
        variables={"provider": {"type": "string", "required": True, "example": "Google"}},
        content={
            "subject": "{{ provider }} was linked to your account",
            "mjml": section(
                "{{ provider }} was linked",
                "From now on you can sign in with {{ provider }}. If this was not you, remove the link and change "
                "your password.",
            ),
            "in_app_title": "{{ provider }} was linked to your account",
            "in_app_body": "If this was not you, change your password.",
        },
    ),
    ReadyMadeTemplate(
        key="nda_request",
        name="NDA request",
        variables={
            "pitch_title": {"type": "string", "required": True, "example": "A demo pitch"},
            "requester_name": {"type": "string", "required": True, "example": "Demo Requester"},
            "review_url": _url("https://example.com/nda/123"),
        },
        content={
            "subject": "New NDA request for {{ pitch_title }}",
            "mjml": section(
                "New NDA request",
                "{{ requester_name }} asks for an NDA for “{{ pitch_title }}”.",
                button=("Review", "{{ review_url }}"),
            ),
            "in_app_title": "New NDA request",
            "in_app_body": "{{ requester_name }} asks for an NDA for “{{ pitch_title }}”.",
            "action_url": "{{ review_url }}",
            "push_title": "New NDA request",
            "push_body": "{{ pitch_title }}",
        },
    ),
    ReadyMadeTemplate(
        key="chat-unread",
        name="Unread chat messages",
        variables={"count": {"type": "integer", "required": True, "example": 3}},
        content={
            "subject": "You have {{ count }} unread message{{ 's' if count != 1 else '' }}",
            "mjml": section(
                "You have {{ count }} unread message{{ 's' if count != 1 else '' }}",
                "Somebody wrote to you at {{ organization.name }}.",
                button=("Read", "{{ links.chat }}"),
            ),
            "push_title": "{{ count }} unread message{{ 's' if count != 1 else '' }}",
            "push_body": "At {{ organization.name }}",
            "action_url": "/chat/",
        },
    ),
    ReadyMadeTemplate(
        key="security-alert",
        name="Security alert",
        variables={"what": {"type": "string", "required": True, "example": "A new sign-in"}},
        content={
            "subject": "Security alert: {{ what }}",
            "mjml": section(
                "Security alert",
                "{{ what }}.",
                "If this was not you, change your password and end your other sessions.",
            ),
            "in_app_title": "Security alert",
            "in_app_body": "{{ what }}.",
            "sms": "{{ organization.name }} security alert: {{ what }}.",
            "push_title": "Security alert",
            "push_body": "{{ what }}",
        },
    ),
    ReadyMadeTemplate(
        key="digest",
        name="Digest",
        description="Several notifications in one mail. {{ digest.items }} is the list of them.",
        variables={
            "digest": {
                "type": "object",
                "required": True,
                "example": {
                    "count": 2,
                    "frequency": "daily",
                    "title": "New NDA request",
                    "items": "(the notifications, by category)",
                    "sections": [],
                },
            }
        },
        content={
            "subject": "{{ digest.count }} notification{{ 's' if digest.count != 1 else '' }} "
            "from {{ organization.name }}{{ ': ' ~ digest.title if digest.count == 1 else '' }}",
            "mjml": section(
                "Your {{ digest.frequency }} digest",
                "Hello "
                + FIRST_NAME
                + ", this is what there is at {{ organization.name }} that you have not read.",
                "{{ digest.items }}",
                button=("Open my inbox", "{{ links.inbox }}"),
            ),
        },
    ),
)
