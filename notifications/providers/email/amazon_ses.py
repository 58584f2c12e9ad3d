"""Mail through Amazon SES, API v2, with boto3.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html. The mail goes as MIME written by ``mime``:
the standard library's takes a millisecond more. SES puts a Message-ID of its own in place of ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import boto3
import botocore.exceptions
import urllib3.exceptions
from anymail.backends.amazon_ses import (
    AmazonSESBasePayload,
    AmazonSESV2SendEmailPayload,
    EmailBackend,
)
from anymail.utils import EmailAddress
from botocore.config import Config
from django.conf import settings

from notifications.providers.base import (
    Account,
    Credential,
    EmailMessage,
    NotSent,
    ProviderRefusal,
    RefusedForGood,
    email_providers,
)
from notifications.providers.email.anymail_adapter import AnymailMessage, AnymailProvider
from notifications.providers.email.mime import build
from notifications.providers.outcomes import refusal_for_exception

# The account's trouble, though SES says 400 to all of them.
_ACCOUNT_TROUBLE = frozenset(
    {
        "AccountSuspendedException",
        "SendingPausedException",
        "MailFromDomainNotVerifiedException",
        "LimitExceededException",
    }
)


@email_providers.add("amazon_ses")
class AmazonSesProvider(AnymailProvider):
    """SES in one region of one AWS account."""

    key = "amazon_ses"
    label = "Amazon SES"
    credentials = (
        Credential(name="access_key", env=("AWS_SES_ACCESS_KEY", "AWS_ACCESS_KEY_ID"), label="Access key"),
        Credential(
            name="secret_key",
            env=("AWS_SES_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
            secret=True,
            label="Secret key",
        ),
        Credential(
            name="region",
            env=("AWS_SES_REGION", "AWS_REGION"),
            default="us-east-1",
            label="Region",
        ),
        Credential(name="from_email", env=("AWS_SES_FROM_EMAIL",), required=False, label="Sender's address"),
        Credential(name="from_name", env=("AWS_SES_FROM_NAME",), required=False, label="Sender's name"),
        Credential(
            name="configuration_set",
            env=("AWS_SES_CONFIGURATION_SET",),
            required=False,
            label="Configuration set",
            help="Its event destination sends reports to SNS.",
        ),
        Credential(
            name="webhook_topics",
            env=("AWS_SES_SNS_TOPICS",),
            required=False,
            label="SNS topics of the reports",
            help="ARNs separated by commas; reports of other topics are refused.",
        ),
        Credential(name="api_url", required=False, label="API address", help="Only for tests and the demo."),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._client = self._new_client()

    @classmethod
    def is_configured(cls, values: Mapping[str, str]) -> bool:
        """Only where a variable names SES: keys of AWS alone may be there for something else."""
        named = any(
            name.startswith("AWS_SES_") and value for name, value in settings.PROVIDER_ENVIRONMENT.items()
        )
        return named and super().is_configured(values)

    def backend(self) -> EmailBackend:
        return _Backend(
            session_params={},
            client_params={},
            configuration_set_name=self.credential("configuration_set") or None,
        )

    def _new_client(self) -> Any:
        """A client of its own session; clients are safe to share between threads, making one is not."""
        session = boto3.session.Session(
            aws_access_key_id=self.credential("access_key"),
            aws_secret_access_key=self.credential("secret_key"),
            region_name=self.credential("region"),
        )
        config = Config(
            connect_timeout=self.connect_timeout,
            read_timeout=self.read_timeout,
            max_pool_connections=self.concurrency,
            retries={"total_max_attempts": 1, "mode": "standard"},
            proxies={},
            ignore_configured_endpoint_urls=True,
        )
        return session.client("sesv2", endpoint_url=self.credential("api_url") or None, config=config)

    def close(self) -> None:
        self._client.close()

    def django_message(self, message: EmailMessage, sender: str) -> AnymailMessage:
        made = super().django_message(message, sender)
        address, name = self.sender_of(message)
        with_ascii_domain = dataclasses.replace(message, to=self._ascii(message.to))
        made.raw = build(with_ascii_domain, sender=self._ascii(address), sender_name=name)
        return made

    def _ascii(self, address: str) -> str:
        """The address with its domain as SES takes it (IDNA)."""
        if address.isascii():
            return address
        encoded: str = EmailAddress(addr_spec=address).format_addr_spec(idna_encode=self._backend.idna_encode)
        return encoded

    def api_options(self, message: EmailMessage) -> dict[str, Any]:
        # Tags come back in the reports.
        return {"EmailTags": [{"Name": "delivery_id", "Value": message.delivery_id}]}

    def post(self, payload: Any, message: EmailMessage) -> str:
        payload.finalize_payload()
        try:
            answer = self._client.send_email(**payload.params)
        except botocore.exceptions.ClientError as error:
            raise _refusal(error, message) from error
        except (botocore.exceptions.BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
            raise refusal_for_exception(error) from error
        return str(answer.get("MessageId", ""))


class _Payload(AmazonSESV2SendEmailPayload):  # type: ignore[misc]
    """Anymail's, with the mail that is already written."""

    def init_payload(self) -> None:
        AmazonSESBasePayload.init_payload(self)
        self.all_recipients: list[EmailAddress] = []
        self.mime_message: dict[str, str] = {}  # what Anymail would add to it: our header says the same

    def generate_raw_message(self) -> bytes:
        raw: bytes = self.message.raw
        return raw


class _Backend(EmailBackend):  # type: ignore[misc]
    def build_message_payload(self, message: AnymailMessage, defaults: dict[str, Any]) -> _Payload:
        return _Payload(message, defaults, self)


def _refusal(error: botocore.exceptions.ClientError, message: EmailMessage) -> ProviderRefusal:
    found = refusal_for_exception(error)
    said = error.response.get("Error", {})
    code, words = said.get("Code", ""), str(said.get("Message", ""))
    if not isinstance(found, RefusedForGood):
        return found
    if code in _ACCOUNT_TROUBLE:
        return NotSent(found.detail)
    names_recipient = message.to.lower() in words.lower()
    if code == "MessageRejected" and "not verified" in words and not names_recipient:
        return NotSent(found.detail)  # the sender's identity is not verified in this account
    found.about_recipient = code == "MessageRejected" or names_recipient
    return found
