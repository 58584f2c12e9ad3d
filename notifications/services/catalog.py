"""An organization's event types and published templates, as facts kept in the process.

The snapshot is dropped when ``Organization.catalog_revision`` has moved, which every change of an event type,
category, template or version does in its own transaction. Readers learn the revision from a query that they
make anyway.
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models.signals import post_delete, post_save

from accounts.models import Organization
from notifications.models import (
    Category,
    DigestSetting,
    EventType,
    FrequencyCap,
    Preference,
    SmartSendPolicy,
    Template,
    TemplateContent,
    TemplateVersion,
)
from notifications.rendering.content import ContentFacts
from notifications.services.policy_facts import CapFacts, DigestChoice, SmartSendFacts
from notifications.services.routing import EventFacts
from notifications.vocabulary import Channel


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """A template and its published contents by language."""

    id: uuid.UUID
    key: str
    contents: Mapping[str, ContentFacts]
    variables: Mapping[str, Any]

    def content_for(self, locale: str, fallback: str) -> ContentFacts | None:
        """The best language: exact, without region, the organization's, English, any."""
        for wanted in (locale, locale.split("-", 1)[0], fallback, fallback.split("-", 1)[0], "en"):
            if wanted in self.contents:
                return self.contents[wanted]
        return next(iter(self.contents.values()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeFacts:
    """An event type as sending needs it."""

    id: uuid.UUID
    key: str
    name: str
    category_id: uuid.UUID
    category_key: str
    template: TemplateFacts | None
    routing: EventFacts
    priority: int
    expires_after: dt.timedelta | None
    duplicates_allowed: bool
    notify_on_event: bool
    is_active: bool
    is_digestible: bool = False
    is_cap_exempt: bool = False
    requires_consent: bool = False
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DefaultSwitch:
    """An organization's preference for everyone; ``target`` is a category or event type, or None for all."""

    scope: str
    target: uuid.UUID | None
    channel: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that one organization can send, and its rules for it, as of ``revision``."""

    revision: int
    event_types: Mapping[str, EventTypeFacts]
    templates: Mapping[str, TemplateFacts]
    templates_by_id: Mapping[uuid.UUID, TemplateFacts]
    event_types_by_id: Mapping[uuid.UUID, EventTypeFacts]
    switches: tuple[DefaultSwitch, ...]
    digests: tuple[DigestChoice, ...] = ()
    caps: tuple[CapFacts, ...] = ()
    smart_send: SmartSendFacts | None = None


CATALOG_MODELS: tuple[type[models.Model], ...] = (
    Category,
    EventType,
    Template,
    TemplateVersion,
    TemplateContent,
    FrequencyCap,
    SmartSendPolicy,
)
# A person's own row of these is no part of the catalog.
DEFAULTS_MODELS: tuple[type[models.Model], ...] = (Preference, DigestSetting)

_lock = threading.Lock()
_kept: dict[uuid.UUID, Catalog] = {}


def catalog_of(organization_id: uuid.UUID, *, revision: int | None = None) -> Catalog:
    """The catalog; with ``revision`` (as just read) no query is made while the snapshot is current."""
    kept = _kept.get(organization_id)
    if revision is None:
        revision = Organization.objects.values_list("catalog_revision", flat=True).get(id=organization_id)
    if kept is not None and kept.revision == revision:
        return kept
    made = _load(organization_id, revision)
    with _lock:
        _kept[organization_id] = made
    return made


def touch_catalog(organization_id: uuid.UUID) -> None:
    """Say that the catalog changed; call it in the transaction of the change.

    The step is random: a snapshot that was loaded inside a transaction which then rolled back must not have the
    number that the next change will get.
    """
    step = 1 + secrets.randbelow(2**31)
    Organization.objects.filter(id=organization_id).update(
        catalog_revision=models.F("catalog_revision") + step
    )


def watch_changes() -> None:
    """Let every saved or deleted row of the catalog touch it; call it from ``AppConfig.ready``."""
    for model in (*CATALOG_MODELS, *DEFAULTS_MODELS):
        for signal in (post_save, post_delete):
            signal.connect(_touch_for, sender=model, dispatch_uid="catalog")


def _touch_for(sender: type[models.Model], instance: Any, **_signal: Any) -> None:
    if sender in DEFAULTS_MODELS and instance.user_id is not None:
        return
    touch_catalog(organization_of(instance))


def _load(organization_id: uuid.UUID, revision: int) -> Catalog:
    by_template: dict[uuid.UUID, dict[str, ContentFacts]] = {}
    published = TemplateContent.objects.filter(
        version__status="published", version__template__organization_id=organization_id
    ).select_related("version")
    for row in published:
        by_template.setdefault(row.version.template_id, {})[row.locale] = content_facts(row)
    templates = {
        row.id: TemplateFacts(row.id, row.key, by_template.get(row.id, {}), row.variables)
        for row in Template.objects.for_organization(organization_id).filter(kind="message")
    }
    event_types = [
        _event_type_facts(row, templates)
        for row in EventType.objects.for_organization(organization_id).select_related("category")
    ]
    return Catalog(
        revision,
        {facts.key: facts for facts in event_types},
        {facts.key: facts for facts in templates.values()},
        templates,
        {facts.id: facts for facts in event_types},
        tuple(
            DefaultSwitch(row.scope, row.event_type_id or row.category_id, row.channel, row.enabled)
            for row in Preference.objects.for_organization(organization_id).filter(user=None)
        ),
        _digest_defaults(organization_id),
        _caps(organization_id),
        _smart_send(organization_id),
    )


def _digest_defaults(organization_id: uuid.UUID) -> tuple[DigestChoice, ...]:
    return tuple(
        DigestChoice(category_id=row.category_id, frequency=row.frequency, at=row.at, weekday=row.weekday)
        for row in DigestSetting.objects.for_organization(organization_id).filter(user=None)
    )


def _caps(organization_id: uuid.UUID) -> tuple[CapFacts, ...]:
    return tuple(
        CapFacts(channel=row.channel, period=row.period, limit=row.limit, overflow=row.overflow)
        for row in FrequencyCap.objects.for_organization(organization_id).filter(is_active=True)
    )


def _smart_send(organization_id: uuid.UUID) -> SmartSendFacts | None:
    row = SmartSendPolicy.objects.for_organization(organization_id).filter(is_enabled=True).first()
    return SmartSendFacts(max_wait=dt.timedelta(hours=row.max_wait_hours)) if row else None


def content_facts(row: TemplateContent) -> ContentFacts:
    """A stored content as facts."""
    return ContentFacts(
        version_id=str(row.version_id),
        locale=row.locale,
        subject=row.subject,
        mjml=row.mjml,
        html=row.compiled_html,
        text=row.compiled_text,
        sms=row.sms,
        push_title=row.push_title,
        push_body=row.push_body,
        in_app_title=row.in_app_title,
        in_app_body=row.in_app_body,
        action_url=row.action_url,
        in_app_actions=tuple(row.in_app_actions),
    )


def _event_type_facts(row: EventType, templates: Mapping[uuid.UUID, TemplateFacts]) -> EventTypeFacts:
    return EventTypeFacts(
        id=row.id,
        key=row.key,
        name=row.name,
        category_id=row.category_id,
        category_key=row.category.key,
        template=templates.get(row.template_id) if row.template_id else None,
        routing=EventFacts(
            channels=tuple(channel for channel in Channel.values if channel in row.channels),
            is_critical=row.is_critical,
            quiet_hours_policy=row.quiet_hours_policy,
            is_digestible=row.is_digestible,
            requires_consent=row.category.requires_consent,
            priority=row.priority,
        ),
        priority=row.priority,
        expires_after=row.expires_after,
        duplicates_allowed=row.duplicates_allowed,
        notify_on_event=row.notify_on_event,
        is_active=row.is_active,
        is_digestible=row.is_digestible,
        is_cap_exempt=row.is_cap_exempt,
        requires_consent=row.category.requires_consent,
        tags=tuple(row.tags),
    )


def organization_of(row: models.Model) -> uuid.UUID:
    """The organization whose catalog ``row`` is part of."""
    if isinstance(row, TemplateContent):
        return row.version.template.organization_id
    if isinstance(row, TemplateVersion):
        return row.template.organization_id
    organization_id: uuid.UUID = row.organization_id  # type: ignore[attr-defined]
    return organization_id
