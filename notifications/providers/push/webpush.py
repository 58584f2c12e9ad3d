"""Web Push: to browsers, through the push service that each browser names (RFC 8030, 8188, 8291, 8292).

What does not change from push to push is made once: the keys are parsed once per process, the ``Authorization`` header
is signed once per push service and hour, a browser's keys are parsed once for as long as they are in use. Connections
to a push service stay open.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from urllib.parse import urlsplit

from django.conf import settings

from castcomm.common.http import Answer, Client, RequestFailed
from notifications.providers.base import (
    Account,
    Ambiguous,
    Credential,
    NotSent,
    ProviderRefusal,
    PushMessage,
    PushTarget,
    RefusedForGood,
    push_providers,
)
from notifications.providers.fields import optional
from notifications.providers.outcomes import refusal_for_status, retry_after_seconds
from notifications.providers.push.base import DeviceGone, PushCarrier, fitting, topic_header
from notifications.providers.push.encryption import LARGEST_TEXT, BadReceiver, encrypt, receiver_of
from notifications.providers.push.endpoints import refusal_of
from notifications.providers.push.services import PushServices
from notifications.providers.push.vapid import BadVapidKeys, VapidKeys, authorization, read_keys
from notifications.services import push_click_tokens

GONE = frozenset({404, 410})  # RFC 8030, 7.3
ABOUT_THE_DEVICE = frozenset({401, 403, 429})  # none of these says that the push service is unwell
LARGEST_ANSWER = 64 * 1024
CONNECT_TIMEOUT, READ_TIMEOUT, TIMEOUT = 3.05, 10.0, 12.0  # seconds; the last is for one push as a whole
_MOST_AUDIENCES = 1000


@push_providers.add("webpush")
class WebPush(PushCarrier):
    key = "webpush"
    label = "Web Push"
    kind = "web"
    credentials = (
        optional(
            "vapid_public_key",
            "VAPID_PUBLIC_KEY",
            label="VAPID public key",
            help="Follows from the private key when it is empty.",
        ),
        Credential(
            name="vapid_private_key",
            env=("VAPID_PRIVATE_KEY",),
            label="VAPID private key",
            secret=True,
            help="32 bytes in base64url, or PEM. Browsers are bound to the key with which they subscribed.",
        ),
        optional(
            "vapid_email",
            "VAPID_EMAIL",
            label="Contact",
            help="An address (or https page) where push services can reach you; EMAIL_FROM unless set.",
        ),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._client = Client(
            allow_loopback=settings.WEBPUSH_ALLOW_LOOPBACK,
            per_host=self.concurrency,
            hosts=32,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
        )
        self._services = PushServices()
        self._signed: dict[str, tuple[int, str]] = {}

    def close(self) -> None:
        self._client.close()

    def keys(self) -> VapidKeys:
        """The account's keys; raises BadVapidKeys."""
        return read_keys(self.credential("vapid_private_key"), self.credential("vapid_public_key"))

    def encode(self, message: PushMessage) -> bytes:
        fields: dict[str, object] = {"delivery_id": message.delivery_id, "title": message.title}
        if message.action_url:
            fields["url"] = message.action_url
        if message.actions:
            fields["actions"] = [dict(one) for one in message.actions]
        if message.topic:
            fields["topic"] = message.topic
        # With this the service worker tells that it was clicked, signed in or not.
        fields["click"] = push_click_tokens.make(uuid.UUID(message.delivery_id))
        return fitting(message, LARGEST_TEXT, fields)

    def push(self, message: PushMessage, content: bytes, target: PushTarget) -> str:
        refusal = refusal_of(target.endpoint)
        if refusal:
            raise RefusedForGood(refusal, about_recipient=True)
        parts = urlsplit(target.endpoint)
        try:
            headers = self._headers(message, f"{parts.scheme}://{parts.netloc}")
            body = encrypt(content, receiver_of(target.p256dh, target.auth))
        except BadVapidKeys as error:
            raise NotSent(str(error)) from error
        except BadReceiver as error:
            raise RefusedForGood(f"The keys of the device cannot be used: {error}") from error
        with self._services.calling(parts.netloc):
            answer = self._post(target.endpoint, headers, body)
            refused = _refusal(answer)
            if refused is not None:
                raise refused
        return _location(answer.headers)

    def _headers(self, message: PushMessage, audience: str) -> dict[str, str]:
        headers = {
            "TTL": str(message.ttl),
            "Urgency": message.urgency,
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "Authorization": self._authorization(audience),
        }
        if message.topic:
            headers["Topic"] = topic_header(message.topic)
        return headers

    def _authorization(self, audience: str) -> str:
        hour = int(time.time()) // 3600
        known = self._signed.get(audience)
        if known is not None and known[0] == hour:
            return known[1]
        contact = self.credential("vapid_email") or settings.EMAIL_FROM
        subject = contact if contact.startswith(("https:", "mailto:")) else f"mailto:{contact}"
        made = authorization(self.keys(), audience=audience, subject=subject, hour=hour)
        if len(self._signed) >= _MOST_AUDIENCES:
            self._signed.clear()
        self._signed[audience] = (hour, made)
        return made

    def _post(self, endpoint: str, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            return self._client.request(
                "POST", endpoint, headers=headers, body=body, timeout=TIMEOUT, max_bytes=LARGEST_ANSWER
            )
        except RequestFailed as error:
            if error.sent is None:
                raise Ambiguous(error.message) from error
            if error.retryable:
                raise NotSent(error.message) from error
            raise RefusedForGood(error.message) from error


def _refusal(answer: Answer) -> ProviderRefusal | None:
    said = " ".join(answer.body[:300].decode("utf-8", "replace").split())
    detail = f"{answer.status} {said}".strip()
    if answer.status in GONE:
        return DeviceGone(detail)
    refusal = refusal_for_status(answer.status, detail, retry_after=retry_after_seconds(answer.headers))
    if refusal is not None:
        refusal.about_recipient = answer.status in ABOUT_THE_DEVICE
    return refusal


def _location(headers: Mapping[str, str]) -> str:
    """The push message's name at the service (RFC 8030, 5.1): the end of its address, as the rest may be a secret."""
    location = next((value for name, value in headers.items() if name.lower() == "location"), "")
    return location.rpartition("/")[2]
