"""How staff change categories and event types. The rows' keys are names that callers and workflows use."""

from __future__ import annotations

from django.db.models import ProtectedError

from castcomm.common.errors import Conflict, InvalidInput
from notifications.models import Category, EventType, TemplateKind
from notifications.services.defaults import DIRECT, GENERAL
from notifications.vocabulary import Channel


def save_category(*, category: Category) -> Category:
    """Store a new or changed category; raises InvalidInput that names the field."""
    _check_key_kept(category)
    category.save()
    return category


def delete_category(*, category: Category) -> None:
    """Remove a category without event types; raises Conflict."""
    if category.key == GENERAL:
        raise Conflict("Direct messages belong to this category; it stays.", code="built_in")
    try:
        category.delete()
    except ProtectedError as error:
        raise Conflict("It has event types. Move them to another category first.", code="in_use") from error


def save_event_type(*, event_type: EventType) -> EventType:
    """Store a new or changed event type; raises InvalidInput that names the field."""
    check_event_type(event_type)
    event_type.save()
    return event_type


def check_event_type(event_type: EventType) -> None:
    """Hold an event type to what sending relies on; raises InvalidInput that names the field."""
    _check_key_kept(event_type)
    own = event_type.organization_id
    if event_type.category.organization_id != own:
        raise InvalidInput("This category belongs to another organization.", attr="category")
    template = event_type.template
    if template is not None and template.organization_id != own:
        raise InvalidInput("This template belongs to another organization.", attr="template")
    if template is not None and template.kind != TemplateKind.MESSAGE:
        raise InvalidInput("A layout is no message; choose a message.", attr="template")
    for channel in event_type.channels:
        if channel not in Channel.values:
            raise InvalidInput(f"There is no channel {channel!r}.", attr="channels")
    # One order, so that equal choices are equal rows.
    event_type.channels = [channel for channel in Channel.values if channel in event_type.channels]
    if event_type.expires_after is not None and event_type.expires_after.total_seconds() <= 0:
        raise InvalidInput("A time span above zero.", attr="expires_after")
    if event_type.key == DIRECT and not event_type.is_active:
        raise InvalidInput("Direct messages cannot be switched off.", attr="is_active")


def delete_event_type(*, event_type: EventType) -> None:
    """Remove an event type that was never sent; raises Conflict."""
    if event_type.key == DIRECT:
        raise Conflict("Direct messages are sent under this event type; it stays.", code="built_in")
    try:
        event_type.delete()
    except ProtectedError as error:
        raise Conflict(
            "Notifications of this type have been sent. Switch it off instead of deleting it.", code="in_use"
        ) from error


def _check_key_kept(row: Category | EventType) -> None:
    if row._state.adding:
        return
    stored = type(row).objects.values_list("key", flat=True).get(pk=row.pk)
    if stored != row.key:
        raise InvalidInput("The key stays: callers and workflows use it.", attr="key")
