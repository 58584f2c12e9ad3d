"""The page on which staff put the addresses of a CSV file on the suppression list."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.admin.tenancy import choices_for
from accounts.models import Organization
from castcomm.common.errors import InvalidInput
from notifications.services.suppression_import import (
    MAX_ROWS,
    ImportReport,
    bounded,
    import_suppressions,
    read_csv,
)

MAX_BYTES = 5 * 1024 * 1024


class ImportForm(forms.Form):
    """For whom, and which file."""

    organization = forms.ModelChoiceField(Organization.objects.none(), widget=UnfoldAdminSelectWidget)
    file = forms.FileField(
        label="CSV file",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.txt,text/csv,text/plain"}),
        help_text="In UTF-8, with a column address (or email, phone), and if you like channel, reason, detail and "
        f"expires_at. At most {MAX_ROWS} rows; manage.py import_suppressions takes more.",
    )
    all_or_nothing = forms.BooleanField(
        label="All or nothing",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Take nothing when a row is wrong.",
    )

    def __init__(self, request: HttpRequest, roles: frozenset[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["organization"]
        assert isinstance(field, forms.ModelChoiceField)
        choices = choices_for(Organization, request, roles=roles)
        field.queryset = choices
        if choices is not None and choices.count() == 1:
            field.initial = choices.first()

    def clean_file(self) -> UploadedFile[Any]:
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError(f"At most {MAX_BYTES // 1024 // 1024} MiB.")
        return file


def import_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Show the form; take a file, and say which rows were not taken and why."""
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    given = (request.POST, request.FILES) if request.method == "POST" else ()
    form = ImportForm(request, model_admin.change_roles, *given)
    report = _import(form) if form.is_bound and form.is_valid() else None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Import addresses to suppress",
        "opts": model_admin.opts,
        "model_admin": model_admin,
        "media": model_admin.media,
        "form": form,
        "report": report,
        "back": reverse("admin:notifications_suppression_changelist"),
        "nothing_taken": report is not None and report.refused and form.cleaned_data["all_or_nothing"],
    }
    return TemplateResponse(request, "admin/notifications/suppression/import.html", context)


def _import(form: ImportForm) -> ImportReport | None:
    asked = form.cleaned_data
    try:
        rows = bounded(read_csv(asked["file"]))
    except InvalidInput as error:
        form.add_error("file", error.message)
        return None
    return import_suppressions(
        organization=asked["organization"], rows=rows, all_or_nothing=asked["all_or_nothing"]
    )
