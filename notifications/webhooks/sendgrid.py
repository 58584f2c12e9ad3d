"""SendGrid's Event Webhook: a list of events, signed with ECDSA on P-256 over timestamp and raw body.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features

What was not answered is posted again for 24 h, each time with a new timestamp and signature.
"""

from __future__ import annotations

import base64
import binascii
import functools
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from notifications.providers.base import Account
from notifications.vocabulary import Channel, ReceiptKind
from notifications.webhooks.base import (
    Receipt,
    WebhookParser,
    WebhookRefused,
    WebhookRequest,
    check_fresh,
    delivery_id_in,
    delivery_id_of_mail,
    digest_of,
    mapping,
    moment,
    number,
    register_parser,
    text,
)

FRESH = 10 * 60  # seconds
SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
KINDS = {
    "processed": ReceiptKind.ACCEPTED,
    "deferred": ReceiptKind.DEFERRED,
    "delivered": ReceiptKind.DELIVERED,
    "open": ReceiptKind.OPENED,
    "click": ReceiptKind.CLICKED,
    "bounce": ReceiptKind.BOUNCED,
    "dropped": ReceiptKind.FAILED,
    "spamreport": ReceiptKind.COMPLAINED,
    "unsubscribe": ReceiptKind.UNSUBSCRIBED,
    "group_unsubscribe": ReceiptKind.UNSUBSCRIBED,
}


class SendGridWebhook(WebhookParser):
    key = "sendgrid"
    channel = Channel.EMAIL.value
    needs = ("webhook_public_key",)

    def verify(self, request: WebhookRequest, account: Account) -> None:
        stamp = request.header(TIMESTAMP)
        check_fresh(number(stamp), seconds=FRESH)
        try:
            signature = base64.b64decode(request.header(SIGNATURE), validate=True)
            public_key(account.credentials["webhook_public_key"]).verify(
                signature, stamp.encode() + request.body, ECDSA(SHA256())
            )
        except (binascii.Error, ValueError, InvalidSignature) as error:
            raise WebhookRefused(401, f"wrong signature ({type(error).__name__})") from error

    def parse(self, request: WebhookRequest, account: Account) -> list[Receipt]:
        if not isinstance(request.json, list):
            raise WebhookRefused(400, "not a list of events")
        return [
            _receipt(event, account)
            for event in request.json
            if text(mapping(event).get("event"))
            in KINDS  # anything else, an unhashable word too, is not for us
        ]


@functools.lru_cache(maxsize=64)
def public_key(given: str) -> EllipticCurvePublicKey:
    """The key as SendGrid shows it (DER in base64), with or without PEM's lines; raises WebhookRefused (503)."""
    lines = [line.strip() for line in given.replace("\\n", "\n").splitlines() if "-----" not in line]
    try:
        found = load_der_public_key(base64.b64decode("".join(lines), validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm) as error:
        raise WebhookRefused(503, "webhook_public_key cannot be read") from error
    if not isinstance(found, EllipticCurvePublicKey):
        raise WebhookRefused(503, "webhook_public_key is no key on a curve")
    return found


def _receipt(event: dict[str, Any], account: Account) -> Receipt:
    # Metadata stands beside SendGrid's own fields.
    delivery_id = delivery_id_in(event) or delivery_id_of_mail(event.get("smtp-id"))
    return Receipt(
        provider=account.provider,
        account=account.key,
        event_key=text(event.get("sg_event_id")) or digest_of(event),
        kind=_kind(event),
        occurred_at=moment(event.get("timestamp")),
        delivery_id=delivery_id,
        # What the API answered as X-Message-Id, followed by a point and where it went.
        provider_message_id=text(event.get("sg_message_id")).partition(".")[0],
        recipient=text(event.get("email"), 320),
        detail=text(event.get("reason") or event.get("response") or event.get("url"), 1000),
        payload=event,
        is_automatic=event.get("sg_machine_open") is True,
    )


def _kind(event: dict[str, Any]) -> ReceiptKind:
    kind = KINDS[text(event["event"])]
    if kind == ReceiptKind.BOUNCED and event.get("type") == "blocked":
        return ReceiptKind.SOFT_BOUNCED  # the receiving side refuses us at the moment, and not the address
    if kind == ReceiptKind.FAILED and text(event.get("reason")).lower() in ("bounced address", "invalid"):
        return ReceiptKind.BOUNCED  # SendGrid knows from before that nothing arrives there
    return kind


register_parser(SendGridWebhook())
