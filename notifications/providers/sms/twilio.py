"""SMS through Twilio: ``POST /2010-04-01/Accounts/{sid}/Messages.json`` with a form; 201 with the message's ``sid``.

https://www.twilio.com/docs/messaging/api/message-resource, https://www.twilio.com/docs/api/errors

Twilio has no idempotency key. Our delivery's id travels in the address to which Twilio reports what became of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from django.conf import settings

from castcomm.common.errors import InvalidInput
from notifications.providers.base import (
    Account,
    Credential,
    NotSent,
    Provider,
    ProviderRefusal,
    RefusedForGood,
    SmsMessage,
    sms_providers,
)
from notifications.providers.fields import api_url, optional
from notifications.providers.outcomes import refusal_for_exception, refusal_for_status, retry_after_seconds
from notifications.providers.pooled_http import session
from notifications.providers.sms.numbers import without_number
from notifications.vocabulary import SuppressionReason

API = "https://api.twilio.com"
CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 20.0  # seconds; Twilio queues the message and answers within one

UNSUBSCRIBED = 21610
# The number does not exist, is no mobile, cannot be reached; or nothing of this length can be sent to any number.
ABOUT_RECIPIENT = frozenset({21211, 21214, 21217, 21265, 21266, 21614, 21617})
# This account may not send there (region off, trial account, no route); another one may.
NOT_FROM_HERE = frozenset({21408, 21608, 21612})
# The account or its sender is not in order; another one may be. Twilio answers 400 to these.
ACCOUNT_AT_FAULT = frozenset({20005, 21212, 21603, 21606, 21659, 21660, 21701, 21703})


@sms_providers.add("twilio")
class TwilioSms(Provider[SmsMessage]):
    key = "twilio"
    label = "Twilio"
    concurrency = 32
    credentials: ClassVar[tuple[Credential, ...]] = (
        Credential(name="account_sid", env=("TWILIO_ACCOUNT_SID",), label="Account SID"),
        Credential(name="auth_token", env=("TWILIO_AUTH_TOKEN",), label="Auth token", secret=True),
        optional(
            "from_number",
            "TWILIO_FROM_NUMBER",
            "TWILIO_PHONE_NUMBER",
            label="Sender",
            help="A number in E.164, a short code, or letters where the country allows them.",
        ),
        optional(
            "messaging_service_sid",
            "TWILIO_MESSAGING_SERVICE_SID",
            label="Messaging service SID",
            help="Chooses the sender; needed unless a sender is given.",
        ),
        api_url(API),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        sid = quote(self.credential("account_sid"), safe="")
        self._url = f"{self.credential('api_url').rstrip('/')}/2010-04-01/Accounts/{sid}/Messages.json"
        self._session = session(self.concurrency, connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT)
        self._session.auth = (self.credential("account_sid"), self.credential("auth_token"))

    @classmethod
    def is_configured(cls, values: Mapping[str, str]) -> bool:
        has_sender = bool(values.get("from_number") or values.get("messaging_service_sid"))
        return has_sender and super().is_configured(values)

    @classmethod
    def check_credentials(cls, values: Mapping[str, str]) -> None:
        if not (values.get("from_number") or values.get("messaging_service_sid")):
            raise InvalidInput("A sender is needed, or a messaging service.", attr="from_number")

    def send(self, message: SmsMessage) -> str:
        """Queue one message at Twilio; returns its SID."""
        try:
            answer = self._session.post(self._url, data=self._form(message))
        except Exception as error:
            raise refusal_for_exception(error) from error
        said = _object(answer)
        detail = f"{answer.status_code} {said.get('code') or ''}: {said.get('message') or 'no reason given'}"
        refusal = _refusal(
            answer.status_code,
            said.get("code"),
            without_number(detail, message.to),
            retry_after_seconds(answer.headers),
        )
        if refusal is not None:
            raise refusal
        return str(said.get("sid") or "")

    def close(self) -> None:
        self._session.close()

    def _form(self, message: SmsMessage) -> dict[str, str]:
        form = {"To": message.to, "Body": message.text}
        if service := self.credential("messaging_service_sid"):
            form["MessagingServiceSid"] = service
        elif sender := self.credential("from_number"):
            form["From"] = sender
        else:
            raise NotSent("The account has neither a sender nor a messaging service.")
        if self._can_report():
            form["StatusCallback"] = status_callback(self.account, message.delivery_id)
        return form

    def _can_report(self) -> bool:
        """Whether Twilio can reach us: it refuses a message whose StatusCallback is on this machine (21609)."""
        host = urlsplit(settings.PUBLIC_URL).hostname or ""
        return self.credential("api_url") != API or ("." in host and not host.startswith("127."))


def status_callback(account: Account, delivery_id: str) -> str:
    """Where Twilio reports about a delivery; the account's id says whose secret signs it."""
    place = f"/{account.key}" if ":" not in account.key else ""
    return f"{settings.PUBLIC_URL}/webhooks/sms/twilio{place}?delivery={delivery_id}"


def _object(answer: Any) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _refusal(status: int, code: object, detail: str, retry_after: float | None) -> ProviderRefusal | None:
    if 400 <= status < 500 and status != 429:
        if code == UNSUBSCRIBED:
            return RefusedForGood(detail, about_recipient=True, suppress=SuppressionReason.UNSUBSCRIBE)
        if code in ABOUT_RECIPIENT:
            return RefusedForGood(detail, about_recipient=True)
        if code in NOT_FROM_HERE:
            return NotSent(detail, about_recipient=True)
        if code in ACCOUNT_AT_FAULT:
            return NotSent(detail)
    return refusal_for_status(status, detail, retry_after=retry_after)
