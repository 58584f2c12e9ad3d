"""Accounts at providers: who carries what, in which order, within which limits, and whether it works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts.admin.dialogs import ask, go_on, page_of
from accounts.admin.tenancy import TenantAdmin, is_superuser
from castcomm.common.errors import InvalidInput
from notifications.admin import provider_pages
from notifications.admin.provider_form import credential_fields, form_for
from notifications.models import BreakerState, ProviderAccount
from notifications.providers.base import Account, Provider, providers_of
from notifications.services import breakers
from notifications.services.account_activity import Activity, activity_of
from notifications.services.provider_accounts import PRIMARY_SETTINGS, account_of, environment_accounts
from notifications.services.provider_accounts_editing import (
    delete_provider_account,
    provider_class,
    save_provider_account,
    switch_provider_account,
)
from notifications.vocabulary import Channel

SHARED = "Shared"

_SWITCH_ON = ask("Switch this account on?", "Messages go through it again within two seconds.", "Switch on")
_SWITCH_OFF = ask(
    "Switch this account off?",
    "Nothing more is sent through it; the others take over. What it may have had "
    "already, and nobody else may send, waits for somebody to decide.",
    "Switch off",
)
_STOP = ask(
    "Stop this account for an hour?",
    "The others take over. After the hour one message tries it.",
    "Stop",
)
_RESET = ask(
    "Close the breaker?",
    "Messages go through this account at once. If it still fails, the breaker opens again.",
    "Reset",
)


@admin.register(ProviderAccount)
class ProviderAccountAdmin(TenantAdmin):
    """An organization's staff see and change its own accounts; superusers the shared ones as well."""

    list_display = (
        "position", "name", "provider_label", "channel_label", "owner", "is_on", "breaker_label", "limits",
        "last_day",
    )  # fmt: skip
    list_display_links = ("name",)
    list_filter = (("channel", ChoicesDropdownFilter), "is_active")
    list_filter_submit = True
    list_select_related = ("organization",)
    list_before_template = "admin/notifications/provideraccount/environment.html"
    search_fields = ("name", "provider")
    sortable_by = ()
    ordering = ("channel", "position", "created_at")
    actions = ("switch_on_selected", "switch_off_selected")
    actions_detail = ("open_test", "open_breaker", "switch_on", "switch_off", "stop", "reset")
    readonly_fields = ("channel_label", "provider_label")

    class Media:
        css = {"all": ("notifications_admin/notifications.css",)}

    # --- Pages ----------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        return [
            page_of(self, "accounts/<str:key>/test/", provider_pages.test_page, "test"),
            page_of(self, "accounts/<str:key>/breaker/", provider_pages.breaker_page, "breaker"),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if _chosen(request) is None:
            return provider_pages.choose_page(self, request)
        response: HttpResponse = super().add_view(request, form_url, extra_context)
        return response

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        context = {
            **(extra_context or {}),
            "environment_accounts": _environment_rows(request),
            "sees_numbers": is_superuser(request),
        }
        return super().changelist_view(request, context)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        rows = list(found.result_list)
        keys = [str(row.pk) for row in rows]
        views, activity = breakers.states(keys), activity_of(keys)
        for row, key in zip(rows, keys, strict=True):
            row.breaker_view, row.activity = views[key], activity[key]
        found.result_list = rows
        return found

    # --- The form -------------------------------------------------------------------------------------

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kind = _kind(request, obj)
        channel = obj.channel if obj is not None else request.GET.get("channel", "")
        if kind is not None:
            kwargs["form"] = form_for(kind, obj, channel)
        made = super().get_form(request, obj, change, **kwargs)
        owner = made.base_fields.get("organization")
        if owner is not None:
            owner.required = not is_superuser(request)
            owner.empty_label = None if owner.required else "Shared: all that have none of their own"
            owner.help_text = (
                "An organization that has accounts of its own for a channel uses those and no others."
            )
        if "name" in made.base_fields and obj is None and kind is not None:
            made.base_fields["name"].initial = kind.label or kind.key
        return made

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        kind = _kind(request, obj)
        about = ("channel_label", "provider_label", "organization", "name", "is_active")
        fields = credential_fields(kind, obj) if kind is not None else []
        sets: list[Any] = [(None, {"fields": about})]
        if fields:
            kept = "Secrets are stored encrypted and are not shown again."
            sets.append(("Access", {"fields": fields, "description": kept}))
        order = "Lower positions are tried first; accounts of one position share the load by weight."
        sets.append(("Order", {"fields": (("position", "weight"),), "description": order}))
        limits = "What is over a limit waits and is not lost. Empty: no limit."
        sets.append(("Limits", {"fields": ("per_minute", "per_hour", "per_day"), "description": limits}))
        return sets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return (*fixed, "organization") if obj is not None else fixed

    def save_model(self, request: HttpRequest, obj: ProviderAccount, form: Any, change: bool) -> None:
        self.check_may_save(request, obj)
        save_provider_account(account=obj, credentials=form.given(), forget=form.forgotten())

    def delete_model(self, request: HttpRequest, obj: ProviderAccount) -> None:
        delete_provider_account(account=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> None:
        for row in queryset:
            delete_provider_account(account=row)

    # --- The list -------------------------------------------------------------------------------------

    @display(description="provider")
    def provider_label(self, row: ProviderAccount) -> str:
        return _label(row.channel, row.provider)

    @display(description="channel")
    def channel_label(self, row: ProviderAccount) -> str:
        return row.get_channel_display()

    @display(description="for")
    def owner(self, row: ProviderAccount) -> str:
        return str(row.organization) if row.organization else SHARED

    @display(description="on", boolean=True)
    def is_on(self, row: ProviderAccount) -> bool:
        return row.is_active

    @display(description="breaker")
    def breaker_label(self, row: Any) -> SafeString:
        label, colour = provider_pages.badge_of(row.breaker_view)
        return _badge(str(row.pk), label, colour)

    @display(description="limits")
    def limits(self, row: ProviderAccount) -> str:
        return limits_of(account_of(row))

    @display(description="sent / failed, 24 h")
    def last_day(self, row: Any) -> SafeString:
        return _numbers(row.activity)

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on_selected(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> None:
        self._switch_selected(request, queryset, on=True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off_selected(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> None:
        self._switch_selected(request, queryset, on=False)

    def _switch_selected(self, request: HttpRequest, rows: QuerySet[ProviderAccount], *, on: bool) -> None:
        said = "Switched on." if on else "Switched off."
        count = 0
        for row in rows:
            if self.has_change_permission(request, row) and switch_provider_account(account=row, on=on):
                self.log_change(request, row, said)
                count += 1
        self.message_user(request, f"{count} {said.lower()}", messages.SUCCESS)

    # --- Buttons of an account's page -----------------------------------------------------------------

    def has_switch_on_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        row = self._row(request, object_id)
        return row is not None and not row.is_active

    def has_switch_off_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        row = self._row(request, object_id)
        return row is not None and row.is_active

    def has_stop_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._row(request, object_id) is not None and self._state(object_id) == BreakerState.CLOSED

    def has_reset_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._row(request, object_id) is not None and self._state(object_id) != BreakerState.CLOSED

    @action(description="Send a test", url_path="send-test", permissions=["change"])
    def open_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(reverse("admin:notifications_provideraccount_test", args=[object_id]))

    @action(description="Breaker and attempts", url_path="look-at-breaker", permissions=["change"])
    def open_breaker(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(reverse("admin:notifications_provideraccount_breaker", args=[object_id]))

    @action(
        description="Switch on",
        url_path="switch-on",
        permissions=["switch_on"],
        variant=ActionVariant.PRIMARY,
        dialog=_SWITCH_ON,
    )
    def switch_on(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, lambda row: _switch(row, on=True))

    @action(description="Switch off", url_path="switch-off", permissions=["switch_off"], dialog=_SWITCH_OFF)
    def switch_off(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, lambda row: _switch(row, on=False))

    @action(description="Stop for an hour", url_path="stop", permissions=["stop"], dialog=_STOP)
    def stop(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._act_on(
            request, object_id, lambda row: provider_pages.stop_for_an_hour(str(row.pk), request)
        )

    @action(
        description="Reset breaker",
        url_path="reset",
        permissions=["reset"],
        variant=ActionVariant.PRIMARY,
        dialog=_RESET,
    )
    def reset(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, lambda row: provider_pages.reset_breaker(str(row.pk)))

    def _act_on(
        self, request: HttpRequest, object_id: str, act: Callable[[ProviderAccount], str]
    ) -> HttpResponse:
        row = self._row(request, object_id)
        if row is None:
            raise PermissionDenied
        done = act(row)
        self.log_change(request, row, done)
        self.message_user(request, done, messages.SUCCESS)
        address = reverse("admin:notifications_provideraccount_change", args=[object_id])
        return go_on(request, address)

    def _row(self, request: HttpRequest, object_id: str | None) -> ProviderAccount | None:
        """The row that this person may change, read once per request."""
        known: dict[str, Any] = request.__dict__.setdefault("_provider_accounts", {})
        if object_id and object_id not in known:
            found = self.get_object(request, object_id)
            known[object_id] = found if found and self.has_change_permission(request, found) else None
        return known.get(object_id or "")

    def _state(self, object_id: str | None) -> str:
        return breakers.states([object_id])[object_id].state if object_id else BreakerState.CLOSED


def limits_of(account: Account) -> str:
    """Limits in a few words."""
    sizes = ((account.per_minute, "min"), (account.per_hour, "h"), (account.per_day, "day"))
    return ", ".join(f"{size:,}/{unit}" for size, unit in sizes if size) or "none"


def _switch(row: ProviderAccount, *, on: bool) -> str:
    switch_provider_account(account=row, on=on)
    return "Switched on." if on else "Switched off."


def _environment_rows(request: HttpRequest) -> list[dict[str, Any]]:
    """The accounts of the environment, as the list shows them."""
    accounts = [one for channel in PRIMARY_SETTINGS for one in environment_accounts(channel)]
    numbers = activity_of([one.key for one in accounts]) if is_superuser(request) else {}
    views = breakers.states([one.key for one in accounts])
    rows = []
    for account in accounts:
        label, colour = provider_pages.badge_of(views[account.key])
        rows.append(
            {
                "account": account,
                "provider": _label(account.channel, account.provider),
                "channel": Channel(account.channel).label,
                "breaker": label,
                "colour": colour,
                "limits": limits_of(account),
                "activity": numbers.get(account.key, Activity()),
            }
        )
    return rows


def _badge(key: str, label: str, colour: str) -> SafeString:
    address = reverse("admin:notifications_provideraccount_breaker", args=[key])
    return format_html('<a class="cc-badge cc-badge-{}" href="{}">{}</a>', colour, address, label)


def _numbers(activity: Activity) -> SafeString:
    bad = "cc-count-some" if activity.failed else "cc-count"
    return format_html(
        '<span class="cc-when">{} / <span class="{}">{}</span></span>',
        f"{activity.sent:,}",
        bad,
        f"{activity.failed:,}",
    )


def _label(channel: str, provider: str) -> str:
    known = providers_of(channel)
    return (known.get(provider).label or provider) if provider in known else provider


def _chosen(request: HttpRequest) -> type[Provider[Any]] | None:
    try:
        return provider_class(request.GET.get("channel", ""), request.GET.get("provider", ""))
    except InvalidInput:
        return None


def _kind(request: HttpRequest, row: ProviderAccount | None) -> type[Provider[Any]] | None:
    if row is None:
        return _chosen(request)
    known = providers_of(row.channel)
    return known.get(row.provider) if row.provider in known else None
