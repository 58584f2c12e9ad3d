"""Digests: what waits and what went out, and how often the organization sends to who has not chosen."""

from __future__ import annotations

import calendar
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.admin.dialogs import ask
from accounts.admin.tenancy import TenantAdmin, TenantTabularInline
from castcomm.common.errors import Conflict
from notifications.admin.ledger import LedgerAdmin, chosen_ids, link_to
from notifications.admin.service_forms import ServiceForm
from notifications.models import DigestItem, DigestSetting, DigestWindow
from notifications.models.digests import WindowStatus
from notifications.services.digests.closing import close_now
from notifications.services.digests.settings import Change, set_digests

WINDOW_COLOURS = {
    WindowStatus.OPEN.label: "info",
    WindowStatus.SENT.label: "success",
    WindowStatus.EMPTY.label: "warning",
}
_WEEKDAYS = list(enumerate(calendar.day_name))
_FLUSH = ask(
    "Send this digest now?",
    "What comes afterwards waits for the next one. Quiet hours still hold.",
    "Send now",
)


class ItemInline(TenantTabularInline):
    """What waits in a digest, or waited, in its order."""

    model = DigestItem
    organization_path = "window__organization"
    read_only = True
    fields = ("position", "notification", "came", "channel", "what_became")
    readonly_fields = fields
    ordering = ("position",)
    verbose_name_plural = "notifications"
    hide_title = True
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("delivery__notification__event_type")

    @display(description="notification")
    def notification(self, item: DigestItem) -> SafeString:
        found = item.delivery.notification
        return link_to(found, found.title or found.event_type.name)

    @display(description="came")
    def came(self, item: DigestItem) -> Any:
        return item.delivery.created_at

    @display(description="channel")
    def channel(self, item: DigestItem) -> str:
        return item.delivery.get_channel_display()

    @display(description="what became of it")
    def what_became(self, item: DigestItem) -> str:
        delivery = item.delivery
        return f"{delivery.get_status_display()}: {delivery.get_reason_display()}"


@admin.register(DigestWindow)
class DigestWindowAdmin(LedgerAdmin):
    """Each digest of each person: collecting, sent, or empty in the end."""

    list_display = (
        "when", "user", "organization", "cadence", "status_label", "closes_at", "item_count", "sent_count",
    )  # fmt: skip
    list_display_links = ("when", "user")
    list_filter = (("status", ChoicesDropdownFilter),)
    list_select_related = ("user", "organization")
    search_help_text = "An id, or the e-mail address of a person"
    fields = (
        "user", "organization", "cadence", "status_label", "closes_at", "zone", "item_count", "sent_count",
        "closed_at", "digest", "created_at", "id",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (ItemInline,)
    actions = ("flush_selected",)
    actions_detail = ("flush_one",)

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(user__email=term.lower()) if "@" in term else super().find(queryset, term)

    @display(description="status", ordering="status", label=WINDOW_COLOURS)
    def status_label(self, window: DigestWindow) -> str:
        return window.get_status_display()

    @display(description="its mail")
    def digest(self, window: DigestWindow) -> SafeString | str:
        return link_to(window.notification, "Whether and when it went out") if window.notification else "-"

    def has_flush_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        found = self.row(request, object_id) if object_id else None
        return found is not None and found.status == WindowStatus.OPEN

    @action(
        description="Send now",
        url_path="flush",
        permissions=["flush"],
        variant=ActionVariant.PRIMARY,
        dialog=_FLUSH,
    )
    def flush_one(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act_on(request, object_id, _flush)

    @admin.action(description="Send now (those that are open)", permissions=["act"])
    def flush_selected(self, request: HttpRequest, queryset: QuerySet[DigestWindow]) -> None:
        rows = DigestWindow.objects.filter(id__in=chosen_ids(queryset), status=WindowStatus.OPEN)
        closed = 0
        for organization_id in sorted(set(rows.values_list("organization_id", flat=True))):
            own = rows.filter(organization_id=organization_id)
            closed += close_now(organization_id, list(own.values_list("id", flat=True)))
        level = messages.SUCCESS if closed else messages.WARNING
        self.message_user(request, f"{closed} closed." if closed else "None of them is open.", level)


def _flush(window: DigestWindow) -> str:
    if not close_now(window.organization_id, [window.id]):
        raise Conflict("It has been closed meanwhile.")
    window.refresh_from_db()
    return "It is on its way." if window.status == WindowStatus.SENT else "Nothing was left to send."


class DigestDefaultForm(ServiceForm):
    """How often, for a category or for all."""

    weekday = forms.TypedChoiceField(choices=_WEEKDAYS, coerce=int, widget=UnfoldAdminSelectWidget)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        same = {"organization": cleaned.get("organization"), "category": cleaned.get("category")}
        is_new = self.instance._state.adding and not self.errors
        if is_new and DigestSetting.objects.filter(user=None, **same).exists():
            self.add_error(None, "There is a default for this already; change that one.")
        return cleaned


@admin.register(DigestSetting)
class DigestSettingAdmin(TenantAdmin):
    """The organization's defaults. People's own settings are theirs and are not shown."""

    form = DigestDefaultForm
    fields = ("organization", "category", "frequency", "at", "weekday")
    conditional_fields: ClassVar[Any] = {
        "at": "frequency == 'daily' || frequency == 'weekly'",
        "weekday": "frequency == 'weekly'",
    }
    actions: ClassVar[Any] = None
    list_display = ("what", "frequency", "time", "organization", "updated_at")
    list_select_related = ("organization", "category")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.filter(user=None)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("organization", "category") if obj is not None else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "category" and field is not None:
            field.empty_label = "All categories"
        return field

    def save_model(self, request: HttpRequest, obj: DigestSetting, form: Any, change: bool) -> None:
        _set(obj, obj.frequency)
        stored = DigestSetting.objects.get(user=None, organization=obj.organization, category=obj.category)
        obj.id, obj._state.adding = stored.id, False

    def delete_model(self, request: HttpRequest, obj: DigestSetting) -> None:
        _set(obj, None)

    @display(description="concerns")
    def what(self, setting: DigestSetting) -> str:
        return str(setting.category or "All categories")

    @display(description="when")
    def time(self, setting: DigestSetting) -> str:
        if setting.frequency == "weekly":
            return f"{calendar.day_name[setting.weekday]}, {setting.at:%H:%M}"
        return f"{setting.at:%H:%M}" if setting.frequency == "daily" else "-"


def _set(setting: DigestSetting, frequency: str | None) -> None:
    category = setting.category.key if setting.category else ""
    change = Change(category, frequency, setting.at, setting.weekday)
    set_digests(organization=setting.organization, user=None, changes=[change])
