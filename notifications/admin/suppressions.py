"""The suppression list: addresses to which nothing is sent, one by one and from files."""

from __future__ import annotations

import csv
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.admin.tenancy import TenantAdmin
from castcomm.common.errors import InvalidInput
from notifications.admin.service_forms import ServiceForm
from notifications.admin.suppression_import import import_page
from notifications.models import Suppression
from notifications.services.suppression_import import csv_rows
from notifications.services.suppressions import (
    SUPPRESSIBLE,
    change_suppression,
    check_address,
    check_end,
    lift_suppression,
    suppress_address,
)

MAX_EXPORT = 100_000  # rows


class SuppressionForm(ServiceForm):
    """An address that is to get nothing any more."""

    channel = forms.ChoiceField(
        choices=[(channel.value, channel.label) for channel in SUPPRESSIBLE], widget=UnfoldAdminSelectWidget
    )
    address = forms.CharField(
        max_length=254,
        widget=UnfoldAdminTextInputWidget,
        help_text="An e-mail address, or a phone number with its country code.",
    )

    def check_service(self, row: Suppression) -> None:
        if row._state.adding:
            check_address(row.channel, row.address)
        if row._state.adding or "expires_at" in self.changed_data:
            check_end(row.expires_at)


@admin.register(Suppression)
class SuppressionAdmin(TenantAdmin):
    """Addresses to which nothing is sent. Deleting an entry lets mail go there again."""

    form = SuppressionForm
    list_display = ("address", "channel", "reason_label", "organization", "created_at", "expires_at")
    list_filter = (("channel", ChoicesDropdownFilter), ("reason", ChoicesDropdownFilter))
    list_filter_submit = True
    list_select_related = ("organization",)
    search_fields = ("id",)
    search_help_text = "A whole address: they are stored encrypted"
    ordering = ("-id",)
    actions = ("lift_selected", "export_selected")
    actions_list = ("import_addresses",)
    fields = ("organization", "channel", "address", "detail", "expires_at")

    class Media:
        css = {"all": ("notifications_admin/notifications.css",)}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj is None else (*self.fields, "reason", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("organization", "channel", "address", "reason", "created_at")

    def get_actions(self, request: HttpRequest) -> Any:
        # Django's own deletion would pass the service by.
        return {name: how for name, how in super().get_actions(request).items() if name != "delete_selected"}

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "detail" and field is not None:
            field.widget.attrs["rows"] = 3
        return field

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            _, index = check_address("email" if "@" in term else "sms", term)
        except InvalidInput:
            return queryset.none(), False
        return queryset.filter(address_index=index), False

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        if change:
            change_suppression(suppression=obj, detail=obj.detail, expires_at=obj.expires_at)
            return
        asked_end = obj.expires_at
        stored = suppress_address(
            organization=obj.organization,
            channel=obj.channel,
            address=obj.address,
            detail=obj.detail,
            expires_at=obj.expires_at,
        )
        for field in stored._meta.concrete_fields:
            setattr(obj, field.attname, getattr(stored, field.attname))
        obj._state.adding = False
        if stored.expires_at != asked_end:
            text = "It was on the list with a later end, or without one, and keeps that."
            self.message_user(request, text, messages.WARNING)

    def delete_model(self, request: HttpRequest, obj: Suppression) -> None:
        lift_suppression(suppression=obj)

    @admin.action(description="Take off the list: mail may go there again", permissions=["delete"])
    def lift_selected(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> None:
        rows = list(queryset)
        self.log_deletions(request, rows)
        for row in rows:
            lift_suppression(suppression=row)
        self.message_user(request, f"{len(rows)} taken off the list.")

    @admin.action(description="Export as CSV", permissions=["change"])
    def export_selected(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> HttpResponse | None:
        if queryset.count() > MAX_EXPORT:
            self.message_user(request, f"At most {MAX_EXPORT} at once; use the filters.", messages.ERROR)
            return None
        response = HttpResponse(content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="suppressions.csv"'
        csv.writer(response).writerows(csv_rows(queryset.order_by("id").iterator()))
        return response

    @action(description="Import from a file", url_path="import", permissions=["add"], icon="upload")
    def import_addresses(self, request: HttpRequest) -> HttpResponse:
        return import_page(self, request)

    @display(
        description="reason",
        ordering="reason",
        label={"Hard bounce": "danger", "Complaint": "danger", "Unsubscribed": "info"},
    )
    def reason_label(self, suppression: Suppression) -> str:
        return suppression.get_reason_display()
