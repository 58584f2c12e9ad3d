"""A version of a template as it was: read-only, and a start for a new draft."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from notifications.models import Template, TemplateContent, TemplateVersion, VersionStatus
from notifications.services.templates import EDITABLE, save_template


def version_page(model_admin: Any, request: HttpRequest, object_id: Any, number: int) -> HttpResponse:
    """Show a version; a POST makes its text the draft."""
    template: Template | None = model_admin.get_object(request, str(object_id))
    version = (
        template.versions.filter(number=number).prefetch_related("contents").first() if template else None
    )
    if template is None or version is None:
        raise Http404
    change_page = reverse("admin:notifications_template_change", args=[template.pk])
    if version.status == VersionStatus.DRAFT:
        return redirect(change_page)
    if request.method == "POST":
        if not model_admin.has_change_permission(request, template):
            raise PermissionDenied
        _make_draft(template, version)
        text = f"The draft now says what version {number} says. People get it once it is published."
        model_admin.log_change(request, template, f"Made version {number} the draft.")
        model_admin.message_user(request, text, messages.SUCCESS)
        return redirect(change_page)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"{template.name}, version {number}",
        "opts": model_admin.opts,
        "original": template,
        "model_admin": model_admin,
        "media": model_admin.media,
        "version": version,
        "contents": [_shown(content) for content in version.contents.all()],
        "may_restore": model_admin.has_change_permission(request, template),
    }
    return TemplateResponse(request, "admin/notifications/template/version.html", context)


def _make_draft(template: Template, version: TemplateVersion) -> None:
    save_template(
        organization=template.organization,
        key=template.key,
        name=template.name,
        description=template.description,
        kind=template.kind,
        layout=template.layout,
        variables=template.variables,
        contents={
            row.locale: {name: getattr(row, name) for name in EDITABLE} for row in version.contents.all()
        },
    )


def _shown(content: TemplateContent) -> dict[str, Any]:
    named = [
        (TemplateContent._meta.get_field(name).verbose_name, getattr(content, name))  # type: ignore[union-attr]
        for name in EDITABLE
    ]
    return {"locale": content.locale, "fields": [(label, text) for label, text in named if text]}
