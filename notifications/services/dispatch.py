"""Dispatch: takes what is due from the outbox, renders it, sends it, and records how it went.

For each batch: claim with a lease; compose; then in slices as wide as the provider's concurrency write down that
the attempts begin, send them side by side, and settle. A worker that is killed leaves at most one slice
whose outcome nobody knows; everything else it held is due again when the lease runs out.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import random
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from django.conf import settings

from castcomm.common.clock import now as current_time
from castcomm.common.crypto import decrypt
from notifications.channels.base import Addressed, channels
from notifications.providers.base import Provider, Result
from notifications.rendering.content import ContentFacts, literal_content
from notifications.rendering.context import message_context, person_context
from notifications.rendering.sandbox import RenderingError
from notifications.services import doorbell, fanout, in_app, outbox
from notifications.services.catalog import Catalog, EventTypeFacts, catalog_of
from notifications.services.outbox import Lease, Settled
from notifications.services.provider_accounts import accounts_for, provider_of
from notifications.services.routing import Switch, deciding_switch
from notifications.vocabulary import Channel, DeliveryStatus, Outcome, Priority, Reason

log = structlog.get_logger(__name__)

BUDGET = dt.timedelta(seconds=20)


@dataclass(slots=True)
class _Job:
    """One delivery on its way through a batch."""

    delivery_id: uuid.UUID
    organization_id: uuid.UUID
    attempts: int
    forgiven: int
    message: Any
    version_id: uuid.UUID | None
    duplicates_allowed: bool


def drain(channel: str, priority: int, *, budget: dt.timedelta = BUDGET) -> int:
    """Send what is due on ``channel`` at ``priority``; returns how many deliveries were handled.

    Stops when nothing is due, or when the time is up.
    """
    doorbell.heard(f"{channel}:{Priority(priority).key}")
    handled = 0
    ends = current_time() + budget
    while current_time() < ends:
        batch = send_due_batch(channel, priority)
        if batch == 0:
            break
        handled += batch
    return handled


def send_due_batch(channel: str, priority: int) -> int:
    """Claim one batch of what is due and send it; returns its size, 0 when nothing is due."""
    limit = settings.NOTIFICATION_BATCH_SIZE
    lease, claimed = outbox.claim(channel, priority, now=current_time(), limit=limit)
    if not claimed:
        return 0
    if len(claimed) >= limit // 2:
        doorbell.wake_another(channel, priority)  # there is likely more than one worker's share
    if channel == Channel.IN_APP:
        in_app.deliver(lease, claimed)
    else:
        _send_batch(channel, lease, claimed)
    return len(claimed)


def _send_batch(channel_key: str, lease: Lease, claimed: list[uuid.UUID]) -> None:
    jobs, refused = _compose(channel_key, claimed)
    if refused:
        outbox.settle(lease, refused, provider="", now=current_time())
    by_organization: dict[uuid.UUID, list[_Job]] = {}
    for job in jobs:
        by_organization.setdefault(job.organization_id, []).append(job)
    for organization_id, theirs in by_organization.items():
        provider = provider_of(accounts_for(channel_key, organization_id)[0])
        for at in range(0, len(theirs), provider.concurrency):
            _send_slice(lease, theirs[at : at + provider.concurrency], provider)


def _send_slice(lease: Lease, jobs: list[_Job], provider: Provider[Any]) -> None:
    now = current_time()
    if lease.until - now < settings.DELIVERY_LEASE / 2:
        ours = outbox.extend(lease, [job.delivery_id for job in jobs], now=now)
        jobs = [job for job in jobs if job.delivery_id in ours]
    if not jobs:
        return
    attempts = outbox.start(
        [job.delivery_id for job in jobs], [job.attempts + 1 for job in jobs], provider=provider.key, now=now
    )
    results = _deliver_all(provider, [job.message for job in jobs])
    moment = current_time()
    settled = [
        _settled(job, attempt, result, moment)
        for job, attempt, result in zip(jobs, attempts, results, strict=True)
    ]
    outbox.settle(lease, settled, provider=provider.key, now=moment)


def _deliver_all(provider: Provider[Any], messages: Sequence[Any]) -> list[Result]:
    """Deliver side by side, as wide as the provider's answers are slow; results in the order of the messages."""
    width = min(provider.width(), len(messages))

    def lane(first: int) -> list[Result]:
        return [provider.deliver(message) for message in messages[first::width]]

    lanes = (
        [lane(0)] if width == 1 else list(_pool(os.getpid(), provider.concurrency).map(lane, range(width)))
    )
    results = [lanes[position % width][position // width] for position in range(len(messages))]
    provider.learn(min(result.elapsed for result in results))
    return results


@functools.lru_cache(maxsize=8)
def _pool(_process: int, width: int) -> ThreadPoolExecutor:
    """The sending threads of this process (a forked child makes its own)."""
    return ThreadPoolExecutor(max_workers=width, thread_name_prefix="send")


def _settled(job: _Job, attempt_id: uuid.UUID, result: Result, now: dt.datetime) -> Settled:
    made = Settled(
        job.delivery_id,
        DeliveryStatus.SENT,
        Reason.ACCEPTED,
        job.attempts + 1,
        attempt_id=attempt_id,
        outcome=result.outcome,
        error=result.detail,
        provider_message_id=result.provider_message_id,
        version_id=job.version_id,
    )
    if result.outcome == Outcome.PERMANENT:
        made.status, made.reason = DeliveryStatus.FAILED, Reason.REFUSED
    elif result.outcome == Outcome.UNKNOWN and not job.duplicates_allowed:
        made.status, made.reason = DeliveryStatus.UNKNOWN, Reason.AMBIGUOUS
    elif result.outcome != Outcome.SENT:
        _try_again(made, job.attempts + 1 - job.forgiven, result, now)
    return made


def _try_again(made: Settled, tries: int, result: Result, now: dt.datetime) -> None:
    if tries >= settings.EMAIL_MAX_RETRIES:
        made.status, made.reason = DeliveryStatus.DEAD, Reason.EXHAUSTED
        return
    made.status, made.reason = DeliveryStatus.PENDING, Reason.RETRYING
    made.due_at = now + backoff(tries, result.retry_after)


def backoff(attempts: int, retry_after: float | None) -> dt.timedelta:
    """Four times as long each time, at least half of it, never sooner than the provider's Retry-After (seconds).

    With the defaults the tries reach over some seven hours: a mail server may be away for a morning.
    """
    ceiling = min(settings.EMAIL_RETRY_MAX_DELAY, settings.EMAIL_RETRY_DELAY * 4 ** min(attempts - 1, 30))
    wait = random.uniform(ceiling / 2000, ceiling / 1000)  # noqa: S311 - spreads load, guards no secret
    return dt.timedelta(seconds=max(wait, retry_after or 0.0))


def _compose(channel_key: str, claimed: list[uuid.UUID]) -> tuple[list[_Job], list[Settled]]:
    rows = outbox.details(claimed)
    texts = outbox.request_texts(list({row[8] for row in rows}))
    parsed: dict[uuid.UUID, tuple[dict[str, Any], ContentFacts | None]] = {
        request_id: (orjson.loads(data), literal_content(orjson.loads(content)) if content else None)
        for request_id, (data, content) in texts.items()
    }
    jobs: list[_Job] = []
    refused: list[Settled] = []
    now = current_time()
    for row in rows:
        made = _composed(channel_key, row, parsed[row[8]], now)
        (jobs if isinstance(made, _Job) else refused).append(made)  # type: ignore[arg-type]
    return jobs, refused


def _composed(
    channel_key: str,
    row: tuple[Any, ...],
    parsed: tuple[dict[str, Any], ContentFacts | None],
    now: dt.datetime,
) -> _Job | Settled:
    """``_compose_one``; what nobody foresaw fails this delivery for now, and not the batch it came in."""
    try:
        return _compose_one(channel_key, row, parsed, now)
    except Exception as error:
        delivery_id, attempts, forgiven = row[:3]
        log.exception("dispatch.not_composed", delivery_id=str(delivery_id))
        made = Settled(delivery_id, DeliveryStatus.PENDING, Reason.RETRYING, attempts + 1)
        made.error = f"{type(error).__name__}: {error}"[:1000]
        _try_again(made, attempts + 1 - forgiven, Result(Outcome.NOT_SENT), now)
        return made


def _compose_one(
    channel_key: str,
    row: tuple[Any, ...],
    parsed: tuple[dict[str, Any], ContentFacts | None],
    now: dt.datetime,
) -> _Job | Settled:
    """The message for one delivery, or why there is none."""
    delivery_id, attempts, forgiven, address, notification_id, user_id = row[:6]
    organization_id, event_type_id, template_id, org_name, org_locale, revision = row[9:15]
    email, phone, first_name, last_name, locale, zone, attributes = row[15:22]
    refusal = _refusal(row, now)
    if refusal is not None:
        return Settled(delivery_id, *refusal, attempts)
    catalog = catalog_of(organization_id, revision=revision)
    event_type = catalog.event_types_by_id[event_type_id]
    if row[25] and _is_switched_off(channel_key, catalog, event_type, row[26]):
        return Settled(delivery_id, DeliveryStatus.SUPPRESSED, Reason.PREFERENCE, attempts)
    data, content = parsed
    if template_id is not None:
        template = catalog.templates_by_id.get(template_id)
        content = template.content_for(locale or org_locale, org_locale) if template else None
    if content is None or channel_key not in content.channels():
        return Settled(delivery_id, DeliveryStatus.SUPPRESSED, Reason.NO_TEMPLATE, attempts)
    bare = decrypt(address) if address else ""
    target = Addressed(
        delivery_id=str(delivery_id),
        user_id=str(user_id) if user_id else "",
        email=email or (bare if "@" in bare else ""),
        phone=_phone(phone, bare) if channel_key == Channel.SMS else "",
    )
    user = person_context(
        user_id=target.user_id,
        email=target.email,
        first_name=first_name or "",
        last_name=last_name or "",
        locale=locale or org_locale,
        time_zone=zone or "UTC",
        attributes=orjson.loads(attributes) if attributes else {},
    )
    context = message_context(
        data=data,
        user=user,
        organization_name=org_name,
        event_key=event_type.key,
        event_name=event_type.name,
        notification_id=str(notification_id),
    )
    version_id = None if content.version_id == "literal" else uuid.UUID(content.version_id)
    try:
        message = channels.get(channel_key).compose(target, content, context)
    except RenderingError as error:
        return Settled(
            delivery_id,
            DeliveryStatus.FAILED,
            Reason.RENDERING,
            attempts,
            error=str(error),
            version_id=version_id,
        )
    return _Job(
        delivery_id,
        organization_id,
        attempts,
        forgiven,
        message,
        version_id,
        event_type.duplicates_allowed,
    )


def _refusal(row: tuple[Any, ...], now: dt.datetime) -> tuple[DeliveryStatus, Reason] | None:
    """What has come to pass since the call that keeps this delivery (a row of ``outbox.details``) from going out."""
    user_id, expires_at, cancelled_at = row[5:8]
    active, suppressed, organization_active = row[22:25]
    if cancelled_at is not None:
        return DeliveryStatus.CANCELLED, Reason.CANCELLED
    if not organization_active:
        return DeliveryStatus.SUPPRESSED, Reason.ORGANIZATION_INACTIVE
    if expires_at is not None and expires_at <= now:
        return DeliveryStatus.FAILED, Reason.EXPIRED
    if user_id is not None and not active:
        return DeliveryStatus.SUPPRESSED, Reason.RECIPIENT_INACTIVE
    if suppressed:
        return DeliveryStatus.SUPPRESSED, Reason.SUPPRESSION
    return None


def _is_switched_off(channel_key: str, catalog: Catalog, kind: EventTypeFacts, personal: str | None) -> bool:
    """Whether the person (or the organization) has turned it off while the delivery waited for its time."""
    targets = (None, str(kind.id), str(kind.category_id))
    own = orjson.loads(personal) if personal else []
    switches = [Switch(scope, channel, on) for scope, target, channel, on in own if target in targets]
    switches += [
        Switch(one.scope, one.channel, one.enabled, False)
        for one in catalog.switches
        if one.target in (None, kind.id, kind.category_id)
    ]
    deciding = deciding_switch(switches, channel_key)
    return deciding is not None and not deciding.enabled


def _phone(encrypted: str | None, bare: str) -> str:
    return decrypt(encrypted) if encrypted else bare


def sweep() -> int:
    """Take back what dead workers held and ring for everything that is due; returns how many rings.

    Runs every second from Beat. It is what makes Redis, and any worker, expendable.
    """
    now = current_time()
    started = time.monotonic()
    rescued = outbox.rescue(now=now)
    if rescued:
        log.warning(
            "dispatch.rescued", count=len(rescued), parked=sum(row[2] == "unknown" for row in rescued)
        )
    due = outbox.due_pairs(Channel.values, now=now)
    for channel, priority in due:
        doorbell.ring(channel, priority)
    if fanout.is_waiting():
        doorbell.ring_fanout()
    log.debug("dispatch.swept", due=len(due), seconds=round(time.monotonic() - started, 4))
    return len(due)
