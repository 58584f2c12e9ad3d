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
from notifications.services.defaults import DIGEST
from notifications.services.digests import mail as digest_mail
from notifications.services.digests.text import text_for
from notifications.services.outbox import Details, Settled
from notifications.services.rechecking import look_again
from notifications.services.retrying import try_again
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
    batch = _Batch(channel_key, texts, current_time())
    jobs: list[Job] = []
    refused = [_put_back(row, row.attempts) for row in texts.too_much]
    for row in texts.affordable:
        made = batch.composed(row)
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


class _Batch:
    """Deliveries of one channel that go out together, with all that their messages are made of."""

    def __init__(self, channel_key: str, texts: _Texts, now: dt.datetime) -> None:
        rows = texts.affordable
        self.channel = channel_key
        self.now = now
        self.shared = texts.shared()
        self.devices = _push_targets(rows) if channel_key == Channel.PUSH else {}
        waited = [row for row in rows if row.put_off is not None and _refusal(row, now) is None]
        self.put_off = look_again(channel_key, waited, now=now) if waited else {}
        digests = (
            [row.notification_id for row in rows if _is_digest(row)] if channel_key == Channel.EMAIL else []
        )
        self.digests = digest_mail.data_for(digests) if digests else {}

    def composed(self, row: Details) -> Job | Settled:
        """``_compose``; what nobody foresaw fails this delivery for now, and not the batch it came in."""
        try:
            if row.is_pinned and _is_past_asking(row, self.now):
                return _parked(row, "Its provider no longer recognises a second try.")
            made = self._compose(row)
        except Exception as error:
            log.exception("dispatch.not_composed", delivery_id=str(row.delivery_id))
            failed = _put_back(row, row.attempts + 1)
            failed.reason = Reason.SAME_PROVIDER if row.is_pinned else Reason.RETRYING
            failed.error = f"{type(error).__name__}: {error}"[:1000]
            tries = row.attempts + 1 - row.forgiven
            try_again(failed, tries, retry_after=None, now=self.now, may_have_left=row.is_pinned)
            return failed
        if isinstance(made, Settled) and row.is_pinned:
            return _parked(row, f"It is not asked for again: {made.reason.label}")
        return made

    def _compose(self, row: Details) -> Job | Settled:
        """The message for one delivery, or why there is none."""
        refusal = _refusal(row, self.now)
        if refusal is not None:
            return _refused(row, *refusal)
        catalog = catalog_of(row.organization_id, revision=row.catalog_revision)
        event_type = catalog.event_types_by_id[row.event_type_id]
        content = self._content(row, catalog)
        put_off = self.put_off.get(row.delivery_id)
        if put_off is not None:
            if put_off.digest is None or row.has_text or content is None:
                return put_off
            return self._with_text(row, put_off, content, event_type)
        if content is None or self.channel not in content.channels():
            return _refused(row, DeliveryStatus.SUPPRESSED, Reason.NO_TEMPLATE)
        devices = self.devices.get((row.organization_id, row.user_id), ())
        target = _addressed(self.channel, row, self.shared[row.request_id], devices, event_type)
        if self.channel == Channel.SMS and not may_text(target.phone, regions_of(row.organization_id)):
            return _refused(row, DeliveryStatus.SUPPRESSED, Reason.REGION)
        try:
            message = channels.get(self.channel).compose(
                target, content, self._context(row, target, event_type)
            )
        except RenderingError as error:
            return _not_rendered(row, content, error)
        return self._job(row, message, content, event_type)

    def _content(self, row: Details, catalog: Catalog) -> ContentFacts | None:
        if row.template_id is None:
            return self.shared[row.request_id].content
        template = catalog.templates_by_id.get(row.template_id)
        locales = (row.locale or row.organization_locale, row.organization_locale)
        return template.content_for(*locales) if template else None

    def _with_text(
        self, row: Details, put_off: Settled, content: ContentFacts, event_type: EventTypeFacts
    ) -> Settled:
        """What goes into a digest after all, with what the digest will say of it."""
        target = _addressed(self.channel, row, self.shared[row.request_id], (), event_type)
        try:
            put_off.text = text_for(content, self._context(row, target, event_type))
        except RenderingError as error:
            return _not_rendered(row, content, error)
        return put_off

    def _context(self, row: Details, target: Addressed, event_type: EventTypeFacts) -> dict[str, Any]:
        context = _context(row, self.shared[row.request_id].data, target, event_type)
        context.update(self.digests.get(row.notification_id, {}))
        return context

    def _job(self, row: Details, message: Any, content: ContentFacts, event_type: EventTypeFacts) -> Job:
        return Job(
            delivery_id=row.delivery_id,
            organization_id=row.organization_id,
            user_id=row.user_id,
            attempts=row.attempts,
            forgiven=row.forgiven,
            message=message,
            version_id=_version_of(content),
            duplicates_allowed=event_type.duplicates_allowed,
            critical=row.critical,
            sends_per_minute=row.sends_per_minute,
            pinned=row.account if row.is_pinned else "",
            pinned_provider=row.provider if row.is_pinned else "",
            weight=sum(len(one.content) for one in self.shared[row.request_id].files),
            segments=count_segments(message.text).segments if isinstance(message, SmsMessage) else None,
        )


def _is_digest(row: Details) -> bool:
    catalog = catalog_of(row.organization_id, revision=row.catalog_revision)
    return catalog.event_types_by_id[row.event_type_id].key == DIGEST


def _version_of(content: ContentFacts) -> uuid.UUID | None:
    return None if content.version_id == "literal" else uuid.UUID(content.version_id)


def _refused(row: Details, status: DeliveryStatus, reason: Reason) -> Settled:
    return Settled(row.delivery_id, row.organization_id, status, reason, row.attempts)


def _not_rendered(row: Details, content: ContentFacts, error: RenderingError) -> Settled:
    failed = _refused(row, DeliveryStatus.FAILED, Reason.RENDERING)
    failed.error, failed.version_id = str(error), _version_of(content)
    return failed


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
    if row.is_pinned:
        made.provider, made.account = row.provider, row.account
    return made


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


def _context(
    row: Details, data: Mapping[str, Any], target: Addressed, event_type: EventTypeFacts
) -> dict[str, Any]:
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
        data=data,
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
