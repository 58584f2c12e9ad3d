"""The far side of every webhook: what each provider posts, signed as it signs."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from django.conf import settings
from django.test import Client
from twilio.request_validator import RequestValidator

from notifications.webhooks.sns_messages import string_to_sign

SENDGRID_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_SENDGRID_KEY = ec.generate_private_key(ec.SECP256R1())
MAILGUN_KEY = "key-of-mailgun-webhooks"
RESEND_SECRET = "whsec_" + base64.b64encode(b"resend signs with this very key").decode()
POSTMARK_USER, POSTMARK_PASSWORD = "postmark", "p:ss wörd"
TWILIO_TOKEN, TWILIO_SID = "token-of-twilio", "AC0123456789"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:ses-events"
CERTIFICATE_URL = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-" + "0a" * 16 + ".pem"


def sendgrid_public_key(key: ec.EllipticCurvePrivateKey = SENDGRID_KEY) -> str:
    """As SendGrid shows it."""
    made = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(made).decode()


@dataclass
class Post:
    """A request as it goes over the wire."""

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    def send(self, client: Client | None = None, **extra: Any) -> Any:
        made = client or Client(enforce_csrf_checks=True)
        return made.post(self.path, self.body, content_type=self.content_type, headers=self.headers, **extra)


def path(provider: str, account: object = None, channel: str = "email") -> str:
    return f"/webhooks/{channel}/{provider}" + (f"/{account}" if account else "")


def sendgrid(
    events: Any, *, account: object = None, key: Any = SENDGRID_KEY, at: float | None = None
) -> Post:
    body = events if isinstance(events, bytes) else orjson.dumps(events)
    stamp = str(int(time.time() if at is None else at))
    signature = key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
    }
    return Post(path("sendgrid", account), body, headers)


def mailgun(
    event: Any, *, account: object = None, key: str = MAILGUN_KEY, at: float | None = None, token: str = ""
) -> Post:
    stamp, token = str(int(time.time() if at is None else at)), token or uuid.uuid4().hex + "ab" * 9
    signature = hmac.new(key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    signed = {"timestamp": stamp, "token": token, "signature": signature}
    return Post(path("mailgun", account), orjson.dumps({"signature": signed, "event-data": event}))


def resend(
    event: Any, *, account: object = None, secret: str = RESEND_SECRET, at: float | None = None, id_: str = ""
) -> Post:
    body = event if isinstance(event, bytes) else orjson.dumps(event)
    stamp, id_ = str(int(time.time() if at is None else at)), id_ or f"msg_{uuid.uuid4().hex}"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.new(key, f"{id_}.{stamp}.".encode() + body, hashlib.sha256).digest())
    headers = {"svix-id": id_, "svix-timestamp": stamp, "svix-signature": f"v1,{signature.decode()}"}
    return Post(path("resend", account), body, headers)


def postmark(event: Any, *, account: object = None, password: str = POSTMARK_PASSWORD) -> Post:
    given = base64.b64encode(f"{POSTMARK_USER}:{password}".encode()).decode()
    body = event if isinstance(event, bytes) else orjson.dumps(event)
    return Post(path("postmark", account), body, {"Authorization": f"Basic {given}"})


def twilio(
    form: dict[str, str],
    *,
    delivery: object = "",
    account: object = None,
    token: str = TWILIO_TOKEN,
    under: str = "",
) -> Post:
    place = path("twilio", account, "sms") + (f"?delivery={delivery}" if delivery else "")
    full = {"AccountSid": TWILIO_SID, "From": "+4915112345678", **form}
    signature = RequestValidator(token).compute_signature((under or settings.PUBLIC_URL) + place, full)
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    return Post(place, urlencode(full).encode(), {"X-Twilio-Signature": signature}, kind)


class Amazon:
    """Amazon SNS with a certificate of its own; ``fetch`` is how the certificate is got, and what was asked for."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        now = dt.datetime.now(dt.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), x509.random_serial_number())
        self.certificate = (
            builder.not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .sign(self.key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )

    def message(self, type_: str = "Notification", *, version: str = "2", **fields: Any) -> dict[str, Any]:
        made = {
            "Type": type_,
            "MessageId": str(uuid.uuid4()),
            "TopicArn": TOPIC,
            "Timestamp": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "SignatureVersion": version,
            "SigningCertURL": CERTIFICATE_URL,
            **fields,
        }
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
        signature = self.key.sign(string_to_sign(made), padding.PKCS1v15(), algorithm)
        return {**made, "Signature": base64.b64encode(signature).decode()}

    def post(self, event: Any, *, account: object = None, **fields: Any) -> Post:
        return self.wrap(self.message(Message=orjson.dumps(event).decode(), **fields), account=account)

    def wrap(self, message: dict[str, Any], *, account: object = None) -> Post:
        headers = {"x-amz-sns-message-type": message["Type"], "x-amz-sns-message-id": message["MessageId"]}
        # SNS posts JSON under this name.
        kind = "text/plain; charset=UTF-8"
        return Post(path("amazon_ses", account), orjson.dumps(message), headers, kind)


@dataclass(frozen=True)
class Said:
    """An event as a provider words it, for one delivery."""

    kind: str
    delivery_id: object
    message_id: str
    to: str
    at: float
    detail: str = "said so"
    id: str = ""


def iso(moment: float) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat().replace("+00:00", "Z")


def sendgrid_event(said: Said) -> dict[str, Any]:
    words = {
        "accepted": "processed", "opened": "open", "clicked": "click", "bounced": "bounce", "failed": "dropped",
        "soft_bounced": "bounce", "complained": "spamreport", "unsubscribed": "unsubscribe",
    }  # fmt: skip
    return {
        "event": words.get(said.kind, said.kind),
        "type": "blocked" if said.kind == "soft_bounced" else "bounce",
        "email": said.to,
        "timestamp": int(said.at),
        "sg_event_id": said.id or uuid.uuid4().hex,
        "sg_message_id": f"{said.message_id}.recvd-5645d9c87f-78xnt-1",
        "delivery_id": str(said.delivery_id),
        "reason": said.detail,
    }


def mailgun_event(said: Said) -> dict[str, Any]:
    words = {"bounced": "failed", "soft_bounced": "failed", "deferred": "failed", "failed": "rejected"}
    return {
        "event": words.get(said.kind, said.kind),
        "severity": "permanent" if said.kind == "bounced" else "temporary",
        "id": said.id or uuid.uuid4().hex,
        "timestamp": said.at,
        "recipient": said.to,
        "message": {"headers": {"message-id": said.message_id.strip("<>"), "to": said.to}},
        "user-variables": {"delivery_id": str(said.delivery_id)},
        "delivery-status": {"code": 550, "message": said.detail},
    }


def resend_event(said: Said) -> dict[str, Any]:
    words = {"accepted": "sent", "deferred": "delivery_delayed", "soft_bounced": "bounced"}
    data: dict[str, Any] = {
        "email_id": said.message_id,
        "to": [said.to],
        "tags": {"delivery_id": str(said.delivery_id)},
    }
    if "bounced" in said.kind:
        kind = "Permanent" if said.kind == "bounced" else "Transient"
        data["bounce"] = {"type": kind, "subType": "General", "message": said.detail}
    return {"type": f"email.{words.get(said.kind, said.kind)}", "created_at": iso(said.at), "data": data}


def postmark_event(said: Said) -> dict[str, Any]:
    common = {"MessageID": said.message_id, "Metadata": {"delivery_id": str(said.delivery_id)}}
    if said.kind in ("bounced", "soft_bounced", "deferred", "failed"):
        types = {"bounced": "HardBounce", "soft_bounced": "SoftBounce", "deferred": "Transient",
                 "failed": "DMARCPolicy"}  # fmt: skip
        number = int(said.id or uuid.uuid4().int % 10**9)
        return {**common, "RecordType": "Bounce", "ID": number, "Type": types[said.kind], "Email": said.to,
                "BouncedAt": iso(said.at), "Details": said.detail}  # fmt: skip
    if said.kind == "complained":
        return {**common, "RecordType": "SpamComplaint", "ID": 7, "Email": said.to, "BouncedAt": iso(said.at)}
    if said.kind == "unsubscribed":
        return {**common, "RecordType": "SubscriptionChange", "SuppressSending": True, "Recipient": said.to,
                "SuppressionReason": "ManualSuppression", "ChangedAt": iso(said.at)}  # fmt: skip
    records = {"delivered": ("Delivery", "DeliveredAt"), "opened": ("Open", "ReceivedAt"),
               "clicked": ("Click", "ReceivedAt")}  # fmt: skip
    record, when = records[said.kind]
    return {**common, "RecordType": record, "Recipient": said.to, when: iso(said.at), "Details": said.detail}


def ses_event(said: Said) -> dict[str, Any]:
    words = {"accepted": "Send", "deferred": "DeliveryDelay", "delivered": "Delivery", "opened": "Open",
             "clicked": "Click", "bounced": "Bounce", "soft_bounced": "Bounce", "complained": "Complaint",
             "failed": "Reject", "unsubscribed": "Subscription"}  # fmt: skip
    mail = {
        "messageId": said.message_id,
        "destination": [said.to],
        "headers": [{"name": "X-CastComm-Delivery", "value": str(said.delivery_id)}],
    }
    stamp = iso(said.at)
    type_ = words[said.kind]
    address = {"emailAddress": said.to, "diagnosticCode": said.detail}
    parts: dict[str, Any] = {
        "Bounce": {"bounceType": "Permanent" if said.kind == "bounced" else "Transient",
                   "bounceSubType": "General", "bouncedRecipients": [address]},
        "Complaint": {"complainedRecipients": [address], "complaintFeedbackType": "abuse"},
        "Delivery": {"recipients": [said.to], "smtpResponse": said.detail},
        "DeliveryDelay": {"delayedRecipients": [address], "delayType": "MailboxFull"},
        "Reject": {"reason": said.detail},
    }  # fmt: skip
    name = "deliveryDelay" if type_ == "DeliveryDelay" else type_.lower()
    return {"eventType": type_, "mail": mail, name: {"timestamp": stamp, **parts.get(type_, {})}}


def posts_of(amazon: Amazon) -> dict[str, Callable[[Said, Any], Post]]:
    """How each mail provider posts one event, by its key."""
    return {
        "sendgrid": lambda said, account=None: sendgrid([sendgrid_event(said)], account=account),
        "mailgun": lambda said, account=None: mailgun(mailgun_event(said), account=account),
        "resend": lambda said, account=None: resend(resend_event(said), account=account),
        "postmark": lambda said, account=None: postmark(postmark_event(said), account=account),
        "amazon_ses": lambda said, account=None: amazon.post(ses_event(said), account=account),
    }


CREDENTIALS: dict[str, dict[str, str]] = {
    "sendgrid": {"api_key": "x", "webhook_public_key": sendgrid_public_key()},
    "mailgun": {"api_key": "x", "domain": "mg.example.com", "webhook_signing_key": MAILGUN_KEY},
    "resend": {"api_key": "x", "webhook_secret": RESEND_SECRET},
    "postmark": {"server_token": "x", "webhook_user": POSTMARK_USER, "webhook_password": POSTMARK_PASSWORD},
    "amazon_ses": {"access_key": "x", "secret_key": "x", "region": "eu-central-1", "webhook_topics": TOPIC},
    "twilio": {"account_sid": TWILIO_SID, "auth_token": TWILIO_TOKEN, "from_number": "+4915112345678"},
}
MAIL_PROVIDERS: Sequence[str] = [key for key in CREDENTIALS if key != "twilio"]
