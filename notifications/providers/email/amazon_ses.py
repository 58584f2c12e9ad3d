"""Mail through Amazon SES, API v2: signed by botocore, sent over our own connections.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html. The mail goes as MIME written by ``mime``:
the standard library's takes a millisecond more, and so does boto3's client; that one also reads proxies, addresses
and retries from its surroundings, and loses the status of an answer that it cannot read. SES puts a Message-ID of its
own in place of ours.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import orjson
import requests
from anymail.backends.amazon_ses import (
    AmazonSESBasePayload,
    AmazonSESV2SendEmailPayload,
    EmailBackend,
)
from anymail.utils import EmailAddress
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
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
from notifications.providers.email.anymail_adapter import (
    AnymailMessage,
    AnymailProvider,
    answer_of,
    words,
)
from notifications.providers.email.mime import build
from notifications.providers.fields import api_url, optional, sender_fields
from notifications.providers.outcomes import refusal_for_aws, retry_after_seconds

_REGION = re.compile(r"[a-z]{2}(-[a-z]{2,12}){1,3}-\d{1,2}")
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
        Credential(name="region", env=("AWS_SES_REGION", "AWS_REGION"), default="us-east-1", label="Region"),
        *sender_fields(address=("AWS_SES_FROM_EMAIL",), name=("AWS_SES_FROM_NAME",)),
        optional(
            "configuration_set",
            "AWS_SES_CONFIGURATION_SET",
            label="Configuration set",
            help="Its event destination sends reports to SNS.",
        ),
        optional(
            "webhook_topics",
            "AWS_SES_SNS_TOPICS",
            label="SNS topics of the reports",
            help="ARNs separated by commas; reports of other topics are refused.",
        ),
        api_url(),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._region = region = self.credential("region")
        self._url = (
            self.credential("api_url") or f"https://email.{region}.amazonaws.com"
        ) + "/v2/email/outbound-emails"
        self._signer = SigV4Auth(
            Credentials(self.credential("access_key"), self.credential("secret_key")), "ses", region
        )

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

    def request(self, payload: Any, message: EmailMessage) -> dict[str, Any]:
        if not _REGION.fullmatch(self._region):
            raise NotSent("The account's region is none.")  # and it would become part of the host's name
        payload.finalize_payload()
        raw = payload.params["Content"]["Raw"]
        raw["Data"] = base64.b64encode(raw["Data"]).decode()
        unsigned = AWSRequest(
            "POST", self._url, {"Content-Type": "application/json"}, orjson.dumps(payload.params)
        )
        self._signer.add_auth(unsigned)  # for a few minutes, so for each request
        return {
            "method": "POST",
            "url": self._url,
            "data": unsigned.data,
            "headers": dict(unsigned.headers),
        }

    def message_id(self, response: requests.Response) -> str:
        return str(answer_of(response).get("MessageId") or "")

    def said(self, response: requests.Response) -> str:
        return f"{_code(response)}: {_message(response) or words(response)}"

    def refusal(self, response: requests.Response, message: EmailMessage) -> ProviderRefusal | None:
        code, said = _code(response), _message(response)
        wait = retry_after_seconds(response.headers)
        found = refusal_for_aws(response.status_code, code, self.detail(response), retry_after=wait)
        if not isinstance(found, RefusedForGood):
            return found
        names_recipient = message.to.lower() in said.lower()
        not_verified = code == "MessageRejected" and "not verified" in said
        if code in _ACCOUNT_TROUBLE or (not_verified and not names_recipient):
            return NotSent(found.detail)
        found.about_recipient = code == "MessageRejected" or names_recipient
        return found


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


def _code(response: requests.Response) -> str:
    """The kind of the error, without what may follow it (namespace, address of its documentation)."""
    given = response.headers.get("x-amzn-errortype") or str(answer_of(response).get("__type") or "")
    return given.split(":")[0].rpartition("#")[2]


def _message(response: requests.Response) -> str:
    answer = answer_of(response)
    return str(answer.get("message") or answer.get("Message") or "")
