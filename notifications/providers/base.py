"""The contract of every provider: one message in, one outcome out, and never a guess.

A provider implements ``send``; it returns the provider's message id, or raises one of the three refusals below.
Anything else that escapes counts as unknown: the message may have left.
"""

from __future__ import annotations

import abc
import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import structlog

from castcomm.common.registry import Registry
from notifications.vocabulary import Channel, Outcome, SuppressionReason

log = structlog.get_logger(__name__)

LANE_PAYS_FROM = 0.0006  # seconds of an answer that justify one more thread


class ProviderRefusal(Exception):
    """The provider did not take the message. ``detail`` is shown to staff and must hold no secret."""

    outcome: Outcome

    def __init__(
        self,
        detail: str,
        *,
        retry_after: float | None = None,
        about_recipient: bool = False,
        suppress: SuppressionReason | None = None,
    ) -> None:
        """``retry_after`` is in seconds. ``about_recipient``: it says nothing about the account, whose circuit
        breaker does not count it. ``suppress`` puts the address on the suppression list for this reason."""
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.about_recipient = about_recipient
        self.suppress = suppress


class NotSent(ProviderRefusal):
    """Definitely not sent, and another try may succeed (refused, DNS, connect time-out, 4xx of SMTP, 429, 503)."""

    outcome = Outcome.NOT_SENT


class RefusedForGood(ProviderRefusal):
    """Definitely not sent, and no try will succeed (the recipient or the message is refused)."""

    outcome = Outcome.PERMANENT


class Ambiguous(ProviderRefusal):
    """Nobody knows: the provider hung or broke off after it had the message."""

    outcome = Outcome.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account at a provider, from the environment (``key`` is ``env:<provider>``) or from a row (its id).

    ``credentials`` has the fields that the provider's class declares, empty ones included. Limits are messages
    per time, None for no limit. ``organization_id`` is None for an account that serves all.
    """

    key: str
    provider: str
    channel: str
    name: str = ""
    organization_id: uuid.UUID | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    position: int = 100
    weight: int = 1
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One field of an account: its name, its variable in the environment (several spellings), and its form."""

    name: str
    env: tuple[str, ...] = ()
    label: str = ""
    secret: bool = False
    required: bool = True
    default: str = ""
    choices: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An attachment."""

    filename: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailMessage:
    """A mail, rendered. ``message_id`` is without angle brackets; ``headers`` are more headers, ASCII values.

    An account with its own ``from_email`` sends in that name instead (``Provider.sender_of``).
    """

    delivery_id: str
    sender: str
    sender_name: str
    to: str
    subject: str
    text: str
    html: str
    message_id: str
    reply_to: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsMessage:
    """An SMS; ``to`` in E.164."""

    delivery_id: str
    to: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PushTarget:
    """One device: a Web Push endpoint with its keys (base64url), or a Firebase token as ``endpoint``."""

    subscription_id: str
    kind: str
    endpoint: str = field(repr=False)
    p256dh: str = field(default="", repr=False)
    auth: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushMessage:
    """A push to all of a person's devices. ``ttl`` is in seconds; ``urgency`` after RFC 8030, 5.3.

    ``actions`` are buttons: ``{"action", "title", "url"}``. ``topic`` replaces an undelivered one of the same topic.
    """

    delivery_id: str
    user_id: str
    title: str
    body: str
    action_url: str
    targets: tuple[PushTarget, ...] = ()
    ttl: int = 86_400
    urgency: str = "normal"
    topic: str = ""
    actions: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What one provider call came to. ``retry_after`` and ``elapsed`` are in seconds."""

    outcome: Outcome
    detail: str = ""
    provider_message_id: str = ""
    retry_after: float | None = None
    elapsed: float = 0.0
    about_recipient: bool = False
    suppress: SuppressionReason | None = None


Sendable = TypeVar("Sendable", EmailMessage, SmsMessage, PushMessage)


