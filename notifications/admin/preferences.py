"""What reaches people: the organization's defaults, quiet hours, devices."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.admin.tenancy import TenantAdmin
from notifications.admin.ledger import LedgerAdmin
from notifications.admin.service_forms import ServiceForm
from notifications.models import Preference, PreferenceScope, PushSubscription, QuietHours
from notifications.services.preferences import Change, set_switches

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
