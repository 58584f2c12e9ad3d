"""What a call to ``send_notification`` must look like, whoever makes it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import orjson

from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from notifications.providers.base import File
from notifications.rendering.content import CONTENT_FIELDS, MAX_URL
from notifications.rendering.sandbox import storable
from notifications.services.attachments import check_attachments
from notifications.services.audiences.groups import Group, has_groups, split_recipients
from notifications.services.inbox_actions import check_actions, check_tags
from notifications.services.local_times import parse_local
from notifications.services.planning import check_data
from notifications.services.recipients import Reference, normalize_email, parse_recipients
from notifications.vocabulary import Channel, Priority

MAX_RECIPIENTS = 100_000
MAX_DATA_BYTES = 64 * 1024
MAX_CONTENT_CHARACTERS = 500_000
MAX_SCHEDULE = dt.timedelta(days=731)
_LONGEST = {"subject": 500, "title": 500, "action_url": MAX_URL}


class SendOptions(TypedDict, total=False):
    """What a call to ``send_notification`` may say besides to whom. None is as good as nothing."""

    event_type: str | None
    template: str | None
    content: Mapping[str, Any] | None  # title, body, subject, html, text, sms, action_url, actions
    data: Mapping[str, Any] | None
    channels: Sequence[str] | None
    priority: str | None
    critical: bool | None
    scheduled_for: dt.datetime | None  # aware
    scheduled_local: str | None  # "2026-12-24T09:00", in each recipient's own zone
    tags: Sequence[str] | None  # of the inbox rows, besides the event type's own
    idempotency_key: str
    source: str
    reply_to: str
    attachments: Sequence[Any] | None  # {"filename", "content_type", "content"}: bytes or base64


_OPTIONS = frozenset(SendOptions.__annotations__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedCall:
    """A call whose form is right; whether what it names exists is seen later. ``now`` is when it was made."""

    references: list[Reference]
    groups: list[Group]
    event_type: str | None
    template: str | None
    data: Mapping[str, Any]
    encoded_data: str
    content: Mapping[str, Any] | None
    channels: tuple[str, ...] | None
    priority: str | None
    critical: bool | None
    scheduled_for: dt.datetime | None
    scheduled_local: dt.datetime | None
    tags: tuple[str, ...]
    idempotency_key: str
    source: str
    now: dt.datetime
    reply_to: str
    files: list[File]

    @property
    def mail(self) -> dict[str, Any] | None:
        """What only mail needs, as it is stored with the request."""
        if not self.reply_to and not self.files:
            return None
        size = sum(len(one.content) for one in self.files)
        return {"reply_to": self.reply_to, "attachments": len(self.files), "bytes": size}


def check_call(recipients: Sequence[Any], options: SendOptions) -> CheckedCall:
    """Check the form of everything that does not need the database; raises InvalidInput that names the field."""
    for unknown in options.keys() - _OPTIONS:
        raise TypeError(f"send_notification() has no argument {unknown!r}")
    references, groups = _split(recipients)
    encoded = _encoded(check_data(options.get("data")))
    moment = current_time()
    reply_to, attachments = options.get("reply_to"), options.get("attachments")
    call = CheckedCall(
        references=references,
        groups=groups,
        event_type=options.get("event_type"),
        template=options.get("template"),
        data=orjson.loads(encoded),  # the inbox row is filled from what a worker will fill the mail from
        encoded_data=encoded,
        content=_check_content(options.get("content")),
        channels=_check_channels(options.get("channels")),
        priority=options.get("priority"),
        critical=options.get("critical"),
        scheduled_for=_check_schedule(options.get("scheduled_for"), moment),
        scheduled_local=_check_local(options),
        tags=check_tags(options.get("tags"), attr="tags"),
        idempotency_key=_check_key(options.get("idempotency_key", "")),
        source=options.get("source", "python")[:40],
        now=moment,
        reply_to=normalize_email(reply_to, attr="reply_to") if reply_to else "",
        files=check_attachments(attachments) if attachments is not None else [],
    )
    _check_something_named(call)
    return call


def _split(recipients: Sequence[Any]) -> tuple[list[Reference], list[Group]]:
    """People and addresses, and groups."""
    is_list = isinstance(recipients, Sequence) and not isinstance(recipients, str | bytes)
    if is_list and len(recipients) > MAX_RECIPIENTS:
        raise InvalidInput(f"At most {MAX_RECIPIENTS} recipients in one call.", attr="recipients")
    if not is_list or not has_groups(recipients):
        return parse_recipients(recipients), []
    people, groups = split_recipients(recipients)
    return [_reference(position, given) for position, given in people], groups


def _reference(position: int, given: Any) -> Reference:
    try:
        return replace(parse_recipients([given])[0], position=position)
    except InvalidInput as error:
        error.attr = f"recipients.{position}"
        raise


def _check_something_named(call: CheckedCall) -> None:
    """An event type, a template or content must be there, and not two texts at once."""
    if call.template is not None and call.content:
        raise InvalidInput("Give a template or content, not both.", attr="content")
    if call.event_type is None and call.template is None and not call.content:
        raise InvalidInput(
            "Name an event type or a template, or give content.", attr="event_type", code="required"
        )


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


def _check_content(content: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if content is None:
        return None
    if not isinstance(content, Mapping):
        raise InvalidInput("Content must be an object.", attr="content")
    for name, value in content.items():
        if name in CONTENT_FIELDS:
            _check_text(name, value)
        elif name != "actions":
            raise InvalidInput(
                f"Content has no {name!r}; it has {', '.join(CONTENT_FIELDS)} and actions.",
                attr=f"content.{name}",
            )
    if "actions" not in content:
        return content
    return {**content, "actions": check_actions(content["actions"], attr="content.actions")}


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise InvalidInput("This must be text.", attr=f"content.{name}")
    if "\x00" in value or not storable(value):
        raise InvalidInput("Text may not contain NUL or half a surrogate pair.", attr=f"content.{name}")
    longest = _LONGEST.get(name, MAX_CONTENT_CHARACTERS)
    if len(value) > longest:
        raise InvalidInput(f"At most {longest} characters.", attr=f"content.{name}", code="max_length")


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


def check_priority(priority: str | None, default: int) -> int:
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


def _check_local(options: SendOptions) -> dt.datetime | None:
    local = options.get("scheduled_local")
    if local is None:
        return None
    if options.get("scheduled_for") is not None:
        raise InvalidInput("Give scheduled_for or scheduled_local, not both.", attr="scheduled_local")
    return parse_local(local, attr="scheduled_local")


def _check_key(key: str) -> str:
    if len(key) > 255 or not (key == "" or key.isprintable()):
        raise InvalidInput("A printable key of at most 255 characters.", attr="idempotency_key")
    return key
