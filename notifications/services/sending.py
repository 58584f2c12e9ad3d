"""``send_notification``: the one door through which every notification comes in.

The call decides and writes everything in one statement: the request, a notification per recipient (the inbox
row), a delivery per channel considered. Inside the caller's transaction it takes part in it: a rollback
means that nothing was sent, a commit that it cannot be lost. Larger audiences are written as chunks,
which workers turn into notifications the same way.
"""

from __future__ import annotations

import contextlib
import functools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

from django.db import transaction

from accounts.models import Organization
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import new_id
from notifications.rendering.content import ContentFacts
from notifications.services import fanout, ledger
from notifications.services.attachments import store as store_attachments
from notifications.services.audiences.groups import check_groups
from notifications.services.catalog import Catalog, EventTypeFacts, TemplateFacts, catalog_of
from notifications.services.defaults import DIRECT, ensure_direct_event_type
from notifications.services.planning import (
    Message,
    PlannedNotification,
    check_variables,
    choose_template,
    literal,
)
from notifications.services.recipients import load_people
from notifications.services.send_checks import CheckedCall, SendOptions, check_call, check_priority
from notifications.services.sms_regions import check_regions
from notifications.services.writing import plan_and_write

INLINE_RECIPIENTS = 500


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
    *, organization: Organization, recipients: Sequence[Any], **options: Unpack[SendOptions]
) -> SendResult:
    """Send to ``recipients`` (users, their ids, e-mail addresses, or ``{"user"|"email"|"phone": …}``), or to groups
    (``{"topic"|"list"|"role": key}``, ``{"organization": True}``), which workers write in the background.

    Name an ``event_type``, a ``template``, or give ``content``; an event type may be combined with either of the
    others. ``reply_to`` and ``attachments`` are for mail and go to all recipients. ``critical`` and ``priority``
    stand instead of the event type's own.
    The same ``idempotency_key`` in the same organization sends once, for ever: the later call returns the first
    result with ``duplicate=True``. Raises InvalidInput that names the field; nothing is written then.
    """
    call = check_call(recipients, options)
    check_regions(organization=organization, references=call.references)
    check_groups(organization.id, call.groups)
    is_large = bool(call.groups) or len(call.references) > INLINE_RECIPIENTS
    facts, people = load_people(organization.id, [] if is_large else call.references)
    catalog = catalog_of(organization.id, revision=facts.catalog_revision)
    kind, catalog = event_type_for(organization, catalog, call.event_type)
    message = message_for(organization.id, call, kind, catalog)
    if is_large:
        return _send_large(message, call)
    write = functools.partial(_write, message, call)
    planned = plan_and_write(message, people=people, organization=facts, catalog=catalog, write=write)
    return _result(message, planned)


def message_for(
    organization_id: uuid.UUID, call: CheckedCall, kind: EventTypeFacts, catalog: Catalog
) -> Message:
    """What the call asks for; raises InvalidInput when there is nothing to say, or no such priority."""
    chosen, given = _what_to_say(call, catalog, kind)
    return Message(
        request_id=new_id(),
        organization_id=organization_id,
        event_type=kind,
        template=chosen,
        literal=given,
        data=call.data,
        channels=call.channels,
        priority=check_priority(call.priority, kind.priority),
        critical=kind.routing.is_critical if call.critical is None else call.critical,
        scheduled_for=call.scheduled_for,
        scheduled_local=call.scheduled_local,
        tags=tuple(sorted({*kind.tags, *call.tags})) if call.tags else kind.tags,
        source=call.source,
        idempotency_key=call.idempotency_key,
        now=call.now,
        mail=call.mail,
    )


def _write(message: Message, call: CheckedCall, planned: list[PlannedNotification]) -> bool:
    """Write what was planned; False when the call's key was used before."""
    # Files are rows of their own, which have to be there when the deliveries are seen.
    with transaction.atomic() if call.files else contextlib.nullcontext():
        is_new = ledger.write(
            message, planned, data=call.encoded_data, content=call.content, recipient_count=len(planned)
        )
        if is_new and call.files:
            store_attachments(message.request_id, call.files)
    return is_new


def _what_to_say(
    call: CheckedCall, catalog: Catalog, kind: EventTypeFacts
) -> tuple[TemplateFacts | None, ContentFacts | None]:
    """The template, or the text given with the call; raises InvalidInput when there is neither."""
    chosen = choose_template(catalog, call.template, kind) if not call.content else None
    given = literal(call.content) if chosen is None else None
    if given is not None and not given.channels():
        raise InvalidInput(
            "There is nothing to say: give a title, a body or a text.", attr="content", code="required"
        )
    if chosen is None and given is None:
        raise InvalidInput(f"The event type {kind.key!r} has no template; give content.", attr="event_type")
    check_variables(chosen, call.data)
    return chosen, given


def _result(message: Message, planned: list[PlannedNotification] | None) -> SendResult:
    if planned is None:
        return _earlier_result(message.organization_id, message.idempotency_key)
    made = [SentNotification(one.id, one.person.ref, one.person.user_id) for one in planned]
    return SendResult(message.request_id, False, len(made), made)


def _send_large(message: Message, call: CheckedCall) -> SendResult:
    """Accept a large audience, or groups: written in one transaction, the rest in the background."""
    with transaction.atomic():
        count = fanout.accept(
            message, call.references, call.groups, data=call.encoded_data, content=call.content
        )
        if count is None:
            return _earlier_result(message.organization_id, message.idempotency_key)
        store_attachments(message.request_id, call.files)
    return SendResult(message.request_id, False, count, [])


def _earlier_result(organization_id: uuid.UUID, idempotency_key: str) -> SendResult:
    request_id, count, rows = ledger.find_request(organization_id, idempotency_key)
    made = [SentNotification(id_, str(user) if user else address, user) for id_, user, address in rows]
    return SendResult(request_id, True, count, made)


def event_type_for(
    organization: Organization, catalog: Catalog, key: str | None
) -> tuple[EventTypeFacts, Catalog]:
    if key is None and DIRECT not in catalog.event_types:
        ensure_direct_event_type(organization)
        catalog = catalog_of(organization.id)
    return check_event_type(catalog, key), catalog


def check_event_type(catalog: Catalog, key: str | None) -> EventTypeFacts:
    """The event type of a call that names ``key``, or none; raises InvalidInput when there is no active one."""
    wanted = key if key is not None else DIRECT
    kind = catalog.event_types.get(wanted)
    if kind is None:
        raise InvalidInput(
            f"There is no event type {wanted!r}.", attr="event_type", code="unknown_event_type"
        )
    if not kind.is_active:
        raise InvalidInput(f"The event type {wanted!r} is switched off.", attr="event_type", code="inactive")
    return kind
