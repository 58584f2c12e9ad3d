"""Messages, and what they said before they were changed."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator

from accounts.admin.tenancy import TenantAdmin, TenantTabularInline
from messaging.models import Message, ThreadEvent


class MessageEventInline(TenantTabularInline):
    """Edits and deletion."""

    model = ThreadEvent
    read_only = True
    fields = ["kind", "actor", "created_at", "said_before"]
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[ThreadEvent]:
        return super().get_queryset(request).select_related("actor")

    @admin.display(description="Said before")
    def said_before(self, event: ThreadEvent) -> str:
        return str(event.data.get("previous_content", ""))


@admin.register(Message)
class MessageAdmin(TenantAdmin):
    """Find a message and see its history; deleted ones are shown here for moderation."""

    read_only = True
    list_display = ["excerpt", "sender", "thread", "created_at", "edited_at", "deleted_at"]
    list_filter = [("deleted_at", admin.EmptyFieldListFilter), ("edited_at", admin.EmptyFieldListFilter)]
    list_select_related = ["sender", "thread"]
    search_fields = ["content", "sender__email", "id"]
    search_help_text = "What was said, the sender's address, or an id"
    ordering = ["-id"]
    fields = [
        "thread",
        "seq",
        "sender",
        "content",
        "reply_to",
        "client_id",
        "created_at",
        "edited_at",
        "deleted_at",
    ]
    readonly_fields = fields
    inlines = [MessageEventInline]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        if lookup == "thread__id__exact":
            return True
        allowed: bool = super().lookup_allowed(lookup, value, request)
        return allowed

    @admin.display(description="Message", ordering="id")
    def excerpt(self, message: Message) -> str:
        return Truncator(message.content).chars(80)
