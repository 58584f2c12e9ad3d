"""The contract of every webhook that comes in: verify who sent it, then put what it says in our words.

A parser is stateless and knows one provider. ``verify`` looks at the signature before anything is believed; ``parse``
turns the body into receipts. Storing, deduplicating and applying them is ``notifications.services.receipts``.
"""

from __future__ import annotations

import abc
import base64
import binascii
import datetime as dt
import functools
import hashlib
import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

import orjson
from django.conf import settings
from django.http import QueryDict
from django.utils.crypto import constant_time_compare

from castcomm.common.clock import now as current_time
from castcomm.common.ids import parse_id
from castcomm.common.registry import Registry
from notifications.providers.base import Account
from notifications.vocabulary import ReceiptKind

# The names under which our delivery id travels as metadata, without what providers do to case and separators.
_DELIVERY_NAMES = frozenset(
    {"delivery", "deliveryid", "castcommdelivery", "castcommdeliveryid", "xcastcommdelivery"}
)
_NOT_A_LETTER = re.compile("[^a-z]")
_AHEAD = dt.timedelta(minutes=5)  # by which a provider's clock may be ahead of ours


class WebhookRefused(Exception):
    """Nothing of this request is believed. ``reason`` goes into the log; the caller learns the status alone.

    ``is_forged`` counts it as a wrong signature, as 401 and 403 always are.
    """

    def __init__(self, status: int, reason: str, *, is_forged: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.is_forged = is_forged or status in (401, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One thing that a provider, or our own tracking, says about one message.

    ``account`` is the key of the provider account, or empty for what CastComm has seen itself. ``event_key`` tells
    the event apart from all others of the account: the same key twice is the same event. ``delivery_id`` is our id as
    it came back in the metadata. ``occurred_at`` is aware. ``payload`` is the raw event.
    """

    provider: str
    account: str
    event_key: str
    kind: ReceiptKind
    occurred_at: dt.datetime
    delivery_id: uuid.UUID | None = None
    provider_message_id: str = ""
    recipient: str = field(default="", repr=False)
    detail: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)
    is_automatic: bool = False


@dataclass(frozen=True, kw_only=True)
class WebhookRequest:
    """A request as it came in. ``path`` is path and query as they were asked for; ``headers`` ignores case."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    path: str
    content_type: str = ""

    @functools.cached_property
    def json(self) -> Any:
        """The body as JSON; raises WebhookRefused (400)."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise WebhookRefused(400, f"not JSON: {error}") from error

    @functools.cached_property
    def form(self) -> QueryDict:
        """The body as a form (application/x-www-form-urlencoded); raises WebhookRefused (400)."""
        try:
            return QueryDict(self.body, encoding="utf-8")
        except (UnicodeDecodeError, ValueError) as error:
            raise WebhookRefused(400, f"not a form: {error}") from error

    @property
    def public_url(self) -> str:
        """The address that the provider called, whatever a proxy has made of it: it stands under PUBLIC_URL."""
        return f"{settings.PUBLIC_URL}{self.path}"

    def header(self, name: str) -> str:
        """A header's value, or ""."""
        return self.headers.get(name) or ""

    def object(self) -> dict[str, Any]:
        """The body as a JSON object; raises WebhookRefused (400)."""
        if not isinstance(self.json, dict):
            raise WebhookRefused(400, "not a JSON object")
        return self.json


class WebhookParser(abc.ABC):
    """Reads one provider's webhooks. ``needs`` are the account's fields without which nothing can be verified."""

    key: ClassVar[str]
    channel: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]

    def is_configured(self, account: Account) -> bool:
        """Whether the account has all that verifying needs."""
        return all(account.credentials.get(name) for name in self.needs)

    @abc.abstractmethod
    def verify(self, request: WebhookRequest, account: Account) -> None:
        """Raise WebhookRefused (401, 403, 400) unless the provider sent this, for this account, and lately."""

    @abc.abstractmethod
    def parse(self, request: WebhookRequest, account: Account) -> list[Receipt]:
        """What it says, after ``verify``; news that CastComm has no word for are left out. Raises WebhookRefused."""

    def shake_hands(self, request: WebhookRequest, account: Account) -> bool:
        """Answer a provider that asks whether the address is ours, after ``verify``; True when that was all."""
        return False


parsers: Registry[WebhookParser] = Registry("webhook")


def register_parser(parser: WebhookParser) -> None:
    """Make a parser known under its channel and provider."""
    parsers.register(f"{parser.channel}/{parser.key}", parser)


def parser_for(channel: str, provider: str) -> WebhookParser | None:
    """The parser of a provider, or None."""
    name = f"{channel}/{provider}"
    return parsers.get(name) if name in parsers else None


def check_fresh(moment: float, *, seconds: float) -> None:
    """Raise WebhookRefused (401) unless ``moment`` (seconds since 1970) is at most ``seconds`` away from now."""
    if not math.isfinite(moment) or abs(current_time().timestamp() - moment) > seconds:
        raise WebhookRefused(401, "stale timestamp")


def check_basic_auth(request: WebhookRequest, user: str, password: str) -> None:
    """Raise WebhookRefused (401) unless the request carries this user and password (RFC 7617)."""
    scheme, _, given = request.header("Authorization").partition(" ")
    try:
        decoded = base64.b64decode(given.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WebhookRefused(401, "unreadable Authorization header") from error
    if scheme.lower() != "basic" or not constant_time_compare(decoded, f"{user}:{password}".encode()):
        raise WebhookRefused(401, "wrong user or password")


def digest_of(*parts: object) -> str:
    """A stable name for an event to which its provider gives none (SHA-256 in hex)."""
    return hashlib.sha256(orjson.dumps(parts, default=str, option=orjson.OPT_SORT_KEYS)).hexdigest()


def number(value: object) -> float:
    """A number of a foreign body, NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def text(value: object, limit: int = 255) -> str:
    """A text of a foreign body on one line, at most ``limit`` characters; "" for anything that is no text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return "".join(one if one.isprintable() else " " for one in str(value)[:limit]).strip()


def mapping(value: object) -> Mapping[str, Any]:
    """An object of a foreign body; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> Sequence[Any]:
    """A list of a foreign body; an empty one for anything else."""
    return value if isinstance(value, list) else []


def moment(value: object) -> dt.datetime:
    """When something happened: seconds since 1970, ISO 8601 or RFC 5322; now, where that says nothing sensible."""
    now = current_time()
    found = _moment(value)
    if found is None or found > now + _AHEAD or found.year < 2000:
        return now
    return min(found, now)


def _moment(value: object) -> dt.datetime | None:
    seconds = number(value)
    try:
        if math.isfinite(seconds):
            return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
        if not isinstance(value, str):
            return None
        written = value.strip()
        found = (
            dt.datetime.fromisoformat(written) if written[:4].isdigit() else parsedate_to_datetime(written)
        )
        return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def delivery_id_in(metadata: object) -> uuid.UUID | None:
    """Our delivery id in a provider's metadata, or None.

    Metadata is an object (of texts, or of lists of texts) or a list of objects with ``name`` and ``value``, as mails'
    headers are. ``X-Metadata`` is looked into as JSON: so Anymail sends metadata where a provider has none of its own.
    """
    for name, value in _pairs(metadata):
        plain = _NOT_A_LETTER.sub("", name.lower())
        given = value[0] if isinstance(value, list) and value else value
        if plain in _DELIVERY_NAMES and (found := parse_id(given)):
            return found
        if plain == "xmetadata" and isinstance(given, str) and (found := delivery_id_in(_object(given))):
            return found
    return None


def delivery_id_of_mail(message_id: object) -> uuid.UUID | None:
    """Our delivery id in the Message-ID of a mail, which CastComm makes from it (RFC 5322, 3.6.4)."""
    return parse_id(text(message_id, 998).strip("<> ").partition("@")[0])


def _pairs(metadata: object) -> Iterator[tuple[str, Any]]:
    if isinstance(metadata, Mapping):
        yield from ((str(name), value) for name, value in metadata.items())
    for one in sequence(metadata):
        yield text(mapping(one).get("name")), mapping(one).get("value")


def _object(value: str) -> object:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
