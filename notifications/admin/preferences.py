"""What reaches people: the organization's defaults, the suppression list, quiet hours, devices."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.admin.tenancy import TenantAdmin
from castcomm.common.errors import InvalidInput
from notifications.admin.ledger import LedgerAdmin
from notifications.admin.service_forms import ServiceForm
from notifications.models import Preference, PreferenceScope, PushSubscription, QuietHours, Suppression
from notifications.services.preferences import Change, set_switches
from notifications.services.suppressions import (
    SUPPRESSIBLE,
    change_suppression,
    check_address,
    check_end,
    lift_suppression,
    suppress_address,
)

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class PreferenceForm(ServiceForm):
    """A default of the organization: a scope, a channel, on or off."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        scope = cleaned.get("scope")
        for field, wanted in (
            ("category", PreferenceScope.CATEGORY),
            ("event_type", PreferenceScope.EVENT_TYPE),
        ):
            if scope == wanted and not cleaned.get(field):
                self.add_error(field, "Choose one: the scope says so.")
            if scope and scope != wanted and field in cleaned:
                cleaned[field] = None
        if self.instance._state.adding and not self.errors and self._exists(cleaned):
            self.add_error(None, "There is a default for this already; change that one.")
        return cleaned

    def _exists(self, cleaned: dict[str, Any]) -> bool:
        named = {
            name: cleaned[name] for name in ("organization", "scope", "category", "event_type", "channel")
        }
        return Preference.objects.filter(user=None, **named).exists()


@admin.register(Preference)
class PreferenceAdmin(TenantAdmin):
    """The organization's defaults. People's own switches are theirs and are not shown."""

    form = PreferenceForm
    list_display = ("what", "channel_words", "state", "organization", "updated_at")
    list_filter = (("scope", ChoicesDropdownFilter), ("channel", ChoicesDropdownFilter))
    list_filter_submit = True
    list_select_related = ("organization", "category", "event_type")
    fields = ("organization", "scope", "category", "event_type", "channel", "enabled")
    ordering = ("scope", "category", "event_type", "channel")
    actions: ClassVar[Any] = None
    conditional_fields = {"category": "scope == 'category'", "event_type": "scope == 'event_type'"}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.filter(user=None)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields[:-1] if obj is not None else ()

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "enabled" and field is not None:
            field.help_text = "Holds for everyone who has not decided otherwise."
        return field

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "channel":
            kwargs["choices"] = [("", "All channels"), *db_field.flatchoices]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Preference, form: Any, change: bool) -> None:
        _set(obj, obj.enabled)
        stored = _identity(obj).get()
        for field in stored._meta.concrete_fields:
            setattr(obj, field.attname, getattr(stored, field.attname))
        obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: Preference) -> None:
        _set(obj, None)

    @display(description="concerns")
    def what(self, preference: Preference) -> str:
        named = preference.category or preference.event_type
        return f"{preference.get_scope_display()}: {named}" if named else preference.get_scope_display()

    @display(description="channel", ordering="channel")
    def channel_words(self, preference: Preference) -> str:
        return preference.get_channel_display() or "All channels"

    @display(description="default", ordering="enabled", label={"on": "success", "off": "warning"})
    def state(self, preference: Preference) -> str:
        return "on" if preference.enabled else "off"


def _set(preference: Preference, enabled: bool | None) -> None:
    named = preference.category or preference.event_type
    change = Change(preference.scope, named.key if named else "", preference.channel or "", enabled)
    set_switches(organization=preference.organization, user=None, changes=[change])


def _identity(preference: Preference) -> QuerySet[Preference]:
    names = ("organization_id", "scope", "category_id", "event_type_id", "channel")
    return Preference.objects.filter(user=None, **{name: getattr(preference, name) for name in names})


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
    actions = ("lift_selected",)
    fields = ("organization", "channel", "address", "detail", "expires_at")

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

    def delete_model(self, request: HttpRequest, obj: Suppression) -> None:
        lift_suppression(suppression=obj)

    @admin.action(description="Take off the list: mail may go there again", permissions=["delete"])
    def lift_selected(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> None:
        rows = list(queryset)
        self.log_deletions(request, rows)
        for row in rows:
            lift_suppression(suppression=row)
        self.message_user(request, f"{len(rows)} taken off the list.")

    @display(
        description="reason",
        ordering="reason",
        label={"Hard bounce": "danger", "Complaint": "danger", "Unsubscribed": "info"},
    )
    def reason_label(self, suppression: Suppression) -> str:
        return suppression.get_reason_display()


@admin.register(QuietHours)
class QuietHoursAdmin(LedgerAdmin):
    """When people want to be left alone. They set it themselves."""

    list_display = ("user", "organization", "hours", "day_words", "time_zone", "enabled")
    list_select_related = ("user", "organization")
    search_fields = ("user__email",)
    fields = ("user", "organization", "enabled", "hours", "day_words", "time_zone")
    readonly_fields = fields

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(user__email=term.lower())

    @display(description="hours")
    def hours(self, quiet: QuietHours) -> str:
        return str(quiet)

    @display(description="begin on")
    def day_words(self, quiet: QuietHours) -> str:
        return "every day" if len(quiet.days) == len(DAYS) else ", ".join(DAYS[day] for day in quiet.days)


@admin.register(PushSubscription)
class PushSubscriptionAdmin(LedgerAdmin):
    """The devices that push reaches. People add and remove them on the device."""

    list_display = ("user", "organization", "device_name", "user_agent", "created_at", "last_used_at")
    list_select_related = ("user", "organization")
    search_fields = ("user__email",)
    # Endpoint and keys are secrets of the device; nobody needs to read them.
    fields = ("user", "organization", "device_name", "user_agent", "created_at", "last_used_at")
    readonly_fields = fields

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(user__email=term.lower())
