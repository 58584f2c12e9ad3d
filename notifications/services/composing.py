"""From claimed deliveries to messages: looks again at what may have changed, fills in the template, or says why not."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog

from castcomm.common.clock import now as current_time
from castcomm.common.crypto import decrypt
from notifications.channels.base import Addressed, channels
from notifications.providers.base import File, PushTarget, SmsMessage, providers_of
from notifications.rendering.content import ContentFacts, literal_content
from notifications.rendering.context import message_context, person_context
from notifications.rendering.sandbox import RenderingError
from notifications.services import attachments, mail_links, outbox, push_subscriptions
from notifications.services.catalog import Catalog, EventTypeFacts, catalog_of
from notifications.services.outbox import Details, Settled
from notifications.services.retrying import try_again
from notifications.services.routing import Switch, deciding_switch
from notifications.services.sms_regions import may_text, regions_of
from notifications.services.sms_segments import count_segments
from notifications.vocabulary import Channel, DeliveryStatus, Reason

log = structlog.get_logger(__name__)

FORGETTING = dt.timedelta(hours=1)  # before an idempotency key ends it is no longer relied on
MAX_FILE_BYTES = 64 * 1024 * 1024  # in memory for one batch


@dataclass(slots=True)
class Job:
    """One delivery on its way through a batch, its message ready.

    ``pinned`` is the key of the only account that may be asked: one that was asked before, with an outcome that nobody
    knows, and that recognises a second try. ``attempts`` grows with each try.
    """

    delivery_id: uuid.UUID
    organization_id: uuid.UUID
    user_id: uuid.UUID | None
    attempts: int
    forgiven: int
    message: Any
    version_id: uuid.UUID | None
    duplicates_allowed: bool
    critical: bool
    sends_per_minute: int | None
    pinned: str = ""
    pinned_provider: str = ""
    weight: int = 0  # bytes of attachments
    segments: int | None = None
    refused_by: list[str] = field(default_factory=list)
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the deliveries of one request have in common."""

    data: Mapping[str, Any]
    content: ContentFacts | None
    reply_to: str
    files: tuple[File, ...]


def compose(channel_key: str, claimed: Sequence[uuid.UUID]) -> tuple[list[Job], list[Settled]]:
    """The messages for claimed deliveries, and the settled ones for which there is none."""
    texts = _Texts(outbox.details(claimed))
    rows = texts.affordable
    shared = texts.shared()
    targets = _push_targets(rows) if channel_key == Channel.PUSH else {}
    jobs: list[Job] = []
    refused = [_put_back(row, row.attempts) for row in texts.too_much]
    now = current_time()
    for row in rows:
        devices = targets.get((row.organization_id, row.user_id), ())
        made = _composed(channel_key, row, shared[row.request_id], devices, now)
        (jobs if isinstance(made, Job) else refused).append(made)  # type: ignore[arg-type]
    return jobs, refused


class _Texts:
    """What the requests of a batch say, and which rows go out with it: files of all of them may not fit into memory."""

    def __init__(self, rows: Sequence[Details]) -> None:
        self._texts = outbox.request_texts(list({row.request_id for row in rows}))
        self._mails = {id_: orjson.loads(one.mail) for id_, one in self._texts.items() if one.mail}
        taken: set[uuid.UUID] = set()
        left = MAX_FILE_BYTES
        for id_ in self._texts:
            size = self._mails.get(id_, {}).get("bytes", 0)
            if not size or size <= left:
                taken.add(id_)
                left -= size
        self.affordable = [row for row in rows if row.request_id in taken]
        self.too_much = [row for row in rows if row.request_id not in taken]

    def shared(self) -> dict[uuid.UUID, _Shared]:
        """What the deliveries of each request have in common."""
        going = {row.request_id for row in self.affordable}
        with_files = [id_ for id_ in going if self._mails.get(id_, {}).get("attachments")]
        files = attachments.load(with_files) if with_files else {}
        return {
            id_: _Shared(
                data=orjson.loads(self._texts[id_].data),
                content=_literal(self._texts[id_].content),
                reply_to=self._mails.get(id_, {}).get("reply_to", ""),
                files=files.get(id_, ()),
            )
            for id_ in going
        }


