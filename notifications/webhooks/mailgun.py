"""Mailgun's webhooks: one event per request, signed with HMAC-SHA256 over timestamp and token.

https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks

The signature does not cover the event. Its token is therefore good for one event alone: it is the event's key. What
was not answered is posted again over eight hours with the signature it had.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from typing import Any

from django.utils.crypto import constant_time_compare

from notifications.providers.base import Account
from notifications.vocabulary import Channel, ReceiptKind
from notifications.webhooks.base import (
    Receipt,
    WebhookParser,
    WebhookRefused,
    WebhookRequest,
    check_basic_auth,
    check_fresh,
    delivery_id_in,
    delivery_id_of_mail,
    mapping,
    moment,
    number,
    register_parser,
    text,
)

FRESH = 9 * 3600  # seconds
KINDS = {
    "accepted": ReceiptKind.ACCEPTED,
    "delivered": ReceiptKind.DELIVERED,
    "failed": ReceiptKind.BOUNCED,
    "rejected": ReceiptKind.FAILED,
    "opened": ReceiptKind.OPENED,
    "clicked": ReceiptKind.CLICKED,
    "complained": ReceiptKind.COMPLAINED,
    "unsubscribed": ReceiptKind.UNSUBSCRIBED,
}
# Reasons of a permanent failure that lie with Mailgun or with us, and not with the address.
_NOT_THE_ADDRESS = frozenset({"old", "suppress-unsubscribe", "suppress-complaint", "espblock", "expired"})
_TOKEN = 200  # characters; Mailgun's have 50


class MailgunWebhook(WebhookParser):
    key = "mailgun"
    channel = Channel.EMAIL.value
    needs = ("webhook_signing_key",)

    def verify(self, request: WebhookRequest, account: Account) -> None:
        if user := account.credentials.get("webhook_user"):
            check_basic_auth(request, user, account.credentials.get("webhook_password") or "")
        given = mapping(request.object().get("signature"))
        stamp, token = text(given.get("timestamp")), text(given.get("token"), _TOKEN)
        expected = hmac.new(
            account.credentials["webhook_signing_key"].encode(), f"{stamp}{token}".encode(), hashlib.sha256
        ).hexdigest()
        if not token or not constant_time_compare(text(given.get("signature")), expected):
            raise WebhookRefused(401, "wrong signature")
        check_fresh(number(stamp), seconds=FRESH)

    def parse(self, request: WebhookRequest, account: Account) -> list[Receipt]:
        event = mapping(request.object().get("event-data"))
        kind = _kind(event)
        if kind is None:
            return []
        headers = mapping(mapping(event.get("message")).get("headers"))
        message_id = text(headers.get("message-id"), 250).strip("<> ")
        token = text(mapping(request.object()["signature"]).get("token"), _TOKEN)
        return [
            Receipt(
                provider=account.provider,
                account=account.key,
                event_key=token,
                kind=kind,
                occurred_at=moment(event.get("timestamp")),
                delivery_id=delivery_id_in(event.get("user-variables")) or delivery_id_of_mail(message_id),
                provider_message_id=f"<{message_id}>" if message_id else "",  # as the API says it
                recipient=text(event.get("recipient") or headers.get("to"), 320),
                detail=_detail(event),
                payload=event,
                is_automatic=_is_automatic(event),
            )
        ]


def _kind(event: Any) -> ReceiptKind | None:
    kind = KINDS.get(text(event.get("event")))
    if kind == ReceiptKind.BOUNCED and event.get("severity") == "temporary":
        return ReceiptKind.DEFERRED
    if kind == ReceiptKind.BOUNCED and text(event.get("reason")) in _NOT_THE_ADDRESS:
        return ReceiptKind.FAILED
    return kind


def _detail(event: Any) -> str:
    status = mapping(event.get("delivery-status"))
    said = status.get("message") or status.get("description") or mapping(event.get("reject")).get("reason")
    code = number(status.get("code"))
    prefix = f"{code:.0f} " if math.isfinite(code) and said else ""
    return prefix + text(said or event.get("url") or event.get("reason"), 990)


def _is_automatic(event: Any) -> bool:
    bot = text(mapping(event.get("client-info")).get("bot"))
    return bool(bot) and event.get("event") in ("opened", "clicked")


register_parser(MailgunWebhook())
