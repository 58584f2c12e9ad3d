"""Postmark's webhooks: one event per request. Postmark signs nothing; the address carries a user and a password.

https://postmarkapp.com/developer/webhooks/webhooks-overview
"""

from __future__ import annotations

from typing import Any

from notifications.providers.base import Account
from notifications.vocabulary import Channel, ReceiptKind
from notifications.webhooks.base import (
    Receipt,
    WebhookParser,
    WebhookRequest,
    check_basic_auth,
    delivery_id_in,
    digest_of,
    mapping,
    moment,
    register_parser,
    text,
)

KINDS = {
    "Delivery": ReceiptKind.DELIVERED,
    "Open": ReceiptKind.OPENED,
    "Click": ReceiptKind.CLICKED,
    "SpamComplaint": ReceiptKind.COMPLAINED,
}
# Types of a bounce; those that are not here (answering machines, changed addresses) say nothing of the mail.
BOUNCES = {
    "HardBounce": ReceiptKind.BOUNCED,
    "BadEmailAddress": ReceiptKind.BOUNCED,
    "SoftBounce": ReceiptKind.SOFT_BOUNCED,
    "Transient": ReceiptKind.DEFERRED,
    "DnsError": ReceiptKind.DEFERRED,
    "SpamComplaint": ReceiptKind.COMPLAINED,
    "SpamNotification": ReceiptKind.SOFT_BOUNCED,
    "Blocked": ReceiptKind.SOFT_BOUNCED,
    "VirusNotification": ReceiptKind.FAILED,
    "DMARCPolicy": ReceiptKind.FAILED,
    "ManuallyDeactivated": ReceiptKind.FAILED,
    "Unconfirmed": ReceiptKind.FAILED,
    "SMTPApiError": ReceiptKind.FAILED,
    "TemplateRenderingFailed": ReceiptKind.FAILED,
    "Unsubscribe": ReceiptKind.UNSUBSCRIBED,
}
# Why Postmark will send nothing more to an address.
SUPPRESSIONS = {
    "HardBounce": ReceiptKind.BOUNCED,
    "SpamComplaint": ReceiptKind.COMPLAINED,
    "ManualSuppression": ReceiptKind.UNSUBSCRIBED,
}
_TIMES = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")


class PostmarkWebhook(WebhookParser):
    key = "postmark"
    channel = Channel.EMAIL.value
    needs = ("webhook_user", "webhook_password")

    def verify(self, request: WebhookRequest, account: Account) -> None:
        secrets = account.credentials
        check_basic_auth(request, secrets["webhook_user"], secrets["webhook_password"])

    def parse(self, request: WebhookRequest, account: Account) -> list[Receipt]:
        event = request.object()
        kind = _kind(event)
        if kind is None:
            return []
        return [
            Receipt(
                provider=account.provider,
                account=account.key,
                event_key=_event_key(event),
                kind=kind,
                occurred_at=moment(next((event[name] for name in _TIMES if event.get(name)), None)),
                delivery_id=delivery_id_in(event.get("Metadata")),
                provider_message_id=text(event.get("MessageID")),
                recipient=text(event.get("Email") or event.get("Recipient"), 320),
                detail=_detail(event),
                payload={name: value for name, value in event.items() if name != "Content"},
            )
        ]


def _kind(event: dict[str, Any]) -> ReceiptKind | None:
    record = text(event.get("RecordType"))
    if record == "Bounce":
        return BOUNCES.get(text(event.get("Type")))
    if record == "SubscriptionChange":
        return (
            SUPPRESSIONS.get(text(event.get("SuppressionReason"))) if event.get("SuppressSending") else None
        )
    return KINDS.get(record)


def _event_key(event: dict[str, Any]) -> str:
    """Only bounces and complaints have a number; the rest is told apart by what happened to which mail, and when."""
    record = text(event.get("RecordType"))
    if record in ("Bounce", "SpamComplaint") and text(event.get("ID")):
        return f"{record}:{text(event['ID'])}"
    when = [event.get(name) for name in _TIMES]
    who = event.get("Recipient") or event.get("Email")
    return digest_of(record, event.get("MessageID"), who, when, event.get("OriginalLink"))


def _detail(event: dict[str, Any]) -> str:
    said = event.get("Details") or event.get("Description") or event.get("OriginalLink")
    return text(said, 1000) or text(mapping(event.get("Client")).get("Name"))


register_parser(PostmarkWebhook())
