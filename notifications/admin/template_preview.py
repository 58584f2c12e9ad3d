"""The preview of a template's draft: what each channel would say to a member of the organization."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from accounts.models import User
from accounts.selectors import members_of
from castcomm.common.errors import CastCommError
from notifications.admin.ledger import link_to
from notifications.admin.template_forms import current_contents
from notifications.models import Notification, Template, TemplateKind
from notifications.services.sending import SendResult, send_notification
from notifications.services.sms_segments import count_segments, segments_hint
from notifications.services.templates import Preview, preview_template

SEND = "_send"


class PreviewForm(forms.Form):
    """For whom, in which language, with which data."""

    member = forms.EmailField(
        label="As it would reach",
        required=False,
        widget=UnfoldAdminEmailInputWidget(attrs={"autocomplete": "off"}),
        help_text="A member's e-mail address. Empty: an example person.",
    )
    locale = forms.ChoiceField(label="Language", widget=UnfoldAdminSelectWidget)
    variables = forms.JSONField(
        label="Data",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 5, "class": "cc-code", "spellcheck": "false"}),
        help_text="What a caller would send along, as JSON.",
    )

    def __init__(self, template: Template, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.template = template
        self.user: User | None = None
        locales = [row.locale for row in current_contents(template)]
        field = self.fields["locale"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(locale, locale) for locale in locales]

    def clean_member(self) -> str:
        email: str = self.cleaned_data["member"].strip().lower()
        if email:
            found = members_of(self.template.organization).filter(user__email=email).first()
            if found is None:
                raise forms.ValidationError("No active member of this organization has this address.")
            self.user = found.user
        return email

    def clean_variables(self) -> dict[str, Any]:
        given = self.cleaned_data["variables"] or {}
        if not isinstance(given, dict):
            raise forms.ValidationError('An object, such as {"name": "value"}.')
        return given


def preview_page(model_admin: Any, request: HttpRequest, object_id: Any) -> HttpResponse:
    """Show the draft as it would arrive; with ``SEND``, send exactly this to whoever asks."""
    template: Template | None = model_admin.get_object(request, str(object_id))
    if template is None:
        raise Http404
    if not model_admin.has_view_permission(request, template):
        raise PermissionDenied
    assert isinstance(request.user, User)
    form = PreviewForm(template, request.POST if request.method == "POST" else _start(template, request.user))
    preview = problem = None
    if form.is_valid():
        preview, problem = _preview(template, form)
    if SEND in request.POST and preview is not None and template.kind == TemplateKind.MESSAGE:
        # No redirect: it would forget what was typed.
        _send(model_admin, request, template, preview)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"Preview of {template.name}",
        "opts": model_admin.opts,
        "original": template,
        "model_admin": model_admin,
        "media": model_admin.media,
        "form": form,
        "preview": preview,
        "problem": problem,
        "segments": (counted := count_segments(preview.sms) if preview and preview.sms else None),
        "segments_hint": segments_hint(counted) if counted else "",
        "is_layout": template.kind == TemplateKind.LAYOUT,
    }
    return TemplateResponse(request, "admin/notifications/template/preview.html", context)


def _start(template: Template, user: User) -> dict[str, str]:
    """What the page shows first: oneself if one is a member, and the declared examples."""
    is_member = members_of(template.organization).filter(user=user).exists()
    locales = [row.locale for row in current_contents(template)]
    own = user.locale if user.locale in locales else template.organization.locale
    examples = {name: known["example"] for name, known in template.variables.items() if "example" in known}
    return {
        "member": user.email if is_member else "",
        "locale": own if own in locales else (locales[0] if locales else ""),
        "variables": json.dumps(examples, indent=2, ensure_ascii=False),
    }


def _preview(template: Template, form: PreviewForm) -> tuple[Preview | None, str]:
    asked = form.cleaned_data
    try:
        made = preview_template(
            template=template, user=form.user, data=asked["variables"], locale=asked["locale"]
        )
    except CastCommError as error:
        return None, error.message
    return made, ""


def _send(model_admin: Any, request: HttpRequest, template: Template, preview: Preview) -> None:
    """Send the previewed text itself, so that a draft can be tried before it is published."""
    assert isinstance(request.user, User)
    text = {
        "subject": preview.subject,
        "html": preview.html,
        "text": preview.text,
        "sms": preview.sms,
        "title": preview.in_app.get("title") or preview.push.get("title") or preview.subject,
        "body": preview.in_app.get("body") or preview.push.get("body", ""),
        "action_url": preview.in_app.get("action_url") or preview.push.get("action_url", ""),
    }
    there = {"in_app": preview.in_app, "email": preview.subject, "sms": preview.sms, "push": preview.push}
    try:
        result = send_notification(
            organization=template.organization,
            recipients=[{"email": request.user.email}],
            content={name: value for name, value in text.items() if value},
            channels=[channel for channel, said in there.items() if said],
            critical=True,
            source="test",
        )
    except CastCommError as error:
        model_admin.message_user(request, f"Not sent: {error.message}", messages.ERROR)
    else:
        model_admin.message_user(request, sent_message(result, request.user.email), messages.SUCCESS)


def sent_message(result: SendResult, email: str) -> SafeString:
    """That a test is on its way, with a link to what becomes of it."""
    row = Notification(id=result.notifications[0].id)
    return format_html("On its way to {}. {}", email, link_to(row, "See what becomes of it"))