class Provider(abc.ABC, Generic[Sendable]):
    """One way to carry messages of one channel.

    An instance belongs to one account, is shared by threads and made once per process. A class that is
    ``idempotent`` hands the delivery's id on as the provider's idempotency key, and the provider answers a
    second try with the result of the first for ``idempotency_hours``: such a try is safe after an unknown outcome.
    """

    key: ClassVar[str]
    label: ClassVar[str] = ""
    credentials: ClassVar[tuple[Credential, ...]] = ()
    idempotent: ClassVar[bool] = False
    idempotency_hours: ClassVar[int] = 24
    may_be_near: ClassVar[bool] = False
    concurrency: int = 8
    _fastest: float = 0.005  # seconds; a guess until the first answers
    _previous: float = 0.005

    def __init__(self, account: Account) -> None:
        self.account = account

    def credential(self, name: str) -> str:
        """The account's value for a declared field, or the field's default."""
        declared = {one.name: one.default for one in self.credentials}
        return self.account.credentials.get(name) or declared[name]

    @classmethod
    def is_configured(cls, values: Mapping[str, str]) -> bool:
        """Whether the environment has an account: everything required is there (``values`` by field)."""
        required = [one.name for one in cls.credentials if one.required and not one.default]
        return bool(required) and all(values.get(name) for name in required)

    @classmethod
    def check_credentials(cls, values: Mapping[str, str]) -> None:
        """What one field alone does not show (``values`` by field): raises InvalidInput that names a field."""

    def close(self) -> None:
        """Let go of connections; the account was changed or removed."""

    def width(self) -> int:
        """How many messages to send side by side: ``concurrency``, but few when a server nearby answers at once.

        A provider on the internet always takes its time. Threads hide waiting. Where there is none to hide they only
        pass the interpreter's lock around: 32 of them cost four times the CPU of two against a server that answers at
        once.
        """
        if not self.may_be_near:
            return self.concurrency
        return max(1, min(self.concurrency, math.ceil(self._fastest / LANE_PAYS_FROM)))

    def learn(self, fastest: float) -> None:
        """Take in the fastest answer of a slice (seconds), which says most about the provider and least about us."""
        self._fastest = min(self._previous, fastest)  # one slow moment of this machine is not the provider's
        self._previous = fastest

    @abc.abstractmethod
    def send(self, message: Sendable) -> str:
        """Hand over one message and return the provider's id for it (or ""); raises ProviderRefusal."""

    def deliver_in_turn(self, messages: Sequence[Sendable]) -> list[Result]:
        """``deliver`` one after the other; a provider that gains by knowing the next message does it its own way."""
        return [self.deliver(message) for message in messages]

    def deliver(self, message: Sendable) -> Result:
        """``send`` with everything that can come out of it as a Result; never raises."""
        return self.result_of(lambda: self.send(message), message.delivery_id)

    def result_of(self, send: Callable[[], str], delivery_id: str) -> Result:
        """What a call that sends one message comes to; never raises."""
        started = time.monotonic()
        try:
            provider_id = send()
        except ProviderRefusal as refusal:
            return Result(
                refusal.outcome,
                refusal.detail[:1000],
                "",
                refusal.retry_after,
                time.monotonic() - started,
                refusal.about_recipient,
                refusal.suppress,
            )
        except Exception as error:
            log.exception("provider.unexpected", provider=self.key, delivery_id=delivery_id)
            detail = f"{type(error).__name__}: {error}"[:1000]
            return Result(Outcome.UNKNOWN, detail, elapsed=time.monotonic() - started)
        return Result(Outcome.SENT, "", provider_id[:255], elapsed=time.monotonic() - started)


class EmailProvider(Provider[EmailMessage]):
    """A provider of mail."""

    def sender_of(self, message: EmailMessage) -> tuple[str, str]:
        """Address and name in ``From``: the account's own, if it has one."""
        own = self.account.credentials.get("from_email", "")
        if not own:
            return message.sender, message.sender_name
        return own, self.account.credentials.get("from_name", "") or message.sender_name


email_providers: Registry[type[Provider[EmailMessage]]] = Registry("e-mail provider")
sms_providers: Registry[type[Provider[SmsMessage]]] = Registry("SMS provider")
push_providers: Registry[type[Provider[PushMessage]]] = Registry("push provider")


def providers_of(channel: str) -> Registry[type[Provider[Any]]]:
    """The registry of a channel's providers; raises KeyError for a channel without."""
    registries: dict[str, Registry[Any]] = {
        Channel.EMAIL: email_providers,
        Channel.SMS: sms_providers,
        Channel.PUSH: push_providers,
    }
    return registries[channel]
