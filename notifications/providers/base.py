"""The contract of every provider: one message in, one outcome out, and never a guess.

A provider implements ``send``; it returns the provider's message id, or raises one of the three refusals below.
Anything else that escapes counts as unknown: the message may have left.
"""

from __future__ import annotations

import abc
import math
import time
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from castcomm.common.registry import Registry
from notifications.vocabulary import Outcome

log = structlog.get_logger(__name__)

LANE_PAYS_FROM = 0.0006  # seconds of an answer that justify one more thread


class ProviderRefusal(Exception):
    """The provider did not take the message."""

    outcome: Outcome

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


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
class EmailMessage:
    """A mail, rendered. ``message_id`` is without angle brackets."""

    delivery_id: str
    sender: str
    sender_name: str
    to: str
    subject: str
    text: str
    html: str
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsMessage:
    """An SMS; ``to`` in E.164."""

    delivery_id: str
    to: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PushMessage:
    """A push to all of a person's subscriptions."""

    delivery_id: str
    user_id: str
    title: str
    body: str
    action_url: str


@dataclass(frozen=True, slots=True)
class Result:
    """What one provider call came to. ``retry_after`` and ``elapsed`` are in seconds."""

    outcome: Outcome
    detail: str = ""
    provider_message_id: str = ""
    retry_after: float | None = None
    elapsed: float = 0.0


Sendable = TypeVar("Sendable", EmailMessage, SmsMessage, PushMessage)


class Provider(abc.ABC, Generic[Sendable]):
    """One way to carry messages of one channel. Instances are shared by threads and made once per process."""

    key: str
    concurrency: int = 8
    _fastest: float = 0.005  # seconds; a guess until the first answers
    _previous: float = 0.005

    def width(self) -> int:
        """How many messages to send side by side: few when answers come at once, ``concurrency`` at the most.

        Threads hide waiting. Where there is none to hide they only pass the interpreter's lock around: 32 of
        them cost four times the CPU of two against a server that answers at once.
        """
        return max(1, min(self.concurrency, math.ceil(self._fastest / LANE_PAYS_FROM)))

    def learn(self, fastest: float) -> None:
        """Take in the fastest answer of a slice (seconds), which says most about the provider and least about us."""
        self._fastest = min(self._previous, fastest)  # one slow moment of this machine is not the provider's
        self._previous = fastest

    @abc.abstractmethod
    def send(self, message: Sendable) -> str:
        """Hand over one message and return the provider's id for it (or ""); raises ProviderRefusal."""

    def deliver(self, message: Sendable) -> Result:
        """``send`` with everything that can come out of it as a Result; never raises."""
        started = time.monotonic()
        try:
            provider_id = self.send(message)
        except ProviderRefusal as refusal:
            elapsed = time.monotonic() - started
            return Result(refusal.outcome, refusal.detail[:1000], "", refusal.retry_after, elapsed)
        except Exception as error:
            log.exception("provider.unexpected", provider=self.key, delivery_id=message.delivery_id)
            detail = f"{type(error).__name__}: {error}"[:1000]
            return Result(Outcome.UNKNOWN, detail, elapsed=time.monotonic() - started)
        return Result(Outcome.SENT, "", provider_id[:255], elapsed=time.monotonic() - started)


email_providers: Registry[type[Provider[EmailMessage]]] = Registry("e-mail provider")
sms_providers: Registry[type[Provider[SmsMessage]]] = Registry("SMS provider")
push_providers: Registry[type[Provider[PushMessage]]] = Registry("push provider")
