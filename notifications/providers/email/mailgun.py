"""Mail through Mailgun's v3 API, in the region of the account (US or EU).

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages
"""

from __future__ import annotations

import requests
from anymail.backends.mailgun import EmailBackend

from notifications.providers.base import (
    Ambiguous,
    Credential,
    EmailMessage,
    ProviderRefusal,
    RefusedForGood,
    email_providers,
)
from notifications.providers.email.anymail_adapter import AnymailProvider, words
from notifications.providers.fields import api_url, optional, sender_fields

_US = "https://api.mailgun.net/v3"
_EU = "https://api.eu.mailgun.net/v3"


@email_providers.add("mailgun")
class MailgunProvider(AnymailProvider):
    """One domain at Mailgun."""

    key = "mailgun"
    label = "Mailgun"
    credentials = (
        Credential(name="api_key", env=("MAILGUN_API_KEY",), secret=True, label="API key"),
        Credential(name="domain", env=("MAILGUN_DOMAIN",), label="Sending domain"),
        Credential(
            name="eu",
            env=("MAILGUN_EU",),
            default="false",
            choices=("true", "false"),
            label="EU region",
            help="Where the domain was made; the other region does not know it.",
        ),
        *sender_fields(address=("MAILGUN_FROM_EMAIL",), name=("MAILGUN_FROM_NAME",)),
        optional(
            "webhook_signing_key",
            "MAILGUN_WEBHOOK_SIGNING_KEY",
            secret=True,
            label="Webhook signing key",
            help="Verifies what Mailgun reports; from Settings, API security, HTTP webhook signing key.",
        ),
        api_url(_US),
    )

    def backend(self) -> EmailBackend:
        region = _EU if self.credential("eu").lower() == "true" else _US
        return EmailBackend(
            api_key=self.credential("api_key"),
            sender_domain=self.credential("domain"),
            api_url=self.account.credentials.get("api_url") or region,
        )

    def refusal(self, response: requests.Response, message: EmailMessage) -> ProviderRefusal | None:
        if response.ok and "Mailgun Magnificent API" in words(response):
            # The root of the API greets everyone, for example where the address of the API is wrong.
            return Ambiguous("The address of the API does not lead to messages.")
        found = super().refusal(response, message)
        if isinstance(found, RefusedForGood):
            said = self.said(response).lower().lstrip("'\"")
            found.about_recipient = said.startswith("to") and "not a valid address" in said
        return found
