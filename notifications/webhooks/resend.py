"""Resend's webhooks: one event per request, signed by Svix (HMAC-SHA256 over id, timestamp and raw body).

https://resend.com/docs/webhooks/verify-webhooks-requests, https://docs.svix.com/receiving/verifying-payloads/how-manual

Each try of a request has its own timestamp and keeps its ``svix-id``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

from django.utils.crypto import constant_time_compare

from notifications.providers.base import Account
from notifications.vocabulary import Channel, ReceiptKind
from notifications.webhooks.base import (
    Receipt,
    WebhookParser,
    WebhookRefused,
    WebhookRequest,
    check_fresh,
    delivery_id_in,
    mapping,
    moment,
    number,
    register_parser,
    sequence,
    text,
)

FRESH = 5 * 60  # seconds
KINDS = {
    "email.sent": ReceiptKind.ACCEPTED,
    "email.delivery_delayed": ReceiptKind.DEFERRED,
    "email.delivered": ReceiptKind.DELIVERED,
    "email.opened": ReceiptKind.OPENED,
    "email.clicked": ReceiptKind.CLICKED,
    "email.bounced": ReceiptKind.BOUNCED,
    "email.complained": ReceiptKind.COMPLAINED,
    "email.failed": ReceiptKind.FAILED,
    "email.suppressed": ReceiptKind.FAILED,
}


class ResendWebhook(WebhookParser):
    key = "resend"
    channel = Channel.EMAIL.value
    needs = ("webhook_secret",)

    def verify(self, request: WebhookRequest, account: Account) -> None:
        id_, stamp = request.header("svix-id"), request.header("svix-timestamp")
        check_fresh(number(stamp), seconds=FRESH)
        signed = f"{id_}.{stamp}.".encode() + request.body
        expected = hmac.new(_key(account.credentials["webhook_secret"]), signed, hashlib.sha256).digest()
        # Several while the secret is being changed: "v1,<base64> v1,<base64>".
        for given in request.header("svix-signature").split(" "):
            version, _, signature = given.partition(",")
            if version == "v1" and constant_time_compare(signature, base64.b64encode(expected).decode()):
                return
        raise WebhookRefused(401, "wrong signature")

    def parse(self, request: WebhookRequest, account: Account) -> list[Receipt]:
        event = request.object()
        data = mapping(event.get("data"))
        kind = _kind(event, data)
        if kind is None:
            return []
        return [
            Receipt(
                provider=account.provider,
                account=account.key,
                event_key=text(request.header("svix-id")),
                kind=kind,
                occurred_at=moment(event.get("created_at")),
                delivery_id=delivery_id_in(data.get("tags")) or delivery_id_in(data.get("headers")),
                provider_message_id=text(data.get("email_id")),
                recipient=_recipient(data),
                detail=_detail(data),
                payload=event,
            )
        ]


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.strip().removeprefix("whsec_") + "==")
    except (binascii.Error, ValueError) as error:
        raise WebhookRefused(503, "webhook_secret cannot be read") from error


def _kind(event: dict[str, Any], data: Any) -> ReceiptKind | None:
    kind = KINDS.get(text(event.get("type")))
    bounce = text(mapping(data.get("bounce")).get("type")).lower()
    if kind == ReceiptKind.BOUNCED and bounce in ("transient", "temporary", "undetermined"):
        return ReceiptKind.SOFT_BOUNCED
    return kind


def _recipient(data: Any) -> str:
    """CastComm sends to one address at a time."""
    to = sequence(data.get("to"))
    return text(to[0], 320).rpartition("<")[2].rstrip("> ") if len(to) == 1 else ""


def _detail(data: Any) -> str:
    for name, field in (
        ("bounce", "message"),
        ("failed", "reason"),
        ("suppressed", "message"),
        ("click", "link"),
    ):
        if said := text(mapping(data.get(name)).get(field), 1000):
            return said
    return ""


register_parser(ResendWebhook())
