"""Requests: who asked for what, and what came of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.admin.dialogs import ask
from castcomm.common.ids import parse_id
from notifications.admin.ledger import DayFilter, EventTypeFilter, LedgerAdmin, link_to, recipient_of
from notifications.models import Delivery, NotificationRequest, RequestStatus
from notifications.services.deliveries import cancel_request
from notifications.vocabulary import CANCELLABLE, Channel, DeliveryStatus

SOURCES = ("python", "api", "workflow", "event", "command", "admin", "test")
SHOWN = 25

_CANCEL_ALL = ask(
    "Cancel what has not gone out?",
    "Everything of this request that waits is stopped, on all channels. What has been sent stays sent.",
    "Cancel the request",
)


class SourceFilter(DropdownFilter):  # type: ignore[misc]
    title = "source"
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(source, source) for source in SOURCES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(source=self.value()) if self.value() else queryset


@admin.register(NotificationRequest)
class NotificationRequestAdmin(LedgerAdmin):
    """One call to send. Its page sums up what became of it, and stops what has not gone out."""

    list_display = (
        "when", "event_type", "source", "recipient_count", "status_label", "priority", "scheduled_for",
    )  # fmt: skip
    list_display_links = ("when", "event_type")
    list_filter = (
        EventTypeFilter,
        SourceFilter,
        ("status", ChoicesDropdownFilter),
        ("created_at", DayFilter),
    )
    list_select_related = ("event_type",)
    search_help_text = "An id, or an idempotency key"
    actions_detail = ("cancel_all",)
    fields = (
        "event_type_link", "template_link", "source", "status_label", "recipient_count", "priority", "critical",
        "channels", "scheduled_for", "data", "content", "idempotency_key", "created_at", "id",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("event_type")
        match = request.resolver_match
        in_list = match is not None and (match.url_name or "").endswith("_changelist")
        # A list has no use for them, and they can be large.
        return rows.defer("data", "content") if in_list else rows.select_related("template", "organization")

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        as_id = parse_id(term)
        return queryset.filter(id=as_id) if as_id else queryset.filter(idempotency_key=term)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        found = self.row(request, object_id)
        context = dict(extra_context or {})
        if found is not None:
            context["outcome"] = outcome_of(found)
            context["first_notifications"] = first_notifications(found)
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    @display(
        description="status",
        ordering="status",
        label={
            RequestStatus.DONE.label: "success",
            RequestStatus.FANNING_OUT.label: "info",
            RequestStatus.PAUSED.label: "warning",
            RequestStatus.CANCELLED.label: "warning",
            RequestStatus.INCOMPLETE.label: "danger",
        },
    )
    def status_label(self, request: NotificationRequest) -> str:
        return request.get_status_display()

    @display(description="event type")
    def event_type_link(self, request: NotificationRequest) -> SafeString:
        return link_to(request.event_type)

    @display(description="template")
    def template_link(self, request: NotificationRequest) -> SafeString | str:
        return link_to(request.template) if request.template else "The text came with the call."

    def has_cancel_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        found = self.row(request, object_id) if object_id else None
        if found is None or found.status == RequestStatus.CANCELLED:
            return False
        waiting = Delivery.objects.filter(notification__request=found, status__in=CANCELLABLE)
        unwritten = (RequestStatus.FANNING_OUT, RequestStatus.PAUSED)
        return found.status in unwritten or waiting.exists()

    @action(description="Cancel", url_path="cancel", permissions=["cancel"], dialog=_CANCEL_ALL)
    def cancel_all(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def act(found: NotificationRequest) -> str:
            stopped = cancel_request(organization=found.organization, request_id=found.id)
            return f"Cancelled: {stopped} deliveries were stopped."

        return self.act_on(request, object_id, act)


def outcome_of(found: NotificationRequest) -> list[dict[str, Any]]:
    """How many deliveries are in which state, channel by channel."""
    rows = (
        Delivery.objects.filter(notification__request=found)
        .order_by("channel", "status")
        .values_list("channel", "status")
        .annotate(Count("id"))
    )
    by_channel: dict[str, list[dict[str, Any]]] = {}
    for channel, status, count in rows:
        state = {"label": DeliveryStatus(status).label, "count": count}
        by_channel.setdefault(channel, []).append(state)
    return [{"channel": Channel(channel).label, "states": states} for channel, states in by_channel.items()]


def first_notifications(found: NotificationRequest) -> list[dict[str, Any]]:
    """The first notifications of a request, with the state of each channel."""
    rows = found.notifications.select_related("user").prefetch_related("deliveries").order_by("id")[:SHOWN]
    return [
        {
            "id": row.id,
            "recipient": recipient_of(row),
            "deliveries": sorted(row.deliveries.all(), key=lambda one: Channel.values.index(one.channel)),
        }
        for row in rows
    ]
