"""SMS through Amazon SNS: the action ``Publish`` with a phone number (API of 2010-03-31).

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html

SNS has no idempotency key for SMS and takes no metadata; what becomes of a message stands in CloudWatch alone. A
number that has opted out there is accepted and dropped by SNS.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any, ClassVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

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
from notifications.providers.outcomes import refusal_for_exception, retry_after_seconds
from notifications.providers.sms.numbers import without_number
from notifications.vocabulary import SuppressionReason

CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 20.0  # seconds

TRANSACTIONAL, PROMOTIONAL = "Transactional", "Promotional"
OPTED_OUT = frozenset({"OptedOut", "OptedOutException"})
INVALID = frozenset({"InvalidParameter", "InvalidParameterValue", "ValidationError", "ValidationException"})
# Amazon answers 400 to some of these; they are about the account, the clock or the rate, not about the message.
NOT_NOW = frozenset(
    {
        "ExpiredToken",
        "IncompleteSignature",
        "RequestExpired",
        "Throttled",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
    }
)
# Nothing of whoever runs the process: neither a profile nor the files in the home folder.
_OWN_CONFIGURATION = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


@sms_providers.add("amazon_sns")
class AmazonSnsSms(Provider[SmsMessage]):
    key = "amazon_sns"
    label = "Amazon SNS"
    concurrency = 32
    credentials: ClassVar[tuple[Credential, ...]] = (
        Credential(name="access_key_id", env=("AWS_ACCESS_KEY_ID",), label="Access key ID"),
        Credential(
            name="secret_access_key", env=("AWS_SECRET_ACCESS_KEY",), label="Secret access key", secret=True
        ),
        Credential(name="region", env=("AWS_SNS_REGION", "AWS_REGION"), label="Region", help="eu-central-1"),
        optional(
            "sender_id",
            "AWS_SNS_SENDER_ID",
            label="Sender ID",
            help="Up to 11 letters and digits, where the country allows them.",
        ),
        Credential(
            name="sms_type",
            env=("AWS_SNS_SMS_TYPE",),
            label="Type",
            required=False,
            default=TRANSACTIONAL,
            choices=(TRANSACTIONAL, PROMOTIONAL),
            help="Transactional is delivered more reliably, promotional costs less.",
        ),
        api_url(),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._lock = threading.Lock()
        self._made: Any = None

    @classmethod
    def is_configured(cls, values: Mapping[str, str]) -> bool:
        """The keys alone do not make an account: they are there for mail or storage as well."""
        is_meant = bool(values.get("sender_id") or values.get("sms_type"))
        return is_meant and super().is_configured(values)

    def send(self, message: SmsMessage) -> str:
        """Publish one message; returns its MessageId."""
        try:
            answer = self._client().publish(
                PhoneNumber=message.to, Message=message.text, MessageAttributes=self._attributes()
            )
        except ClientError as error:
            raise _refusal(error, message.to) from error
        except Exception as error:
            raise refusal_for_exception(error) from error
        return str(answer.get("MessageId") or "")

    def close(self) -> None:
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make_client()
            return self._made

    def _make_client(self) -> Any:
        return botocore.session.Session(session_vars=_OWN_CONFIGURATION).create_client(
            "sns",
            region_name=self.credential("region"),
            endpoint_url=self.credential("api_url") or None,
            aws_access_key_id=self.credential("access_key_id"),
            aws_secret_access_key=self.credential("secret_access_key"),
            config=Config(
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                max_pool_connections=self.concurrency,
                retries={"total_max_attempts": 1, "mode": "standard"},
                proxies={},
                ignore_configured_endpoint_urls=True,
            ),
        )

    def _attributes(self) -> dict[str, dict[str, str]]:
        given = {"AWS.SNS.SMS.SMSType": self.credential("sms_type")}
        if sender := self.credential("sender_id"):
            given["AWS.SNS.SMS.SenderID"] = sender
        return {name: {"DataType": "String", "StringValue": value} for name, value in given.items()}


def _refusal(error: ClientError, to: str) -> ProviderRefusal:
    said = error.response.get("Error", {})
    code, message = said.get("Code", ""), said.get("Message", "")
    metadata = error.response.get("ResponseMetadata", {})
    detail = without_number(f"{metadata.get('HTTPStatusCode', 0)} {code}: {message}", to)
    if code in OPTED_OUT:
        return RefusedForGood(detail, about_recipient=True, suppress=SuppressionReason.UNSUBSCRIBE)
    if code in INVALID:
        return RefusedForGood(detail, about_recipient="PhoneNumber" in message)
    if code in NOT_NOW:
        return NotSent(detail, retry_after=retry_after_seconds(metadata.get("HTTPHeaders", {})))
    refusal = refusal_for_exception(error)
    refusal.detail = without_number(refusal.detail, to)
    return refusal
