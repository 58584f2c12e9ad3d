"""Mail through Postmark.

https://postmarkapp.com/developer/api/email-api; error codes: https://postmarkapp.com/developer/api/overview
"""

from __future__ import annotations

import re

import requests
from anymail.backends.postmark import EmailBackend

from notifications.providers.base import (
    Credential,
    EmailMessage,
    NotSent,
    ProviderRefusal,
    RefusedForGood,
    email_providers,
)
from notifications.providers.email.anymail_adapter import AnymailProvider, answer_of, words
from notifications.providers.fields import api_url, optional, sender_fields
from notifications.vocabulary import SuppressionReason

_INVALID_REQUEST = 300
_INACTIVE_RECIPIENT = 406
# Token, maintenance, sender's signature, credits, account not approved, account stopped, limits: not the message.
_ACCOUNT_TROUBLE = frozenset({10, 100, 400, 401, 405, 412, 413, 429})
_TO = re.compile(r"^(invalid|error\s+parsing)\s+'to'", re.IGNORECASE)


@email_providers.add("postmark")
class PostmarkProvider(AnymailProvider):
    """One server at Postmark."""

    key = "postmark"
    label = "Postmark"
    credentials = (
        Credential(
            name="api_key",
            env=("POSTMARK_API_KEY", "POSTMARK_SERVER_TOKEN"),
            secret=True,
            label="Server API token",
        ),
        *sender_fields(address=("POSTMARK_FROM", "POSTMARK_FROM_EMAIL"), name=("POSTMARK_FROM_NAME",)),
        optional(
            "message_stream",
            "POSTMARK_MESSAGE_STREAM",
            label="Message stream",
            help="Postmark's transactional stream when empty.",
        ),
        optional(
            "webhook_user",
            "POSTMARK_WEBHOOK_USER",
            label="Webhook user",
            help="Postmark signs nothing: user and password stand in the webhook's URL.",
        ),
        optional("webhook_password", "POSTMARK_WEBHOOK_PASSWORD", label="Webhook password", secret=True),
        api_url("https://api.postmarkapp.com"),
    )

    def backend(self) -> EmailBackend:
        return EmailBackend(
            server_token=self.credential("api_key"),
            message_stream=self.credential("message_stream") or None,
            api_url=self.credential("api_url"),
            generate_message_id=False,
            use_bulk_api=False,
        )

    def headers(self, message: EmailMessage) -> dict[str, str]:
        # Without it Postmark puts a Message-ID of its own in place of ours.
        return {**super().headers(message), "X-PM-KeepID": "true"}

    def message_id(self, response: requests.Response) -> str:
        return str(answer_of(response).get("MessageID") or "")

    def said(self, response: requests.Response) -> str:
        answer = answer_of(response)
        if not answer:
            return words(response)
        return f"({answer.get('ErrorCode', '')}) {answer.get('Message', '')}"

    def refusal(self, response: requests.Response, message: EmailMessage) -> ProviderRefusal | None:
        answer = answer_of(response)
        code, words = answer.get("ErrorCode", 0), str(answer.get("Message", ""))
        found = super().refusal(response, message)
        if not isinstance(code, int) or code == 0 or response.status_code >= 500:
            return found
        detail = f"{response.status_code} {self.said(response)}"[:300]
        if code in _ACCOUNT_TROUBLE:
            return NotSent(detail, retry_after=found.retry_after if found else None)
        if code == _INACTIVE_RECIPIENT:
            return RefusedForGood(detail, about_recipient=True, suppress=SuppressionReason.BOUNCE)
        if isinstance(found, NotSent):
            return found
        about = code == _INVALID_REQUEST and bool(_TO.match(words))
        return RefusedForGood(detail, about_recipient=about)
