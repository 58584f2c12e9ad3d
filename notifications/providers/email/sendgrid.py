"""Mail through Twilio SendGrid's v3 API.

https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send. 202 with an empty body; the id is a header.
"""

from __future__ import annotations

import time
import warnings

import requests
from anymail.backends.sendgrid import EmailBackend
from anymail.exceptions import AnymailNotSupportedWarning

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
from notifications.providers.outcomes import LONGEST_RETRY_AFTER


@email_providers.add("sendgrid")
class SendGridProvider(AnymailProvider):
    """One SendGrid account."""

    key = "sendgrid"
    label = "SendGrid"
    credentials = (
        Credential(name="api_key", env=("SENDGRID_API_KEY",), secret=True, label="API key"),
        *sender_fields(address=("SENDGRID_FROM_EMAIL",), name=("SENDGRID_FROM_NAME",)),
        optional(
            "webhook_public_key",
            "SENDGRID_WEBHOOK_PUBLIC_KEY",
            label="Event webhook's public key",
            help="Verifies what SendGrid reports; from Settings, Mail Settings, Event Webhook, Signature.",
        ),
        api_url("https://api.sendgrid.com/v3"),
    )

    def backend(self) -> EmailBackend:
        with warnings.catch_warnings():
            # Kept by its community; our own tests hold it to SendGrid's API.
            warnings.simplefilter("ignore", AnymailNotSupportedWarning)
            return EmailBackend(
                api_key=self.credential("api_key"),
                api_url=self.credential("api_url"),
                generate_message_id=False,  # SendGrid's own is kept
            )

    def message_id(self, response: requests.Response) -> str:
        return response.headers.get("X-Message-Id", "")

    def refusal(self, response: requests.Response, message: EmailMessage) -> ProviderRefusal | None:
        found = super().refusal(response, message)
        if isinstance(found, RefusedForGood):
            found.about_recipient = any(_is_recipient(one) for one in _errors(response))
        if isinstance(found, NotSent) and found.retry_after is None and response.status_code == 429:
            found.retry_after = _until_reset(response.headers.get("X-RateLimit-Reset", ""))
        return found

    def said(self, response: requests.Response) -> str:
        return "; ".join(str(one.get("message", "")) for one in _errors(response)) or words(response)


def _errors(response: requests.Response) -> list[dict[str, object]]:
    found = answer_of(response).get("errors")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _is_recipient(error: dict[str, object]) -> bool:
    field = str(error.get("field") or "")
    return field.startswith("personalizations.") and ".to." in field


def _until_reset(given: str) -> float | None:
    """Seconds until the moment (seconds since 1970) at which SendGrid's limit starts anew."""
    if not (given.isascii() and given.isdigit() and len(given) < 15):
        return None
    return max(0.0, min(int(given) - time.time(), LONGEST_RETRY_AFTER))
