"""Templates: a draft that staff edit, checked and compiled when it is published."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max, ProtectedError

from accounts.models import Organization, User
from castcomm.common.clock import now as current_time
from castcomm.common.errors import Conflict, InvalidInput, NotFound
from notifications.models import Template, TemplateContent, TemplateVersion, VersionStatus
from notifications.rendering.content import (
    ContentFacts,
    render_email,
    render_in_app,
    render_push,
    render_sms,
    sources_of,
)
from notifications.rendering.context import RESERVED_NAMES, message_context, person_context
from notifications.rendering.mjml import compile_mjml, text_from_html
from notifications.rendering.mjml_check import check_mjml
from notifications.rendering.sandbox import MAX_SOURCE, RenderingError, compile_template, variables_of
from notifications.services.catalog import content_facts
from notifications.services.inbox_actions import check_actions
from notifications.services.mail_links import example_links

EDITABLE = (
    "subject",
    "mjml",
    "text",
    "sms",
    "push_title",
    "push_body",
    "in_app_title",
    "in_app_body",
    "action_url",
)
VARIABLE_TYPES = ("string", "number", "integer", "boolean", "list", "object", "date")
_LOCALE = re.compile(r"[a-zA-Z]{2,3}(?:[-_][a-zA-Z0-9]{2,8}){0,2}")
KNOWN_NAMES = RESERVED_NAMES | {"range"}


def save_template(
    *,
    organization: Organization,
    key: str,
    name: str,
    contents: Mapping[str, Mapping[str, Any]],
    description: str = "",
    kind: str = "message",
    layout: Template | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Template:
    """Create or change a template and its draft; ``contents`` maps locales to fields (``EDITABLE``).

    ``in_app_actions`` may be among them; left out, those of the draft stay. Raises InvalidInput that names the locale
    and field. What is published stays as it is.
    """
    _check_declarations(variables or {})
    with transaction.atomic():
        template, _ = Template.objects.update_or_create(
            organization=organization,
            key=key,
            defaults={
                "name": name,
                "description": description,
                "kind": kind,
                "layout": layout,
                "variables": dict(variables or {}),
            },
        )
        draft = draft_of(template)
        actions = dict(draft.contents.values_list("locale", "in_app_actions"))
        draft.contents.all().delete()
        for locale, fields in contents.items():
            unknown = set(fields) - {*EDITABLE, "in_app_actions"}
            if unknown:
                raise InvalidInput(
                    f"There is no field {min(unknown)!r}.", attr=f"contents.{locale}.{min(unknown)}"
                )
            given = fields.get("in_app_actions", actions.get(locale))
            checked = check_actions(given, attr=f"contents.{locale}.in_app_actions")
            row = TemplateContent(version=draft, locale=locale, **{**fields, "in_app_actions": checked})
            _check_lengths(row, attr=f"contents.{locale}")
            check_content(row, layout=layout, attr=f"contents.{locale}")
            row.save()
    return template


def _check_lengths(row: TemplateContent, *, attr: str) -> None:
    longest = TemplateContent._meta.get_field("locale").max_length or 0
    if not _LOCALE.fullmatch(row.locale) or len(row.locale) > longest:
        raise InvalidInput("A language such as en or pt-BR.", attr=attr)
    for name in EDITABLE:
        value = getattr(row, name)
        most = getattr(TemplateContent._meta.get_field(name), "max_length", None) or MAX_SOURCE
        if not isinstance(value, str) or len(value) > most:
            raise InvalidInput(
                f"Text of at most {most} characters.", attr=f"{attr}.{name}", code="max_length"
            )


def _check_declarations(variables: Mapping[str, Any]) -> None:
    for name, declared in variables.items():
        if name in RESERVED_NAMES:
            raise InvalidInput("CastComm fills this in; use another name.", attr=f"variables.{name}")
        if not isinstance(declared, Mapping):
            raise InvalidInput("An object.", attr=f"variables.{name}")
        if declared.get("type", "string") not in VARIABLE_TYPES:
            known = ", ".join(VARIABLE_TYPES)
            raise InvalidInput(f"One of {known}.", attr=f"variables.{name}.type")


def draft_of(template: Template) -> TemplateVersion:
    """The template's draft; a new one starts as a copy of what is published."""
    existing = template.versions.filter(status=VersionStatus.DRAFT).first()
    if existing is not None:
        return existing
    last = template.versions.aggregate(last=Max("number"))["last"] or 0
    draft = TemplateVersion.objects.create(template=template, number=last + 1)
    published = template.versions.filter(status=VersionStatus.PUBLISHED).first()
    for content in published.contents.all() if published else []:
        TemplateContent.objects.create(
            version=draft,
            locale=content.locale,
            in_app_actions=content.in_app_actions,
            **{field: getattr(content, field) for field in EDITABLE},
        )
    return draft


def delete_template(*, template: Template) -> None:
    """Remove a template with all its versions; raises Conflict when it is in use or was used to send."""
    try:
        template.delete()
    except ProtectedError as error:
        raise Conflict("It is in use by event types or was used to send.", code="in_use") from error


