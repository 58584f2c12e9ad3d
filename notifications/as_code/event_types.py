"""Event types as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.dateparse import parse_duration
from django.utils.duration import duration_iso_string

from accounts.models import Organization
from castcomm.common.as_code.kinds import Document, Kind, register
from castcomm.common.errors import InvalidInput
from notifications.as_code.rows import KEY_PATTERN, NAME, OFF, ON, TEXT, clean, named, object_of
from notifications.models import Category, EventType, Template
from notifications.models.catalog import QuietHoursPolicy, default_channels
from notifications.services.catalog_editing import delete_event_type, save_event_type
from notifications.services.defaults import DIRECT
from notifications.vocabulary import Channel, Priority


@register
class EventTypes(Kind):
    """``event_types.yaml``: category and template are named by their keys, ``expires_after`` is ISO 8601."""

    name = "event_types"
    position = 30
    key_pattern = KEY_PATTERN
    schema = object_of(
        {
            "name": NAME,
            "description": TEXT,
            "category": {"type": "string"},
            "template": {"type": "string", "default": ""},
            "channels": {
                "type": "array",
                "uniqueItems": True,
                "items": {"enum": Channel.values},
                "default": default_channels(),
            },
            "priority": {"enum": [one.key for one in Priority], "default": Priority.NORMAL.key},
            "is_critical": OFF,
            "quiet_hours_policy": {"enum": QuietHoursPolicy.values, "default": QuietHoursPolicy.DEFER.value},
            "duplicates_allowed": OFF,
            "is_digestible": OFF,
            "is_cap_exempt": OFF,
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 40}, "default": []},
            "notify_on_event": OFF,
            "expires_after": {"type": "string", "default": ""},
            "is_active": ON,
        },
        "name",
        "category",
    )

    def current(self, organization: Organization) -> Mapping[str, Document]:
        rows = EventType.objects.for_organization(organization).select_related("category", "template")
        return {row.key: Document(self._fields(row)) for row in rows}

    def _fields(self, row: EventType) -> dict[str, Any]:
        return {
            **{name: getattr(row, name) for name in self.schema["properties"]},
            "category": row.category.key,
            "template": row.template.key if row.template else "",
            "priority": Priority(row.priority).key,
            "expires_after": duration_iso_string(row.expires_after) if row.expires_after else "",
        }

    def normal(self, document: Document) -> Document:
        fields = dict(document.fields)
        if "channels" in fields:
            fields["channels"] = [one for one in Channel.values if one in fields["channels"]]
        if expires_after := _duration(fields.get("expires_after", "")):
            fields["expires_after"] = duration_iso_string(expires_after)
        return super().normal(Document(fields))

    def save(self, organization: Organization, key: str, document: Document) -> None:
        fields = self.full(document)
        row = EventType.objects.for_organization(organization).filter(key=key).first()
        row = row or EventType(organization=organization, key=key)
        expires_after = _duration(fields["expires_after"])
        if fields["expires_after"] and expires_after is None:
            raise InvalidInput("A duration such as P7D or PT2H.", attr="expires_after")
        template = fields["template"]
        fields |= {
            "category": named(Category, organization, fields["category"], "category"),
            "template": named(Template, organization, template, "template") if template else None,
            "priority": Priority.from_key(fields["priority"]),
            "expires_after": expires_after,
        }
        for name, value in fields.items():
            setattr(row, name, value)
        clean(row, but=["channels"])
        save_event_type(event_type=row)

    def delete(self, organization: Organization, key: str) -> None:
        delete_event_type(event_type=named(EventType, organization, key, ""))

    def needs(self, document: Document) -> Iterator[tuple[str, str]]:
        yield "categories", document.fields["category"]
        yield "templates", document.fields.get("template", "")

    def is_built_in(self, key: str) -> bool:
        return key == DIRECT


def _duration(text: str) -> Any:
    # Django reads "5" as five seconds; here it must be said.
    if not text.startswith(("P", "-P")):
        return None
    try:
        return parse_duration(text)
    except OverflowError:
        return None
