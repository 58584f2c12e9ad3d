"""How much people may get: frequency caps, and whether low priority messages wait for a good hour."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from accounts.admin.tenancy import TenantAdmin
from notifications.admin.service_forms import ServiceForm
from notifications.models import FrequencyCap, SmartSendPolicy
from notifications.services.caps.editing import CapChange, check_change, set_cap
from notifications.services.smart_send.editing import engagements_counted, set_policy


class FrequencyCapForm(ServiceForm):
    """A cap; there is one of each channel and period."""

    def check_service(self, row: FrequencyCap) -> None:
        check_change(_change(row))


@admin.register(FrequencyCap)
class FrequencyCapAdmin(TenantAdmin):
    """Critical and exempt event types, and the inbox, are never held back."""

    form = FrequencyCapForm
    list_display = ("what", "limit_words", "overflow", "state", "organization")
    list_select_related = ("organization",)
    fields = ("organization", "channel", "period", "limit", "overflow", "is_active")
    ordering = ("organization", "channel", "period")
    actions: ClassVar[Any] = None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("organization", "channel", "period") if obj is not None else ()

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "channel":
            kwargs["choices"] = [("", "E-mail, SMS and push together"), *db_field.flatchoices]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "limit":
            field.help_text = "At most so many per person and hour or day, whatever they are about."
        if field is not None and db_field.name == "overflow":
            field.help_text = "What becomes of the rest. What cannot be in a digest waits instead."
        return field

    def save_model(self, request: HttpRequest, obj: FrequencyCap, form: Any, change: bool) -> None:
        stored = set_cap(organization=obj.organization, change=_change(obj))
        obj.id, obj._state.adding = stored.id, False

    @display(description="concerns", ordering="channel")
    def what(self, cap: FrequencyCap) -> str:
        return cap.get_channel_display() if cap.channel else "E-mail, SMS and push together"

    @display(description="at most", ordering="limit")
    def limit_words(self, cap: FrequencyCap) -> str:
        return f"{cap.limit} per {cap.get_period_display().lower()}"

    @display(description="state", ordering="is_active", label={"on": "success", "off": "warning"})
    def state(self, cap: FrequencyCap) -> str:
        return "on" if cap.is_active else "off"


def _change(row: FrequencyCap) -> CapChange:
    return CapChange(
        channel=row.channel,
        period=row.period,
        limit=row.limit,
        overflow=row.overflow,
        is_active=row.is_active,
    )


@admin.register(SmartSendPolicy)
class SmartSendPolicyAdmin(TenantAdmin):
    """Off, unless an organization switches it on."""

    list_display = ("organization", "state", "max_wait_hours", "counted")
    list_select_related = ("organization",)
    fields = ("organization", "is_enabled", "max_wait_hours", "counted")
    actions: ClassVar[Any] = None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("organization", "counted") if obj is not None else ("counted",)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "max_wait_hours":
            field.help_text = (
                "Low priority messages wait no longer for an hour at which the person usually reads."
            )
        return field

    def save_model(self, request: HttpRequest, obj: SmartSendPolicy, form: Any, change: bool) -> None:
        stored = set_policy(
            organization=obj.organization, is_enabled=obj.is_enabled, max_wait_hours=obj.max_wait_hours
        )
        obj.id, obj._state.adding = stored.id, False

    @display(description="state", ordering="is_enabled", label={"on": "success", "off": "warning"})
    def state(self, policy: SmartSendPolicy) -> str:
        return "on" if policy.is_enabled else "off"

    @display(description="opens, clicks, reads and acts counted")
    def counted(self, policy: SmartSendPolicy) -> str:
        return f"{engagements_counted(policy.organization):,}" if policy.organization_id else "-"
