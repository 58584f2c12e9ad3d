"""Closes windows: one mail for what is left of each, and nothing where nothing is left.

A batch is one transaction: the windows are locked, their items settled, the digests written as notifications of the
event type ``digest``, the windows marked. Whatever stops it leaves everything as it was. The number of statements of
a batch does not depend on how much is in it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
from django.db import transaction

from castcomm.common.clock import now as current_time
from castcomm.common.ids import new_id
from notifications.services import delivery_news, ledger, ready_made
from notifications.services.catalog import Catalog, catalog_of
from notifications.services.defaults import DIGEST
from notifications.services.delivery_news import Change
from notifications.services.digests import windows as rows
from notifications.services.digests.remaining import Remaining
from notifications.services.digests.schedule import moved_with
from notifications.services.digests.windows import Finished, Item, Moved, Settled, Window
from notifications.services.planning import Message, PlannedNotification, plan
from notifications.services.recipients import OrganizationFacts, Person, Reference, load_people
from notifications.vocabulary import Channel, DeliveryStatus, Reason

BATCH = 200  # windows
MAX_ITEMS = 5_000  # of a batch with more than one window

log = structlog.get_logger(__name__)


def close_due(*, now: dt.datetime | None = None, stop: Callable[[], bool] = lambda: False) -> int:
    """Close what is due, a batch of each organization in turn, until ``stop`` says so; returns how many windows.

    Any number of processes may do this at once.
    """
    closed = 0
    pending = rows.organizations_due(now or current_time())
    while pending:
        busy = []
        for organization_id in pending:
            if stop():
                return closed
            done = _close_of(organization_id, now or current_time())
            closed += done.closed
            if done.closed or done.moved:
                busy.append(organization_id)
        pending = busy
    return closed


def close_now(organization_id: uuid.UUID, window_ids: Sequence[uuid.UUID]) -> int:
    """Close these windows of one organization before their time; returns how many were open."""
    ready_made.ensure_digest_event_type(organization_id)
    closed, left = 0, list(window_ids)
    while left:
        with transaction.atomic():
            taken = rows.take_named(organization_id, left[:BATCH])
            left = left[BATCH:]
            batch = _one_per_person(taken)
            left += [window.id for window in taken if window not in batch]
            if batch:
                closed += _close(organization_id, batch, current_time())
    return closed


@dataclass(slots=True)
class _Done:
    closed: int = 0
    moved: int = 0


def _close_of(organization_id: uuid.UUID, now: dt.datetime) -> _Done:
    """One batch of an organization; what goes wrong there stops no other."""
    try:
        ready_made.ensure_digest_event_type(organization_id)
        with transaction.atomic():
            return _close_batch(organization_id, now)
    except Exception:  # a database that is away, a template nobody foresaw: the next run tries again
        log.exception("digests.not_closed", organization=str(organization_id))
        return _Done()


def _close_batch(organization_id: uuid.UUID, now: dt.datetime) -> _Done:
    taken = _affordable(_one_per_person(rows.take_due(organization_id, now=now, limit=BATCH)))
    moved = [one for one in map(_moved, taken) if one.closes_at > now]
    if moved:
        rows.move(moved)
    waiting = {one.window_id for one in moved}
    batch = [window for window in taken if window.id not in waiting]
    return _Done(_close(organization_id, batch, now) if batch else 0, len(moved))


def _one_per_person(taken: Sequence[Window]) -> list[Window]:
    """A person's second window waits for the next batch: each statement meets a person once."""
    first: dict[uuid.UUID, Window] = {}
    for window in taken:
        first.setdefault(window.user_id, window)
    return list(first.values())


def _affordable(taken: list[Window]) -> list[Window]:
    """As many as fit into memory; at least one, however much is in it."""
    items = 0
    for count, window in enumerate(taken):
        items += window.item_count
        if count and items > MAX_ITEMS:
            return taken[:count]
    return taken


def _moved(window: Window) -> Moved:
    """When the window closes by the clocks of where its person is now."""
    if window.zone == window.user_zone:
        return Moved(window.id, window.closes_at, window.zone)
    closes_at = moved_with(window.cadence, window.closes_at, before=window.zone, after=window.user_zone)
    return Moved(window.id, closes_at, window.user_zone)


