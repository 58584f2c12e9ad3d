"""What every stand-in of a provider has in common: a call comes in, an answer goes out, the ledger remembers.

A far side speaks its provider's wire format both ways, errors included; it knows nothing of faults, which the server
adds around it.
"""

from __future__ import annotations

import abc
import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import orjson

from notifications.stand_ins.ledger import Accepted, Ledger

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Call:
    """A request. ``path`` is without the provider's prefix; header names are lower-case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    content: bytes
    origin: str = ""

    def json(self) -> Any:
        """The content as JSON; raises ValueError when it is none."""
        return orjson.loads(self.content)

    def form(self) -> dict[str, str]:
        """The content as a form's fields; of a repeated field the last one counts."""
        return dict(parse_qsl(self.content.decode("utf-8", "replace"), keep_blank_values=True))

    def basic_auth(self) -> tuple[str, str] | None:
        """User and password of ``Authorization: Basic``, or None."""
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (user, password) if colon and user and password else None

    def bearer(self) -> str:
        """The token of ``Authorization: Bearer``, or ""."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; ``Content-Length`` is added when it is written."""

    status: int
    content: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


def json_answer(status: int, value: Any, *headers: tuple[str, str]) -> Answer:
    return Answer(status, orjson.dumps(value), JSON, headers)


class Refused(Exception):
    """The provider does not take this call; ``answer`` is what it says."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Taken:
    """The provider took a call: its answer, and the messages that are new by it."""

    answer: Answer
    messages: tuple[Accepted, ...] = field(default=())


class FarSide(abc.ABC):
    """One provider. ``refused_recipients`` are addresses that it refuses in its own words."""

    key: ClassVar[str]  # the first part of its paths
    modes: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, *, keep: int = 1000) -> None:
        self.ledger = Ledger(keep=keep)
        self.refused_recipients: set[str] = set()

    def is_beside(self, call: Call) -> bool:
        """Whether a call is no message (one for an access token): it is neither counted nor broken."""
        return False

    @abc.abstractmethod
    def take(self, call: Call) -> Taken:
        """Handle a call; raises Refused with the provider's error for what the provider would refuse."""

    @abc.abstractmethod
    def failure(self, status: int) -> Answer:
        """The provider's words for a fault of ``status`` (400, 401, 429, 500, 503, and those of its ``modes``).

        Where the provider uses another status for the same thing (Amazon: 403 for a wrong key) that one is given.
        """

    def mail_of(self, accepted: Accepted) -> EmailMessage | None:
        """The mail as it would arrive, for the demo's mail catcher; None for what is no mail."""
        return None
