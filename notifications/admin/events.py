"""What providers reported: every event as it came, whether or not a delivery was found for it."""

from __future__ import annotations

from typing import Any

import orjson
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from castcomm.common.errors import InvalidInput
from castcomm.common.ids import parse_id
from notifications.admin.ledger import DayFilter, LedgerAdmin, link_to
from notifications.models import ProviderEvent
from notifications.services.recipients import address_index, normalize_email, normalize_phone
from notifications.vocabulary import ReceiptKind
from notifications.webhooks.base import parsers

KIND_COLOURS = {
    ReceiptKind.ACCEPTED.label: "info",
    ReceiptKind.DEFERRED.label: "warning",
    ReceiptKind.DELIVERED.label: "success",
    ReceiptKind.OPENED.label: "success",
    ReceiptKind.CLICKED.label: "success",
    ReceiptKind.BOUNCED.label: "danger",
    ReceiptKind.SOFT_BOUNCED.label: "warning",
    ReceiptKind.COMPLAINED.label: "danger",
    ReceiptKind.UNSUBSCRIBED.label: "warning",
    ReceiptKind.FAILED.label: "danger",
}


class ReporterFilter(DropdownFilter):  # type: ignore[misc]
    """Who can report: those whose webhooks CastComm understands."""

    title = "provider"
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted({parser.key for _, parser in parsers.items()})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(provider=self.value()) if self.value() else queryset


class MatchedFilter(DropdownFilter):  # type: ignore[misc]
    """Events that belong to no delivery of ours: another system sends through the same account, or it is deleted."""

    title = "delivery"
    parameter_name = "matched"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Found"), ("no", "Not found")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = {"yes": False, "no": True}.get(str(self.value()))
        return queryset if chosen is None else queryset.filter(delivery__isnull=chosen)


@admin.register(ProviderEvent)
class ProviderEventAdmin(LedgerAdmin):
    """Staff see the events of their organizations' deliveries; those without a delivery are for superusers."""

    list_display = ("when", "kind_label", "provider", "delivery_link", "automatic", "said", "occurred_at")
    list_display_links = ("when",)
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ReporterFilter,
        MatchedFilter,
        ("created_at", DayFilter),
    )
    list_select_related = ("organization",)
    search_help_text = "An id (of the event or the delivery), a recipient's address, a provider's id"
    fields = (
        "kind_label", "delivery_link", "organization", "provider", "account", "provider_message_id", "automatic",
        "occurred_at", "created_at", "detail", "event_key", "raw", "id",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        shows_one = request.resolver_match is not None and "object_id" in request.resolver_match.kwargs
        return rows if shows_one else rows.defer("payload")

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if (as_id := parse_id(term)) is not None:
            return queryset.filter(Q(id=as_id) | Q(delivery_id=as_id))
        try:
            if "@" in term and "<" not in term:
                return queryset.filter(recipient_index=address_index(normalize_email(term, attr="q"), ""))
            if term.startswith("+"):
                return queryset.filter(recipient_index=address_index("", normalize_phone(term, attr="q")))
        except InvalidInput:
            return queryset.none()
        return queryset.filter(provider_message_id=term)

    @display(description="what", ordering="kind", label=KIND_COLOURS)
    def kind_label(self, event: ProviderEvent) -> str:
        return event.get_kind_display()

    @display(description="delivery")
    def delivery_link(self, event: ProviderEvent) -> SafeString | str:
        if event.delivery_id is None:
            return "Not found"
        return link_to(event._meta.get_field("delivery").related_model(id=event.delivery_id), "The delivery")

    @display(description="by a machine", boolean=True)
    def automatic(self, event: ProviderEvent) -> bool:
        return event.is_automatic

    @display(description="detail")
    def said(self, event: ProviderEvent) -> SafeString:
        return format_html('<span class="cc-why">{}</span>', event.detail[:200])

    @display(description="as it came")
    def raw(self, event: ProviderEvent) -> SafeString:
        written = orjson.dumps(event.payload, option=orjson.OPT_INDENT_2).decode()
        return format_html('<pre class="cc-raw">{}</pre>', written)
