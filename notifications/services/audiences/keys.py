"""Topics and lists as such: rows of an organization that senders name by their key."""

from __future__ import annotations

from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import Organization
from castcomm.common.errors import Conflict, InvalidInput, NotFound
from notifications.models import Broadcast, RecipientList, Topic
from notifications.rendering.sandbox import storable

Keyed = TypeVar("Keyed", Topic, RecipientList)
_NAMES: dict[type[Topic | RecipientList], str] = {Topic: "topic", RecipientList: "list"}


def create_row(model: type[Keyed], *, organization: Organization, **fields: Any) -> Keyed:
    """Make a topic or a list; raises InvalidInput that names the field, or Conflict when the key is taken."""
    row = model(organization=organization, **fields)
    check_fields(row)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise Conflict(f"There is a {_NAMES[model]} with this key.", attr="key", code="key_taken") from error
    return row


def change_row(row: Keyed, **fields: Any) -> Keyed:
    """Set fields other than the key, which senders name."""
    for name, value in fields.items():
        setattr(row, name, value)
    check_fields(row)
    if fields:
        row.save(update_fields=sorted(fields))
    return row


def find_row(model: type[Keyed], organization: Organization, key: str) -> Keyed:
    """The topic or list with this key; raises NotFound."""
    found: Keyed | None = model.objects.for_organization(organization).filter(key=key).first()
    if found is None:
        raise NotFound(f"There is no such {_NAMES[model]}.")
    return found


def delete_row(row: Topic | RecipientList) -> None:
    """Delete a topic or list with who is in it; raises Conflict while a broadcast is on its way through it."""
    named = [{_NAMES[type(row)]: row.key}]
    if Broadcast.objects.filter(
        organization=row.organization_id, finished_at=None, audience__contains=named
    ).exists():
        raise Conflict("A broadcast is on its way to it; cancel that first.", code="in_use")
    row.delete()


def check_fields(row: Topic | RecipientList) -> None:
    """Raise InvalidInput that names the first field that cannot be stored."""
    for name in ("key", "name", "description"):
        value = getattr(row, name)
        if not isinstance(value, str) or "\x00" in value or not storable(value):
            raise InvalidInput("Text may not contain NUL or half a surrogate pair.", attr=name)
    try:
        row.clean_fields(exclude=["organization"])
    except ValidationError as error:
        name, problems = next(iter(error.message_dict.items()))
        raise InvalidInput(problems[0], attr=name) from error