@dataclass(slots=True)
class _Batch:
    """The windows of one transaction and what becomes of them."""

    organization_id: uuid.UUID
    windows: dict[uuid.UUID, Window]
    now: dt.datetime
    settled: list[Settled] = field(default_factory=list)
    left: dict[uuid.UUID, list[Item]] = field(default_factory=dict)  # by window
    digests: dict[uuid.UUID, PlannedNotification] = field(default_factory=dict)  # by window


def _close(organization_id: uuid.UUID, taken: Sequence[Window], now: dt.datetime) -> int:
    """Close locked windows, in the caller's transaction."""
    batch = _Batch(organization_id, {window.id: window for window in taken}, now)
    facts, people = _people(batch)
    catalog = catalog_of(organization_id, revision=facts.catalog_revision)
    _look_again(batch, Remaining(catalog, people, now))
    message = digest_message(organization_id, catalog, now)
    wanted = [people[batch.windows[id_].user_id] for id_ in batch.left]
    planned = plan(message, people=wanted, organization=facts, catalog=catalog) if wanted else []
    _decide_digests(batch, planned)
    _write(batch, message)
    return len(taken)


def _people(batch: _Batch) -> tuple[OrganizationFacts, dict[uuid.UUID, Person]]:
    members = [window.user_id for window in batch.windows.values() if window.is_member]
    facts, people = load_people(
        batch.organization_id, [Reference(at, user_id=user_id) for at, user_id in enumerate(members)]
    )
    return facts, {person.user_id: person for person in people if person.user_id is not None}


def _look_again(batch: _Batch, remaining: Remaining) -> None:
    for item in rows.items_of(list(batch.windows)):
        refusal = remaining.refusal(item, batch.windows[item.window_id])
        if refusal is None:
            batch.left.setdefault(item.window_id, []).append(item)
        else:
            batch.settled.append(refusal)


def digest_message(organization_id: uuid.UUID, catalog: Catalog, now: dt.datetime) -> Message:
    """The call that all digests of a batch come from."""
    kind = catalog.event_types[DIGEST]
    return Message(
        request_id=new_id(),
        organization_id=organization_id,
        event_type=kind,
        template=kind.template if kind.is_active else None,
        literal=None,
        data={},
        channels=(Channel.EMAIL.value,),
        priority=kind.priority,
        critical=False,
        scheduled_for=None,
        source="digest",
        idempotency_key="",
        now=now,
    )


def _decide_digests(batch: _Batch, planned: Sequence[PlannedNotification]) -> None:
    """Items share the fate of their digest: where it may not go out, they do not either."""
    for (window_id, items), digest in zip(batch.left.items(), planned, strict=True):
        delivery = digest.deliveries[0]
        goes_out = delivery.status != DeliveryStatus.SUPPRESSED
        if goes_out:
            batch.digests[window_id] = digest
        status, reason = (
            (DeliveryStatus.DIGESTED, Reason.DIGESTED)
            if goes_out
            else (DeliveryStatus.SUPPRESSED, Reason(delivery.reason))
        )
        detail = None if goes_out else delivery.decision
        batch.settled += [Settled(item.delivery_id, status, reason, detail) for item in items]


def _write(batch: _Batch, message: Message) -> None:
    changed = rows.settle(batch.settled, now=batch.now) if batch.settled else set()
    finished = [_finished(batch, window_id, changed) for window_id in batch.windows]
    going = {one.notification_id for one in finished}
    digests = [digest for digest in batch.digests.values() if digest.id in going]
    if digests:
        ledger.write(message, digests, data="{}", content=None, recipient_count=len(digests))
    rows.finish(finished, now=batch.now)
    _tell(batch, changed)


def _finished(batch: _Batch, window_id: uuid.UUID, changed: set[uuid.UUID]) -> Finished:
    """What was cancelled between the look at it and now does not go out."""
    digest = batch.digests.get(window_id)
    items = batch.left.get(window_id, []) if digest is not None else []
    notifications = {item.notification_id for item in items if item.delivery_id in changed}
    return Finished(
        window_id, len(notifications), digest.id if digest is not None and notifications else None
    )


def _tell(batch: _Batch, changed: set[uuid.UUID]) -> None:
    delivery_news.tell_of(
        [
            Change(
                organization_id=batch.organization_id,
                delivery_id=one.delivery_id,
                status=one.status.value,
                reason=one.reason.value,
                occurred_at=batch.now,
            )
            for one in batch.settled
            if one.delivery_id in changed
        ]
    )
