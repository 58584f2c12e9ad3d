"""The form in which staff edit a template: its own fields, and the draft's text in each language."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.forms import BaseFormSet, formset_factory
from django.utils.html import escape
from unfold.forms import AdminForm
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from accounts.admin.tenancy import TenantModelForm
from castcomm.common.errors import InvalidInput
from notifications.models import Template, TemplateContent, TemplateKind, TemplateVersion, VersionStatus
from notifications.rendering.context import RESERVED_NAMES
from notifications.services.templates import EDITABLE, check_content
from notifications.vocabulary import Channel

LOCALE = RegexValidator(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", "A language such as en, de or pt-BR.")
VARIABLE_TYPES = ("string", "number", "integer", "boolean", "list", "object", "date")
_CONTENT_MARK = re.compile(r"\{\{\s*content\s*\}\}")
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")

MESSAGE_FIELDSETS = (
    (None, {"fields": ("locale",)}),
    ("In-app", {"fields": ("in_app_title", "in_app_body", "action_url")}),
    ("E-mail", {"fields": ("subject", "mjml", "text")}),
    ("SMS", {"fields": ("sms",)}),
    ("Push", {"fields": ("push_title", "push_body")}),
)
LAYOUT_FIELDSETS = ((None, {"fields": ("locale", "mjml")}),)


class SourceField(forms.CharField):
    """Text in which white space counts. Line ends are stored as ``\\n``, whatever the browser sends."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, required=False, **kwargs)

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value) or "").replace("\r\n", "\n")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.to_python(initial) != self.to_python(data)


def _code(rows: int) -> UnfoldAdminTextareaWidget:
    attrs = {"rows": rows, "class": "cc-code", "spellcheck": "false", "autocapitalize": "off", "wrap": "off"}
    return UnfoldAdminTextareaWidget(attrs=attrs)


def _prose(rows: int) -> UnfoldAdminTextareaWidget:
    return UnfoldAdminTextareaWidget(attrs={"rows": rows, "class": "cc-code"})


_LABELS = {
    "subject": "Subject",
    "mjml": "MJML",
    "text": "Text part",
    "sms": "Text",
    "push_title": "Title",
    "push_body": "Body",
    "in_app_title": "Title",
    "in_app_body": "Body",
    "action_url": "Where a click leads",
}


def _line(name: str) -> SourceField:
    return _field(name, UnfoldAdminTextInputWidget(attrs={"class": "cc-code"}))


def _field(name: str, widget: forms.Widget) -> SourceField:
    column: Any = TemplateContent._meta.get_field(name)
    return SourceField(
        label=_LABELS[name],
        # The theme shows help as HTML.
        help_text=escape(column.help_text),
        max_length=column.max_length,
        widget=widget,
    )


class ContentForm(forms.Form):
    """A draft's text in one language. Every field is Jinja2; an empty one means: not on this channel."""

    locale = forms.CharField(
        label="Language",
        max_length=16,
        validators=[LOCALE],
        widget=UnfoldAdminTextInputWidget(attrs={"class": "cc-locale", "autocapitalize": "off"}),
        help_text="Such as en, de or pt-BR.",
    )
    subject = _line("subject")
    mjml = _field("mjml", _code(18))
    text = _field("text", _code(8))
    sms = _field("sms", _prose(3))
    push_title = _line("push_title")
    push_body = _field("push_body", _prose(2))
    in_app_title = _line("in_app_title")
    in_app_body = _field("in_app_body", _prose(4))
    action_url = _line("action_url")

    def as_row(self) -> TemplateContent:
        """The text as an unsaved row."""
        return TemplateContent(locale=self.cleaned_data["locale"], **self.fields_given())

    def fields_given(self) -> dict[str, str]:
        return {name: self.cleaned_data.get(name, "") for name in EDITABLE}


class BaseContentFormSet(BaseFormSet):  # type: ignore[type-arg]
    """The languages of one draft."""

    deletion_widget = UnfoldBooleanWidget

    def add_fields(self, form: forms.Form, index: int | None) -> None:
        super().add_fields(form, index)
        if "DELETE" in form.fields:
            form.fields["DELETE"].label = "Remove this language"

    def kept(self) -> list[ContentForm]:
        """The languages that stay, filled in."""
        return [
            form
            for form in self.forms
            if form.has_changed() or form in self.initial_forms
            if not self._gone(form)
        ]

    def _gone(self, form: forms.Form) -> bool:
        return bool(self._should_delete_form(form))  # type: ignore[attr-defined]

    def clean(self) -> None:
        seen: set[str] = set()
        for form in self.kept():
            locale = form.cleaned_data.get("locale", "")
            if locale in seen:
                form.add_error("locale", "This language is there twice.")
            seen.add(locale)


ContentFormSet = formset_factory(
    ContentForm, formset=BaseContentFormSet, extra=1, can_delete=True, max_num=40
)


