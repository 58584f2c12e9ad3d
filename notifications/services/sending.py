"""``send_notification``: the one door through which every notification comes in.

The call decides and writes everything in one statement: the request, a notification per recipient (the inbox
row), a delivery per channel considered. Inside the caller's transaction it takes part in it: a rollback
means that nothing was sent, a commit that it cannot be lost. Larger audiences are written as chunks,
which workers turn into notifications the same way.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from accounts.models import Organization
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import new_id
from notifications.rendering.content import CONTENT_FIELDS, MAX_URL
from notifications.rendering.sandbox import storable
from notifications.services import fanout, ledger
from notifications.services.catalog import Catalog, EventTypeFacts, catalog_of
from notifications.services.defaults import DIRECT, ensure_direct_event_type
from notifications.services.planning import (
    Message,
    PlannedNotification,
    check_data,
    check_variables,
    choose_template,
    literal,
    plan,
)
from notifications.services.recipients import Reference, load_people, parse_recipients
from notifications.vocabulary import Channel, Priority

INLINE_RECIPIENTS = 500
MAX_RECIPIENTS = 100_000
MAX_DATA_BYTES = 64 * 1024
MAX_CONTENT_CHARACTERS = 500_000
MAX_SCHEDULE = dt.timedelta(days=731)


@dataclass(frozen=True, slots=True)
class SentNotification:
    """One recipient's notification. ``recipient`` is the user's id or the bare address."""

    id: uuid.UUID
    recipient: str
    user_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class SendResult:
    """What came of a call. ``notifications`` is empty while a large audience is being fanned out."""

    request_id: uuid.UUID
    duplicate: bool
    recipient_count: int
    notifications: list[SentNotification]


def send_notification(
    *,
    organization: Organization,
    recipients: Sequence[Any],
    event_type: str | None = None,
    template: str | None = None,
    data: Mapping[str, Any] | None = None,
    content: Mapping[str, str] | None = None,
    channels: Sequence[str] | None = None,
    priority: str | None = None,
    scheduled_for: dt.datetime | None = None,
    idempotency_key: str = "",
    source: str = "python",
    critical: bool | None = None,
) -> SendResult:
    """Send to ``recipients`` (users, their ids, e-mail addresses, or ``{"user"|"email"|"phone": …}``).

    Name an ``event_type``, a ``template``, or give ``content`` (title, body, subject, html, text, sms,
    action_url); an event type may be combined with either of the others. ``scheduled_for`` is aware.
    The same ``idempotency_key`` in the same organization sends once, for ever: the later call returns the first
    result with ``duplicate=True``. Raises InvalidInput that names the field; nothing is written then.
    """
    references = parse_recipients(recipients)
    if len(references) > MAX_RECIPIENTS:
        raise InvalidInput(f"At most {MAX_RECIPIENTS} recipients in one call.", attr="recipients")
    checked = check_data(data)
    encoded = _encoded(checked)
    checked = orjson.loads(encoded)  # the inbox row is filled from what a worker will fill the mail from
    _check_content(content)
    named = _check_channels(channels)
    if template is not None and content:
        raise InvalidInput("Give a template or content, not both.", attr="content")
    if event_type is None and template is None and not content:
        raise InvalidInput(
            "Name an event type or a template, or give content.", attr="event_type", code="required"
        )
    is_large = len(references) > INLINE_RECIPIENTS
    facts, people = load_people(organization.id, [] if is_large else references)
    catalog = catalog_of(organization.id, revision=facts.catalog_revision)
    kind, catalog = _event_type(organization, catalog, event_type)
    chosen = choose_template(catalog, template, kind) if not content else None
    given = literal(content) if chosen is None else None
    if given is not None and not given.channels():
        raise InvalidInput(
            "There is nothing to say: give a title, a body or a text.", attr="content", code="required"
        )
    if chosen is None and given is None:
        raise InvalidInput(f"The event type {kind.key!r} has no template; give content.", attr="event_type")
    check_variables(chosen, checked)
    moment = current_time()
    message = Message(
        request_id=new_id(),
        organization_id=organization.id,
        event_type=kind,
        template=chosen,
        literal=given,
        data=checked,
        channels=named,
        priority=_check_priority(priority, kind.priority),
        critical=kind.routing.is_critical if critical is None else critical,
        scheduled_for=_check_schedule(scheduled_for, moment),
        source=source[:40],
        idempotency_key=_check_key(idempotency_key),
        now=moment,
    )
    if is_large:
        return _send_large(message, references, encoded, content)
    planned = plan(message, people=people, organization=facts, catalog=catalog)
    if not ledger.write(message, planned, data=encoded, content=content, recipient_count=len(planned)):
        return _earlier_result(organization.id, idempotency_key)
    return _result(message, planned)


def _result(message: Message, planned: list[PlannedNotification]) -> SendResult:
    made = [SentNotification(one.id, one.person.ref, one.person.user_id) for one in planned]
    return SendResult(message.request_id, False, len(made), made)


def _send_large(
    message: Message, references: list[Reference], encoded: str, content: Mapping[str, str] | None
) -> SendResult:
    """Accept a large audience: the request and its chunks in one transaction, the rest in the background."""
    request_id = fanout.accept(message, references, data=encoded, content=content)
    if request_id is None:
        return _earlier_result(message.organization_id, message.idempotency_key)
    return SendResult(request_id, False, len(references), [])


def _earlier_result(organization_id: uuid.UUID, idempotency_key: str) -> SendResult:
    request_id, count, rows = ledger.find_request(organization_id, idempotency_key)
    made = [SentNotification(id_, str(user) if user else address, user) for id_, user, address in rows]
    return SendResult(request_id, True, count, made)


def _event_type(
    organization: Organization, catalog: Catalog, key: str | None
) -> tuple[EventTypeFacts, Catalog]:
    wanted = key if key is not None else DIRECT
    kind = catalog.event_types.get(wanted)
    if kind is None and key is None:
        ensure_direct_event_type(organization)
        catalog = catalog_of(organization.id)
        kind = catalog.event_types.get(DIRECT)
    if kind is None:
        raise InvalidInput(
            f"There is no event type {wanted!r}.", attr="event_type", code="unknown_event_type"
        )
    if not kind.is_active:
        raise InvalidInput(f"The event type {wanted!r} is switched off.", attr="event_type", code="inactive")
    return kind, catalog


def _encoded(data: dict[str, Any]) -> str:
    try:
        encoded = orjson.dumps(data)
    except orjson.JSONEncodeError as error:
        raise InvalidInput(f"Data cannot be written as JSON: {error}.", attr="data") from error
    if len(encoded) > MAX_DATA_BYTES:
        raise InvalidInput(
            f"Data may have at most {MAX_DATA_BYTES} bytes as JSON.", attr="data", code="too_large"
        )
    if b"\\u0000" in encoded:
        raise InvalidInput("Data may not contain NUL characters.", attr="data")
    return encoded.decode()


def _check_content(content: Mapping[str, str] | None) -> None:
    if content is None:
        return
    if not isinstance(content, Mapping):
        raise InvalidInput("Content must be an object.", attr="content")
    for name, value in content.items():
        if name not in CONTENT_FIELDS:
            raise InvalidInput(
                f"Content has no {name!r}; it has {', '.join(CONTENT_FIELDS)}.", attr=f"content.{name}"
            )
        if not isinstance(value, str):
            raise InvalidInput("This must be text.", attr=f"content.{name}")
        if "\x00" in value or not storable(value):
            raise InvalidInput("Text may not contain NUL or half a surrogate pair.", attr=f"content.{name}")
        if name in ("subject", "title") and len(value) > 500:
            raise InvalidInput("At most 500 characters.", attr=f"content.{name}", code="max_length")
        if name == "action_url" and len(value) > MAX_URL:
            raise InvalidInput(f"At most {MAX_URL} characters.", attr=f"content.{name}", code="max_length")
        if len(value) > MAX_CONTENT_CHARACTERS:
            raise InvalidInput(
                f"At most {MAX_CONTENT_CHARACTERS} characters.", attr=f"content.{name}", code="max_length"
            )


def _check_channels(channels: Sequence[str] | None) -> tuple[str, ...] | None:
    if channels is None:
        return None
    if isinstance(channels, str) or not channels:
        raise InvalidInput("Give a list of at least one channel.", attr="channels")
    for position, channel in enumerate(channels):
        if channel not in Channel.values:
            raise InvalidInput(
                f"There is no channel {channel!r}; there are {', '.join(Channel.values)}.",
                attr=f"channels.{position}",
            )
    return tuple(channel for channel in Channel.values if channel in channels)


def _check_priority(priority: str | None, default: int) -> int:
    if priority is None:
        return default
    try:
        return Priority.from_key(priority).value
    except KeyError:
        known = ", ".join(one.key for one in Priority)
        raise InvalidInput(
            f"There is no priority {priority!r}; there are {known}.", attr="priority"
        ) from None


def _check_schedule(scheduled_for: dt.datetime | None, moment: dt.datetime) -> dt.datetime | None:
    if scheduled_for is None:
        return None
    if not isinstance(scheduled_for, dt.datetime):
        raise InvalidInput("Give a date with a time.", attr="scheduled_for")
    if scheduled_for.utcoffset() is None:
        raise InvalidInput("Give the time with its offset from UTC.", attr="scheduled_for")
    if scheduled_for > moment + MAX_SCHEDULE:
        raise InvalidInput("At most two years ahead.", attr="scheduled_for")
    return scheduled_for.astimezone(dt.UTC) if scheduled_for > moment else None


def _check_key(key: str) -> str:
    if len(key) > 255 or not (key == "" or key.isprintable()):
        raise InvalidInput("A printable key of at most 255 characters.", attr="idempotency_key")
    return key
