"""What steps that do one thing want done besides sending (see ``ports``)."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from accounts.models import Organization


@dataclass(frozen=True, slots=True, kw_only=True)
class PostMessage:
    """A chat message by ``sender`` (id or address), into ``thread`` (its id) or, when empty, to the person."""

    organization: Organization
    user_id: uuid.UUID
    sender: str
    thread: str
    content: str
    key: str


@dataclass(frozen=True, slots=True)
class Posted:
    """Where the message is."""

    thread_id: uuid.UUID
    message_id: uuid.UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAttributes:
    """Facts about a person; None removes one."""

    user_id: uuid.UUID
    values: Mapping[str, Any]
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassThrottle:
    """Somebody who wants to be one of ``limit`` that pass ``name`` in any time of the length ``per`` up to ``now``."""

    organization_id: uuid.UUID
    name: str
    limit: int
    per: dt.timedelta
    now: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHttp:
    """A call to make once the transaction is committed. ``timeout`` is in seconds; ``retries`` follow the first try."""

    organization_id: uuid.UUID
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)
    timeout: float
    retries: int
    key: str
    now: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOutcome:
    """How a call ended. ``status`` is 0 without an answer; then ``error`` is a sentence.

    ``body`` is the answer's JSON, or its text.
    """

    status: int
    body: Any = None
    error: str = ""
    attempts: int = 1


class LeafEffects(Protocol):
    """Performs these, in the transaction that records the step's result. Each raises CastCommError."""

    def post_message(self, wanted: PostMessage) -> Posted:
        """Post a chat message; the same ``key`` posts once."""
        ...

    def set_attributes(self, wanted: SetAttributes) -> None:
        """Lay the values over the person's attributes."""
        ...

    def pass_throttle(self, wanted: PassThrottle) -> bool:
        """Whether there was room; then it is counted."""
        ...

    def call_http(self, wanted: CallHttp) -> HttpOutcome | None:
        """Have the call made; None: it will be, and the step is woken then."""
        ...

    def http_outcome(self, key: str) -> HttpOutcome | None:
        """How the call ended, or None while it is under way."""
        ...