def check_content(row: TemplateContent, *, layout: Template | None, attr: str = "") -> None:
    """Compile every field of ``row`` (filling its compiled fields); raises InvalidInput that names the field."""
    try:
        if row.mjml:
            # Before the layout is put around it, so that lines are those of the field.
            compile_template(row.mjml, html=True)
            # A layout's own {{ content }} may stand between its sections.
            check_mjml(re.sub(r"\{\{\s*content\s*\}\}", "", row.mjml))
        row.compiled_html = (
            compile_mjml(
                row.mjml, layout=layout_mjml(layout, row.locale), title=row.subject, locale=row.locale
            )
            if row.mjml
            else ""
        )
    except RenderingError as error:
        raise InvalidInput(str(error), attr=_join(attr, "mjml"), code="template_error") from error
    row.compiled_text = row.text or (text_from_html(row.compiled_html) if row.compiled_html else "")
    for name, source in sources_of(content_facts(row)):
        try:
            compile_template(source, html=name == "html")
        except RenderingError as error:
            field = {"html": "mjml"}.get(name, name)
            raise InvalidInput(str(error), attr=_join(attr, field), code="template_error") from error


def layout_mjml(layout: Template | None, locale: str) -> str:
    """The MJML around the content; without a layout, the content alone."""
    if layout is None:
        return "{{ content }}"
    version = layout.versions.filter(status=VersionStatus.PUBLISHED).first() or layout.versions.first()
    rows = {row.locale: row.mjml for row in version.contents.all()} if version else {}
    return rows.get(locale) or rows.get("en") or next(iter(rows.values()), "") or "{{ content }}"


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def publish_template(*, template: Template, user: User | None = None) -> TemplateVersion:
    """Make the draft what is sent from now on; raises Conflict without a draft, InvalidInput when it is wrong."""
    with transaction.atomic():
        locked = Template.objects.select_for_update().get(id=template.id)
        draft: TemplateVersion | None = locked.versions.filter(status=VersionStatus.DRAFT).first()
        if draft is None:
            raise Conflict("There is no draft to publish.", code="no_draft")
        contents = list(draft.contents.all())
        if not contents:
            raise InvalidInput("A template needs at least one language.", attr="contents", code="required")
        for row in contents:
            check_content(row, layout=locked.layout, attr=f"contents.{row.locale}")
            row.save(update_fields=["compiled_html", "compiled_text"])
        locked.versions.filter(status=VersionStatus.PUBLISHED).update(status=VersionStatus.ARCHIVED)
        draft.status = VersionStatus.PUBLISHED
        draft.published_at = current_time()
        draft.published_by = user
        draft.save()
        if locked.kind == "layout":
            _recompile_dependents(locked)
    return draft


def _recompile_dependents(layout: Template) -> None:
    """A new layout reaches the published messages that use it, as staff expect of a shared frame."""
    rows = TemplateContent.objects.filter(
        version__status=VersionStatus.PUBLISHED, version__template__layout=layout
    ).select_related("version__template")
    for row in rows:
        check_content(row, layout=layout, attr=f"{row.version.template.key}.{row.locale}")
        row.save(update_fields=["compiled_html", "compiled_text"])


@dataclass(frozen=True, slots=True)
class Preview:
    """What each channel would say; ``errors`` maps a channel to why it cannot."""

    subject: str
    html: str
    text: str
    sms: str
    push: dict[str, str]
    in_app: dict[str, str]
    errors: dict[str, str]
    missing_variables: list[str]


def preview_template(
    *, template: Template, user: User | None, data: Mapping[str, Any], locale: str = "en"
) -> Preview:
    """Render the draft (or what is published) for a person with this data; nothing is sent or kept."""
    version = template.versions.filter(status=VersionStatus.DRAFT).first() or template.versions.first()
    rows = {row.locale: row for row in version.contents.all()} if version else {}
    row = (
        rows.get(locale)
        or rows.get(locale.split("-", 1)[0])
        or rows.get("en")
        or next(iter(rows.values()), None)
    )
    if row is None:
        raise NotFound("The template has no content yet.")
    check_content(row, layout=template.layout, attr=f"contents.{row.locale}")
    content = content_facts(row)
    context = _preview_context(template, user, data)
    missing = sorted(
        {name for _, source in sources_of(content) for name in variables_of(source)}
        - set(context)
        - KNOWN_NAMES
    )
    return _render_all(content, context, missing)


def _render_all(content: ContentFacts, context: Mapping[str, Any], missing: list[str]) -> Preview:
    errors: dict[str, str] = {}
    made: dict[str, Any] = {}
    for channel, renderer in (
        ("email", render_email),
        ("sms", render_sms),
        ("push", render_push),
        ("in_app", render_in_app),
    ):
        if channel not in content.channels():
            continue
        try:
            made[channel] = renderer(content, context)
        except RenderingError as error:
            errors[channel] = str(error)
    email, push, in_app = made.get("email"), made.get("push"), made.get("in_app")
    return Preview(
        subject=email.subject if email else "",
        html=email.html if email else "",
        text=email.text if email else "",
        sms=made.get("sms", ""),
        push={"title": push.title, "body": push.body, "action_url": push.action_url} if push else {},
        in_app={"title": in_app.title, "body": in_app.body, "action_url": in_app.action_url}
        if in_app
        else {},
        errors=errors,
        missing_variables=missing,
    )


def _preview_context(template: Template, user: User | None, data: Mapping[str, Any]) -> dict[str, Any]:
    examples = {
        name: declared["example"] for name, declared in template.variables.items() if "example" in declared
    }
    person = person_context(
        user_id=str(user.id) if user else "",
        email=user.email if user else "person@example.com",
        first_name=user.first_name if user else "Example",
        last_name=user.last_name if user else "Person",
        locale=user.locale if user else "en",
        time_zone=user.time_zone if user else "UTC",
        attributes=user.attributes if user else {},
    )
    return message_context(
        data={**examples, **data},
        user=person,
        organization_name=template.organization.name,
        event_key="preview",
        event_name="Preview",
        notification_id="",
        **example_links(),
    )
