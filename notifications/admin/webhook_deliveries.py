"""What was sent to customers' endpoints, with each attempt."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts.admin.dialogs import ask
from accounts.admin.tenancy import TenantTabularInline, limit_to_staffed
from accounts.models import User
from castcomm.common.errors import CastCommError
from castcomm.common.ids import parse_id
from notifications.admin.ledger import DayFilter, LedgerAdmin, chosen_ids, link_to
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookStatus
from notifications.services import webhook_replay

STATUSES = {"Pending": "info", "Delivered": "success", "Failed": "danger"}

_REPLAY_ONE = ask(
    "Send it again?", "The same message with the same webhook-id, with all its tries.", "Send again"
)


class AttemptInline(TenantTabularInline):
    """Each call, as it went."""

    model = WebhookAttempt
    organization_path = "delivery__organization"
    read_only = True
    fields = ("number", "started", "how", "elapsed_ms", "detail", "answer")
    readonly_fields = fields
    verbose_name_plural = "attempts"
    hide_title = True

    @display(description="started")
    def started(self, attempt: WebhookAttempt) -> str:
        return f"{localtime(attempt.created_at):%d %b %Y, %H:%M:%S}"

    @display(description="answer code")
    def how(self, attempt: WebhookAttempt) -> str:
        if attempt.finished_at is None:
            return "Cut short"
        return str(attempt.status_code or "none")


class EndpointFilter(DropdownFilter):  # type: ignore[misc]
    """The endpoints of the organizations that this person works for."""

    title = "endpoint"
    parameter_name = "endpoint"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = limit_to_staffed(WebhookEndpoint.objects.all(), request, "organization")
        return [(str(row.pk), str(row)) for row in rows[:500]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        chosen = parse_id(self.value())
        return queryset.filter(endpoint=chosen) if chosen else queryset.none()


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(LedgerAdmin):
    """Find what an endpoint did not take, see what it answered, and tell it again."""

    list_display = (
        "when",
        "to",
        "event_type",
        "status_label",
        "last_status_code",
        "attempt_count",
        "last_detail",
    )
    list_display_links = ("when", "to")
    list_filter = (("status", ChoicesDropdownFilter), EndpointFilter, ("created_at", DayFilter))
    list_select_related = ("endpoint", "message")
    search_help_text = "A webhook-id, or the delivery's id"
    actions = ("replay_selected",)
    actions_detail = ("replay_one",)
    fields = (
        "status_label", "endpoint_link", "event_type", "webhook_id", "due_at", "attempt_count", "last_status_code",
        "last_detail", "settled_at", "told", "created_at", "id",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (AttemptInline,)

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        named = parse_id(term)
        return queryset.filter(Q(id=named) | Q(message_id=named)) if named else queryset.none()

    @display(description="endpoint")
    def to(self, row: WebhookDelivery) -> str:
        return str(row.endpoint)

    @display(description="endpoint")
    def endpoint_link(self, row: WebhookDelivery) -> SafeString:
        return link_to(row.endpoint)

    @display(description="event type")
    def event_type(self, row: WebhookDelivery) -> str:
        return row.message.event_type

    @display(description="webhook-id")
    def webhook_id(self, row: WebhookDelivery) -> str:
        return str(row.message_id)

    @display(description="status", ordering="status", label=STATUSES)
    def status_label(self, row: WebhookDelivery) -> str:
        return row.get_status_display()

    @display(description="data")
    def told(self, row: WebhookDelivery) -> SafeString:
        text = json.dumps(row.message.payload, indent=2, ensure_ascii=False)
        return format_html('<pre class="cc-scroll">{}</pre>', text)

    def has_replay_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        found = self.row(request, object_id) if object_id else None
        return found is not None and found.status != WebhookStatus.PENDING

    @action(
        description="Send again",
        url_path="replay",
        permissions=["replay"],
        variant=ActionVariant.PRIMARY,
        dialog=_REPLAY_ONE,
    )
    def replay_one(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def again(row: WebhookDelivery) -> str:
            webhook_replay.replay_delivery(delivery=row)
            return "It is due again."

        return self.act_on(request, object_id, again)

    @admin.action(description="Send again", permissions=["act"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        done = []
        for row in WebhookDelivery.objects.select_related("endpoint").filter(id__in=chosen_ids(queryset)):
            try:
                done.append(webhook_replay.replay_delivery(delivery=row))
            except CastCommError:
                continue  # it is on its way, or its endpoint is off
        if not done:
            text = "None of them can be sent again: they are on their way, or their endpoint is off."
            self.message_user(request, text, messages.WARNING)
            return
        assert isinstance(request.user, User)
        LogEntry.objects.log_actions(request.user.id, done, CHANGE, change_message="Due again.")
        self.message_user(request, f"{len(done)} due again.", messages.SUCCESS)
