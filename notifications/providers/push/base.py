"""Push to all devices of a person: one call per device, one outcome for all.

Devices are not alternatives: each is called, by the provider of its kind. Taken together it is *sent* when any device
took it. Nothing is then tried again, so that no device gets it twice; the detail says which did not take it. Only when
none took it and none may have it is the delivery tried again.
"""

from __future__ import annotations

import abc
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
import structlog

from notifications.providers.base import (
    Ambiguous,
    NotSent,
    Provider,
    ProviderRefusal,
    PushMessage,
    PushTarget,
    RefusedForGood,
    Result,
)
from notifications.providers.push.encryption import base64url
from notifications.services import push_outcomes
from notifications.vocabulary import Outcome

log = structlog.get_logger(__name__)

BUDGET = 20.0  # seconds for all devices of one message; a lease is longer
NO_DEVICE = "No device is left."
_TOLD = 3  # different causes in a detail
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")


class DeviceGone(RefusedForGood):
    """The device will never take a push again: its subscription is to be removed."""


@dataclass(frozen=True, slots=True)
class DeviceOutcome:
    """What one device's provider said."""

    subscription_id: str
    outcome: Outcome
    detail: str = ""
    provider_message_id: str = ""
    retry_after: float | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class PushResult(Result):
    """A Result, and the ids of the subscriptions that took it and of those that are gone."""

    taken: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class PushProvider(Provider[PushMessage]):
    """Pushes to devices, each through the carrier of its kind.

    The account's breaker has nothing to learn here: what fails is a push service or a device, not the account. So
    results say ``about_recipient``, and a provider keeps its own count for each service (``PushServices``).
    """

    concurrency = 16

    @abc.abstractmethod
    def carriers(self) -> Mapping[str, PushCarrier]:
        """The provider for each kind of device."""

    def send(self, message: PushMessage) -> str:
        result = self.deliver(message)
        refusals: dict[str, type[ProviderRefusal]] = {
            Outcome.NOT_SENT: NotSent,
            Outcome.UNKNOWN: Ambiguous,
            Outcome.PERMANENT: RefusedForGood,
        }
        if result.outcome in refusals:
            raise refusals[result.outcome](
                result.detail, retry_after=result.retry_after, about_recipient=result.about_recipient
            )
        return result.provider_message_id

    def deliver(self, message: PushMessage) -> PushResult:
        """Push to each device in turn, for ``BUDGET`` seconds at the most; never raises."""
        started = time.monotonic()
        contents: dict[str, bytes] = {}
        outcomes: list[DeviceOutcome] = []
        for target in message.targets:
            if outcomes and time.monotonic() - started > BUDGET:
                outcomes.append(DeviceOutcome(target.subscription_id, Outcome.NOT_SENT, "No time was left."))
            else:
                outcomes.append(self._push_to(message, target, contents))
        if message.topic == push_outcomes.TEST_TOPIC:
            push_outcomes.keep(message.delivery_id, outcomes)
        return together(outcomes, elapsed=time.monotonic() - started)

    def _push_to(self, message: PushMessage, target: PushTarget, contents: dict[str, bytes]) -> DeviceOutcome:
        try:
            carrier = self.carriers().get(target.kind)
            if carrier is None:
                raise RefusedForGood(f"No provider is configured for devices of kind {target.kind!r}.")
            if target.kind not in contents:
                contents[target.kind] = carrier.encode(message)
            made = carrier.push(message, contents[target.kind], target)
        except ProviderRefusal as refusal:
            return DeviceOutcome(
                target.subscription_id,
                refusal.outcome,
                refusal.detail,
                retry_after=refusal.retry_after,
                gone=isinstance(refusal, DeviceGone),
            )
        except Exception as error:
            log.exception("provider.unexpected", provider=self.key, delivery_id=message.delivery_id)
            return DeviceOutcome(target.subscription_id, Outcome.UNKNOWN, f"{type(error).__name__}: {error}")
        return DeviceOutcome(target.subscription_id, Outcome.SENT, provider_message_id=made)


