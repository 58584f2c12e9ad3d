"""Threads, their participants and their changes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from accounts.admin.tenancy import TenantAdmin, TenantTabularInline
from messaging.models import Participant, Thread, ThreadEvent

PAGE = 50


class ParticipantInline(TenantTabularInline):
    """Who is or was in the thread."""

    model = Participant
    read_only = True
    per_page = PAGE
    fields = ["user", "role", "joined_at", "left_at", "last_read_seq", "is_muted"]
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Participant]:
        return super().get_queryset(request).select_related("user")


class ThreadEventInline(TenantTabularInline):
    """What changed besides new messages."""

    model = ThreadEvent
    read_only = True
    per_page = PAGE
    fields = ["seq", "kind", "actor", "user", "created_at"]
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[ThreadEvent]:
        return super().get_queryset(request).select_related("actor", "user").order_by("-seq")


@admin.register(Thread)
class ThreadAdmin(TenantAdmin):
    """Find a conversation, see who is in it and go to what was said."""

    read_only = True
    list_display = ["title", "organization", "kind", "people", "msg_seq", "active_at"]
    list_filter = ["kind"]
    search_fields = ["subject", "id", "participants__user__email"]
    search_help_text = "Subject, id, or the address of a participant"
    ordering = ["-active_at"]
    fields = [
        "subject",
        "kind",
        "organization",
        "metadata",
        "seq",
        "msg_seq",
        "created_by",
        "created_at",
        "active_at",
        "conversation",
    ]
    readonly_fields = fields
    inlines = [ParticipantInline, ThreadEventInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Thread]:
        present = Count("participants", filter=Q(participants__left_at=None), distinct=True)
        threads: QuerySet[Thread] = super().get_queryset(request)
        return threads.select_related("organization", "created_by").annotate(present_count=present)

    @admin.display(description="Thread")
    def title(self, thread: Thread) -> str:
        return str(thread)

    @admin.display(description="Participants", ordering="present_count")
    def people(self, thread: Any) -> int:
        count: int = thread.present_count
        return count

    @admin.display(description="Messages")
    def conversation(self, thread: Thread) -> str:
        address = reverse("admin:messaging_message_changelist")
        return format_html('<a href="{}?thread__id__exact={}">Read the messages</a>', address, thread.id)