def _literal(content: str | None) -> ContentFacts | None:
    return literal_content(orjson.loads(content)) if content else None


def _push_targets(
    rows: Sequence[Details],
) -> dict[tuple[uuid.UUID, uuid.UUID | None], tuple[PushTarget, ...]]:
    people: dict[uuid.UUID, set[uuid.UUID]] = {}
    for row in rows:
        if row.user_id is not None:
            people.setdefault(row.organization_id, set()).add(row.user_id)
    return {
        (organization_id, user_id): devices
        for organization_id, users in people.items()
        for user_id, devices in push_subscriptions.targets_for(organization_id, sorted(users)).items()
    }


def _composed(
    channel_key: str, row: Details, shared: _Shared, devices: tuple[PushTarget, ...], now: dt.datetime
) -> Job | Settled:
    """``_compose_one``; what nobody foresaw fails this delivery for now, and not the batch it came in."""
    try:
        if _is_pinned(row) and _is_past_asking(row, now):
            return _parked(row, "Its provider no longer recognises a second try.")
        made = _compose_one(channel_key, row, shared, devices, now)
    except Exception as error:
        log.exception("dispatch.not_composed", delivery_id=str(row.delivery_id))
        failed = _put_back(row, row.attempts + 1)
        failed.reason = Reason.SAME_PROVIDER if _is_pinned(row) else Reason.RETRYING
        failed.error = f"{type(error).__name__}: {error}"[:1000]
        tries = row.attempts + 1 - row.forgiven
        try_again(failed, tries, retry_after=None, now=now, may_have_left=_is_pinned(row))
        return failed
    if isinstance(made, Settled) and _is_pinned(row):
        return _parked(row, f"It is not asked for again: {made.reason.label}")
    return made


def _is_pinned(row: Details) -> bool:
    """Whether one account may have sent it already, and nobody else may be asked."""
    return row.reason == Reason.SAME_PROVIDER and row.account != ""


def _is_past_asking(row: Details, now: dt.datetime) -> bool:
    """Whether the provider may have forgotten the idempotency key, so that a second try could be a second message."""
    kind = providers_of(row.channel).get(row.provider)
    lasts = dt.timedelta(hours=kind.idempotency_hours) - FORGETTING
    return row.may_have_left_at is None or now - row.may_have_left_at > lasts


def _parked(row: Details, why: str) -> Settled:
    parked = _put_back(row, row.attempts)
    parked.status, parked.reason, parked.error = DeliveryStatus.UNKNOWN, Reason.AMBIGUOUS, why
    return parked


def _put_back(row: Details, attempts: int) -> Settled:
    """The delivery as it was, due at once."""
    made = Settled(row.delivery_id, row.organization_id, DeliveryStatus.PENDING, Reason(row.reason), attempts)
    if _is_pinned(row):
        made.provider, made.account = row.provider, row.account
    return made


