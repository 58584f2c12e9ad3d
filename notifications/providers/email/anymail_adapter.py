"""Mail through the HTTP API of a provider: Anymail writes the request and reads the answer, this sends it.

Anymail's backends keep nothing of a message but in the payload that they make for it, so one backend per account serves
all threads. The session is ours (kept connections, no retries), and so is what an answer means (``outcomes``).
"""

from __future__ import annotations

import abc
from typing import Any

import requests
import structlog
import urllib3.exceptions
from anymail.backends.base import AnymailBaseBackend
from anymail.exceptions import AnymailError, AnymailInvalidAddress
from anymail.utils import parse_single_address
from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from notifications.providers.base import (
    Account,
    EmailMessage,
    EmailProvider,
    NotSent,
    ProviderRefusal,
    RefusedForGood,
)
from notifications.providers.email.mime import HeaderInjection, check_headers
from notifications.providers.outcomes import (
    refusal_for_exception,
    refusal_for_status,
    retry_after_seconds,
)
from notifications.providers.pooled_http import session

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 20.0  # seconds
LONGEST_DETAIL = 300  # characters of what the provider says


class AnymailMessage(EmailMultiAlternatives):
    """Django's message with what Anymail reads from it besides; ``raw`` is the mail where we write it ourselves."""

    metadata: dict[str, str]
    esp_extra: dict[str, Any]
    raw: bytes


class AnymailProvider(EmailProvider):
    """What all have in common. A provider names its backend, and says what its own error codes mean."""

    connect_timeout: float = CONNECT_TIMEOUT
    read_timeout: float = READ_TIMEOUT

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self.concurrency = settings.EMAIL_QUEUE_CONCURRENT
        self._backend = self.backend()
        self._session = session(
            self.concurrency, connect_timeout=self.connect_timeout, read_timeout=self.read_timeout
        )

    @abc.abstractmethod
    def backend(self) -> AnymailBaseBackend:
        """Anymail's backend for the account; everything it needs is given, nothing read from settings."""

    def send(self, message: EmailMessage) -> str:
        payload = self.payload(message)
        try:
            response = self._session.request(**self.request(payload, message))
        except AnymailError as error:
            raise NotSent(f"The account cannot be used: {type(error).__name__}") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            raise refusal_for_exception(error) from error
        refusal = self.refusal(response, message)
        if refusal is not None:
            raise refusal
        found = self.message_id(response)
        if not found:
            # The status says that it was taken, and nothing else can be trusted to say that it was not.
            log.warning("provider.no_message_id", provider=self.key, status=response.status_code)
        return found

    def close(self) -> None:
        self._session.close()

    def payload(self, message: EmailMessage) -> Any:
        """Anymail's payload; raises RefusedForGood for a message that cannot be sent. Nothing leaves yet."""
        sender, sender_name = self.sender_of(message)
        try:
            check_headers(message, sender, sender_name)
            _check_recipient(message.to)
            mail = self.django_message(message, _mailbox(sender, sender_name))
            return self._backend.build_message_payload(mail, {})
        except HeaderInjection as error:
            raise RefusedForGood(str(error)) from error
        except AnymailInvalidAddress as error:
            raise RefusedForGood("An address of the mail is not valid.") from error
        except AnymailError as error:
            raise RefusedForGood(f"{self.label} cannot send this: {type(error).__name__}") from error

    def django_message(self, message: EmailMessage, sender: str) -> AnymailMessage:
        """The message as Anymail takes it; our delivery id goes along as metadata and as a header."""
        made = AnymailMessage(
            subject=message.subject,
            body=message.text or message.html,
            from_email=sender,
            to=[message.to],
            headers=self.headers(message),
            reply_to=[message.reply_to] if message.reply_to else None,
        )
        if not message.text:
            made.content_subtype = "html"
        elif message.html:
            made.attach_alternative(message.html, "text/html")
        for one in message.attachments:
            made.attach(one.filename, one.content, one.content_type)
        made.metadata = {"delivery_id": message.delivery_id}
        options = self.api_options(message)
        if options:
            made.esp_extra = options
        return made

    def headers(self, message: EmailMessage) -> dict[str, str]:
        """The mail's own headers beyond address and subject."""
        return {
            "Message-ID": f"<{message.message_id}>",
            "X-CastComm-Delivery": message.delivery_id,
            "Auto-Submitted": "auto-generated",
            **dict(message.headers),
        }

    def api_options(self, message: EmailMessage) -> dict[str, Any]:
        """What the provider's API takes beyond what Anymail knows."""
        return {}

    def request(self, payload: Any, message: EmailMessage) -> dict[str, Any]:
        """What ``requests.Session.request`` takes."""
        request: dict[str, Any] = payload.get_request_params(self._backend.api_url)
        request["headers"] = {**(request["headers"] or {}), **self.request_headers(message)}
        return request

    def request_headers(self, message: EmailMessage) -> dict[str, str]:
        """Headers of the HTTP request beside Anymail's."""
        return {}

    def refusal(self, response: requests.Response, message: EmailMessage) -> ProviderRefusal | None:
        """What the answer means by its status; a provider refines this by its error codes."""
        return refusal_for_status(
            response.status_code, self.detail(response), retry_after=retry_after_seconds(response.headers)
        )

    def detail(self, response: requests.Response) -> str:
        """Status and the beginning of what the provider said."""
        if response.ok:
            return ""
        return f"{response.status_code} {self.said(response)[:LONGEST_DETAIL]}".strip()

    def said(self, response: requests.Response) -> str:
        """The provider's words in an error."""
        answer = answer_of(response)
        return str(answer.get("message") or "") or words(response)

    def message_id(self, response: requests.Response) -> str:
        """The id in an answer that says it was taken."""
        return str(answer_of(response).get("id") or "")


def words(response: requests.Response) -> str:
    """The beginning of a body as text; ``Response.text`` would try to guess its encoding, which takes long."""
    return response.content[: 4 * LONGEST_DETAIL].decode("utf-8", "replace")


def answer_of(response: requests.Response) -> dict[str, Any]:
    """The JSON object of an answer; empty where there is none."""
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _check_recipient(address: str) -> None:
    """One bare address: a list in its place would send the mail to all of them."""
    try:
        parsed = parse_single_address(address)
    except (AnymailInvalidAddress, IndexError) as error:
        raise RefusedForGood("The recipient's address is not valid.", about_recipient=True) from error
    if parsed.addr_spec != address or "@" not in address:
        raise RefusedForGood("The recipient's address is not valid.", about_recipient=True)


def _mailbox(address: str, name: str) -> str:
    if not name:
        return address
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address}>'
