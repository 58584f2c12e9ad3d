"""Twilio's status callbacks: a form per change of state, signed with the account's auth token.

https://www.twilio.com/docs/usage/webhooks/webhooks-security, https://www.twilio.com/docs/messaging/guides/track-outbound-message-status

The signature covers the address that Twilio called, which is the public one, and the form. It has no timestamp; a
message reaches each of its states once, so that a repeated callback changes nothing.
"""

from __future__ import annotations

from django.http import QueryDict
from twilio.request_validator import RequestValidator

from castcomm.common.ids import parse_id
from notifications.providers.base import Account
from notifications.vocabulary import Channel, ReceiptKind
from notifications.webhooks.base import (
    Receipt,
    WebhookParser,
    WebhookRefused,
    WebhookRequest,
    moment,
    register_parser,
    text,
)

KINDS = {
    "accepted": ReceiptKind.ACCEPTED,
    "queued": ReceiptKind.ACCEPTED,
    "sending": ReceiptKind.ACCEPTED,
    "sent": ReceiptKind.ACCEPTED,
    "delivered": ReceiptKind.DELIVERED,
    "read": ReceiptKind.OPENED,
    "undelivered": ReceiptKind.FAILED,
    "failed": ReceiptKind.FAILED,
    "canceled": ReceiptKind.FAILED,
}
# https://www.twilio.com/docs/api/errors: no such number; a landline, or a carrier that takes no messages.
NO_SUCH_NUMBER = frozenset({"30005", "30006"})
OPTED_OUT = "21610"


class TwilioWebhook(WebhookParser):
    key = "twilio"
    channel = Channel.SMS.value
    needs = ("auth_token",)

    def verify(self, request: WebhookRequest, account: Account) -> None:
        check_twilio_signature(request, account)

    def parse(self, request: WebhookRequest, account: Account) -> list[Receipt]:
        form = request.form
        status, code = form.get("MessageStatus") or "", text(form.get("ErrorCode"))
        kind = KINDS.get(status)
        sid = text(form.get("MessageSid") or form.get("SmsSid"))
        if kind is None or not sid:
            return []
        made = [_receipt(request, account, kind=_failure(kind, code), key=f"{sid}:{status}")]
        if kind == ReceiptKind.FAILED and code == OPTED_OUT:
            made.append(_receipt(request, account, kind=ReceiptKind.UNSUBSCRIBED, key=f"{sid}:opted-out"))
        return made


def check_twilio_signature(request: WebhookRequest, account: Account) -> None:
    """Raise WebhookRefused (401) unless Twilio signed this address and form with the account's auth token."""
    signature = request.header("X-Twilio-Signature")
    validator = RequestValidator(account.credentials["auth_token"])
    if not signature or not validator.validate(request.public_url, request.form, signature):
        raise WebhookRefused(401, "wrong signature")
    sid = account.credentials.get("account_sid")
    if sid and request.form.get("AccountSid") not in (sid, None):
        raise WebhookRefused(403, "another account's message")


def _failure(kind: ReceiptKind, code: str) -> ReceiptKind:
    return ReceiptKind.BOUNCED if kind == ReceiptKind.FAILED and code in NO_SUCH_NUMBER else kind


def _receipt(request: WebhookRequest, account: Account, *, kind: ReceiptKind, key: str) -> Receipt:
    form = request.form
    code = text(form.get("ErrorCode"))
    status = text(form.get("MessageStatus"))
    said = text(form.get("ErrorMessage"), 900)
    query = QueryDict(request.path.partition("?")[2])
    return Receipt(
        provider=account.provider,
        account=account.key,
        event_key=key,
        kind=kind,
        occurred_at=moment(None),  # Twilio says the hour only for some carriers: it is now
        delivery_id=parse_id(query.get("delivery")),
        provider_message_id=text(form.get("MessageSid") or form.get("SmsSid")),
        recipient=text(form.get("To")),
        detail=" ".join(part for part in (status, code, said) if part),
        payload=form.dict(),
    )


register_parser(TwilioWebhook())