class PushCarrier(PushProvider):
    """Pushes to devices of one ``kind``."""

    kind: ClassVar[str]

    @abc.abstractmethod
    def encode(self, message: PushMessage) -> bytes:
        """What is sent to each device, made once per message; raises RefusedForGood when it is too large."""

    @abc.abstractmethod
    def push(self, message: PushMessage, content: bytes, target: PushTarget) -> str:
        """Push to one device; returns the service's id for it or "". Raises ProviderRefusal, DeviceGone among them."""

    def carriers(self) -> Mapping[str, PushCarrier]:
        return {self.kind: self}


def together(outcomes: Sequence[DeviceOutcome], *, elapsed: float = 0.0) -> PushResult:
    """One result for all devices: sent, else unknown, else not sent (yet), else refused for good."""
    there = {one.outcome for one in outcomes}
    order = (Outcome.SENT, Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.PERMANENT)
    outcome = next((one for one in order if one in there), Outcome.PERMANENT)
    waits = [one.retry_after for one in outcomes if one.outcome == Outcome.NOT_SENT and one.retry_after]
    ids = [one.provider_message_id for one in outcomes if one.provider_message_id]
    return PushResult(
        outcome,
        _detail(outcomes)[:1000],
        ids[0][:255] if ids else "",
        min(waits) if waits and outcome == Outcome.NOT_SENT else None,
        elapsed,
        about_recipient=True,
        taken=tuple(one.subscription_id for one in outcomes if one.outcome == Outcome.SENT),
        gone=tuple(one.subscription_id for one in outcomes if one.gone),
    )


def _detail(outcomes: Sequence[DeviceOutcome]) -> str:
    """Like "2 of 3 devices took it; 1 removed"; empty when the only device took it."""
    taken = sum(one.outcome == Outcome.SENT for one in outcomes)
    gone = sum(one.gone for one in outcomes)
    if taken == len(outcomes) == 1:
        return ""
    if gone == len(outcomes):
        return f"{NO_DEVICE} {gone} removed." if gone else NO_DEVICE
    parts = [f"{taken} of {len(outcomes)} devices took it"]
    if gone:
        parts.append(f"{gone} removed")
    causes = [one.detail for one in outcomes if one.outcome != Outcome.SENT and not one.gone]
    told = list(dict.fromkeys(causes))
    parts += [f"{causes.count(one)} not: {one.rstrip('.')}" for one in told[:_TOLD]]
    return "; ".join(parts) + "."


def fitting(message: PushMessage, limit: int, fields: Mapping[str, Any]) -> bytes:
    """``fields`` as JSON of at most ``limit`` bytes, with the message's body under ``body``, shortened if need be.

    Raises RefusedForGood when it does not fit even without the body.
    """
    made = orjson.dumps({**fields, "body": message.body})
    if len(made) <= limit:
        return made
    bare = len(orjson.dumps({**fields, "body": ""}))
    if bare > limit:
        raise RefusedForGood(f"The push has {bare} bytes without its body; at most {limit} fit.")
    return orjson.dumps({**fields, "body": _shortened(message.body, limit - bare)})


def _shortened(text: str, room: int) -> str:
    """The longest beginning of ``text`` that takes ``room`` bytes in JSON with an ellipsis, or ""."""
    low, high = 0, min(len(text), room)
    while low < high:
        middle = (low + high + 1) // 2
        # Without the quotation marks; characters take from one byte to six.
        if len(orjson.dumps(f"{text[:middle]}…")) - 2 <= room:
            low = middle
        else:
            high = middle - 1
    return f"{text[:low].rstrip()}…" if low else ""


def topic_header(topic: str) -> str:
    """A topic as RFC 8030, 5.4 allows it; what has another form is hashed."""
    if _TOPIC.fullmatch(topic):
        return topic
    return base64url(hashlib.sha256(topic.encode()).digest())[:32]
