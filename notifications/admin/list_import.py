"""The page on which staff put the addresses of a CSV file on a list."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminFileFieldWidget

from castcomm.common.errors import InvalidInput
from notifications.models import RecipientList
from notifications.services.audiences.lists import import_members
from notifications.services.suppression_import import MAX_ROWS, ImportReport, bounded, read_csv

MAX_BYTES = 5 * 1024 * 1024


class FileForm(forms.Form):
    """A file of addresses."""

    file = forms.FileField(
        label="CSV file",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.txt,text/csv,text/plain"}),
        help_text=f"In UTF-8, with a column address (or email, phone); at most {MAX_ROWS} rows.",
    )

    def clean_file(self) -> UploadedFile[Any]:
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError(f"At most {MAX_BYTES // 1024 // 1024} MiB.")
        return file


def import_page(owner: Any, request: HttpRequest, found: RecipientList) -> HttpResponse:
    """Show the form; take a file, and say which rows were not taken and why."""
    form = FileForm(request.POST, request.FILES) if request.method == "POST" else FileForm()
    report = _import(form, found) if form.is_bound and form.is_valid() else None
    if report is not None:
        owner.log_change(request, found, f"Imported: {report.added} added.")
    context = {
        **owner.admin_site.each_context(request),
        "title": f"Import into {found.name}",
        "opts": owner.opts,
        "model_admin": owner,
        "media": owner.media,
        "form": form,
        "report": report,
        "back": reverse("admin:notifications_recipientlist_change", args=[found.pk]),
    }
    return TemplateResponse(request, "admin/notifications/suppression/import.html", context)


def _import(form: FileForm, found: RecipientList) -> ImportReport | None:
    try:
        rows = bounded(read_csv(form.cleaned_data["file"]))
    except InvalidInput as error:
        form.add_error("file", error.message)
        return None
    return import_members(recipient_list=found, rows=rows)