def current_contents(template: Template) -> list[TemplateContent]:
    """What an editor starts from: the draft, or what is published when there is none. Writes nothing."""
    versions: dict[str, TemplateVersion] = {
        version.status: version
        for version in template.versions.exclude(status=VersionStatus.ARCHIVED).prefetch_related("contents")
    }
    version = versions.get(VersionStatus.DRAFT) or versions.get(VersionStatus.PUBLISHED)
    return list(version.contents.all()) if version else []


class TemplateForm(TenantModelForm):
    """A template with the text of its draft (``contents``; None while the template is being made)."""

    class Meta:
        model = Template
        fields = ("organization", "kind", "key", "name", "description", "layout", "variables")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.contents: BaseContentFormSet | None = None
        if not self.instance._state.adding:
            self.contents = self._content_forms()

    def _content_forms(self) -> BaseContentFormSet:
        initial = [
            {"locale": row.locale, **{name: getattr(row, name) for name in EDITABLE}}
            for row in current_contents(self.instance)
        ]
        first = not initial
        made: Any = ContentFormSet(
            self.data if self.is_bound else None,
            prefix="contents",
            initial=initial or [{"locale": self.instance.organization.locale}],
        )
        if first:
            made.extra = 0
        forms_of_languages: BaseContentFormSet = made
        return forms_of_languages

    def clean_variables(self) -> dict[str, Any]:
        declared = self.cleaned_data["variables"] or {}
        if not isinstance(declared, dict):
            raise ValidationError("An object: variable names with what is known of them.")
        for name, known in declared.items():
            if not _NAME.match(name):
                raise ValidationError(f"{name!r} is not a variable's name.")
            if name in RESERVED_NAMES:
                raise ValidationError(f"{name!r} is filled in by CastComm; use another name.")
            if not isinstance(known, dict):
                raise ValidationError(f'{name}: an object such as {{"type": "string", "required": true}}.')
            if known.get("type", "string") not in VARIABLE_TYPES:
                raise ValidationError(f"{name}: the type is one of {', '.join(VARIABLE_TYPES)}.")
        return declared

    def is_valid(self) -> bool:
        own = super().is_valid()
        if self.contents is None:
            return own
        if own and self.contents.is_valid():
            self._check_contents(self.contents)
        wrong = self.contents.is_bound and not self.contents.is_valid()
        if wrong:
            self.add_error(None, "The text has errors; they are marked below.")
        return own and not wrong

    def _check_contents(self, contents: BaseContentFormSet) -> None:
        layout = self.cleaned_data.get("layout")
        for form in contents.kept():
            if self.instance.kind == TemplateKind.LAYOUT and not _CONTENT_MARK.search(
                form.cleaned_data["mjml"]
            ):
                form.add_error("mjml", "A layout says where the message goes with {{ content }}.")
            _check_row(form, layout)

    @property
    def changed_data(self) -> list[str]:
        changed = list(super().changed_data)
        if self.contents is not None and self.contents.has_changed():
            changed.append("text")
        return changed

    def contents_given(self) -> dict[str, dict[str, str]]:
        """Locale to fields, as ``save_template`` takes them."""
        assert self.contents is not None
        return {form.cleaned_data["locale"]: form.fields_given() for form in self.contents.kept()}

    def content_sections(self) -> list[dict[str, Any]]:
        """Each language with its fieldsets, for the page."""
        if self.contents is None:
            return []
        fieldsets = LAYOUT_FIELDSETS if self.instance.kind == TemplateKind.LAYOUT else MESSAGE_FIELDSETS
        known = len(self.contents.initial_forms)
        return [
            {
                "form": form,
                "fieldsets": AdminForm(form, fieldsets, {}),
                "is_new": position >= known,
                "locale": form.initial.get("locale", ""),
                "reaches": _reaches(form.initial),
                "open": (position < known and (known == 1 or bool(form.errors))) or bool(form.errors),
            }
            for position, form in enumerate(self.contents.forms)
        ]


def _check_row(form: ContentForm, layout: Template | None) -> None:
    """Mark every field that cannot be compiled, not only the first."""
    row = form.as_row()
    for _ in EDITABLE:
        try:
            check_content(row, layout=layout)
        except InvalidInput as error:
            field = error.attr or "mjml"
            form.add_error(field, error.message)
            setattr(row, field, "")
        else:
            return


def _reaches(initial: dict[str, Any]) -> str:
    """The channels for which there is text, in words."""
    there = {
        Channel.IN_APP: initial.get("in_app_title") or initial.get("in_app_body"),
        Channel.EMAIL: initial.get("subject") and (initial.get("mjml") or initial.get("text")),
        Channel.SMS: initial.get("sms"),
        Channel.PUSH: initial.get("push_title"),
    }
    return ", ".join(channel.label for channel, text in there.items() if text)
