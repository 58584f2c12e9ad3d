"""Mail through Resend. The delivery's id is the idempotency key: a second try gets the first one's answer for a day.

https://resend.com/docs/api-reference/emails/send-email, https://resend.com/docs/dashboard/emails/idempotency-keys
"""

from __future__ import annotations

from typing import Any

import requests
from anymail.backends.resend import EmailBackend

from notifications.providers.base import (
    Ambiguous,
    Credential,
    EmailMessage,
    ProviderRefusal,
    RefusedForGood,
    email_providers,
)
from notifications.providers.email.anymail_adapter import AnymailProvider, answer_of
from notifications.providers.fields import api_url, optional, sender_fields

_FIRST_TRY_RUNS = 2.0  # seconds until its answer can be asked for again


@email_providers.add("resend")
class ResendProvider(AnymailProvider):
    """One Resend account."""

    key = "resend"
    label = "Resend"
    idempotent = True
    idempotency_hours = 24
    credentials = (
        Credential(name="api_key", env=("RESEND_API_KEY",), secret=True, label="API key"),
        *sender_fields(address=("RESEND_FROM_EMAIL",), name=("RESEND_FROM_NAME",)),
        optional(
            "webhook_secret",
            "RESEND_WEBHOOK_SECRET",
            secret=True,
            label="Webhook signing secret",
            help="Verifies what Resend reports; starts with whsec_.",
        ),
        api_url("https://api.resend.com"),
    )

    def backend(self) -> EmailBackend:
        return EmailBackend(
            api_key=self.credential("api_key"),
            api_url=self.credential("api_url"),
            verify_attachment_extensions=False,  # files were looked into when they were taken in
        )

    def request_headers(self, message: EmailMessage) -> dict[str, str]:
        return {"Idempotency-Key": message.delivery_id}

    def api_options(self, message: EmailMessage) -> dict[str, Any]:
        # Tags come back in webhooks by themselves, headers do not in all of them.
        return {"tags": [{"name": "delivery_id", "value": message.delivery_id}]}

    def refusal(self, response: requests.Response, message: EmailMessage) -> ProviderRefusal | None:
        if response.status_code == 409:
            return self._conflict(response)
        found = super().refusal(response, message)
        if isinstance(found, RefusedForGood):
            said = self.said(response)
            found.about_recipient = "`to`" in said
        return found

    def _conflict(self, response: requests.Response) -> ProviderRefusal:
        """The key is known, so an earlier try has reached Resend: refused would be as wrong as sent.

        ``concurrent_idempotent_requests``: that try still runs. ``invalid_idempotent_request``: it had another
        content (the mail was rendered anew in between), and asking again gives the same answer.
        """
        runs = answer_of(response).get("name") == "concurrent_idempotent_requests"
        return Ambiguous(self.detail(response), retry_after=_FIRST_TRY_RUNS if runs else None)
