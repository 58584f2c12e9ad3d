"""Templates and layouts as files: a folder each, with e-mail bodies as files of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Prefetch

from accounts.models import Organization
from castcomm.common.as_code.kinds import Document, Kind, register, stored
from castcomm.common.problems import Problem
from notifications.as_code.rows import KEY_PATTERN, NAME, TEXT, named, object_of
from notifications.models import Template, TemplateKind, TemplateVersion, VersionStatus
from notifications.services.templates import (
    EDITABLE,
    VARIABLE_TYPES,
    delete_template,
    publish_template,
    save_template,
)

BODIES = {"mjml": "mjml", "text": "txt"}  # field of a content to the ending of its file
_IN_FILE = [name for name in EDITABLE if name not in BODIES]
_BUTTON = {"key": "", "label": "", "url": "", "style": "secondary"}  # in this order, with their defaults
_CONTENT = {
    **{name: {"type": "string"} for name in _IN_FILE},
    "in_app_actions": {"type": "array", "items": object_of({name: {"type": "string"} for name in _BUTTON})},
}
_VARIABLE = {
    "type": "object",
    "properties": {
        "type": {"enum": list(VARIABLE_TYPES)},
        "required": {"type": "boolean"},
        "description": {"type": "string"},
        "example": {},
    },
}


@register
class Templates(Kind):
    """``templates/KEY/template.yaml``, and beside it ``LOCALE.mjml`` and ``LOCALE.txt``.

    A template is what staff see of it: its draft, or what is published where there is none.
    """

    name = "templates"
    position = 20
    key_pattern = KEY_PATTERN
    document = "template.yaml"
    body_names = re.compile(r"[A-Za-z0-9_-]{2,20}\.(?:mjml|txt)")
    schema = object_of(
        {
            "name": NAME,
            "description": TEXT,
            "kind": {"enum": TemplateKind.values, "default": TemplateKind.MESSAGE.value},
            "layout": {"type": "string", "default": ""},
            "variables": {"type": "object", "additionalProperties": _VARIABLE, "default": {}},
            "contents": {
                "type": "object",
                "additionalProperties": {
                    "type": ["object", "null"],
                    "properties": _CONTENT,
                    "additionalProperties": False,
                },
                "default": {},
            },
        },
        "name",
    )

    def current(self, organization: Organization) -> Mapping[str, Document]:
        versions = TemplateVersion.objects.exclude(status=VersionStatus.ARCHIVED).prefetch_related("contents")
        rows = Template.objects.for_organization(organization).select_related("layout")
        return {
            row.key: _document(row) for row in rows.prefetch_related(Prefetch("versions", versions, "in_use"))
        }

    def normal(self, document: Document) -> Document:
        given = document.fields.get("contents", {})
        locales = {*given, *(name.rsplit(".", 1)[0] for name in document.bodies)}
        contents = {locale: _normal_content(given.get(locale) or {}) for locale in sorted(locales)}
        variables = stored(document.fields.get("variables", {}))
        fields = {**document.fields, "variables": variables, "contents": contents}
        return super().normal(Document(fields, document.bodies))

    def problems(self, key: str, document: Document) -> Iterator[Problem]:
        if not document.fields.get("contents") and not document.bodies:
            yield Problem("contents", "A template needs at least one language.")

    def in_order(self, documents: Mapping[str, Document]) -> Sequence[str]:
        return sorted(
            documents, key=lambda key: (documents[key].fields.get("kind") != TemplateKind.LAYOUT, key)
        )

    def save(self, organization: Organization, key: str, document: Document) -> None:
        fields = self.full(document)
        layout = fields["layout"]
        save_template(
            organization=organization,
            key=key,
            name=fields["name"],
            description=fields["description"],
            kind=fields["kind"],
            layout=named(Template, organization, layout, "layout") if layout else None,
            variables=fields["variables"],
            contents={
                locale: {"in_app_actions": [], **content, **_bodies_of(document, locale)}
                for locale, content in fields["contents"].items()
            },
        )

    def needs(self, document: Document) -> Iterator[tuple[str, str]]:
        yield self.name, document.fields.get("layout", "")

    def delete(self, organization: Organization, key: str) -> None:
        delete_template(template=named(Template, organization, key, ""))

    def unpublished(self, organization: Organization) -> Sequence[str]:
        drafts = TemplateVersion.objects.filter(
            status=VersionStatus.DRAFT, template__organization=organization
        ).select_related("template")
        rows = [one for one in drafts.prefetch_related("contents") if not _is_in_use(one)]
        layouts_first = sorted(
            rows, key=lambda one: (one.template.kind != TemplateKind.LAYOUT, one.template.key)
        )
        return [one.template.key for one in layouts_first]

    def publish(self, organization: Organization, key: str) -> None:
        publish_template(template=named(Template, organization, key, ""))

    def body_of(self, attr: str) -> str:
        parts = attr.split(".")
        if len(parts) == 3 and parts[0] == "contents" and parts[2] in BODIES:
            return f"{parts[1]}.{BODIES[parts[2]]}"
        return ""


def _normal_content(given: Mapping[str, Any]) -> dict[str, Any]:
    content = {name: given[name] for name in _CONTENT if given.get(name)}
    if "in_app_actions" in content:
        content["in_app_actions"] = [
            {name: one[name] for name, default in _BUTTON.items() if one.get(name, default) != default}
            for one in content["in_app_actions"]
        ]
    return content


def _document(row: Any) -> Document:
    by_status = {version.status: version for version in row.in_use}
    version = by_status.get(VersionStatus.DRAFT) or by_status.get(VersionStatus.PUBLISHED)
    contents = list(version.contents.all()) if version else []
    return Document(
        {
            "name": row.name,
            "description": row.description,
            "kind": row.kind,
            "layout": row.layout.key if row.layout else "",
            "variables": row.variables,
            "contents": {one.locale: {name: getattr(one, name) for name in _CONTENT} for one in contents},
        },
        {
            f"{one.locale}.{ending}": getattr(one, field)
            for one in contents
            for field, ending in BODIES.items()
            if getattr(one, field)
        },
    )


def _bodies_of(document: Document, locale: str) -> dict[str, str]:
    names = {field: f"{locale}.{ending}" for field, ending in BODIES.items()}
    return {field: document.bodies[name] for field, name in names.items() if name in document.bodies}


def _is_in_use(draft: TemplateVersion) -> bool:
    """Whether the published version says the same as the draft."""
    published = draft.template.versions.filter(status=VersionStatus.PUBLISHED).first()
    return published is not None and _says(published) == _says(draft)


def _says(version: TemplateVersion) -> dict[str, list[Any]]:
    return {
        row.locale: [getattr(row, name) for name in (*EDITABLE, "in_app_actions")]
        for row in version.contents.all()
    }
