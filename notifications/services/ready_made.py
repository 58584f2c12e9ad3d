"""Installs the ready-made categories, templates and event types; what is there already stays as staff left it."""

from __future__ import annotations

import uuid

from django.db import transaction

from accounts.models import Organization
from notifications.models import Category, EventType, Template
from notifications.ready_made.event_types import CATEGORIES, EVENT_TYPES, ReadyMadeEventType
from notifications.ready_made.layout import LAYOUT_MJML
from notifications.ready_made.templates import TEMPLATES, ReadyMadeTemplate
from notifications.services.catalog import catalog_of
from notifications.services.defaults import DIGEST, ensure_direct_event_type
from notifications.services.templates import publish_template, save_template


def install_ready_made(*, organization: Organization) -> list[str]:
    """Add what is missing, published; returns the keys of what was added."""
    added: list[str] = []
    with transaction.atomic():
        for position, (key, name, description) in enumerate(CATEGORIES):
            Category.objects.get_or_create(
                organization=organization,
                key=key,
                defaults={"name": name, "description": description, "position": position},
            )
        ensure_direct_event_type(organization)
        layout = _install_layout(organization, added)
        for ready in TEMPLATES:
            _install_template(organization, ready, layout, added)
        for kind in EVENT_TYPES:
            _install_event_type(organization, kind, added)
    return added


def ensure_digest_event_type(organization_id: uuid.UUID) -> None:
    """Make the event type of digests exist, with its category and template; one query where it does."""
    if DIGEST in catalog_of(organization_id).event_types:
        return
    template = next(one for one in TEMPLATES if one.key == DIGEST)
    kind = next(one for one in EVENT_TYPES if one.key == DIGEST)
    position, (key, name, description) = next(
        (at, one) for at, one in enumerate(CATEGORIES) if one[0] == kind.category
    )
    with transaction.atomic():
        organization = Organization.objects.select_for_update(no_key=True).get(id=organization_id)
        Category.objects.get_or_create(
            organization=organization,
            key=key,
            defaults={"name": name, "description": description, "position": position},
        )
        added: list[str] = []
        _install_template(organization, template, _install_layout(organization, added), added)
        _install_event_type(organization, kind, added)


def _install_template(
    organization: Organization, ready: ReadyMadeTemplate, layout: Template, added: list[str]
) -> None:
    if _template(organization, ready.key) is not None:
        return
    made = save_template(
        organization=organization,
        key=ready.key,
        name=ready.name,
        description=ready.description,
        layout=layout,
        variables=ready.variables,
        contents={"en": ready.content},
    )
    publish_template(template=made)
    added.append(ready.key)


def _template(organization: Organization, key: str) -> Template | None:
    found: Template | None = Template.objects.for_organization(organization).filter(key=key).first()
    return found


def _install_layout(organization: Organization, added: list[str]) -> Template:
    existing = _template(organization, "layout")
    if existing is not None:
        return existing
    made = save_template(
        organization=organization,
        key="layout",
        name="Layout",
        description="The frame of the e-mails.",
        kind="layout",
        contents={"en": {"mjml": LAYOUT_MJML}},
    )
    publish_template(template=made)
    added.append("layout")
    return made


def _install_event_type(organization: Organization, ready: ReadyMadeEventType, added: list[str]) -> None:
    _, created = EventType.objects.get_or_create(
        organization=organization,
        key=ready.key,
        defaults={
            "name": ready.name,
            "category": Category.objects.get(organization=organization, key=ready.category),
            "template": _template(organization, ready.template),
            "channels": list(ready.channels),
            "priority": ready.priority,
            **ready.flags,
        },
    )
    if created:
        added.append(ready.key)
