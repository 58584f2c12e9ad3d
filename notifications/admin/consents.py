"""What people agreed to and took back, to be read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from notifications.admin.ledger import LedgerAdmin
from notifications.models import ConsentRecord
from notifications.services.recipients import address_index


@admin.register(ConsentRecord)
class ConsentRecordAdmin(LedgerAdmin):
    """Each decision with its proof: what the person saw, when, from where. Nothing here can be changed."""

    list_display = ("created_at", "person", "matter", "channel_words", "decision", "source", "organization")
    list_filter = (
        "granted",
        ("source", ChoicesDropdownFilter),
        ("scope", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
    )
    list_select_related = ("user", "organization")
    search_fields = ("user__email",)
    ordering = ("-id",)
    fields = (
        "created_at",
        "organization",
        "person",
        "matter",
        "channel_words",
        "decision",
        "wording",
        "source",
        "actor",
        "delivery_id",
        "ip_address",
        "user_agent",
        "locale",
        "seal",
    )
    readonly_fields = fields

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        email = term.lower()
        return queryset.filter(user__email=email) | queryset.filter(address_index=address_index(email, ""))

    @display(description="person")
    def person(self, record: ConsentRecord) -> str:
        return str(record.user) if record.user else "bare address"

    @display(description="concerns")
    def matter(self, record: ConsentRecord) -> str:
        return f"{record.get_scope_display()}: {record.key}" if record.key else record.get_scope_display()

    @display(description="channel", ordering="channel")
    def channel_words(self, record: ConsentRecord) -> str:
        return record.get_channel_display() or "All channels"

    @display(description="decision", label={"yes": "success", "no": "warning", "taken back": "info"})
    def decision(self, record: ConsentRecord) -> str:
        return {True: "yes", False: "no", None: "taken back"}[record.granted]
