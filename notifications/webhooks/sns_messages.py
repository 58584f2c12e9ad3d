"""Amazon SNS over HTTPS: who signed a message, and confirming a subscription.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html

A signature proves that Amazon sent it, not that it is meant for us: anybody can make a topic. Therefore a message
counts only for topics that the account lists. The signing certificate comes from Amazon's own host alone, in the
region of the topic: a host that is not there would look like Amazon being away.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from castcomm.common import http
from castcomm.common.clock import now as current_time
from notifications.webhooks.base import WebhookRefused

log = structlog.get_logger(__name__)

Fetch = Callable[[str], bytes]

MAX_CERTIFICATES = 32
MAX_BYTES = 64 * 1024
TIMEOUT = 5.0  # seconds
HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 - Amazon's default
_HOST = re.compile(r"sns\.[a-z0-9-]{2,30}\.amazonaws\.com(?:\.cn)?")
_REGION = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]{2,30}):")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{16,64}\.pem")
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
SIGNED = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}


class NotThere(WebhookRefused):
    """Amazon was asked, and has nothing at this address."""


def fetch(url: str) -> bytes:
    """What stands at an address of Amazon's; raises WebhookRefused (503), so that Amazon tries again."""
    try:
        answer = http.request("GET", url, timeout=TIMEOUT, max_bytes=MAX_BYTES)
    except http.RequestFailed as error:
        raise WebhookRefused(503, f"Amazon cannot be reached: {error.message}") from error
    return body_of(answer)


def body_of(answer: http.Answer) -> bytes:
    """What Amazon answered; raises NotThere or another WebhookRefused (503)."""
    if answer.status in (400, 403, 404, 410):
        raise NotThere(503, f"Amazon answered {answer.status}")
    if answer.status != 200:
        raise WebhookRefused(503, f"Amazon answered {answer.status}")
    return answer.body


class SnsMessages:
    """Checks messages and confirms subscriptions. ``fetch`` gets what stands at an address that was checked."""

    def __init__(self, fetch: Fetch = fetch) -> None:
        self.fetch = fetch
        self._certificates: OrderedDict[str, x509.Certificate] = OrderedDict()
        self._lock = threading.Lock()

    def check_signature(self, message: Mapping[str, Any]) -> None:
        """Raise WebhookRefused unless Amazon SNS signed it: 401, or 503 while the certificate is out of reach."""
        algorithm = HASHES.get(str(message.get("SignatureVersion")))
        if algorithm is None:
            raise WebhookRefused(401, "unknown signature version")
        try:
            signature = base64.b64decode(str(message.get("Signature") or ""), validate=True)
        except (binascii.Error, ValueError) as error:
            raise WebhookRefused(401, "unreadable signature") from error
        url = str(message.get("SigningCertURL") or "")
        check_region(url, str(message.get("TopicArn") or ""))
        key = self._certificate(url).public_key()
        if not isinstance(key, RSAPublicKey):
            raise WebhookRefused(401, "the certificate has no RSA key")
        try:
            key.verify(signature, string_to_sign(message), PKCS1v15(), algorithm)
        except InvalidSignature as error:
            raise WebhookRefused(401, "wrong signature") from error

    def confirm(self, message: Mapping[str, Any]) -> None:
        """Confirm a subscription whose message was checked; raises WebhookRefused."""
        url = str(message.get("SubscribeURL") or "")
        check_host(url)
        query = parse_qs(urlsplit(url).query)
        if query.get("Action") != ["ConfirmSubscription"] or query.get("TopicArn") != [
            message.get("TopicArn")
        ]:
            raise WebhookRefused(401, "SubscribeURL does something else")
        self.fetch(url)
        log.info("webhooks.sns_confirmed", topic=message.get("TopicArn"))

    def forget(self) -> None:
        """Fetch certificates anew."""
        with self._lock:
            self._certificates.clear()

    def _certificate(self, url: str) -> x509.Certificate:
        with self._lock:
            found = self._certificates.get(url)
        if found is None:
            check_host(url)
            if not _CERTIFICATE.fullmatch(urlsplit(url).path) or urlsplit(url).query:
                raise WebhookRefused(401, "SigningCertURL is no certificate's")
            found = self._fetched(url)
            with self._lock:
                self._certificates[url] = found
                while len(self._certificates) > MAX_CERTIFICATES:
                    self._certificates.popitem(last=False)
        if not found.not_valid_before_utc <= current_time() <= found.not_valid_after_utc:
            raise WebhookRefused(401, "the certificate is not valid now")
        return found

    def _fetched(self, url: str) -> x509.Certificate:
        """The certificate at a checked address that the caller has named.

        Whoever makes one up is refused as with a wrong signature. While Amazon cannot be reached, nobody knows, and
        a true message has to come again (503); but each such look counts too, or anybody could have us look for ever.
        """
        try:
            return x509.load_pem_x509_certificate(self.fetch(url))
        except ValueError as error:
            raise WebhookRefused(401, "the certificate cannot be read") from error
        except NotThere as error:
            raise WebhookRefused(401, f"no certificate at that address: {error.reason}") from error
        except WebhookRefused as error:
            raise WebhookRefused(error.status, error.reason, is_forged=True) from error


def check_host(url: str) -> None:
    """Raise WebhookRefused (401) unless the address is Amazon SNS's own, over https."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme == "https" and _HOST.fullmatch(parts.netloc) is not None
    except ValueError:
        fits = False
    if not fits:
        raise WebhookRefused(401, "an address that is not Amazon's")


def check_region(url: str, topic: str) -> None:
    """Raise WebhookRefused (401) unless the address is Amazon SNS's own in the topic's region."""
    check_host(url)
    region = _REGION.match(topic)
    if region is None or urlsplit(url).netloc.split(".")[1] != region[1]:
        raise WebhookRefused(401, "an address in another region than the topic's")


def string_to_sign(message: Mapping[str, Any]) -> bytes:
    """Names and values of the signed fields, a line each; raises WebhookRefused (401) for unknown types."""
    names = SIGNED.get(str(message.get("Type")))
    if names is None:
        raise WebhookRefused(401, "unknown type of message")
    given = ((name, message.get(name)) for name in names)
    return "".join(f"{name}\n{value}\n" for name, value in given if value is not None).encode()
