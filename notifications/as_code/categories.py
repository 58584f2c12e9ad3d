"""Categories as files."""

from __future__ import annotations

from collections.abc import Mapping

from accounts.models import Organization
from castcomm.common.as_code.kinds import Document, Kind, register
from notifications.as_code.rows import KEY_PATTERN, NAME, OFF, TEXT, clean, named, object_of
from notifications.models import Category
from notifications.services.catalog_editing import delete_category, save_category
from notifications.services.defaults import GENERAL


@register
class Categories(Kind):
    """``categories.yaml``: groups of event types."""

    name = "categories"
    position = 10
    key_pattern = KEY_PATTERN
    schema = object_of(
        {
            "name": NAME,
            "description": TEXT,
            "position": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0},
            "requires_consent": OFF,
        },
        "name",
    )

    def current(self, organization: Organization) -> Mapping[str, Document]:
        rows = Category.objects.for_organization(organization)
        return {
            row.key: Document({name: getattr(row, name) for name in self.schema["properties"]})
            for row in rows
        }

    def save(self, organization: Organization, key: str, document: Document) -> None:
        row = Category.objects.for_organization(organization).filter(key=key).first()
        row = row or Category(organization=organization, key=key)
        for name, value in self.full(document).items():
            setattr(row, name, value)
        clean(row)
        save_category(category=row)

    def delete(self, organization: Organization, key: str) -> None:
        delete_category(category=named(Category, organization, key, ""))

    def is_built_in(self, key: str) -> bool:
        return key == GENERAL
