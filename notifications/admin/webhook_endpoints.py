"""Endpoints of outgoing webhooks: made, tried out, switched on, given a new secret, replayed."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from accounts.admin.dialogs import ask
from castcomm.common.clock import now
from castcomm.common.errors import CastCommError
from notifications.admin.ledger import LedgerAdmin
from notifications.admin.service_forms import ServiceForm
from notifications.models import (
    WebhookEndpoint,
    WebhookKind,
)
from notifications.services import webhook_endpoints, webhook_replay
from notifications.services.customer_webhooks import EVENT_TYPES

CHOICES = ("delivery.*", *EVENT_TYPES, "alert.*")
STATES = {"on": "success", "failing": "warning", "off": "danger"}
SPANS = {"1": "The last hour", "24": "The last day", "168": "The last week", "720": "The last 30 days"}

_SWITCH_ON = ask(
    "Switch it on again?",
    "It is told of what happens from now on. What failed before can be replayed.",
    "Switch on",
)
_SEND_TEST = ask("Send a test?", "A message of the type ping, whatever it hears otherwise.", "Send")
_ROTATE = ask(
    "Rotate the secret?",
    "A new one is made and shown once. For 24 hours everything is signed with both.",
    "Rotate",
)


class EndpointForm(ServiceForm):
    """An endpoint; what it hears is ticked."""

    url = forms.CharField(
        label="URL",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "https://…"}),
        help_text="A public address with https. Redirects are not followed.",
    )
    event_types = forms.MultipleChoiceField(
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None means all, also those to come.",
    )

    class Meta:
        model = WebhookEndpoint
        fields = (
            "organization",
            "url",
            "kind",
            "description",
            "event_types",
            "include_address",
            "is_active",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        more = [pattern for pattern in self.instance.event_types if pattern not in CHOICES]
        field: Any = self.fields.get("event_types")
        if field is not None:
            field.choices = [(name, name) for name in [*CHOICES, *more]]
        if self.instance.kind == WebhookKind.SLACK and not self.instance._state.adding:
            # Whoever knows it can post; it is not handed out again.
            self.initial["url"] = ""
            self.fields["url"].widget.attrs["placeholder"] = webhook_endpoints.shown_url(self.instance)
            self.fields["url"].help_text = "Leave it empty to keep the one that is stored."

    def clean_url(self) -> str:
        given: str = self.cleaned_data["url"]
        if not given and self.instance.kind == WebhookKind.SLACK and not self.instance._state.adding:
            return str(WebhookEndpoint.objects.get(id=self.instance.id).url)
        return given

    def check_service(self, row: Any) -> None:
        row.url = webhook_endpoints.check_url(row.url)
        row.event_types = webhook_endpoints.check_event_types(row.event_types)


class ReplayForm(BaseDialogForm):  # type: ignore[misc]
    """How far back."""

    hours = forms.ChoiceField(
        label="Of", choices=list(SPANS.items()), initial="24", widget=UnfoldAdminSelectWidget
    )
    delivered = forms.BooleanField(label="Also what arrived", required=False, widget=UnfoldBooleanWidget)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(LedgerAdmin):
    """Who is told what. The secret is shown once, when it is made or rotated."""

    read_only: ClassVar[bool] = False
    form = EndpointForm
    list_display = ("name", "address", "organization", "kind", "events", "state", "last_success_at")
    list_display_links = ("name", "address")
    list_filter = (("kind", ChoicesDropdownFilter), "is_active")
    list_select_related = ("organization",)
    search_help_text = "An endpoint's id"
    actions: ClassVar[Any] = None
    actions_detail = ("switch_on", "send_test", "replay", "rotate")
    fieldsets = (
        (None, {"fields": ("organization", "url", "kind", "description")}),
        ("What it hears", {"fields": ("event_types", "include_address")}),
    )
    state_fieldset = (
        "State",
        {"fields": ("is_active", "state", "why_off", "failing_since", "resume_at", "last_success_at",
                    "previous_secret_until", "log", "created_at", "id")},
    )  # fmt: skip
    readonly_fields = (
        "state", "why_off", "failing_since", "resume_at", "last_success_at", "previous_secret_until", "log",
        "created_at", "id",
    )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj is None else (*self.fieldsets, self.state_fieldset)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return (*fixed, "organization", "kind") if obj is not None else fixed

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not getattr(obj, "setting", "")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not getattr(obj, "setting", "")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Django's own collector would read all that was ever sent to it.
        return [f"{row} with everything that was sent to it" for row in objs], {}, set(), []

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool) -> None:
        if change:
            wanted = {
                name: getattr(obj, name) for name in form.changed_data if name in webhook_endpoints.CHANGEABLE
            }
            webhook_endpoints.change_endpoint(endpoint=obj, changes=wanted)
            return
        self.check_may_save(request, obj)
        assert obj.organization is not None
        made, secret = webhook_endpoints.create_endpoint(
            organization=obj.organization,
            url=obj.url,
            kind=obj.kind,
            description=obj.description,
            event_types=obj.event_types,
            include_address=obj.include_address,
        )
        for field in made._meta.concrete_fields:
            setattr(obj, field.attname, getattr(made, field.attname))
        obj._state.adding = False
        if secret:
            self._show_once(request, secret)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except CastCommError as error:
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponse(status=302, headers={"Location": request.get_full_path()})

    def delete_model(self, request: HttpRequest, obj: WebhookEndpoint) -> None:
        webhook_endpoints.delete_endpoint(endpoint=obj)

    @display(description="endpoint")
    def name(self, row: WebhookEndpoint) -> str:
        return str(row)

    @display(description="URL")
    def address(self, row: WebhookEndpoint) -> str:
        return webhook_endpoints.shown_url(row)

    @display(description="hears")
    def events(self, row: WebhookEndpoint) -> str:
        return ", ".join(row.event_types) or "everything"

    @display(description="state", label=STATES)
    def state(self, row: WebhookEndpoint) -> str:
        if not row.is_active:
            return "off"
        return "failing" if row.failing_since else "on"

    @display(description="why it is off")
    def why_off(self, row: WebhookEndpoint) -> str:
        return row.get_disabled_reason_display() if row.disabled_reason else ""

    @display(description="sent to it")
    def log(self, row: WebhookEndpoint) -> SafeString:
        address = reverse("admin:notifications_webhookdelivery_changelist")
        return format_html(
            '<a class="cc-link" href="{}?endpoint={}">Deliveries and attempts</a>', address, row.pk
        )

    # Which buttons a page has follows from the endpoint's state.

    def has_switch_on_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        found = self._own(request, object_id)
        return found is not None and not found.is_active

    def has_active_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        found = self._own(request, object_id)
        return found is not None and found.is_active

    def has_secret_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        found = self._own(request, object_id)
        return found is not None and found.kind == WebhookKind.STANDARD

    def _own(self, request: HttpRequest, object_id: str | None) -> WebhookEndpoint | None:
        """The endpoint if this person may change it."""
        found: WebhookEndpoint | None = self.row(request, object_id) if object_id else None
        return found if found is not None and self.has_change_permission(request, found) else None

    @action(
        description="Switch on",
        url_path="switch-on",
        permissions=["switch_on"],
        variant=ActionVariant.PRIMARY,
        dialog=_SWITCH_ON,
    )
    def switch_on(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act_on(request, object_id, self._switch_on)

    @action(description="Send a test", url_path="test", permissions=["active"], dialog=_SEND_TEST)
    def send_test(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act_on(request, object_id, self._send_test)

    @action(
        description="Replay",
        url_path="replay",
        permissions=["active"],
        dialog={
            "title": "Send again what failed?",
            "description": "The same messages with the same ids: the receiver can tell what it knows already.",
            "form_class": ReplayForm,
            "form_submit_text": "Replay",
        },
    )
    def replay(self, request: HttpRequest, form: ReplayForm, object_id: str) -> HttpResponse:
        since = now() - dt.timedelta(hours=int(form.cleaned_data["hours"]))
        delivered = form.cleaned_data["delivered"]

        def again(row: WebhookEndpoint) -> str:
            count = webhook_replay.replay_endpoint(endpoint=row, since=since, delivered=delivered)
            return f"{count} due again."

        return self.act_on(request, object_id, again)

    @action(description="Rotate the secret", url_path="rotate", permissions=["secret"], dialog=_ROTATE)
    def rotate(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def rotated(row: WebhookEndpoint) -> str:
            _, secret = webhook_endpoints.rotate_secret(endpoint=row)
            self._show_once(request, secret)
            return "The secret was rotated."

        return self.act_on(request, object_id, rotated)

    @staticmethod
    def _switch_on(row: WebhookEndpoint) -> str:
        webhook_endpoints.change_endpoint(endpoint=row, changes={"is_active": True})
        return "It is on."

    @staticmethod
    def _send_test(row: WebhookEndpoint) -> str:
        webhook_endpoints.send_test(endpoint=row)
        return "A test is on its way; the log below says what came of it."

    def _show_once(self, request: HttpRequest, secret: str) -> None:
        text = format_html("The signing secret, shown this once: <code>{}</code>", secret)
        self.message_user(request, text, messages.WARNING)
