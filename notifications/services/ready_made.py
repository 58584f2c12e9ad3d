"""Installs the ready-made categories, templates and event types; what is there already stays as staff left it."""

from __future__ import annotations

from django.db import transaction

from accounts.models import Organization
from notifications.models import Category, EventType, Template
from notifications.ready_made.event_types import CATEGORIES, EVENT_TYPES
from notifications.ready_made.layout import LAYOUT_MJML
from notifications.ready_made.templates import TEMPLATES
from notifications.services.defaults import ensure_direct_event_type
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
            if _template(organization, ready.key) is None:
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
        _install_event_types(organization, added)
    return added


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


def _install_event_types(organization: Organization, added: list[str]) -> None:
    categories = {row.key: row for row in Category.objects.for_organization(organization)}
    for ready in EVENT_TYPES:
        _, created = EventType.objects.get_or_create(
            organization=organization,
            key=ready.key,
            defaults={
                "name": ready.name,
                "category": categories[ready.category],
                "template": _template(organization, ready.template),
                "channels": list(ready.channels),
                "priority": ready.priority,
                **ready.flags,
            },
        )
        if created:
            added.append(ready.key)
