"""Amazon SES: events and notifications that reach us through an SNS topic.

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html

``webhook_topics`` of the account lists the topics (ARNs, separated by commas) that may speak for it. SNS signs the
moment of publishing and tries again for hours, so that a message may be old; each has an id and counts once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

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
    mapping,
    moment,
    register_parser,
    sequence,
    text,
)
from notifications.webhooks.sns_messages import SnsMessages

FRESH = 8 * 3600  # seconds
KINDS = {
    "Send": ReceiptKind.ACCEPTED,
    "Delivery": ReceiptKind.DELIVERED,
    "DeliveryDelay": ReceiptKind.DEFERRED,
    "Open": ReceiptKind.OPENED,
    "Click": ReceiptKind.CLICKED,
    "Bounce": ReceiptKind.BOUNCED,
    "Complaint": ReceiptKind.COMPLAINED,
    "Reject": ReceiptKind.FAILED,
    "Rendering Failure": ReceiptKind.FAILED,
    "Subscription": ReceiptKind.UNSUBSCRIBED,
}
# Where an event says what it says, when it is not under its own name.
_PARTS = {"Rendering Failure": "failure", "DeliveryDelay": "deliveryDelay"}
# Which of an event's lists names the addresses that it is about.
_RECIPIENTS = {
    "Bounce": "bouncedRecipients",
    "Complaint": "complainedRecipients",
    "Delivery": "recipients",
    "DeliveryDelay": "delayedRecipients",
}


class AmazonSesWebhook(WebhookParser):
    key = "amazon_ses"
    channel = Channel.EMAIL.value
    needs = ("webhook_topics",)

    def __init__(self, messages: SnsMessages | None = None) -> None:
        self.messages = messages or SnsMessages()

    def verify(self, request: WebhookRequest, account: Account) -> None:
        message = request.object()
        topics = [one.strip() for one in account.credentials["webhook_topics"].split(",")]
        topic = text(message.get("TopicArn"), 300)
        if not topic or topic not in topics:
            raise WebhookRefused(403, f"a topic that the account does not list: {topic}")
        check_fresh(_published(message), seconds=FRESH)
        self.messages.check_signature(message)

    def shake_hands(self, request: WebhookRequest, account: Account) -> bool:
        message = request.object()
        if message.get("Type") == "SubscriptionConfirmation":
            self.messages.confirm(message)
        return message.get("Type") != "Notification"

    def parse(self, request: WebhookRequest, account: Account) -> list[Receipt]:
        message = request.object()
        event = _event(message)
        type_ = text(event.get("eventType") or event.get("notificationType"))
        if type_ not in KINDS:
            return []
        part = mapping(event.get(_PARTS.get(type_, type_.lower())))
        kind = _kind(type_, part)
        mail = mapping(event.get("mail"))
        return [
            Receipt(
                provider=account.provider,
                account=account.key,
                event_key=f"{text(message.get('MessageId'))}:{number}",
                kind=kind,
                occurred_at=moment(part.get("timestamp") or message.get("Timestamp")),
                delivery_id=_delivery_id(mail),
                provider_message_id=text(mail.get("messageId")),
                recipient=address,
                detail=said or _detail(type_, part),
                payload=event,
            )
            for number, (address, said) in enumerate(_recipients(type_, part, mail))
        ]


def _published(message: Mapping[str, Any]) -> float:
    stamp = text(message.get("Timestamp"))
    if not stamp:
        raise WebhookRefused(401, "no timestamp")
    return moment(stamp).timestamp()


def _event(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event inside the message; an empty one for what SES writes to say that the topic works."""
    try:
        return mapping(orjson.loads(str(message.get("Message") or "")))
    except orjson.JSONDecodeError:
        return {}


def _kind(type_: str, part: Mapping[str, Any]) -> ReceiptKind:
    if type_ == "Bounce" and part.get("bounceType") != "Permanent":
        return ReceiptKind.SOFT_BOUNCED
    return KINDS[type_]


def _recipients(type_: str, part: Mapping[str, Any], mail: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(address, what its server said) of each address that the event is about."""
    found = (
        sequence(part.get(_RECIPIENTS[type_])) if type_ in _RECIPIENTS else sequence(mail.get("destination"))
    )
    for one in found or [""]:
        if isinstance(one, dict):
            yield text(one.get("emailAddress"), 320), text(one.get("diagnosticCode"), 1000)
        else:
            yield text(one, 320), ""


def _delivery_id(mail: Mapping[str, Any]) -> Any:
    return (
        delivery_id_in(mail.get("tags"))
        or delivery_id_in(mail.get("headers"))
        or delivery_id_of_mail(mapping(mail.get("commonHeaders")).get("messageId"))
    )


def _detail(type_: str, part: Mapping[str, Any]) -> str:
    names = ("bounceType", "bounceSubType", "complaintFeedbackType", "delayType", "smtpResponse", "reason",
             "errorMessage", "link")  # fmt: skip
    return " ".join(said for name in names if (said := text(part.get(name), 500)))


register_parser(AmazonSesWebhook())