def _compose_one(
    channel_key: str, row: Details, shared: _Shared, devices: tuple[PushTarget, ...], now: dt.datetime
) -> Job | Settled:
    """The message for one delivery, or why there is none."""
    refusal = _refusal(row, now)
    if refusal is not None:
        return Settled(row.delivery_id, row.organization_id, *refusal, row.attempts)
    catalog = catalog_of(row.organization_id, revision=row.catalog_revision)
    event_type = catalog.event_types_by_id[row.event_type_id]
    if row.ask_preferences and _is_switched_off(channel_key, catalog, event_type, row.preferences):
        return Settled(
            row.delivery_id, row.organization_id, DeliveryStatus.SUPPRESSED, Reason.PREFERENCE, row.attempts
        )
    content = shared.content
    if row.template_id is not None:
        template = catalog.templates_by_id.get(row.template_id)
        locales = (row.locale or row.organization_locale, row.organization_locale)
        content = template.content_for(*locales) if template else None
    if content is None or channel_key not in content.channels():
        return Settled(
            row.delivery_id, row.organization_id, DeliveryStatus.SUPPRESSED, Reason.NO_TEMPLATE, row.attempts
        )
    target = _addressed(channel_key, row, shared, devices, event_type)
    if channel_key == Channel.SMS and not may_text(target.phone, regions_of(row.organization_id)):
        return Settled(
            row.delivery_id, row.organization_id, DeliveryStatus.SUPPRESSED, Reason.REGION, row.attempts
        )
    context = _context(row, shared, target, event_type)
    version_id = None if content.version_id == "literal" else uuid.UUID(content.version_id)
    try:
        message = channels.get(channel_key).compose(target, content, context)
    except RenderingError as error:
        failed = Settled(
            row.delivery_id, row.organization_id, DeliveryStatus.FAILED, Reason.RENDERING, row.attempts
        )
        failed.error, failed.version_id = str(error), version_id
        return failed
    return Job(
        delivery_id=row.delivery_id,
        organization_id=row.organization_id,
        user_id=row.user_id,
        attempts=row.attempts,
        forgiven=row.forgiven,
        message=message,
        version_id=version_id,
        duplicates_allowed=event_type.duplicates_allowed,
        critical=row.critical,
        sends_per_minute=row.sends_per_minute,
        pinned=row.account if _is_pinned(row) else "",
        pinned_provider=row.provider if _is_pinned(row) else "",
        weight=sum(len(one.content) for one in shared.files),
        segments=count_segments(message.text).segments if isinstance(message, SmsMessage) else None,
    )


def _addressed(
    channel_key: str,
    row: Details,
    shared: _Shared,
    devices: tuple[PushTarget, ...],
    event_type: EventTypeFacts,
) -> Addressed:
    bare = decrypt(row.address) if row.address else ""
    email = row.email or (bare if "@" in bare else "")
    links = None
    if channel_key == Channel.EMAIL:
        links = mail_links.links_for(
            organization_id=row.organization_id,
            user_id=row.user_id,
            email=email,
            delivery_id=row.delivery_id,
            category_id=event_type.category_id,
            is_critical=row.critical,
        )
    phone = ""
    if channel_key == Channel.SMS:
        phone = decrypt(row.phone) if row.phone else bare
    return Addressed(
        delivery_id=row.delivery_id,
        organization_id=row.organization_id,
        user_id=str(row.user_id) if row.user_id else "",
        email=email,
        phone=phone,
        reply_to=shared.reply_to,
        files=shared.files,
        links=links,
        # Critical mail carries keys (codes, links to reset with), which are nobody's to keep.
        track_opens=row.track_opens and row.allow_tracking and not row.critical,
        track_clicks=row.track_clicks and row.allow_tracking and not row.critical,
        devices=devices,
        expires_at=row.expires_at,
        priority=row.priority,
    )


def _context(row: Details, shared: _Shared, target: Addressed, event_type: EventTypeFacts) -> dict[str, Any]:
    user = person_context(
        user_id=target.user_id,
        email=target.email,
        first_name=row.first_name or "",
        last_name=row.last_name or "",
        locale=row.locale or row.organization_locale,
        time_zone=row.time_zone or "UTC",
        attributes=orjson.loads(row.attributes) if row.attributes else {},
    )
    context = message_context(
        data=shared.data,
        user=user,
        organization_name=row.organization_name,
        event_key=event_type.key,
        event_name=event_type.name,
        notification_id=str(row.notification_id),
    )
    if target.links is not None:
        context.update(mail_links.context_links(target.links))
    return context


def _refusal(row: Details, now: dt.datetime) -> tuple[DeliveryStatus, Reason] | None:
    """What has come to pass since the call that keeps this delivery from going out."""
    if row.cancelled_at is not None:
        return DeliveryStatus.CANCELLED, Reason.CANCELLED
    if not row.organization_active:
        return DeliveryStatus.SUPPRESSED, Reason.ORGANIZATION_INACTIVE
    if row.expires_at is not None and row.expires_at <= now:
        return DeliveryStatus.FAILED, Reason.EXPIRED
    if row.user_id is not None and not row.active:
        return DeliveryStatus.SUPPRESSED, Reason.RECIPIENT_INACTIVE
    if row.suppressed:
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
